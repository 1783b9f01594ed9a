//! Faults: processes that end, servers that crash, databases that come and go. What was committed is delivered all the
//! same, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::cluster::{Cluster, StopMode, wait_until};
use testkit::receiver::{Answer, Receiver, Request};
use testkit::{
    PATIENCE, StopWhenDropped, ask, number, rounds, run, start_shared_cluster, subscribe, wait_for_empty_queue,
};

const PATH: &str = "/tickets";

/// How many requests a subscription has in flight, by default.
const IN_FLIGHT: usize = 64;

/// One cluster for all tests that leave the server itself alone.
fn shared_cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

/// A database with a table whose every new row is an event, and somebody who receives these.
struct Bench<'a> {
    cluster: &'a Cluster,
    database: &'static str,
    receiver: Receiver,
    subscription: i64,
}

impl<'a> Bench<'a> {
    fn new(cluster: &'a Cluster, database: &'static str, more: &[&str]) -> Bench<'a> {
        let mut client = cluster.create_database(database);
        let receiver = Receiver::start();
        let subscription = prepare(&mut client, &receiver, more);
        Bench { cluster, database, receiver, subscription }
    }

    fn connect(&self) -> Client {
        self.cluster.connect(self.database)
    }

    /// Sessions that write about two hundred tickets a second, one per transaction, until `meanwhile` is over. They come
    /// back when the server does.
    fn under_load(&self, settings: &str, meanwhile: impl FnOnce()) {
        let (stop, next) = (AtomicBool::new(false), &AtomicU64::new(self.highest_ticket() + 1));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        // An error is the server's going away; whether its last commit came through shows later.
                        let _ = self.write_tickets(settings, &stop, next);
                        thread::sleep(Duration::from_millis(20));
                    }
                });
            }
            let _stop = StopWhenDropped(&stop);
            meanwhile();
        });
    }

    fn write_tickets(&self, settings: &str, stop: &AtomicBool, next: &AtomicU64) -> Result<(), postgres::Error> {
        let mut client = self.cluster.try_connect_as(self.database, "postgres")?;
        client.batch_execute(settings)?;
        while !stop.load(Ordering::Relaxed) {
            let id = next.fetch_add(1, Ordering::Relaxed);
            client.batch_execute(&format!("INSERT INTO ticket VALUES ({id})"))?;
            thread::sleep(Duration::from_millis(14));
        }
        Ok(())
    }

    fn highest_ticket(&self) -> u64 {
        let id: i64 = ask(&mut self.connect(), "SELECT coalesce(max(id), 0) FROM ticket");
        id as u64
    }

    #[track_caller]
    fn wait_for_requests(&self, count: usize) -> Vec<Arc<Request>> {
        self.receiver.wait_for(PATH, count, PATIENCE)
    }

    /// Once the queue is empty: exactly the tickets that are in the table were received. Says how often one was
    /// received again, which is then the same bytes.
    #[track_caller]
    fn settle(&self) -> usize {
        let mut client = self.connect();
        wait_for_empty_queue(&mut client);
        let written = client.query("SELECT id FROM ticket", &[]).expect("the table can be read");
        let written: BTreeSet<i64> = written.iter().map(|row| row.get(0)).collect();
        assert!(!written.is_empty());
        let requests = self.receiver.requests(PATH);
        let received: BTreeSet<i64> = requests.iter().map(|request| ticket(request)).collect();
        let lost: Vec<_> = written.difference(&received).take(10).collect();
        let invented: Vec<_> = received.difference(&written).take(10).collect();
        assert!(lost.is_empty() && invented.is_empty(), "lost {lost:?}, invented {invented:?}");
        let mut bodies: BTreeMap<&str, &Request> = BTreeMap::new();
        for request in &requests {
            let first = bodies.entry(request.delivery_id()).or_insert(request);
            assert_eq!(first.body, request.body, "delivery {}", request.delivery_id());
        }
        assert_eq!(bodies.len(), written.len(), "a delivery per ticket");
        requests.len() - written.len()
    }

    #[track_caller]
    fn state(&self) -> String {
        ask(&mut self.connect(), "SELECT state FROM hydra.webhook_worker_status")
    }

    #[track_caller]
    fn wait_for_state(&self, state: &str) {
        wait_until(format!("the worker is {state}"), PATIENCE, || self.state() == state);
    }
}

/// A table to write to, and a subscription to what is written.
#[track_caller]
fn prepare(client: &mut Client, receiver: &Receiver, more: &[&str]) -> i64 {
    run(
        client,
        "CREATE TABLE ticket (id bigint PRIMARY KEY);
         CREATE TRIGGER emit AFTER INSERT ON ticket
         FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created')",
    );
    let (id, secret) = subscribe(client, &receiver.url(PATH), "ticket.created", more);
    receiver.secret(PATH, &secret);
    id
}

