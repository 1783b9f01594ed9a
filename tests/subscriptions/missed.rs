//! What a subscription misses while it is disabled: it is kept, until a resume sends or drops it.

use testkit::receiver::{Answer, entity_numbers};
use testkit::{Bench, Cluster, PATIENCE, wait_until};

use crate::bench;

/// Creates a subscription whose first delivery disables it, and then waits.
fn disabled(bench: &mut Bench, more: &[&str]) -> i64 {
    bench.receiver.answer_first("/", 1, Answer::gone());
    let (id, _) = bench.subscribe("/", "ticket.created", &[&["retry_schedule => '{0 s}'"], more].concat());
    bench.emit_ticket(1);
    bench.wait_for_column(id, "status", "disabled");
    id
}

/// Waits until the retry queue has what the subscription has missed.
fn wait_for_missed(bench: &mut Bench, id: i64, missed: usize) {
    bench.wait_for_column(id, "missed", &missed.to_string());
    wait_until("they are in the retry queue", PATIENCE, || bench.count("event") == 0);
}

fn received(bench: &Bench) -> Vec<usize> {
    entity_numbers(&bench.receiver.requests("/"))
}

#[test]
fn what_a_disabled_subscription_misses_is_kept_and_sent_in_order_when_a_resume_says_so() {
    let mut bench = bench("missed_sent");
    let id = disabled(&mut bench, &["max_in_flight => 1"]);
    for event in 2..=20 {
        assert!(bench.emit_ticket(event).is_some(), "the event is written");
    }
    wait_for_missed(&mut bench, id, 19);
    assert_eq!(bench.column(id, "pending"), "1", "what waited before");
    let late: i64 = bench.ask("SELECT sum(depth)::bigint FROM hydra.webhook_stats");
    assert_eq!(late, 1, "what was missed does not make the endpoint look late");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.webhook_pending WHERE missed"), 19);

    let refusal = bench.refused(&format!("SELECT hydra.webhook_resume({id})"), "55000");
    assert_eq!(refusal.message, format!("subscription {id} missed 19 events while it was disabled"));
    assert!(["send", "drop"].iter().all(|choice| refusal.hint.contains(choice)), "{refusal:?}");
    bench.refused(&format!("SELECT hydra.webhook_resume({id}, missed => 'keep')"), "22023");
    assert_eq!(bench.column(id, "status"), "disabled");

    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'send')"));
    bench.emit_tickets(21..=30);
    bench.wait_for_empty_queue();
    let (retry, others): (Vec<_>, Vec<_>) = received(&bench).into_iter().skip(1).partition(|event| *event == 1);
    assert_eq!((retry, others), (vec![1], (2..=30).collect()), "the retry whenever it is due");
    assert_eq!(["missed", "status"].map(|column| bench.column(id, column)), ["0", "active"]);
}

#[test]
fn a_pause_that_keeps_events_ends_with_a_resume_that_sends_them_in_order() {
    let mut bench = bench("pause_kept");
    let (id, _) = bench.subscribe("/", "ticket.created", &["max_in_flight => 1"]);
    bench.run(&format!("SELECT hydra.webhook_pause({id}, keep_events => true)"));
    for event in 1..=20 {
        assert!(bench.emit_ticket(event).is_some(), "the event is written");
    }
    wait_for_missed(&mut bench, id, 20);
    let columns = ["status", "keeps_events", "disabled_reason"];
    assert_eq!(columns.map(|column| bench.column(id, column)), ["paused", "true", ""]);
    let refusal = bench.refused(&format!("SELECT hydra.webhook_resume({id})"), "55000");
    assert_eq!(refusal.message, format!("subscription {id} missed 20 events while it was paused"));
    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'send')"));
    bench.emit_ticket(21);
    bench.wait_for_empty_queue();
    assert_eq!(received(&bench), (1..=21).collect::<Vec<_>>());
    assert_eq!(["missed", "keeps_events"].map(|column| bench.column(id, column)), ["0", "false"]);
}

#[test]
fn a_pause_keeps_events_from_when_it_is_told_to_until_it_is_told_not_to() {
    let mut bench = bench("pause_changed");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    for (event, keeps) in [(1, false), (2, true), (3, false)] {
        bench.run(&format!("SELECT hydra.webhook_pause({id}, {keeps})"));
        assert_eq!(bench.emit_ticket(event).is_some(), keeps);
    }
    wait_for_missed(&mut bench, id, 1);
    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'send')"));
    bench.emit_ticket(4);
    bench.wait_for_empty_queue();
    let mut received = received(&bench);
    received.sort_unstable();
    assert_eq!(received, [2, 4]);
}

