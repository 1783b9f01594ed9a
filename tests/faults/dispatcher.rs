//! The dispatcher ends, is cancelled, is blocked or cannot write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testkit::receiver::{Answer, Receiver};
use testkit::{
    Cluster, PATIENCE, StopMode, StopWhenDropped, ask, rounds, run, subscribe, wait_for_empty_queue, wait_until,
};

use crate::{
    IN_FLIGHT, PATH, assert_no_crash, assert_quick, cluster, insert, seconds, settle, terminate, tickets, under_load,
};

#[test]
fn a_dispatcher_that_is_terminated_under_load_is_replaced_and_loses_nothing() {
    let cluster = cluster();
    let bench = tickets(cluster, "terminated", &[]);
    let mut client = bench.session();
    under_load(&bench, "", || {
        let mut former = None;
        for round in 1..=3 {
            let pid = cluster.new_dispatcher_pid(&bench.database, former);
            bench.wait_for(PATH, round * 200);
            terminate(&mut client, pid);
            former = Some(pid);
        }
        cluster.new_dispatcher_pid(&bench.database, former);
        bench.wait_for(PATH, bench.receiver.received(PATH) + 200);
    });
    let again = settle(&bench);
    assert!(again <= 3 * IN_FLIGHT, "{again} requests were repeated");
    assert_no_crash(cluster);
}

#[test]
fn a_dispatcher_that_is_killed_restarts_the_server_and_loses_nothing() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "killed", &[]);
    under_load(&bench, "", || {
        let mut former = None;
        for _ in 0..2 {
            let pid = cluster.new_dispatcher_pid(&bench.database, former);
            bench.wait_for(PATH, bench.receiver.received(PATH) + 200);
            cluster.kill9(pid);
            former = Some(pid);
        }
        cluster.new_dispatcher_pid(&bench.database, former);
        bench.wait_for(PATH, bench.receiver.received(PATH) + 200);
    });
    settle(&bench);
}

#[test]
fn a_fast_stop_does_not_wait_for_requests_that_hang() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "fast_stop", &["timeout => '60 s'"]);
    for round in 0..rounds(1) as usize {
        bench.receiver.answer(PATH, Answer::hang());
        run(&mut bench.session(), &insert(16 * round + 1, 16 * round + 16));
        bench.wait_for(PATH, 32 * round + 16);
        assert_quick("the fast stop", seconds(30), || cluster.stop(StopMode::Fast));
        assert_no_crash(&cluster);

        // An attempt that the stop interrupted is not a failure. The answer is slow enough that no thread takes
        // several.
        bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(50)));
        cluster.start_again();
        assert_eq!(settle(&bench), 16 * round + 16);
        let failures = "SELECT count(*) FROM hydra.webhook_history WHERE error IS NOT NULL";
        assert_eq!(ask::<i64>(&mut bench.session(), failures), 0);
    }
}

#[test]
fn after_an_immediate_stop_deliveries_go_on_and_claims_of_the_dead_dispatcher_are_ignored() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "crash", &["timeout => '60 s'", "retry_schedule => '{1 s,1 s,1 s}'"]);
    bench.receiver.answer(PATH, Answer::hang());
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    run(&mut bench.session(), &insert(1, 3));
    // Three retries hang, which are claimed rows, and then first attempts of events.
    bench.wait_for(PATH, 6);
    run(&mut bench.session(), &insert(4, 8));
    bench.wait_for(PATH, 11);
    let claimed: i64 = ask(&mut bench.session(), "SELECT count(*) FROM hydra.webhook_pending WHERE claimed");
    assert!(claimed >= 3, "{claimed} deliveries are claimed");

    bench.receiver.answer(PATH, Answer::ok());
    cluster.stop(StopMode::Immediate);
    cluster.start_again();
    settle(&bench);
    let counted = "SELECT count(*) FROM hydra.webhook_history WHERE attempt = 1 AND status_code = 500";
    assert_eq!(ask::<i64>(&mut bench.session(), counted), 3);
    let last: i32 = ask(&mut bench.session(), "SELECT max(attempt) FROM hydra.webhook_history");
    assert_eq!(last, 2, "the attempt that the crash interrupted is not counted");
}

