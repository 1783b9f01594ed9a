//! How many requests are made at a time, and in which order.

use std::time::Instant;

use testkit::receiver::{Answer, Signature, entity_numbers};
use testkit::{Bench, PATIENCE, millis, subscribe, wait_until};

use crate::bench;

/// Waits for deliveries that take long on a busy machine, because there are many or one follows the other.
#[track_caller]
fn wait_for_all(bench: &mut Bench) {
    wait_until("all events are delivered", 5 * PATIENCE, || bench.ask("SELECT NOT EXISTS (SELECT FROM hydra.event)"));
    bench.wait_for_empty_queue();
}

/// All events from the first to the last, each once.
#[track_caller]
fn assert_in_order(received: &[usize], last: usize) {
    let misplaced = received.iter().zip(1..).position(|(received, expected)| *received != expected);
    let around = misplaced.map(|place| &received[place.saturating_sub(2)..(place + 5).min(received.len())]);
    assert_eq!(around, None, "the third of these is out of order");
    assert_eq!(received.len(), last);
}

#[test]
fn after_five_failures_an_endpoint_gets_one_request_at_a_time_until_one_succeeds() {
    let mut bench = bench("one_at_a_time");
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{1 h}'"]);
    // All are under way before the first of them is answered.
    bench.receiver.answer("/", Answer::status(500).after(millis(1000)));
    bench.emit_tickets(1..=5);
    bench.wait_for_history(5);
    // They were in progress at the same time, so they count as one towards disable_after.
    bench.wait_for_column(id, "consecutive_failures", "1");
    bench.receiver.clear();

    bench.receiver.answer("/", Answer::status(500).after(millis(30)));
    bench.emit_tickets(6..=20);
    bench.wait_for_column(id, "consecutive_failures", "16");
    assert_eq!((bench.receiver.received("/"), bench.receiver.most_in_flight("/")), (15, 1));
    bench.receiver.clear();

    bench.receiver.answer("/", Answer::ok().after(millis(30)));
    bench.emit_tickets(21..=40);
    bench.wait_for("/", 20);
    wait_until("the successes are counted", PATIENCE, || bench.column(id, "consecutive_failures") == "0");
    assert!(bench.receiver.most_in_flight("/") > 1);
}

#[test]
fn with_one_request_in_flight_the_events_of_a_session_arrive_in_order() {
    let mut bench = bench("in_order");
    bench.subscribe("/", "ticket.created", &["max_in_flight => 1"]);
    (1..=500).for_each(|event| {
        bench.emit_ticket(event);
    });
    bench.wait_for_empty_queue();
    let requests = bench.receiver.requests("/");
    assert_eq!(entity_numbers(&requests), (1..=500).collect::<Vec<_>>());
    assert_eq!(bench.receiver.most_in_flight("/"), 1);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
}

#[test]
fn as_many_requests_are_in_flight_as_the_subscription_allows() {
    let mut bench = bench("three_at_a_time");
    bench.subscribe("/", "ticket.created", &["max_in_flight => 3"]);
    bench.receiver.answer("/", Answer::ok().after(millis(20)));
    bench.emit_tickets(1..=60);
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received("/"), bench.receiver.most_in_flight("/")), (60, 3));
}

#[test]
fn during_a_flood_other_endpoints_do_not_wait_and_one_with_one_request_in_flight_keeps_its_order() {
    const FLOOD: usize = 60_000;
    let mut bench = bench("flood");
    bench.subscribe("/in_order", "ticket.created", &["max_in_flight => 1"]);
    // Without their secrets, so that the receiver has time to spare.
    for (path, event_type) in [("/flooded", "ticket.resolved"), ("/other", "ticket.assigned")] {
        subscribe(&mut bench.client, &bench.receiver.url(path), event_type, &[]);
    }
    bench.run("BEGIN");
    bench.run(&format!("SELECT count(hydra.webhook_emit('ticket.resolved', '{{}}')) FROM generate_series(1, {FLOOD})"));
    bench.emit_ticket(1);
    bench.run("COMMIT");
    bench.wait_for("/flooded", FLOOD / 20);
    bench.run("SELECT hydra.webhook_emit('ticket.assigned', '{}')");
    let other = bench.wait_for("/other", 1);
    bench.emit_ticket(2);
    wait_for_all(&mut bench);
    let flooded = bench.receiver.requests("/flooded");
    let last = flooded.iter().map(|request| request.arrived).max().expect("the flood arrived");
    assert!(other[0].arrived < last, "the other endpoint waited for all of the flood");
    assert_eq!(entity_numbers(&bench.receiver.requests("/in_order")), [1, 2]);
    assert_eq!(flooded.len(), FLOOD);
}

#[test]
fn five_thousand_events_for_one_slow_endpoint_all_arrive_in_order() {
    const EVENTS: usize = 5000;
    let mut bench = bench("overflow");
    bench.subscribe("/", "ticket.created", &["max_in_flight => 1"]);
    bench.receiver.answer("/", Answer::ok().after(millis(1)));
    // Two transactions: the second commits while events of the first wait in the table.
    bench.emit_tickets(1..=EVENTS - 1000);
    bench.wait_for("/", 100);
    bench.emit_tickets(EVENTS - 999..=EVENTS);
    wait_for_all(&mut bench);
    assert_in_order(&entity_numbers(&bench.receiver.requests("/")), EVENTS);
    assert!(bench.history().is_empty());
}

#[test]
fn events_that_wait_behind_a_slow_endpoint_for_seconds_arrive_in_order() {
    const EVENTS: usize = 1500;
    let mut bench = bench("slow_in_order");
    bench.subscribe("/", "ticket.created", &["max_in_flight => 1"]);
    bench.receiver.answer("/", Answer::ok().after(millis(3)));
    // The first ones that are read fill the memory, and are still there when later ones are in the table.
    bench.emit_tickets(1..=EVENTS);
    bench.wait_for_empty_queue();
    assert_in_order(&entity_numbers(&bench.receiver.requests("/")), EVENTS);
}

#[test]
fn a_rate_limit_holds_for_first_attempts_and_for_retries() {
    let mut bench = bench("rate_limit");
    bench.receiver.answer_first("/", 10, Answer::status(500));
    let more = ["rate_limit => 20", "retry_schedule => array_fill(interval '0 s', '{10}')"];
    bench.subscribe("/", "ticket.created", &more);
    let start = Instant::now();
    for _ in 0..50 {
        bench.emit_ticket(1);
    }
    let requests = bench.wait_for("/", 60);
    // 59 gaps of 50 ms, and no more than the limit in any second.
    assert!(start.elapsed().as_millis() >= 2900, "{:?}", start.elapsed());
    for window in requests.windows(22) {
        let span = window[21].arrived - window[0].arrived;
        // On a busy machine the first one may be read late.
        assert!(span.as_millis() >= 750, "22 requests arrived within {span:?}");
    }
    bench.refused("SELECT hydra.webhook_create('http://127.0.0.1:9/', '{ticket.created}', rate_limit => 0)", "22023");
}