fn ticket(request: &Request) -> i64 {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
    body["data"]["entity"]["id"].as_i64().expect("tickets are numbered")
}

fn insert(from: usize, to: usize) -> String {
    format!("INSERT INTO ticket SELECT generate_series({from}, {to})")
}

/// Ends when the server says that it has ended the process.
#[track_caller]
fn terminate(client: &mut Client, pid: i32) {
    assert!(ask::<bool>(client, &format!("SELECT pg_terminate_backend({pid}, 10000)")), "{pid} does not end");
}

/// No process of the server ended in a way that takes the others along.
#[track_caller]
fn assert_no_crash(cluster: &Cluster) {
    let log = cluster.log();
    for sign in ["terminated by signal", "PANIC", "all server processes terminated"] {
        assert!(!log.contains(sign), "the log says {sign:?}");
    }
}

#[track_caller]
fn assert_quick(what: &str, limit: Duration, action: impl FnOnce()) {
    let start = Instant::now();
    action();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    assert!(took < limit, "{what} took {took:?}");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// ---- the dispatcher ends --------------------------------------------------------------------------------------------

#[test]
fn a_dispatcher_that_is_terminated_under_load_is_replaced_and_loses_nothing() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "terminated", &[]);
    let mut client = bench.connect();
    bench.under_load("", || {
        let mut former = None;
        for round in 1..=3 {
            let pid = cluster.new_dispatcher_pid(bench.database, former);
            bench.wait_for_requests(round * 200);
            terminate(&mut client, pid);
            former = Some(pid);
        }
        cluster.new_dispatcher_pid(bench.database, former);
        bench.wait_for_requests(bench.receiver.received(PATH) + 200);
    });
    let again = bench.settle();
    assert!(again <= 3 * IN_FLIGHT, "{again} requests were repeated");
    assert_no_crash(cluster);
}

#[test]
fn a_dispatcher_that_is_killed_takes_the_server_along_and_still_loses_nothing() {
    let cluster = Cluster::start(&[]);
    let bench = Bench::new(&cluster, "killed", &[]);
    bench.under_load("", || {
        let mut former = None;
        for _ in 0..2 {
            let pid = cluster.new_dispatcher_pid(bench.database, former);
            bench.wait_for_requests(bench.receiver.received(PATH) + 200);
            cluster.kill9(pid);
            former = Some(pid);
        }
        cluster.new_dispatcher_pid(bench.database, former);
        bench.wait_for_requests(bench.receiver.received(PATH) + 200);
    });
    bench.settle();
}

#[test]
fn a_fast_stop_does_not_wait_for_requests_that_hang() {
    let cluster = Cluster::start(&[]);
    let bench = Bench::new(&cluster, "fast_stop", &["timeout => '60 s'"]);
    for round in 0..rounds(1) as usize {
        bench.receiver.answer(PATH, Answer::hang());
        run(&mut bench.connect(), &insert(16 * round + 1, 16 * round + 16));
        bench.wait_for_requests(32 * round + 16);
        assert_quick("the fast stop", seconds(10), || cluster.stop(StopMode::Fast));
        assert_no_crash(&cluster);

        // An attempt that we interrupted ourselves is nobody's failure. Not so quick that a thread would take several.
        bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(50)));
        cluster.start_again();
        assert_eq!(bench.settle(), 16 * round + 16);
        let failures = "SELECT count(*) FROM hydra.webhook_history WHERE error IS NOT NULL";
        assert_eq!(ask::<i64>(&mut bench.connect(), failures), 0);
    }
}

#[test]
fn after_an_immediate_stop_deliveries_go_on_and_claims_of_the_dead_dispatcher_are_void() {
    let cluster = Cluster::start(&[]);
    let bench = Bench::new(&cluster, "crash", &["timeout => '60 s'", "retry_schedule => '{1 s,1 s,1 s}'"]);
    bench.receiver.answer(PATH, Answer::hang());
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    run(&mut bench.connect(), &insert(1, 3));
    // Three retries, which are claimed rows, hang; and first attempts of events beside them.
    bench.wait_for_requests(6);
    run(&mut bench.connect(), &insert(4, 8));
    bench.wait_for_requests(11);
    let claimed: i64 = ask(&mut bench.connect(), "SELECT count(*) FROM hydra.webhook_pending WHERE claimed");
    assert!(claimed >= 3, "{claimed} deliveries are claimed");

    bench.receiver.answer(PATH, Answer::ok());
    cluster.stop(StopMode::Immediate);
    cluster.start_again();
    bench.settle();
    let counted = "SELECT count(*) FROM hydra.webhook_history WHERE attempt = 1 AND status_code = 500";
    assert_eq!(ask::<i64>(&mut bench.connect(), counted), 3);
    let last: i32 = ask(&mut bench.connect(), "SELECT max(attempt) FROM hydra.webhook_history");
    assert_eq!(last, 2, "the attempt that the crash interrupted is not counted");
}

