//! Subscriptions that change while a session emits: the session reads again what has changed, and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use postgres::Client;
use testkit::{Bench, run};

use crate::{PATH, bench, emit};

/// Whom events of three types and two tenants would go to. Nothing is left of them.
fn targets(client: &mut Client) -> Vec<(String, Vec<i64>)> {
    run(client, "BEGIN");
    for event in ["ticket.created", "ticket.resolved", "part.created"] {
        for tenant in ["a", "b"] {
            run(
                client,
                &format!("SELECT hydra.webhook_emit('{event}', '{{\"id\": \"{tenant}\", \"size\": 5}}', '{tenant}')"),
            );
        }
    }
    let found = client.query("SELECT event_type || ' of ' || tenant_id, targets FROM hydra.event WHERE xid = pg_current_xact_id() ORDER BY 1", &[]);
    let found = found.expect("a superuser may read it").iter().map(|row| (row.get(0), row.get(1))).collect();
    run(client, "ROLLBACK");
    found
}

#[test]
fn whatever_changes_a_session_emits_to_the_same_subscriptions_as_a_new_session() {
    let mut bench = bench("any_change");
    let mut warm = bench.session();
    let url = bench.receiver.url("/");
    let create = |arguments: &str| format!("SELECT hydra.webhook_create('{url}', {arguments})");
    let every = "INSERT INTO hydra.subscription (url, event_types) SELECT 'http://127.0.0.1:9/', '{part.*}' FROM generate_series";
    let changes = [
        create("'{ticket.created}'"),
        create("'{*}', tenant_id => 'a'"),
        create("'{ticket.*,ticket.created}', tenant_id => 'b', filter => '$.size > 3'"),
        "UPDATE hydra.subscription SET filter = '$.size > 7' WHERE filter IS NOT NULL".into(),
        "UPDATE hydra.subscription SET tenant_id = 'b' WHERE tenant_id = 'a'".into(),
        "UPDATE hydra.subscription SET tenant_id = NULL".into(),
        "DELETE FROM hydra.signing_secret; UPDATE hydra.subscription SET id = id + 1000, event_types = '{part.created}' WHERE event_types = '{*}'".into(),
        "UPDATE hydra.subscription SET status = 'paused' WHERE id > 1000".into(),
        "UPDATE hydra.subscription SET status = 'disabled', disabled_reason = 'gone' WHERE id > 1000".into(),
        "SELECT hydra.webhook_resume(id) FROM hydra.subscription".into(),
        "SELECT hydra.webhook_delete(max(id)) FROM hydra.subscription".into(),
        "SELECT hydra.webhook_register_event_type('part.counted')".into(),
        // More than are announced one by one; numbers that do not fit into an announcement.
        format!("{every}(1, 200)"),
        "UPDATE hydra.subscription SET tenant_id = 'a' WHERE id % 3 = 0".into(),
        "DELETE FROM hydra.subscription WHERE event_types = '{part.*}' AND id % 2 = 0".into(),
        "INSERT INTO hydra.subscription (id, url, event_types) VALUES (5000000000, 'http://127.0.0.1:9/', '{ticket.*}'),
             (2147483647, 'http://127.0.0.1:9/', '{ticket.*}'), (-3, 'http://127.0.0.1:9/', '{*}')"
            .into(),
        "DELETE FROM hydra.subscription WHERE id IN (5000000000, 2147483647, -3)".into(),
        "SET session_replication_role = replica; UPDATE hydra.subscription SET tenant_id = 'b' WHERE tenant_id = 'a'".into(),
        "RESET session_replication_role; ALTER TABLE hydra.subscription ADD COLUMN more int".into(),
        // As pg_restore does it.
        "ALTER TABLE hydra.subscription DISABLE TRIGGER ALL".into(),
        "INSERT INTO hydra.subscription (url, event_types) VALUES ('http://127.0.0.1:9/', '{*}'); ALTER TABLE hydra.subscription ENABLE TRIGGER ALL"
            .into(),
        "TRUNCATE hydra.subscription CASCADE".into(),
        create("'{ticket.created}'"),
    ];
    for change in changes {
        run(&mut bench.client, &change);
        assert_eq!(targets(&mut warm), targets(&mut bench.session()), "after {change}");
    }
}

#[test]
fn a_rollback_also_to_a_savepoint_undoes_a_change_for_the_session_that_made_it() {
    let mut bench = bench("undone");
    bench.run("DELETE FROM hydra.subscription");
    let create = |path| format!("SELECT hydra.webhook_create('http://127.0.0.1:9/{path}', '{{ticket.created}}')");
    bench.run(&create("a"));
    let wanted = |bench: &mut Bench| -> Vec<i64> {
        bench.run("SAVEPOINT emitted");
        let targets = match bench.ask::<Option<i64>>(&emit("x")) {
            Some(_) => bench.ask("SELECT targets FROM hydra.event"),
            None => Vec::new(),
        };
        bench.run("ROLLBACK TO emitted");
        targets
    };
    bench.run("BEGIN");
    let first = wanted(&mut bench);
    for undone in [
        create("b"),
        "SELECT hydra.webhook_pause(id) FROM hydra.subscription".into(),
        "SELECT hydra.webhook_delete(id) FROM hydra.subscription".into(),
        format!("SELECT count(*) FROM generate_series(1, 100), LATERAL ({}) AS created", create("c")),
    ] {
        bench.run(&format!("SAVEPOINT s; {undone}"));
        assert_ne!(wanted(&mut bench), first, "{undone}");
        bench.run("ROLLBACK TO s");
        assert_eq!(wanted(&mut bench), first, "{undone}");
    }
    bench.run("SELECT hydra.webhook_delete(id) FROM hydra.subscription");
    assert!(wanted(&mut bench).is_empty());
    bench.run("ROLLBACK; BEGIN");
    assert_eq!(wanted(&mut bench), first);
}