#[test]
fn a_dispatcher_that_cannot_write_keeps_its_results_and_writes_them_later() {
    let cluster = cluster();
    let bench = tickets(cluster, "no_writes", &["retry_schedule => '{2 s,2 s}'"]);
    let mut client = bench.session();
    let pid = cluster.dispatcher_pid(&bench.database);
    bench.receiver.answer_first(PATH, 20, Answer::status(500));
    run(&mut client, "REVOKE INSERT ON hydra.attempt FROM hydra_worker");
    run(&mut client, &insert(1, 10));
    bench.wait_for(PATH, 10);
    wait_until("it has tried to write", PATIENCE, || cluster.log().contains("permission denied for table attempt"));
    let written: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history");
    assert_eq!(written, 0);

    run(&mut client, "GRANT INSERT ON hydra.attempt TO hydra_worker");
    assert_eq!(settle(&bench), 20);
    // What could not be written is written in a transaction of its own.
    wait_until("the history is complete", PATIENCE, || {
        ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_history") == 30
    });
    let rows = client.query(
        "SELECT attempt, count(*), count(DISTINCT delivery_id) FROM hydra.webhook_history GROUP BY attempt ORDER BY attempt",
        &[],
    );
    let rows = rows.expect("the history can be read");
    let rows: Vec<(i32, i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(rows, [(1, 10, 10), (2, 10, 10), (3, 10, 10)]);
    assert_eq!(cluster.find_dispatcher(&bench.database), Some(pid), "an error ends a transaction and not the process");
}

#[test]
fn a_dispatcher_whose_statement_is_cancelled_goes_on() {
    let cluster = cluster();
    let bench = tickets(cluster, "cancelled", &[]);
    let mut client = bench.session();
    let pid = cluster.dispatcher_pid(&bench.database);
    for ticket in 1..=5 {
        run(&mut client, &format!("SELECT pg_cancel_backend({pid})"));
        run(&mut client, &insert(ticket, ticket));
        bench.wait_for(PATH, ticket);
    }
    assert_eq!(settle(&bench), 0);
    assert_eq!(cluster.find_dispatcher(&bench.database), Some(pid));
}

#[test]
fn cancels_between_transactions_do_not_end_a_dispatcher() {
    let cluster = Cluster::start(&[]);
    let client = cluster.create_database("cancelled");
    let pid = cluster.dispatcher_pid("cancelled");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = client;
            while !over.load(Ordering::Relaxed) {
                run(&mut client, &format!("SELECT pg_cancel_backend({pid})"));
            }
        });
        let _stop = StopWhenDropped(&over);
        // Each reload makes it write to the log between its transactions.
        for days in (1..=40).map(|round| 1 + round % 2) {
            let changed = cluster.log().matches("changed: hydra_webhooks.retention").count();
            cluster.set(&[("hydra_webhooks.retention", &format!("{days}d"))]);
            wait_until("it has read the setting", PATIENCE, || {
                cluster.log().matches("changed: hydra_webhooks.retention").count() > changed
            });
        }
    });
    assert_eq!(cluster.find_dispatcher("cancelled"), Some(pid));
}

#[test]
fn an_open_transaction_that_changes_a_subscription_delays_no_delivery_of_another() {
    let mut client = cluster().create_database("open_change");
    let receiver = Receiver::start();
    receiver.answer("/gone", Answer::gone());
    let (gone, _) = subscribe(&mut client, &receiver.url("/gone"), "ticket.created", &[]);
    subscribe(&mut client, &receiver.url("/well"), "ticket.resolved", &[]);
    let mut admin = cluster().connect("open_change");
    run(&mut admin, &format!("BEGIN; SELECT hydra.webhook_update({gone}, name => 'still thinking')"));

    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    receiver.wait_for("/gone", 1, PATIENCE);
    // If each waited for the lock, they would take longer.
    assert_quick("the other one's deliveries", seconds(15), || {
        for ticket in 1..=20 {
            run(&mut client, "SELECT hydra.webhook_emit('ticket.resolved', '{}')");
            receiver.wait_for("/well", ticket, PATIENCE);
        }
    });
    run(&mut admin, "COMMIT");
    let status = format!("SELECT status FROM hydra.webhook_subscriptions WHERE id = {gone}");
    wait_until("the subscription is disabled", PATIENCE, || ask::<String>(&mut client, &status) == "disabled");
}