#[test]
fn a_commit_that_is_not_on_disk_yet_is_never_delivered_before_it_is() {
    // The WAL writer sleeps for as long as it can, so that nothing but the dispatcher brings commits to disk.
    let cluster = Cluster::start(&[("wal_writer_delay", "10s"), ("checkpoint_timeout", "1h")]);
    let bench = Bench::new(&cluster, "lazy_commits", &[]);
    for _ in 0..5 {
        bench.under_load("SET synchronous_commit = off", || {
            bench.wait_for_requests(bench.receiver.received(PATH) + 100);
            cluster.kill9_everything();
        });
        cluster.start_again();
        bench.settle();
    }
}

#[test]
fn a_commit_of_a_transaction_that_began_long_ago_is_not_delivered_before_it_is_on_disk() {
    // As above; nor does the WAL writer wake up because there is much to write.
    let settings = [("wal_writer_delay", "10s"), ("wal_writer_flush_after", "1GB"), ("checkpoint_timeout", "1h")];
    let cluster = Cluster::start(&settings);
    let bench = Bench::new(&cluster, "late_commits", &[]);
    for ticket in 1..=3 {
        let mut client = bench.connect();
        run(&mut client, "BEGIN; SET LOCAL synchronous_commit = off");
        run(&mut client, &insert(ticket, ticket));
        run(
            &mut bench.connect(),
            "DO $$ BEGIN FOR n IN 1..60000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
        );
        run(&mut client, "COMMIT");
        bench.wait_for_requests(ticket);
        cluster.kill9_everything();
        cluster.start_again();
        bench.settle();
    }
}

#[test]
fn a_dispatcher_that_cannot_write_keeps_what_it_knows_and_recovers() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "no_writes", &["retry_schedule => '{2 s,2 s}'"]);
    let mut client = bench.connect();
    let pid = cluster.dispatcher_pid(bench.database);
    bench.receiver.answer_first(PATH, 20, Answer::status(500));
    run(&mut client, "REVOKE INSERT ON hydra.attempt FROM hydra_worker");
    run(&mut client, &insert(1, 10));
    bench.wait_for_requests(10);
    wait_until("it has tried to write", PATIENCE, || cluster.log().contains("permission denied for table attempt"));
    let written: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history");
    assert_eq!(written, 0);

    run(&mut client, "GRANT INSERT ON hydra.attempt TO hydra_worker");
    assert_eq!(bench.settle(), 20);
    let rows = client.query(
        "SELECT attempt, count(*), count(DISTINCT delivery_id) FROM hydra.webhook_history GROUP BY attempt ORDER BY attempt",
        &[],
    );
    let rows = rows.expect("the history can be read");
    let rows: Vec<(i32, i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(rows, [(1, 10, 10), (2, 10, 10), (3, 10, 10)]);
    assert_eq!(cluster.find_dispatcher(bench.database), Some(pid), "an error ends a transaction and not the process");
}

#[test]
fn a_dispatcher_whose_statement_is_cancelled_goes_on() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "cancelled", &[]);
    let mut client = bench.connect();
    let pid = cluster.dispatcher_pid(bench.database);
    for ticket in 1..=5 {
        run(&mut client, &format!("SELECT pg_cancel_backend({pid})"));
        run(&mut client, &insert(ticket, ticket));
        bench.wait_for_requests(ticket);
    }
    assert_eq!(bench.settle(), 0);
    assert_eq!(cluster.find_dispatcher(bench.database), Some(pid));
}

#[test]
fn an_open_transaction_that_changes_one_subscription_holds_up_no_delivery_of_another() {
    let mut client = shared_cluster().create_database("open_change");
    let receiver = Receiver::start();
    receiver.answer("/gone", Answer::gone());
    let (gone, _) = subscribe(&mut client, &receiver.url("/gone"), "ticket.created", &[]);
    subscribe(&mut client, &receiver.url("/well"), "ticket.resolved", &[]);
    let mut admin = shared_cluster().connect("open_change");
    run(&mut admin, &format!("BEGIN; SELECT hydra.webhook_update({gone}, name => 'still thinking')"));

    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    receiver.wait_for("/gone", 1, PATIENCE);
    assert_quick("the other one's deliveries", seconds(5), || {
        for ticket in 1..=20 {
            run(&mut client, "SELECT hydra.webhook_emit('ticket.resolved', '{}')");
            receiver.wait_for("/well", ticket, PATIENCE);
        }
    });
    run(&mut admin, "COMMIT");
    let status = format!("SELECT status FROM hydra.webhook_subscriptions WHERE id = {gone}");
    wait_until("what was found out is written", PATIENCE, || ask::<String>(&mut client, &status) == "disabled");
}

