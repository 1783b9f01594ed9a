//! Commits, rollbacks, savepoints, two-phase commit and replication.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use testkit::{Bench, Cluster, StopMode, let_pass, rounds, run, wait_for_state};

use crate::{PATH, bench, bench_in, emit, set, settle_ids, settle_set, watch};

#[test]
fn the_events_received_are_those_of_what_was_committed() {
    let mut bench = bench("transactions");
    watch(&mut bench, "id text");
    let rounds = [
        "INSERT INTO ticket VALUES ('committed')",
        "BEGIN; INSERT INTO ticket VALUES ('rolled back'); ROLLBACK",
        "BEGIN; INSERT INTO ticket VALUES ('before savepoint'); SAVEPOINT s; INSERT INTO ticket VALUES ('lost'); \
         ROLLBACK TO s; INSERT INTO ticket VALUES ('after savepoint'); COMMIT",
        "BEGIN; SAVEPOINT s; INSERT INTO ticket VALUES ('released'); RELEASE s; COMMIT",
        "BEGIN; SAVEPOINT a; SAVEPOINT b; INSERT INTO ticket VALUES ('inner'); RELEASE b; ROLLBACK TO a; COMMIT",
        "DO $$ BEGIN
             INSERT INTO ticket VALUES ('outside');
             BEGIN INSERT INTO ticket VALUES ('caught'); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
         END $$",
        "DO $$ BEGIN
             FOR n IN 1..4 LOOP
                 INSERT INTO ticket VALUES ('loop ' || n);
                 IF n % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
             END LOOP;
         END $$",
        "BEGIN; INSERT INTO ticket VALUES ('prepared'); PREPARE TRANSACTION 'kept'",
        "BEGIN; INSERT INTO ticket VALUES ('never'); PREPARE TRANSACTION 'dropped'",
        "ROLLBACK PREPARED 'dropped'",
    ];
    for round in rounds {
        // One statement at a time: several in one message are one transaction.
        for statement in statements(round) {
            bench.run(statement);
        }
    }
    bench.refusal("INSERT INTO ticket VALUES ('failed statement'), ((1 / 0)::text)");
    let mut ends = bench.session();
    run(&mut ends, "BEGIN; INSERT INTO ticket VALUES ('client went away')");
    drop(ends);

    let mut expected =
        set(&["committed", "before savepoint", "after savepoint", "released", "outside", "loop 2", "loop 4"]);
    assert_eq!(settle_set(&mut bench), expected, "the prepared transaction is not committed");

    // Another session may commit it.
    run(&mut bench.session(), "COMMIT PREPARED 'kept'");
    expected.insert("prepared".into());
    assert_eq!(settle_set(&mut bench), expected);
    let committed: BTreeSet<String> =
        bench.client.query("SELECT id FROM ticket", &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(committed, expected);
}

/// A `DO` block contains semicolons and is one statement.
fn statements(round: &str) -> Vec<&str> {
    match round.contains("$$") {
        true => vec![round],
        false => round.split("; ").collect(),
    }
}

#[test]
fn a_prepared_transaction_outlives_the_server_and_is_sent_when_committed() {
    let cluster = Cluster::start(&[]);
    let mut bench = bench_in(&cluster, "prepared");
    bench.run("BEGIN");
    bench.run(&emit("in doubt"));
    bench.run("PREPARE TRANSACTION 'in doubt'");
    bench.run(&emit("before the crash"));
    bench.wait_for(PATH, 1);
    cluster.stop(StopMode::Immediate);
    cluster.start_again();
    bench.client = cluster.connect("prepared");
    // After the crash the event before it may be sent again, and the one in doubt must not be sent.
    bench.run(&emit("after the crash"));
    let known = set(&["before the crash", "after the crash"]);
    let received = |bench: &mut Bench| settle_ids(bench).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(received(&mut bench), known);
    bench.run("COMMIT PREPARED 'in doubt'");
    assert_eq!(received(&mut bench), set(&["before the crash", "after the crash", "in doubt"]));
}

/// How long after each COMMIT PREPARED the event arrives, in ascending order. The commit itself may wait for the disk.
fn times_to_arrival(bench: &mut Bench, count: usize, commit: impl Fn(&mut Bench, &str)) -> Vec<Duration> {
    let before = bench.receiver.received(PATH);
    let mut times: Vec<Duration> = (1..=count)
        .map(|n| {
            let name = format!("prepared {n}");
            bench.run("BEGIN");
            bench.run(&emit(&name));
            bench.run(&format!("PREPARE TRANSACTION '{name}'"));
            // Each at another time after the dispatcher has looked at the queue.
            let_pass(Duration::from_millis(n as u64 * 37 % 500));
            commit(bench, &name);
            let committed = Instant::now();
            let requests = bench.wait_for(PATH, before + n);
            requests[before + n - 1].arrived.saturating_duration_since(committed)
        })
        .collect();
    times.sort();
    let percent = |percent: usize| times[(count * percent / 100).min(count - 1)];
    println!("COMMIT PREPARED to arrival: p50 {:?}, p90 {:?}, max {:?}", percent(50), percent(90), times[count - 1]);
    times
}

/// The dispatcher also looks at the queue every half second. If only that found the events, the median would be a
/// quarter of a second. Tests that run at the same time may load the machine, so this is tried several times.
#[track_caller]
fn assert_found_at_once(bench: &mut Bench, commit: impl Fn(&mut Bench, &str)) {
    let count = rounds(20) as usize;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let median = times_to_arrival(bench, count, &commit)[count / 2];
        if median < Duration::from_millis(100) {
            return;
        }
        slow.push(median);
    }
    panic!("the median of each round: {slow:?}");
}

