//! Subscriptions that are paused, disabled and resumed.

use std::time::{Duration, Instant};

use testkit::receiver::{Answer, entity_numbers};
use testkit::{PATIENCE, let_pass, millis, wait_until};

use crate::bench;

/// How long after a pause requests may still arrive on a busy machine, or on one that stands still for a while.
const GRACE: Duration = Duration::from_secs(3);

#[test]
fn during_a_pause_no_request_starts_and_nothing_is_queued_and_a_resume_continues_the_retries() {
    const EVENTS: usize = 20;
    let mut bench = bench("pause_retries");
    let schedule = "retry_schedule => array_fill(interval '0.4 s', ARRAY[50])";
    let (id, _) = bench.subscribe("/", "ticket.created", &[schedule]);
    // A clock: an endpoint that fails in the same way and is not paused.
    bench.subscribe("/clock", "ticket.resolved", &[schedule]);
    for path in ["/", "/clock"] {
        bench.receiver.answer(path, Answer::status(500));
    }
    bench.emit_tickets(1..=EVENTS);
    bench.emit("ticket.resolved", "{}");
    bench.wait_for("/", 2 * EVENTS);

    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    let latest = Instant::now() + GRACE;
    assert_eq!(bench.emit_ticket(1000), None, "no new events are queued");
    wait_until("the clock has gone on for two more seconds", PATIENCE, || {
        bench.receiver.requests("/clock").iter().any(|tick| tick.arrived > latest + Duration::from_secs(1))
    });
    let requests = bench.receiver.requests("/");
    let last = requests.iter().map(|request| request.arrived).max().expect("there were some");
    assert!(last < latest, "a request came {:?} after the first seconds of the pause", last - latest);
    assert_eq!(bench.column(id, "pending"), EVENTS.to_string());
    assert_eq!(bench.column(id, "status"), "paused");

    bench.receiver.answer("/", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    bench.emit_ticket(EVENTS + 1);
    bench.wait_for_column(id, "pending", "0");
    // The column counts no events that were not read yet.
    wait_until("the last event is delivered", PATIENCE, || {
        bench.ask("SELECT NOT EXISTS (SELECT FROM hydra.event WHERE event_type = 'ticket.created')")
    });
    assert_eq!(bench.column(id, "status"), "active");
    assert_eq!(bench.column(id, "failed"), "0");
    let delivered: Vec<_> = bench.receiver.requests("/").into_iter().filter(|request| request.status == 200).collect();
    let mut received = entity_numbers(&delivered);
    received.sort_unstable();
    assert_eq!(received, (1..=EVENTS + 1).collect::<Vec<_>>(), "each once, and none that was emitted during the pause");
    // A second pause or resume is not an error.
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    bench.run(&format!("SELECT hydra.webhook_pause({id}); SELECT hydra.webhook_pause({id})"));
}

#[test]
fn events_matched_before_a_pause_stay_queued_and_are_sent_in_order_after_it() {
    let mut bench = bench("pause_queue");
    let (id, _) = bench.subscribe("/", "ticket.created", &["max_in_flight => 1"]);
    bench.receiver.answer("/", Answer::ok().after(millis(300)));
    bench.emit_tickets(1..=20);
    bench.wait_for("/", 3);
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    let paused = Instant::now();
    let_pass(GRACE + millis(1000));
    let before = bench.receiver.requests("/");
    assert!(before.len() < 20 && before.iter().all(|request| request.arrived < paused + GRACE));
    bench.wait_for_count("webhook_pending", 20 - before.len() as i64);

    bench.receiver.answer("/", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    bench.emit_tickets(21..=30);
    bench.wait_for_empty_queue();
    assert_eq!(entity_numbers(&bench.receiver.requests("/")), (1..=30).collect::<Vec<_>>());
}

#[test]
fn gone_disables_a_subscription_until_it_is_resumed() {
    let mut bench = bench("gone");
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{0.2 s,0.2 s}'"]);
    bench.receiver.answer("/", Answer::gone());
    bench.emit_ticket(1);
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "gone");
    assert_eq!(bench.column(id, "status_since > created_at"), "true");
    assert_eq!(bench.column(id, "consecutive_failures"), "1");
    assert!(bench.column(id, "last_error").contains("410"));
    assert!(bench.emit_ticket(2).is_some(), "what it misses is kept");
    let attempts = bench.wait_for_history(1);
    assert_eq!((attempts[0].status, attempts[0].class.as_deref()), (Some(410), Some("status")));
    let_pass(millis(800));
    assert_eq!(bench.receiver.received("/"), 1, "there are no retries");
    assert_eq!(bench.column(id, "pending"), "1");

    bench.receiver.answer("/", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_resume({id}, missed => 'drop')"));
    assert_eq!(
        ["status", "disabled_reason", "consecutive_failures"].map(|name| bench.column(id, name)),
        ["active", "", "0"]
    );
    bench.wait_for_empty_queue();
    assert_eq!(entity_numbers(&bench.wait_for("/", 2)), [1, 1]);
    bench.emit_ticket(3);
    assert_eq!(entity_numbers(&bench.wait_for("/", 3)), [1, 1, 3]);
}

#[test]
fn consecutive_failures_of_any_deliveries_disable_a_subscription_and_a_success_resets_their_count() {
    let mut bench = bench("disable_after");
    let more = ["disable_after => 3", "retry_schedule => '{1 h}'", "max_in_flight => 1"];
    let (id, _) = bench.subscribe("/", "ticket.created", &more);
    bench.receiver.answer("/", Answer::status(500));
    bench.receiver.answer_first("/", 2, Answer::status(500));
    bench.receiver.answer_first("/", 1, Answer::ok());
    for event in 1..=5 {
        bench.emit_ticket(event);
        bench.wait_for("/", event);
    }
    bench.wait_for_column(id, "consecutive_failures", "2");
    assert_eq!(bench.column(id, "status"), "active", "four failures, but not three in a row");
    bench.emit_ticket(6);
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "failures");
    assert_eq!(bench.column(id, "consecutive_failures"), "3");

    // After a resume the count starts again.
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    assert_eq!(bench.column(id, "consecutive_failures"), "0");
    for event in 7..=8 {
        bench.emit_ticket(event);
        bench.wait_for("/", event);
    }
    bench.wait_for_column(id, "consecutive_failures", "2");
    assert_eq!(bench.column(id, "status"), "active");
    bench.emit_ticket(9);
    bench.wait_for_column(id, "status", "disabled");
}

#[test]
fn ten_consecutive_failures_disable_a_subscription_with_the_preset_x_webhook() {
    let mut bench = bench("ten_failures");
    bench.receiver.answer("/", Answer::status(500));
    let more = ["preset => 'x_webhook'", "max_in_flight => 1", "retry_schedule => '{}'"];
    let (id, _) = bench.subscribe("/", "ticket.created", &more);
    for _ in 0..10 {
        bench.emit_ticket(1);
    }
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(["disabled_reason", "consecutive_failures"].map(|column| bench.column(id, column)), ["failures", "10"]);
    assert_ne!(bench.column(id, "failing_since"), "");
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    assert_eq!(["status", "consecutive_failures"].map(|column| bench.column(id, column)), ["active", "0"]);
}

#[test]
fn a_busy_subscription_survives_a_short_outage_although_ten_failures_disable_it() {
    let mut bench = bench("short_outage");
    bench.receiver.answer("/", Answer::status(503));
    let (id, _) = bench.subscribe("/", "ticket.created", &["preset => 'x_webhook'", "max_in_flight => 1"]);
    bench.emit_tickets(1..=40);
    bench.wait_for_column(id, "consecutive_failures", "5");
    // The next request comes seconds later, although 35 deliveries wait.
    bench.receiver.answer("/", Answer::ok());
    bench.wait_for_column(id, "consecutive_failures", "0");
    bench.wait_for("/", 40);
    assert_eq!(bench.column(id, "status"), "active");
}

#[test]
fn twenty_failures_side_by_side_do_not_disable_a_subscription_and_ten_one_after_the_other_do() {
    const BURST: usize = 20;
    let mut bench = bench("side_by_side");
    // All are under way before the first of them is answered.
    bench.receiver.answer("/", Answer::status(503).after(Duration::from_secs(1)));
    let (id, _) = bench.subscribe("/", "ticket.created", &["preset => 'x_webhook'"]);
    bench.emit_tickets(1..=BURST);
    bench.wait_for("/", BURST);
    bench.wait_for_history(BURST as i64);
    bench.wait_for_column(id, "consecutive_failures", "1");
    assert_eq!(bench.column(id, "status"), "active");

    bench.receiver.answer("/", Answer::status(503));
    for failure in 2..=10 {
        bench.emit_ticket(failure);
        bench.wait_for_column(id, "consecutive_failures", &failure.to_string());
    }
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "failures");
}