#[test]
fn a_lock_on_the_tables_delays_deliveries_and_loses_or_repeats_none() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "locked", &["retry_schedule => '{2 s,2 s}'"]);
    let mut client = bench.connect();
    let pid = cluster.dispatcher_pid(bench.database);
    bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(300)));
    bench.receiver.answer_first(PATH, 5, Answer::status(500).after(Duration::from_millis(300)));
    run(&mut client, &insert(1, 10));
    bench.wait_for_requests(10);
    let mut other = bench.connect();
    run(&mut other, "BEGIN; LOCK TABLE hydra.event, hydra.delivery, hydra.attempt IN ACCESS EXCLUSIVE MODE");
    thread::sleep(Duration::from_millis(2500));
    run(&mut other, "COMMIT");
    assert_eq!(bench.settle(), 5);
    let failures: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE attempt = 1");
    assert_eq!(failures, 5);
    assert_eq!(cluster.find_dispatcher(bench.database), Some(pid));
}

#[test]
fn a_dispatcher_that_waits_for_a_lock_ends_when_it_is_told_to() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "blocked", &[]);
    let mut client = bench.connect();
    let pid = cluster.dispatcher_pid(bench.database);
    run(&mut client, &insert(1, 1));
    bench.wait_for_requests(1);
    let mut other = bench.connect();
    run(&mut other, "BEGIN; LOCK TABLE hydra.event IN ACCESS EXCLUSIVE MODE");
    wait_until("it waits for the lock", PATIENCE, || {
        ask(&mut client, &format!("SELECT count(*) > 0 FROM pg_locks WHERE pid = {pid} AND NOT granted"))
    });
    assert_quick("the end", seconds(5), || terminate(&mut client, pid));
    run(&mut other, "COMMIT");
    cluster.new_dispatcher_pid(bench.database, Some(pid));
    run(&mut client, &insert(2, 3));
    bench.settle();
}

#[test]
fn settings_of_the_database_do_not_reach_the_dispatcher() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "strange", &["retry_schedule => '{2 s,2 s}'"]);
    let mut client = bench.connect();
    for setting in [
        "default_transaction_read_only = on",
        "default_transaction_isolation = serializable",
        "session_replication_role = replica",
        "search_path = nowhere",
        "statement_timeout = 1",
        "idle_in_transaction_session_timeout = 1",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = sql_standard",
        "TimeZone = 'Asia/Kathmandu'",
        "bytea_output = escape",
        "row_security = off",
    ] {
        run(&mut client, &format!("ALTER DATABASE strange SET {setting}"));
    }
    // This session began before them; the next dispatcher does not.
    let pid = cluster.dispatcher_pid(bench.database);
    terminate(&mut client, pid);
    cluster.new_dispatcher_pid(bench.database, Some(pid));
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    run(&mut client, &insert(1, 5));
    wait_for_empty_queue(&mut client);
    let requests = bench.receiver.requests(PATH);
    assert_eq!(requests.len(), 5 + 3);
    let clock: String = ask(
        &mut client,
        "SELECT to_char(max(emitted_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24') FROM (
             SELECT attempted_at AS emitted_at FROM hydra.webhook_history) AS attempts",
    );
    assert!(requests.iter().all(|request| request.text().contains(&format!("\"timestamp\":\"{clock}"))), "{clock}");
}

#[test]
fn a_wake_that_is_lost_costs_a_second_and_no_event() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "two_phase", &[]);
    let mut client = bench.connect();
    run(&mut client, &insert(1, 1));
    bench.wait_for_requests(1);
    run(&mut client, &format!("BEGIN; {}; PREPARE TRANSACTION 'ticket'", insert(2, 2)));
    wait_for_empty_queue(&mut client);
    assert_eq!(bench.receiver.received(PATH), 1, "nothing is sent for what may still be rolled back");
    run(&mut client, "COMMIT PREPARED 'ticket'");
    assert_quick("the delivery", seconds(2), || {
        bench.wait_for_requests(2);
    });
    bench.settle();
}

// ---- everything ends ------------------------------------------------------------------------------------------------

/// What can end, and how.
#[derive(Clone, Copy, Debug)]
enum Fault {
    TerminateDispatcher,
    TerminateLauncher,
    Kill9Dispatcher,
    Kill9Launcher,
    ImmediateStop,
    Kill9Everything,
}