#[test]
fn the_doctor_names_paused_subscriptions_and_says_whether_their_events_are_kept() {
    let mut bench = bench("pause_forgotten");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    let found = |bench: &mut Bench| -> Option<String> {
        bench.ask(&format!(
            "SELECT max(finding) FROM hydra.webhook_doctor() WHERE subject = 'subscription {id}' AND ok IS NULL"
        ))
    };
    assert_eq!(found(&mut bench), None);
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    assert!(found(&mut bench).is_some_and(|finding| finding.ends_with("events of this time are not kept for it")));
    bench.run(&format!("SELECT hydra.webhook_pause({id}, keep_events => true)"));
    bench.emit_ticket(1);
    wait_for_missed(&mut bench, id, 1);
    assert!(found(&mut bench).is_some_and(|finding| finding.ends_with("it has missed so far: 1")));
    // What was kept before is named, and the remedy says what becomes of it.
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    assert!(found(&mut bench).is_some_and(|finding| finding.ends_with("events that it had missed before: 1")));
    let remedy: String =
        bench.ask(&format!("SELECT remedy FROM hydra.webhook_doctor() WHERE subject = 'subscription {id}'"));
    bench.run(remedy.split(" when ").next().expect("a command"));
    bench.wait_for("/", 1);
}

#[test]
fn a_resume_that_drops_what_was_missed_drops_what_nobody_has_read_too() {
    let mut bench = bench("missed_unread");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    bench.subscribe("/other", "ticket.created", &[]);
    let resume = |missed: &str| format!("SELECT hydra.webhook_resume({id}, missed => '{missed}')");
    let pause = format!("SELECT hydra.webhook_pause({id}, keep_events => true)");
    bench.run("SELECT hydra.webhook_park()");
    bench.emit_ticket(1);
    bench.run(&pause);
    bench.emit_tickets(2..=4);
    assert_eq!(bench.column(id, "missed"), "3", "counted although the dispatcher does not run");
    bench.run(&resume("drop"));
    bench.run(&pause);
    assert_eq!(bench.column(id, "missed"), "0");
    bench.emit_ticket(5);
    bench.run(&resume("send"));
    bench.run("SELECT hydra.webhook_unpark()");
    bench.wait_for_empty_queue();
    let mut received = received(&bench);
    received.sort_unstable();
    assert_eq!(received, [1, 5], "what waited before the pause, and what was missed after the drop");
    assert_eq!(bench.receiver.received("/other"), 5);
}

#[test]
fn a_retry_leaves_what_was_missed_to_the_resume() {
    let mut bench = bench("missed_retried");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    bench.run(&format!("SELECT hydra.webhook_pause({id}, keep_events => true)"));
    bench.emit_tickets(1..=2);
    wait_for_missed(&mut bench, id, 2);
    assert_eq!(bench.ask::<i64>(&format!("SELECT hydra.webhook_retry(subscription_id => {id})")), 0);
    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'drop')"));
    bench.emit_ticket(3);
    bench.wait_for_empty_queue();
    assert_eq!(received(&bench), [3]);
}

#[test]
fn a_resume_that_drops_what_was_missed_sends_none_of_it_and_all_that_waited_before() {
    let mut bench = bench("missed_dropped");
    let id = disabled(&mut bench, &[]);
    // The dispatcher is reading these events, while the resume drops them; some are committed only after it.
    let mut late = bench.session();
    testkit::run(&mut late, "BEGIN; SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1000}')");
    bench.emit_tickets(2..=500);
    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'drop')"));
    testkit::run(&mut late, "COMMIT");
    bench.emit_ticket(501);
    bench.wait_for_empty_queue();
    let mut received = received(&bench);
    received.sort_unstable();
    assert_eq!(received, [1, 1, 501]);
    assert_eq!(["missed", "failed"].map(|column| bench.column(id, column)), ["0", "0"]);
}