/// How often a session has read all subscriptions, and some of them, since it last reported its statistics.
fn scans(client: &mut Client) -> (i64, i64) {
    let row = client.query_one(
        "SELECT seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'hydra.subscription'::regclass",
        &[],
    );
    let row = row.expect("statistics are there");
    (row.get(0), row.get(1))
}

/// Changes something, emits in a transaction, and returns how often that has read all subscriptions, and some of them. A
/// session that was idle while very much has changed elsewhere in the cluster has to read all: then it is tried again.
fn reads(bench: &mut Bench<'_>, session: &mut Client, change: &str) -> (i64, i64) {
    const TRIES: usize = 5;
    let mut reads = (1, 0);
    for _ in 0..TRIES {
        run(session, &format!("BEGIN; {}", emit("before")));
        let (all, some) = scans(session);
        bench.run(change);
        run(session, &emit("after"));
        let after = scans(session);
        run(session, "ROLLBACK");
        reads = (after.0 - all, after.1 - some);
        if reads.0 == 0 {
            break;
        }
    }
    reads
}

#[test]
fn a_session_reads_only_what_has_changed_and_nothing_when_tables_are_analyzed() {
    let mut bench = bench("read_again");
    bench.run(
        "INSERT INTO hydra.subscription (url, event_types, tenant_id)
             SELECT 'http://127.0.0.1:9/', '{ticket.created}', n FROM generate_series(1, 2000) AS n",
    );
    let mut session = bench.session();
    for table in ["event", "subscription", "delivery", "event_type"] {
        assert_eq!(reads(&mut bench, &mut session, &format!("ANALYZE hydra.{table}")), (0, 0), "{table}");
    }
    let pause = "SELECT hydra.webhook_pause(max(id)) FROM hydra.subscription WHERE status = 'active'";
    assert_eq!(reads(&mut bench, &mut session, pause), (0, 1));
    // None of these changes which events are wanted.
    for change in ["webhook_update(max(id), name => 'new')", "webhook_update(max(id), url => 'http://127.0.0.1:9/new')"]
    {
        let change = format!("SELECT hydra.{change} FROM hydra.subscription");
        assert_eq!(reads(&mut bench, &mut session, &change), (0, 0), "{change}");
    }
}

#[test]
fn a_session_that_knew_few_subscriptions_finds_the_one_that_changes_among_thousands() {
    let mut bench = bench("grown");
    bench.run("SELECT hydra.webhook_create('http://127.0.0.1:9/', '{ticket.created}', tenant_id => 'first')");
    let mut session = bench.session();
    for tenant in ["second", "third"] {
        run(&mut session, &emit("few"));
        bench.run(&format!("SELECT hydra.webhook_update(max(id), tenant_id => '{tenant}') FROM hydra.subscription"));
    }
    bench.run(
        "INSERT INTO hydra.subscription (url, event_types, tenant_id)
             SELECT 'http://127.0.0.1:9/', '{ticket.created}', n FROM generate_series(1, 2000) AS n",
    );
    let pause = "SELECT hydra.webhook_pause(max(id)) FROM hydra.subscription WHERE status = 'active'";
    assert_eq!(reads(&mut bench, &mut session, pause), (0, 1));
}

#[test]
fn emits_go_on_while_thousands_of_subscriptions_change_all_the_time() {
    const CHANGES: usize = 300;
    let mut bench = bench("all_the_time");
    bench.run(
        "INSERT INTO hydra.subscription (url, event_types, tenant_id)
             SELECT 'http://127.0.0.1:9/', '{ticket.created}', n FROM generate_series(1, 20000) AS n",
    );
    let (mut changing, stop) = (bench.session(), AtomicBool::new(false));
    let emitted = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=CHANGES {
                run(
                    &mut changing,
                    &format!("SELECT hydra.webhook_update({}, filter => '$ ? (@.n > {number})')", number + 1),
                );
            }
            stop.store(true, Ordering::Relaxed);
        });
        let mut emitted = 0;
        while !stop.load(Ordering::Relaxed) {
            bench.run(&emit("x"));
            emitted += 1;
        }
        emitted
    });
    assert!(emitted > CHANGES / 10, "{emitted} events were emitted during {CHANGES} changes");
    bench.wait_for(PATH, emitted);
}