const FAULTS: [Fault; 6] = [
    Fault::TerminateDispatcher,
    Fault::TerminateLauncher,
    Fault::Kill9Dispatcher,
    Fault::Kill9Launcher,
    Fault::ImmediateStop,
    Fault::Kill9Everything,
];

impl Fault {
    fn strike(self, bench: &Bench<'_>) {
        let cluster = bench.cluster;
        let dispatcher = || cluster.dispatcher_pid(bench.database);
        let the_launcher = || {
            let mut found = None;
            wait_until("there is a launcher", PATIENCE, || {
                found =
                    cluster.try_connect_as("postgres", "postgres").ok().and_then(|mut client| launcher(&mut client));
                found.is_some()
            });
            found.expect("it was found")
        };
        match self {
            Fault::TerminateDispatcher => cluster.signal("TERM", dispatcher()),
            Fault::TerminateLauncher => cluster.signal("TERM", the_launcher()),
            Fault::Kill9Dispatcher => cluster.kill9(dispatcher()),
            Fault::Kill9Launcher => cluster.kill9(the_launcher()),
            Fault::ImmediateStop => {
                cluster.stop(StopMode::Immediate);
                cluster.start_again();
            }
            Fault::Kill9Everything => {
                cluster.kill9_everything();
                cluster.start_again();
            }
        }
    }
}

/// A short run; `HYDRA_KILLS=60` makes it a long one, `HYDRA_SEED` one that was before.
#[test]
fn whatever_is_killed_under_load_nothing_is_lost_or_invented_and_deliveries_go_on_at_once() {
    let kills = number("HYDRA_KILLS").unwrap_or(FAULTS.len() as u64) as usize;
    let seed = number("HYDRA_SEED").unwrap_or_else(rand::random);
    println!("HYDRA_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let cluster = Cluster::start(&[]);
    let bench = Bench::new(&cluster, "everything", &["retry_schedule => '{0.2 s,0.2 s,0.2 s,0.2 s,0.2 s}'"]);
    let mut slowest = Duration::ZERO;
    // Half of the sessions do not wait for the disk.
    let settings =
        "SELECT set_config('synchronous_commit', CASE pg_backend_pid() % 2 WHEN 0 THEN 'off' ELSE 'on' END, false)";
    bench.under_load(settings, || {
        for round in 0..kills {
            bench.receiver.answer_first(PATH, 20, Answer::status(500));
            bench.wait_for_requests(bench.receiver.received(PATH) + chance.random_range(100..500));
            let fault = FAULTS[round % FAULTS.len()];
            fault.strike(&bench);
            wait_until("the server accepts connections", PATIENCE, || {
                cluster.try_connect_as(bench.database, "postgres").is_ok()
            });
            let (accepting, before) = (Instant::now(), bench.receiver.received(PATH));
            wait_until("a request arrives", seconds(15), || bench.receiver.received(PATH) > before);
            slowest = slowest.max(accepting.elapsed());
        }
    });
    // Twenty failures in each round; what is more was under way, or finished and not written yet.
    let again = bench.settle();
    let most = kills * (20 + IN_FLIGHT + 1000);
    assert!(again <= most, "{again} requests were repeated");
    println!("{kills} kills, {} requests, {again} of them again, slowest {slowest:?}", bench.receiver.received(PATH));
}

// ---- tables -----------------------------------------------------------------------------------------------------------

#[test]
fn what_is_truncated_away_is_not_sent_and_what_comes_later_is() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "truncated", &["retry_schedule => '{1 s}'"]);
    let mut client = bench.connect();
    for _ in 0..rounds(1) {
        bench.receiver.clear();
        bench.receiver.answer(PATH, Answer::status(500));
        run(&mut client, &insert(1, 5));
        bench.wait_for_requests(5);
        wait_until("all wait for their retry", PATIENCE, || {
            ask(&mut client, "SELECT count(*) = 5 FROM hydra.webhook_history")
        });
        assert_quick("TRUNCATE", seconds(5), || {
            run(&mut client, "TRUNCATE hydra.event, hydra.delivery, hydra.attempt, ticket");
        });
        bench.receiver.answer(PATH, Answer::ok());
        thread::sleep(Duration::from_millis(1500));
        assert_eq!(bench.receiver.received(PATH), 5, "there is nothing to retry");

        bench.receiver.clear();
        run(&mut client, &insert(6, 10));
        assert_eq!(bench.settle(), 0);
        run(&mut client, "TRUNCATE ticket");
    }
    assert_no_crash(cluster);
}

