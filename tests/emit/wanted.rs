//! Which subscriptions want an event, and that nothing is written if none does.

use std::collections::BTreeSet;

use postgres::Client;
use testkit::{Bench, ask, run};

use crate::{PATH, bench, emit, set, settle, settle_ids};

#[test]
fn an_event_that_nobody_wants_writes_nothing_at_all() {
    let mut bench = bench("nobody");
    bench.run("SELECT hydra.webhook_delete(id) FROM hydra.webhook_subscriptions");
    bench.subscribe(PATH, "ticket.resolved", &[]);
    bench.subscribe(PATH, "ticket.created", &["tenant_id => 'acme'"]);
    let (paused, _) = bench.subscribe(PATH, "ticket.created", &[]);
    bench.run(&format!("SELECT hydra.webhook_pause({paused})"));
    for arguments in [
        "'ticket.created', '{\"id\": 1}'",
        "'ticket.created', '{\"id\": 1, \"tenant_id\": \"globex\"}'",
        "'ticket.created', '{\"id\": 1, \"tenant_id\": \"acme\"}', 'globex'",
        "'part.created', NULL",
    ] {
        bench.run("BEGIN");
        let id: Option<i64> = bench.ask(&format!("SELECT hydra.webhook_emit({arguments})"));
        assert_eq!(id, None, "{arguments}");
        let untouched: bool = bench
            .ask("SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL AND NOT EXISTS (SELECT FROM hydra.event)");
        assert!(untouched, "{arguments} wrote something");
        bench.run("COMMIT");
    }
    let id: Option<i64> =
        bench.ask("SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1, \"tenant_id\": \"acme\"}')");
    assert!(id.is_some());
    assert_eq!(settle_ids(&mut bench), ["1"]);
}

#[test]
fn a_repeatable_read_transaction_emits_to_a_subscription_created_after_its_snapshot() {
    let mut bench = bench("repeatable");
    for (level, number) in [("REPEATABLE READ", 1), ("SERIALIZABLE", 2)] {
        let mut old = bench.session();
        // One backend has emitted before and so has read the subscriptions, the other has not.
        if number == 1 {
            run(&mut old, "SELECT hydra.webhook_emit('booking.created', '{}')");
        }
        run(&mut old, &format!("BEGIN ISOLATION LEVEL {level}"));
        let before: i64 = ask(&mut old, "SELECT count(*) FROM hydra.subscription");
        let path = format!("/late{number}");
        bench.subscribe(&path, "booking.created", &[]);
        let seen: i64 = ask(&mut old, "SELECT count(*) FROM hydra.subscription");
        assert_eq!(seen, before, "the transaction's own snapshot is older");
        run(&mut old, "SELECT hydra.webhook_emit('booking.created', '{\"id\": 1}')");
        run(&mut old, "COMMIT");
        assert_eq!(bench.wait_for(&path, 1).len(), 1, "{level}");
    }
}

#[test]
fn a_subscription_gets_events_of_its_own_transaction_that_come_after_it() {
    let mut bench = bench("same_transaction");
    let url = bench.receiver.url("/new");
    let create = format!("SELECT hydra.webhook_create('{url}', '{{booking.created}}')");
    let booking = |id: &str| format!("SELECT hydra.webhook_emit('booking.created', '{{\"id\": \"{id}\"}}')");
    let emitted = |bench: &mut Bench, id: &str| bench.ask::<Option<i64>>(&booking(id));

    bench.run("BEGIN");
    assert_eq!(emitted(&mut bench, "before"), None);
    bench.run(&create);
    assert!(emitted(&mut bench, "after").is_some());
    bench.run("SAVEPOINT s");
    bench.run(&create);
    bench.run(&booking("both, but undone"));
    bench.run("ROLLBACK TO s");
    assert!(emitted(&mut bench, "first one only").is_some());
    bench.run("COMMIT");
    settle(&mut bench);
    let requests = bench.receiver.requests("/new");
    let ids: BTreeSet<String> = requests.iter().map(|request| request.entity_id()).collect();
    assert_eq!((requests.len(), ids), (2, set(&["after", "first one only"])));

    bench.run(
        "SELECT hydra.webhook_delete(id) FROM hydra.webhook_subscriptions WHERE 'booking.created' = ANY (event_types)",
    );
    bench.run("BEGIN");
    bench.run(&create);
    assert!(emitted(&mut bench, "undone").is_some());
    bench.run("ROLLBACK");
    assert_eq!(emitted(&mut bench, "nobody is left"), None);

    // Created and emitted in one statement of the application.
    bench.run(&format!("DO $$ BEGIN PERFORM hydra.webhook_create('{url}', '{{booking.created}}'); PERFORM hydra.webhook_emit('booking.created', '{{}}'); END $$"));
    settle(&mut bench);
    assert_eq!(bench.receiver.received("/new"), 3);
}

#[test]
fn a_long_transaction_sees_at_its_next_emit_how_other_sessions_changed_subscriptions() {
    let mut bench = bench("other_session");
    let mut long = bench.session();
    let id: i64 = bench.ask("SELECT id FROM hydra.webhook_subscriptions");
    let emitted = |long: &mut Client| ask::<Option<i64>>(long, &emit("x")).is_some();
    run(&mut long, "BEGIN");
    assert!(emitted(&mut long));
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    assert!(!emitted(&mut long), "paused");
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    assert!(emitted(&mut long), "resumed");
    bench.run("BEGIN");
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    assert!(emitted(&mut long), "the pause is not committed yet");
    bench.run("ROLLBACK");
    assert!(emitted(&mut long), "the pause was rolled back");
    bench.run(&format!("SELECT hydra.webhook_update({id}, event_types => '{{ticket.resolved}}')"));
    assert!(!emitted(&mut long), "the subscription wants other events");
    bench.run(&format!("SELECT hydra.webhook_update({id}, event_types => '{{ticket.created}}')"));
    bench.run("BEGIN");
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    bench.run("PREPARE TRANSACTION 'pause'");
    assert!(emitted(&mut long), "the pause is only prepared");
    bench.run("COMMIT PREPARED 'pause'");
    assert!(!emitted(&mut long), "the prepared pause is committed");
    run(&mut long, "SELECT hydra.webhook_register_event_type('late.comer')");
    assert_eq!(ask::<Option<i64>>(&mut long, "SELECT hydra.webhook_emit('late.comer', '{}')"), None);
    run(&mut long, "COMMIT");
}
