//! Operations on all deliveries that meet some conditions: cancel, retry, replay.

use testkit::receiver::{Answer, entity_numbers};
use testkit::{Bench, PATIENCE, ask, run, wait_until};

use crate::bench;

/// Two subscriptions with deliveries that wait, each after one attempt, for two tenants and two event types; a third
/// one with a delivery that was given up because nothing listens there.
fn waiting(database: &str) -> (Bench<'static>, [i64; 3]) {
    let mut bench = bench(database);
    bench.receiver.answer("/", Answer::status(500));
    let later = "retry_schedule => '{1 h}'";
    let (first, _) = bench.subscribe("/", "ticket.*", &[later]);
    let (second, _) = bench.subscribe("/", "ticket.*", &[later]);
    let port = testkit::free_port();
    let third: i64 = bench.ask(&format!(
        "SELECT id FROM hydra.webhook_create('http://127.0.0.1:{port}/', '{{ticket.created}}', retry_schedule => '{{}}')"
    ));
    for (event, tenant) in [("created", "acme"), ("created", "globex"), ("resolved", "acme")] {
        bench.run(&format!("SELECT hydra.webhook_emit('ticket.{event}', '{{\"id\": 1}}', '{tenant}')"));
    }
    wait_until("all have failed once", PATIENCE, || {
        bench.ask("SELECT (SELECT count(*) FROM hydra.delivery WHERE attempts = 1 AND claimed_by IS NULL) = 8")
    });
    (bench, [first, second, third])
}

fn count(bench: &mut Bench, call: &str) -> i64 {
    bench.ask(&format!("SELECT hydra.webhook_{call}"))
}