#[test]
fn rewriting_the_tables_under_load_loses_nothing() {
    let cluster = shared_cluster();
    let rounds = rounds(3) as usize;
    let bench = Bench::new(cluster, "rewritten", &["retry_schedule => '{0.5 s,0.5 s,0.5 s,0.5 s,0.5 s}'"]);
    let mut client = bench.connect();
    bench.under_load("", || {
        for round in 1..=rounds {
            bench.receiver.answer_first(PATH, 20, Answer::status(500));
            bench.wait_for_requests(round * 200);
            for table in ["event", "delivery", "attempt", "subscription"] {
                let rewrite = format!("VACUUM FULL hydra.{table}");
                assert_quick(&rewrite, seconds(5), || run(&mut client, &rewrite));
            }
            run(&mut client, "REINDEX SCHEMA hydra");
        }
    });
    assert_eq!(bench.settle(), 20 * rounds, "each failure, and nothing else, is tried again");
    let failures: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE status_code = 500");
    assert_eq!(failures as usize, 20 * rounds);
}

#[test]
fn an_event_whose_row_moved_while_it_was_sent_ends_and_the_one_that_took_its_place_does_not() {
    let bench = Bench::new(shared_cluster(), "moved", &["max_in_flight => 4"]);
    let mut client = bench.connect();
    // Dead once delivered, it leaves room in front of the next one.
    run(&mut client, &insert(1, 1));
    bench.settle();
    bench.receiver.answer(PATH, Answer::ok().after(seconds(1)));
    run(&mut client, &insert(2, 2));
    let place = "SELECT ctid::text || ' of ' || count(*) OVER () FROM hydra.event ORDER BY id DESC LIMIT 1";
    let before: String = ask(&mut client, place);
    bench.wait_for_requests(2);
    // As long as anybody's snapshot is from before, what is dead cannot be told from what is not.
    wait_until("the second has moved to the front", PATIENCE, || {
        run(&mut client, "VACUUM FULL hydra.event");
        ask::<String>(&mut client, place) != before
    });
    bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(1500)));
    run(&mut client, &insert(3, 3));
    assert_eq!(ask::<String>(&mut client, place), before.replace("of 1", "of 2"), "the third is where the second was");
    let left = "SELECT array_agg((entity::jsonb ->> 'id')::int) FROM hydra.event";
    wait_until("the second is done", PATIENCE, || ask::<Option<Vec<i32>>>(&mut client, left) != Some(vec![2, 3]));
    assert_eq!(ask::<Option<Vec<i32>>>(&mut client, left), Some(vec![3]));
    bench.settle();
}

// ---- the extension ------------------------------------------------------------------------------------------------------

#[test]
fn the_extension_can_be_dropped_while_it_delivers_and_created_again() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "dropped", &["max_in_flight => 4"]);
    let mut client = bench.connect();
    for _ in 0..rounds(1) {
        bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(20)));
        let pid = cluster.dispatcher_pid(bench.database);
        run(&mut client, &insert(1, 2000));
        bench.wait_for_requests(20);
        assert_quick("DROP EXTENSION", seconds(5), || {
            run(&mut client, "DROP EXTENSION hydra_webhooks CASCADE; DROP TABLE ticket")
        });
        wait_until("its dispatcher has ended", seconds(5), || cluster.find_dispatcher(bench.database) != Some(pid));
        assert!(bench.receiver.received(PATH) < 1000, "it went on for long");
        wait_until("nothing is in flight", PATIENCE, || bench.receiver.in_flight(PATH) == 0);
        bench.receiver.clear();

        run(&mut client, "CREATE EXTENSION hydra_webhooks");
        prepare(&mut client, &bench.receiver, &["max_in_flight => 4"]);
        run(&mut client, &insert(2001, 2020));
        assert_eq!(bench.settle(), 0);
        run(&mut client, "TRUNCATE ticket");
        bench.receiver.clear();
    }
    assert_no_crash(cluster);
}

#[test]
fn an_extension_that_was_dropped_and_created_in_a_breath_delivers() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "replaced", &[]);
    let mut client = bench.connect();
    for round in 1..=3 {
        cluster.dispatcher_pid(bench.database);
        bench.receiver.clear();
        let drop = "DROP EXTENSION hydra_webhooks CASCADE; DROP TABLE ticket; CREATE EXTENSION hydra_webhooks";
        run(&mut client, &if round == 2 { drop.replace(';', ";\n") } else { format!("BEGIN; {drop}; COMMIT") });
        prepare(&mut client, &bench.receiver, &[]);
        run(&mut client, &insert(round, round));
        assert_eq!(bench.settle(), 0, "round {round}");
    }
    assert_no_crash(cluster);
}

#[test]
fn a_creation_that_is_rolled_back_leaves_no_dispatcher_and_a_later_one_works() {
    let cluster = shared_cluster();
    let mut client = {
        run(&mut cluster.connect("postgres"), "CREATE DATABASE rolled_back");
        cluster.connect("rolled_back")
    };
    run(&mut client, "BEGIN; CREATE EXTENSION hydra_webhooks; ROLLBACK");
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    let receiver = Receiver::start();
    prepare(&mut client, &receiver, &[]);
    run(&mut client, &insert(1, 3));
    receiver.wait_for(PATH, 3, PATIENCE);
}