#[test]
fn events_that_are_unread_at_a_resume_are_dropped_or_sent_as_it_says() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "unread");
    let id = disabled(&mut bench, &[]);
    for (round, choice) in ["send", "drop"].into_iter().enumerate() {
        let event = 10 * (round + 1);
        cluster.set(&[("hydra_webhooks.enabled", "off")]);
        testkit::wait_for_state(&mut bench.client, "off");
        bench.run("UPDATE hydra.subscription SET status = 'disabled', disabled_reason = 'gone'");
        bench.emit_ticket(event);
        let refusal = bench.refused(&format!("SELECT hydra.webhook_resume({id})"), "55000");
        assert!(refusal.message.contains("missed 1 events"), "{refusal:?}");
        bench.run(&format!("SELECT hydra.webhook_resume({id}, '{choice}')"));
        bench.emit_ticket(event + 1);
        let pending: i64 = bench.ask("SELECT count(*) FROM hydra.webhook_pending WHERE attempts = 0");
        assert_eq!(pending, if choice == "send" { 2 } else { 1 });
        cluster.set(&[("hydra_webhooks.enabled", "on")]);
        bench.wait_for_empty_queue();
    }
    let mut received = received(&bench);
    received.sort_unstable();
    assert_eq!(received, [1, 1, 10, 11, 21]);
}

#[test]
fn while_a_subscription_is_disabled_it_can_be_changed_paused_and_deleted() {
    let mut bench = bench("missed_changed");
    let id = disabled(&mut bench, &[]);
    bench.emit_ticket(2);
    wait_for_missed(&mut bench, id, 1);
    bench.run(&format!("SELECT hydra.webhook_update({id}, event_types => '{{part.created}}', preset => 'standard')"));
    assert_eq!(bench.emit_ticket(3), None, "it no longer wants tickets");
    bench.emit("part.created", "{\"id\": \"4\"}");
    wait_for_missed(&mut bench, id, 2);

    // While a person has paused it, it misses nothing more. What it missed is kept.
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    assert_eq!(bench.emit("part.created", "{\"id\": \"5\"}"), None);
    bench.refused(&format!("SELECT hydra.webhook_resume({id})"), "55000");
    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'send')"));
    bench.wait_for_empty_queue();
    let requests = bench.receiver.requests("/");
    let bodies: Vec<_> = requests.iter().skip(1).map(|request| request.json()).collect();
    assert_eq!(bodies.iter().filter(|body| body["data"]["entity"]["id"] == "2").count(), 1, "made before the change");
    assert_eq!(bodies.iter().filter(|body| body["data"]["id"] == "4").count(), 1, "made after the change");

    bench.run(&format!("UPDATE hydra.subscription SET status = 'disabled', disabled_reason = 'gone' WHERE id = {id}"));
    bench.emit("part.created", "{\"id\": \"6\"}");
    wait_for_missed(&mut bench, id, 1);
    bench.run(&format!("SELECT hydra.webhook_delete({id})"));
    assert_eq!((bench.count("delivery"), bench.count("webhook_pending")), (0, 0));
}

#[test]
fn what_was_missed_longer_ago_than_the_retention_is_removed_and_still_counted() {
    let mut bench = bench("missed_old");
    let id = disabled(&mut bench, &[]);
    for event in 2..=4 {
        bench.emit_ticket(event);
    }
    wait_for_missed(&mut bench, id, 3);
    bench.run(
        "UPDATE hydra.delivery SET emitted_at = emitted_at - interval '31 days' WHERE attempts = 1 OR event_id IN
                   (SELECT event_id FROM hydra.delivery WHERE missed ORDER BY event_id LIMIT 2)",
    );
    bench.run("SELECT pg_reload_conf()");
    wait_until("what is too old is removed", PATIENCE, || bench.count("webhook_pending") == 2);
    assert_eq!(["missed", "pending"].map(|column| bench.column(id, column)), ["3", "1"], "what waited before stays");
    let refusal = bench.refused(&format!("SELECT hydra.webhook_resume({id})"), "55000");
    assert!(refusal.message.contains("missed 1 events"), "{refusal:?}");
    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'send')"));
    bench.wait_for_empty_queue();
    let mut received = received(&bench);
    received.sort_unstable();
    assert_eq!(received, [1, 1, 4]);
}

#[test]
fn what_is_missed_takes_no_room_from_active_subscriptions() {
    let cluster = Cluster::start(&[("hydra_webhooks.max_pending", "10"), ("hydra_webhooks.on_full", "error")]);
    let mut bench = Bench::new(&cluster, "missed_room");
    let id = disabled(&mut bench, &[]);
    bench.subscribe("/other", "ticket.resolved", &[]);
    wait_until("an event that would be missed is dropped", PATIENCE, || bench.emit_ticket(2).is_none());
    assert!(bench.column(id, "missed").parse::<i64>().is_ok_and(|missed| missed >= 9));
    for _ in 0..20 {
        assert!(bench.emit("ticket.resolved", "{}").is_some(), "the other one has room");
    }
    bench.wait_for("/other", 20);
}
