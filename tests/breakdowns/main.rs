//! Panics and aborts during the work, in a build that fails on request (see `crates/fault`). `scripts/breakdowns` makes
//! that build and runs these tests. `HYDRA_ROUNDS` repeats each panic.
#![cfg(feature = "faults")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use testkit::receiver::Answer;
use testkit::{Bench, Cluster, PATIENCE, let_pass, rounds, run, subscribe, wait_for_state, wait_until, worker_status};

/// The places where the dispatcher, its threads and the launcher can be made to panic.
const POINTS: [&str; 16] = [
    "lookup",
    "start",
    "take_over",
    "load",
    "read",
    "accept",
    "claim",
    "claimed",
    "hand_out",
    "request",
    "answer",
    "settle",
    "write",
    "written",
    "chores",
    "launcher",
];

const PATH: &str = "/tickets";

/// A subscription by name may resolve to loopback in IPv4 or IPv6.
const LOOPBACK: (&str, &str) = ("hydra_webhooks.allow_networks", "127.0.0.0/8, ::1/128");

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[LOOPBACK]))
}

/// The next process or thread at a place panics or aborts, or every one of them.
fn break_down(cluster: &Cluster, fault: &str) {
    // The rename makes it appear in one step.
    let (new, file) = (cluster.data().join("hydra_fault.new"), cluster.data().join("hydra_fault"));
    fs::write(&new, fault).and_then(|()| fs::rename(new, file)).expect("the data directory can be written");
}

fn has_broken_down(cluster: &Cluster) -> bool {
    !cluster.data().join("hydra_fault").exists()
}

fn mend(cluster: &Cluster) {
    fs::remove_file(cluster.data().join("hydra_fault")).expect("the file exists");
}

/// With two subscriptions to one path, one of them by name.
fn bench<'a>(cluster: &'a Cluster, database: &str) -> Bench<'a> {
    let mut bench = Bench::new(cluster, database);
    let by_name = format!("http://localhost:{}{PATH}", bench.receiver.address().port());
    for url in [bench.receiver.url(PATH), by_name] {
        let quick = "retry_schedule => array_fill(interval '0.2 s', ARRAY[20])";
        subscribe(&mut bench.client, &url, "ticket.created", &[quick]);
    }
    bench
}

/// How many dispatchers have ended by themselves.
fn failures(cluster: &Cluster) -> usize {
    let ended =
        |line: &&str| line.contains("\"hydra_webhooks dispatcher\"") && line.contains("exited with exit code 1");
    cluster.log().lines().filter(ended).count()
}

#[test]
fn a_panic_anywhere_costs_one_restart_at_most_and_loses_nothing() {
    for (round, point) in (0..rounds(1)).flat_map(|round| POINTS.map(|point| (round, point))) {
        // Not the cluster of the other tests: a panic can happen in any database.
        static ALONE: OnceLock<Cluster> = OnceLock::new();
        let cluster = ALONE.get_or_init(|| Cluster::start_shared(&[LOOPBACK]));
        let mut bench = bench(cluster, &format!("{point}_{round}"));
        let dispatcher = cluster.dispatcher_pid(&bench.database);
        let before = failures(cluster);

        bench.receiver.answer_first(PATH, 5, Answer::status(500));
        break_down(cluster, &format!("panic {point}"));
        match point {
            "start" | "take_over" => cluster.signal("TERM", dispatcher),
            "load" => cluster.signal("HUP", dispatcher),
            _ => {}
        }
        let mut emitted = 0;
        wait_until(format!("there is a panic at {point}"), PATIENCE, || {
            emitted += 1;
            bench.emit_ticket(emitted);
            has_broken_down(cluster)
        });
        bench.wait_for_empty_queue();

        let deliveries: BTreeSet<String> =
            bench.receiver.requests(PATH).iter().map(|request| request.delivery_id().to_owned()).collect();
        assert_eq!(deliveries.len() as i32, 2 * emitted, "after a panic at {point}");
        let failed = bench.count("webhook_failed");
        let (again, restarts) = (bench.receiver.received(PATH) - deliveries.len(), failures(cluster) - before);
        println!("{point}: {emitted} events, {again} requests again, {restarts} restarts");
        assert!(failed == 0 && restarts <= 1, "{point}: {failed} failed, {restarts} restarts");
        bench.run("DROP EXTENSION hydra_webhooks");
    }
}