// ---- databases ----------------------------------------------------------------------------------------------------------

#[test]
fn a_copy_made_from_a_template_is_parked_until_it_is_adopted() {
    let cluster = shared_cluster();
    let bench = Bench::new(cluster, "original", &["retry_schedule => '{1 h}'"]);
    let mut admin = cluster.connect("postgres");
    bench.receiver.answer(PATH, Answer::status(500));
    run(&mut bench.connect(), &insert(1, 2));
    bench.wait_for_requests(2);
    wait_until("both wait for their retry", PATIENCE, || {
        ask(&mut bench.connect(), "SELECT count(*) = 2 FROM hydra.webhook_history")
    });
    // A template has no dispatcher, and so can be copied.
    run(&mut admin, "ALTER DATABASE original IS_TEMPLATE true");
    let pid = cluster.dispatcher_pid("original");
    terminate(&mut admin, pid);
    run(&mut admin, "CREATE DATABASE copy TEMPLATE original");
    run(&mut admin, "ALTER DATABASE original IS_TEMPLATE false");

    bench.receiver.answer(PATH, Answer::ok());
    let copy = Bench { cluster, database: "copy", receiver: Receiver::start(), subscription: bench.subscription };
    let mut client = copy.connect();
    let before = bench.receiver.received(PATH);
    run(&mut client, "TRUNCATE ticket");
    run(&mut client, &insert(3, 3));
    copy.wait_for_state("parked");
    thread::sleep(seconds(1));
    assert_eq!(bench.receiver.received(PATH), before, "a copy that nobody adopted sends nothing");

    // Adopted, it sends to where it is told from here on; the queue of the original is not its own.
    let url = copy.receiver.url(PATH);
    run(&mut client, &format!("SELECT hydra.webhook_update({}, url => '{url}')", copy.subscription));
    run(&mut client, "SELECT hydra.webhook_adopt(); TRUNCATE ticket");
    copy.wait_for_state("running");
    run(&mut client, &insert(4, 4));
    assert_eq!(copy.settle(), 0);
    let ids = |receiver: &Receiver| -> BTreeSet<String> {
        receiver.requests(PATH).iter().map(|request| request.delivery_id().to_owned()).collect()
    };
    assert!(ids(&copy.receiver).is_disjoint(&ids(&bench.receiver)), "the copy has ids of its own");
}

#[test]
fn a_database_can_be_dropped_with_its_dispatcher_and_beside_others() {
    let cluster = shared_cluster();
    let mut admin = cluster.connect("postgres");
    for _ in 0..rounds(1) {
        let bench = Bench::new(cluster, "doomed", &["timeout => '60 s'"]);
        run(&mut admin, "CREATE DATABASE unrelated");
        bench.receiver.answer(PATH, Answer::hang());
        run(&mut bench.connect(), &insert(1, 16));
        bench.wait_for_requests(16);
        assert_quick("DROP DATABASE of another", seconds(3), || run(&mut admin, "DROP DATABASE unrelated"));
        assert_quick("DROP DATABASE", seconds(8), || run(&mut admin, "DROP DATABASE doomed WITH (FORCE)"));
    }

    // Its place can be taken at once.
    let again = Bench::new(cluster, "doomed", &[]);
    run(&mut again.connect(), &insert(1, 3));
    assert_eq!(again.settle(), 0);
    assert_no_crash(cluster);
}

/// Whoever drops a database waits for all processes of the server to have closed its files.
#[test]
fn a_statement_cancelled_at_that_very_moment_does_not_keep_another_database_from_being_dropped() {
    let cluster = Cluster::start(&[]);
    let bench = Bench::new(&cluster, "busy", &[]);
    let mut admin = cluster.connect("postgres");
    run(&mut admin, "CREATE DATABASE unrelated");
    let pid = cluster.dispatcher_pid(bench.database);
    let mut locking = bench.connect();
    run(&mut locking, "BEGIN; LOCK TABLE hydra.event IN ACCESS EXCLUSIVE MODE");
    let waits = format!("SELECT count(*) > 0 FROM pg_locks WHERE pid = {pid} AND NOT granted");
    wait_until("it is stopped while it waits for the lock", PATIENCE, || {
        cluster.signal("CONT", pid);
        wait_until("it waits for the lock", PATIENCE, || ask(&mut locking, &waits));
        cluster.signal("STOP", pid);
        ask(&mut locking, &waits)
    });
    run(&mut locking, &format!("SELECT pg_cancel_backend({pid})"));
    let drop = thread::spawn(move || run(&mut admin, "DROP DATABASE unrelated"));
    let dropping = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'ProcSignalBarrier'";
    wait_until("the database is being dropped", PATIENCE, || ask(&mut locking, dropping));
    cluster.signal("CONT", pid);
    wait_until("the database is dropped", seconds(5), || drop.is_finished());
    run(&mut locking, "COMMIT");
}