#[test]
fn a_prepared_transaction_is_sent_as_soon_as_any_session_commits_it() {
    let mut bench = bench("two_phase");
    wait_for_state(&mut bench.client, "running");
    assert_found_at_once(&mut bench, |bench, name| bench.run(&format!("COMMIT PREPARED '{name}'")));
    assert_found_at_once(&mut bench, |bench, name| {
        run(&mut bench.session(), &format!("COMMIT PREPARED '{name}'"));
    });
}

#[test]
fn a_prepared_transaction_that_is_rolled_back_sends_nothing_and_one_that_cannot_be_committed_fails_alone() {
    let mut bench = bench("rolled_back");
    bench.run("BEGIN");
    bench.run(&emit("never"));
    bench.run("PREPARE TRANSACTION 'never'");
    bench.run("ROLLBACK PREPARED 'never'");
    assert_eq!(bench.refusal("COMMIT PREPARED 'never'").code, "42704");
    bench.run("BEGIN");
    assert_eq!(bench.refusal("COMMIT PREPARED 'never'").code, "25001");
    bench.run("ROLLBACK");
    bench.run(&emit("afterwards"));
    assert_eq!(settle_set(&mut bench), set(&["afterwards"]));
}

#[test]
fn serializable_transactions_that_emit_at_the_same_time_both_commit() {
    let mut bench = bench("serializable");
    let mut other = bench.session();
    for client in [&mut bench.client, &mut other] {
        run(client, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    }
    bench.run(&emit("one"));
    run(&mut other, &emit("two"));
    run(&mut other, "COMMIT");
    bench.run("COMMIT");
    assert_eq!(settle_set(&mut bench), set(&["one", "two"]));
}

#[test]
fn replicated_changes_emit_nothing_and_do_not_fail() {
    let mut bench = bench("replica");
    watch(&mut bench, "id text");
    bench.run("SET session_replication_role = replica");
    bench.run("INSERT INTO ticket VALUES ('quiet')");
    // A trigger that always fires must not stop the replication of the application's tables, and the publisher has sent
    // the event already.
    bench.run("ALTER TABLE ticket ENABLE ALWAYS TRIGGER emit");
    bench.run("INSERT INTO ticket VALUES ('always')");
    bench.run("RESET session_replication_role");
    bench.run("INSERT INTO ticket VALUES ('loud')");
    let received = settle_set(&mut bench);
    assert!(received.iter().eq(["loud"]), "{received:?}");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM ticket"), 3);
}