#[test]
fn a_lock_on_the_tables_delays_deliveries_and_loses_or_repeats_none() {
    let cluster = cluster();
    let bench = tickets(cluster, "locked", &["retry_schedule => '{2 s,2 s}'"]);
    let mut client = bench.session();
    let pid = cluster.dispatcher_pid(&bench.database);
    bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(300)));
    bench.receiver.answer_first(PATH, 5, Answer::status(500).after(Duration::from_millis(300)));
    run(&mut client, &insert(1, 10));
    bench.wait_for(PATH, 10);
    let mut other = bench.session();
    run(&mut other, "BEGIN; LOCK TABLE hydra.event, hydra.delivery, hydra.attempt IN ACCESS EXCLUSIVE MODE");
    thread::sleep(Duration::from_millis(2500));
    run(&mut other, "COMMIT");
    assert_eq!(settle(&bench), 5);
    let failures: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE attempt = 1");
    assert_eq!(failures, 5);
    assert_eq!(cluster.find_dispatcher(&bench.database), Some(pid));
}

#[test]
fn after_a_failure_was_counted_a_lock_is_waited_for_as_long_as_before() {
    let mut bench = tickets(cluster(), "patient", &["retry_schedule => '{1 h}'"]);
    let pid = cluster().dispatcher_pid(&bench.database);
    bench.receiver.answer_first(PATH, 1, Answer::status(500));
    bench.run(&insert(1, 1));
    bench.wait_for_failed_attempt(1);
    bench.wait_for_count("webhook_subscriptions WHERE consecutive_failures = 1", 1);
    let mut other = bench.session();
    run(&mut other, "BEGIN; LOCK TABLE hydra.event IN ACCESS EXCLUSIVE MODE");
    let waits_for_long = format!(
        "SELECT count(*) > 0 FROM pg_locks
         WHERE pid = {pid} AND NOT granted AND waitstart < clock_timestamp() - interval '100 ms'"
    );
    wait_until("it has waited for the lock for a while", PATIENCE, || bench.ask(&waits_for_long));
}

#[test]
fn a_dispatcher_that_waits_for_a_lock_can_be_terminated() {
    let cluster = cluster();
    let bench = tickets(cluster, "blocked", &[]);
    let mut client = bench.session();
    let pid = cluster.dispatcher_pid(&bench.database);
    run(&mut client, &insert(1, 1));
    bench.wait_for(PATH, 1);
    let mut other = bench.session();
    run(&mut other, "BEGIN; LOCK TABLE hydra.event IN ACCESS EXCLUSIVE MODE");
    wait_until("it waits for the lock", PATIENCE, || {
        ask(&mut client, &format!("SELECT count(*) > 0 FROM pg_locks WHERE pid = {pid} AND NOT granted"))
    });
    assert_quick("the end", seconds(5), || terminate(&mut client, pid));
    run(&mut other, "COMMIT");
    cluster.new_dispatcher_pid(&bench.database, Some(pid));
    run(&mut client, &insert(2, 3));
    settle(&bench);
}

#[test]
fn settings_of_the_database_do_not_reach_the_dispatcher() {
    let cluster = cluster();
    let bench = tickets(cluster, "strange", &["retry_schedule => '{2 s,2 s}'"]);
    let mut client = bench.session();
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
    // They apply to the next dispatcher, and not to this session.
    let pid = cluster.dispatcher_pid(&bench.database);
    terminate(&mut client, pid);
    cluster.new_dispatcher_pid(&bench.database, Some(pid));
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    let clock = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24')";
    let before: String = ask(&mut client, clock);
    run(&mut client, &insert(1, 5));
    wait_for_empty_queue(&mut client);
    let requests = bench.receiver.requests(PATH);
    assert_eq!(requests.len(), 5 + 3);
    // The next hour may have begun.
    let hours = [before, ask(&mut client, clock)].map(|hour| format!("\"timestamp\":\"{hour}"));
    let is_now = |text: &str| hours.iter().any(|hour| text.contains(hour));
    assert!(requests.iter().all(|request| is_now(request.text())), "{hours:?}");
}

#[test]
fn a_lost_wake_delays_an_event_by_a_second_at_most() {
    let cluster = cluster();
    let bench = tickets(cluster, "two_phase", &[]);
    let mut client = bench.session();
    run(&mut client, &insert(1, 1));
    bench.wait_for(PATH, 1);
    run(&mut client, &format!("BEGIN; {}; PREPARE TRANSACTION 'ticket'", insert(2, 2)));
    wait_for_empty_queue(&mut client);
    assert_eq!(bench.receiver.received(PATH), 1, "nothing is sent for a transaction that is only prepared");
    run(&mut client, "COMMIT PREPARED 'ticket'");
    // The rest is for a busy machine.
    assert_quick("the delivery", seconds(10), || {
        bench.wait_for(PATH, 2);
    });
    settle(&bench);
}