/// Runs a statement with psql, and returns its notices.
fn said(bench: &Bench, statement: &str) -> String {
    let mut psql = bench.cluster.program("psql");
    let output = psql.args(["-X", "-d", &bench.database, "-c", statement]).output().expect("psql starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_mistyped_event_type_chooses_nothing_and_is_answered_with_the_one_that_was_meant() {
    let mut bench = bench("sets_mistyped");
    for call in ["retry", "cancel", "replay"] {
        let said = |condition: &str| said(&bench, &format!("SELECT hydra.webhook_{call}({condition})"));
        let mistyped = said("event => 'ticket.creatd'");
        assert!(mistyped.contains("NOTICE:  event type \"ticket.creatd\" is not registered"), "{call}: {mistyped}");
        assert!(mistyped.contains("Did you mean \"ticket.created\"?"), "{call}: {mistyped}");
        let group = said("event => 'tickets.*'");
        assert!(group.contains("no event type matches \"tickets.*\"") && group.contains("HINT"), "{call}: {group}");
        for known in ["event => 'ticket.created'", "event => 'ticket.*'", "event => '*'", "tenant_id => 'acme'"] {
            assert_eq!(said(known), "", "{call}: {known}");
        }
    }
    // What an event type has left is chosen although it is not registered any more.
    bench.receiver.answer("/", Answer::status(500));
    bench.run("SELECT hydra.webhook_register_event_type('a.b')");
    let (id, _) = bench.subscribe("/", "a.b", &["retry_schedule => '{}'"]);
    bench.run("SELECT hydra.webhook_emit('a.b', '{}')");
    bench.wait_for_failed_delivery();
    bench.run(&format!("SELECT hydra.webhook_delete({id}); SELECT hydra.webhook_unregister_event_type('a.b')"));
    assert_eq!(said(&bench, "SELECT hydra.webhook_cancel(event => 'a.b')"), "");
}

#[test]
fn deliveries_are_cancelled_by_subscription_tenant_event_type_time_error_class_and_state() {
    let (mut bench, [first, second, third]) = waiting("sets_chosen");
    let half: String =
        bench.ask("SELECT max(emitted_at)::text FROM hydra.delivery WHERE event_type = 'ticket.created'");
    for (conditions, chosen) in [
        (format!("subscription_id => {first}"), 3),
        ("tenant_id => 'acme'".into(), 5),
        (format!("subscription_id => {second}, tenant_id => 'acme'"), 2),
        ("event => 'ticket.resolved'".into(), 2),
        ("event => 'ticket.*'".into(), 8),
        ("error_class => 'status'".into(), 6),
        ("error_class => 'connection'".into(), 2),
        ("error_class => 'timeout'".into(), 0),
        ("state => 'failed'".into(), 2),
        ("state => 'pending', tenant_id => 'globex'".into(), 2),
        (format!("until => '{half}'"), 3),
        (format!("since => '{half}'"), 5),
        ("since => '-infinity'".into(), 8),
        (format!("subscription_id => {}", third + 100), 0),
    ] {
        bench.run("BEGIN");
        assert_eq!(count(&mut bench, &format!("cancel({conditions})")), chosen, "{conditions}");
        assert_eq!(bench.count("delivery"), 8 - chosen, "{conditions}");
        bench.run("ROLLBACK");
    }
    for nothing_chosen in ["cancel()", "retry()", "replay()", "cancel(NULL)", "retry(NULL, NULL)"] {
        let refusal = bench.refused(&format!("SELECT hydra.webhook_{nothing_chosen}"), "22004");
        assert!(refusal.hint.contains("-infinity"), "{refusal:?}");
    }
    for wrong in ["error_class => 'timeuot'", "state => 'sent'", "since => now(), until => now()"] {
        bench.refused(&format!("SELECT hydra.webhook_cancel({wrong})"), "22023");
    }
    assert_eq!(bench.count("delivery"), 8);
}

#[test]
fn deliveries_are_retried_and_replayed_by_set_and_those_that_moved_on_are_left_out() {
    let (mut bench, [first, _, third]) = waiting("sets_retried");
    bench.receiver.answer("/", Answer::ok());
    // Somebody else has locked one, as the dispatcher does when it claims it.
    let mut other = bench.session();
    run(
        &mut other,
        &format!("BEGIN; SELECT hydra.webhook_cancel(subscription_id => {first}, event => 'ticket.resolved')"),
    );
    assert_eq!(count(&mut bench, "retry(tenant_id => 'acme', error_class => 'status')"), 3);
    bench.wait_for("/", 9);
    run(&mut other, "COMMIT");
    wait_until("three are delivered", PATIENCE, || bench.count("delivery") == 4);

    // All that was listed, although most of it is gone: nothing fails.
    let listed: Vec<String> = bench.ask("SELECT array_agg(delivery_id::text) FROM hydra.webhook_history");
    let listed = listed.join(",");
    let calls = format!("(SELECT hydra.webhook_cancel(id::uuid) AS n FROM unnest('{{{listed}}}'::text[]) AS id)");
    assert_eq!(bench.ask::<i64>(&format!("SELECT sum(c.n)::bigint FROM {calls} AS c")), 4);

    bench.run(&format!("SELECT hydra.webhook_update({third}, url => '{}')", bench.receiver.url("/third")));
    bench.receiver.answer_first("/third", 1, Answer::status(500));
    bench.run("SELECT hydra.webhook_emit('ticket.created', '{}', 'acme')");
    bench.wait_for_count("webhook_failed", 1);
    assert_eq!(count(&mut bench, "replay(tenant_id => 'globex')"), 0);
    assert_eq!(count(&mut bench, "replay(event => 'ticket.created', error_class => 'status')"), 1);
    bench.wait_for("/third", 2);
    bench.wait_for_empty_queue();
}

/// Of these events, a few are in flight, some are in the memory of the dispatcher, and most are unread.
#[test]
fn first_attempts_of_an_active_subscription_can_be_cancelled_and_others_get_the_events() {
    const EVENTS: usize = 3000;
    let mut bench = bench("sets_first");
    bench.receiver.answer("/slow", Answer::hang());
    let (slow, _) = bench.subscribe("/slow", "ticket.created", &["timeout => '60 s'", "max_in_flight => 2"]);
    bench.subscribe("/quick", "ticket.created", &[]);
    bench.emit_tickets(1..=EVENTS);
    bench.wait_for("/slow", 2);
    let cancelled = count(&mut bench, &format!("cancel(subscription_id => {slow})"));
    bench.wait_for("/quick", EVENTS);
    // What is written as the row of a delivery only now was in memory, and is cancelled too.
    wait_until("nothing waits for the slow endpoint", PATIENCE, || {
        bench.ask(&format!(
            "SELECT count(*) = 0 FROM hydra.delivery WHERE subscription_id = {slow} AND claimed_by IS NULL"
        ))
    });
    assert!((EVENTS as i64 - 2..=EVENTS as i64).contains(&cancelled), "{cancelled}");
    assert_eq!(bench.receiver.received("/slow"), 2, "those that were being sent");

    // Events that come later are sent, when the requests in flight are over.
    bench.receiver.answer("/slow", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_update({slow}, max_in_flight => 10)"));
    bench.emit_ticket(EVENTS + 1);
    bench.wait_for("/slow", 3);
    assert_eq!(entity_numbers(&bench.receiver.requests("/slow")).last(), Some(&(EVENTS + 1)));
}

#[test]
fn first_attempts_of_a_paused_subscription_can_be_cancelled() {
    let mut bench = bench("sets_paused");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    bench.run("BEGIN");
    bench.emit_tickets(1..=200);
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    bench.run("COMMIT");
    let one: String = bench.ask("SELECT delivery_id::text FROM hydra.webhook_pending LIMIT 1");
    assert_eq!(count(&mut bench, &format!("cancel('{one}')")), 1);
    assert_eq!(count(&mut bench, &format!("cancel('{one}')")), 0);
    assert_eq!(count(&mut bench, &format!("cancel(subscription_id => {id}, since => now() - interval '1 hour')")), 199);
    assert_eq!(bench.count("webhook_pending"), 0);
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    bench.emit_ticket(201);
    bench.wait_for("/", 1);
    bench.wait_for_empty_queue();
    assert_eq!(entity_numbers(&bench.receiver.requests("/")), [201]);
}

#[test]
fn each_of_the_first_attempts_of_an_event_can_be_cancelled_by_its_id() {
    let mut bench = bench("sets_by_id");
    for _ in 0..3 {
        bench.subscribe("/", "ticket.created", &[]);
    }
    bench.run("BEGIN");
    bench.emit_ticket(1);
    bench.run("SELECT hydra.webhook_pause(id) FROM hydra.webhook_subscriptions");
    bench.run("COMMIT");
    for left in (0..3).rev() {
        let id: String =
            bench.ask("SELECT delivery_id::text FROM hydra.webhook_pending ORDER BY subscription_id DESC LIMIT 1");
        assert_eq!(count(&mut bench, &format!("cancel('{id}')")), 1);
        assert_eq!(count(&mut bench, &format!("cancel('{id}')")), 0);
        assert_eq!(bench.count("webhook_pending"), left);
    }
}

/// An event with more than 500 deliveries moves to the retry queue in several transactions.
#[test]
fn what_is_cancelled_while_it_moves_to_the_retry_queue_is_not_sent_again() {
    const ENDPOINTS: i64 = 600;
    let mut bench = bench("sets_moving");
    bench.receiver.answer("/hangs", Answer::hang());
    let url = bench.receiver.url("/hangs");
    bench.run(&format!(
        "SELECT count(hydra.webhook_create('{url}', '{{ticket.created}}', timeout => '5 s', retry_schedule => '{{1 h}}'))
         FROM generate_series(1, {ENDPOINTS})"
    ));
    let mut other = bench.session();
    bench.emit_ticket(1);
    run(&mut other, "BEGIN");
    assert_eq!(ask::<i64>(&mut other, "SELECT hydra.webhook_cancel(event => 'ticket.created')"), ENDPOINTS);
    wait_until("the dispatcher moves the event", PATIENCE, || {
        bench.ask(
            "SELECT count(*) = 1 FROM pg_stat_activity
             WHERE backend_type = 'hydra_webhooks dispatcher' AND datname = current_database() AND wait_event_type = 'Lock'",
        )
    });
    run(&mut other, "COMMIT");
    // The attempts that were under way end, and are recorded when the event has moved.
    bench.wait_for_count("webhook_history", ENDPOINTS);
    assert_eq!((bench.count("delivery"), bench.count("event")), (0, 0));
}