// ---- the launcher and settings ------------------------------------------------------------------------------------------

fn launcher(client: &mut Client) -> Option<i32> {
    ask(client, "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'hydra_webhooks launcher'")
}

#[test]
fn a_launcher_that_is_terminated_comes_back_and_knows_its_dispatchers() {
    let cluster = Cluster::start(&[]);
    let bench = Bench::new(&cluster, "before", &[]);
    let mut client = bench.connect();
    let dispatcher = cluster.dispatcher_pid("before");
    let former = launcher(&mut client).expect("there is a launcher");
    terminate(&mut client, former);
    wait_until("there is a launcher again", PATIENCE, || launcher(&mut client).is_some_and(|pid| pid != former));

    // Nothing happened to the dispatcher, and the new launcher looks after it.
    run(&mut client, &insert(1, 3));
    bench.settle();
    assert_eq!(cluster.find_dispatcher("before"), Some(dispatcher));
    terminate(&mut client, dispatcher);
    cluster.new_dispatcher_pid("before", Some(dispatcher));
    run(&mut client, &insert(4, 6));
    assert_eq!(bench.settle(), 0);

    let later = Bench::new(&cluster, "later", &[]);
    run(&mut later.connect(), &insert(1, 3));
    assert_eq!(later.settle(), 0);
    let dispatchers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hydra_webhooks dispatcher'";
    assert_eq!(ask::<i64>(&mut client, dispatchers), 2);
    assert_no_crash(&cluster);
}

#[test]
fn without_a_free_worker_a_database_waits_says_so_and_begins_when_there_is_one() {
    // Postgres has a worker of its own besides our launcher.
    let cluster = Cluster::start(&[("max_worker_processes", "3")]);
    let first = Bench::new(&cluster, "first", &[]);
    first.wait_for_state("running");
    let second = Bench::new(&cluster, "second", &[]);
    second.wait_for_state("stopped");
    let detail: String = ask(&mut second.connect(), "SELECT detail FROM hydra.webhook_worker_status");
    assert!(detail.contains("max_worker_processes"), "{detail}");
    run(&mut second.connect(), &insert(1, 3));
    // It is tried again each second, and told once.
    thread::sleep(seconds(3));
    let database: u32 = ask(&mut second.connect(), "SELECT oid FROM pg_database WHERE datname = 'second'");
    let told = format!("no background worker slot is free for database {database}:");
    assert_eq!(cluster.log().matches(&told).count(), 1);
    assert_eq!(second.receiver.received(PATH), 0);

    run(&mut first.connect(), "DROP EXTENSION hydra_webhooks CASCADE");
    assert_eq!(second.settle(), 0);
}

#[test]
fn enabled_stops_all_sending_and_starts_it_again() {
    let cluster = Cluster::start(&[]);
    let bench = Bench::new(&cluster, "switched", &["retry_schedule => '{1 s,1 s,1 s}'"]);
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    bench.wait_for_state("running");
    run(&mut bench.connect(), &insert(1, 3));
    bench.wait_for_requests(3);
    cluster.set(&[("hydra_webhooks.enabled", "off")]);
    bench.wait_for_state("off");
    let received = bench.receiver.received(PATH);
    run(&mut bench.connect(), &insert(4, 6));
    thread::sleep(seconds(2));
    assert_eq!(bench.receiver.received(PATH), received, "neither events nor retries are sent");

    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    bench.wait_for_requests(received + 3);
    assert_eq!(bench.settle(), 3);
    assert_eq!(bench.state(), "running");
}

#[test]
fn without_preloading_events_are_kept_and_the_status_says_what_to_do() {
    let cluster = Cluster::start(&[("shared_preload_libraries", "")]);
    let bench = Bench::new(&cluster, "not_preloaded", &[]);
    let mut client = bench.connect();
    run(&mut client, &insert(1, 3));
    let pending: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_pending");
    assert_eq!(pending, 3);
    assert_eq!(bench.state(), "not preloaded");
    let detail: String = ask(&mut client, "SELECT detail FROM hydra.webhook_worker_status");
    assert!(detail.contains("shared_preload_libraries"), "{detail}");
    drop(client);

    // Preloaded, the server delivers what was kept.
    cluster.set(&[("shared_preload_libraries", "hydra_webhooks")]);
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    assert_eq!(bench.settle(), 0);
}