#[test]
fn a_subscription_with_a_time_is_disabled_only_when_its_failures_have_lasted_that_long() {
    let mut bench = bench("disable_after_time");
    bench.receiver.answer("/", Answer::status(500));
    let more = ["disable_after => 2", "disable_after_time => '1 h'", "retry_schedule => '{}'", "max_in_flight => 1"];
    let (id, _) = bench.subscribe("/", "ticket.created", &more);
    for failure in 1..=4 {
        bench.emit_ticket(failure);
        bench.wait_for_column(id, "consecutive_failures", &failure.to_string());
    }
    assert_eq!(bench.column(id, "status"), "active");
    // As if it had failed for an hour.
    bench.run(&format!(
        "UPDATE hydra.subscription_health SET failing_for = '1 h' WHERE subscription_id = {id};
         UPDATE hydra.subscription SET status_since = now() - interval '2 h' WHERE id = {id}"
    ));
    bench.emit_ticket(5);
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "failures");
}

#[test]
fn a_subscription_with_the_preset_standard_is_disabled_after_days_without_a_success() {
    let mut bench = bench("stale");
    bench.receiver.answer("/", Answer::status(500));
    let (id, _) = bench.subscribe("/", "ticket.created", &["preset => 'standard'", "retry_schedule => '{}'"]);
    bench.emit_ticket(1);
    bench.wait_for_column(id, "consecutive_failures", "1");
    assert_eq!(bench.column(id, "status"), "active");
    // As if it had failed for five days.
    bench.run(&format!(
        "UPDATE hydra.subscription_health SET failing_since = now() - interval '5 days', failing_for = '5 days'
             WHERE subscription_id = {id};
             UPDATE hydra.subscription SET status_since = now() - interval '6 days' WHERE id = {id}"
    ));
    bench.emit_ticket(1);
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "stale");
}