#[test]
fn a_dispatcher_that_panics_repeatedly_is_parked_until_it_is_unparked() {
    let cluster = Cluster::start(&[LOOPBACK]);
    let mut bench = bench(&cluster, "panics");
    cluster.dispatcher_pid("panics");
    break_down(&cluster, "panic accept always");
    bench.emit_ticket(1);
    wait_for_state(&mut bench.client, "parked");
    wait_until("the log has three failures", PATIENCE, || failures(&cluster) == 3);
    assert!(worker_status(&mut bench.client, "detail").contains("failed several times"));

    // Other sessions continue.
    let mut other = cluster.connect("panics");
    run(&mut other, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    mend(&cluster);
    run(&mut other, "SELECT hydra.webhook_unpark()");
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received(PATH), failures(&cluster)), (4, 3));
}

#[test]
fn a_dispatcher_that_aborts_repeatedly_is_parked_and_clients_can_connect() {
    let cluster = Cluster::start(&[LOOPBACK]);
    let mut bench = bench(&cluster, "aborts");
    cluster.dispatcher_pid("aborts");
    break_down(&cluster, "abort accept always");
    // It may be committed although the client gets no answer.
    let _ = bench.client.batch_execute("SELECT hydra.webhook_emit('ticket.created', '{\"id\": \"1\"}')");
    let parked = || {
        let mut client = cluster.try_connect_as("aborts", "postgres").ok()?;
        let row = client.query_one("SELECT state FROM hydra.webhook_worker_status", &[]).ok()?;
        Some(row.get::<_, String>(0) == "parked")
    };
    wait_until("it is parked", PATIENCE, || parked() == Some(true));
    let crashes = cluster.log().matches("was terminated by signal 6").count();
    println!("{crashes} crashes");

    bench.client = bench.session();
    bench.emit_ticket(2);
    // Long enough for another crash.
    let_pass(Duration::from_secs(3));
    mend(&cluster);
    bench.run("SELECT hydra.webhook_unpark()");
    bench.wait_for_empty_queue();
    assert_eq!(crashes, 3);
    assert_eq!(cluster.log().matches("was terminated by signal 6").count(), 3);
}

#[test]
fn a_launcher_that_aborts_repeatedly_is_paused_and_clients_can_connect() {
    let cluster = Cluster::start(&[LOOPBACK]);
    let mut bench = bench(&cluster, "launcher_aborts");
    cluster.dispatcher_pid("launcher_aborts");
    let crashes = || cluster.log().matches("was terminated by signal 6").count();
    break_down(&cluster, "abort launcher always");
    wait_until("the launcher is paused", PATIENCE, || {
        cluster.log().contains("hydra_webhooks launcher crashed 3 times")
    });
    wait_until("a client can connect", PATIENCE, || match cluster.try_connect_as("launcher_aborts", "postgres") {
        Ok(connected) => {
            bench.client = connected;
            true
        }
        Err(_) => false,
    });
    bench.emit_ticket(1);
    // Long enough for another crash.
    let_pass(Duration::from_secs(3));
    // The first crash happened while it worked, the others when it started.
    assert_eq!(crashes(), 1 + 3);
    mend(&cluster);
    bench.run("SELECT pg_reload_conf()");
    bench.wait_for_empty_queue();
    // There are two subscriptions.
    assert_eq!((bench.receiver.received(PATH), crashes()), (2, 1 + 3));
}

#[test]
fn a_panic_while_emitting_fails_the_statement_and_leaves_the_session_sound() {
    let mut bench = bench(cluster(), "emitting");
    cluster().dispatcher_pid("emitting");
    break_down(cluster(), "panic emit");
    let refusal = bench.refusal("SELECT hydra.webhook_emit('ticket.created', '{\"id\": \"1\"}')");
    assert!(refusal.message.contains("fault at emit"), "{refusal:?}");
    bench.emit_ticket(2);
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH), 2, "one event, two subscriptions");
}
