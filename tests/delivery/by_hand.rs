//! Deliveries that are retried, cancelled or replayed by hand.

use testkit::receiver::{Answer, Receiver};
use testkit::{let_pass, millis};

use crate::bench;

#[test]
fn a_delivery_whose_request_is_under_way_can_be_neither_retried_nor_cancelled() {
    let mut bench = bench("under_way");
    bench.receiver.answer("/", Answer::hang());
    bench.receiver.answer_first("/", 1, Answer::status(500));
    bench.subscribe("/", "ticket.created", &["timeout => '60 s'", "retry_schedule => '{1 h,1 h}'"]);
    bench.emit_ticket(1);
    let delivery = bench.wait_for_failed_attempt(1);
    bench.run(&format!("SELECT hydra.webhook_retry('{delivery}')"));
    bench.wait_for("/", 2);
    for function in ["retry", "cancel"] {
        assert_eq!(bench.ask::<i64>(&format!("SELECT hydra.webhook_{function}('{delivery}')")), 0);
    }
    // The former receiver closes its connections.
    bench.receiver = Receiver::start();
    bench.wait_for_failed_attempt(2);
    bench.run(&format!("SELECT hydra.webhook_cancel('{delivery}')"));
    assert_eq!((bench.count("webhook_pending"), bench.count("webhook_history")), (0, 2));
}

#[test]
fn a_failed_delivery_retried_by_hand_has_a_fresh_schedule_and_the_same_id_and_body() {
    let mut bench = bench("retried");
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{0.1 s}'"]);
    bench.receiver.answer("/", Answer::status(500).with_body("it broke"));
    bench.emit_ticket(1);
    let id = bench.wait_for_failed_delivery();
    let requests = bench.wait_for("/", 2);
    assert_eq!(requests.len(), 2);
    let failed = bench.client.query_one("SELECT attempts, error_class, body FROM hydra.webhook_failed", &[]);
    let failed = failed.expect("there is a row");
    assert_eq!((failed.get::<_, i32>(0), failed.get::<_, &str>(1)), (2, "status"));
    assert_eq!(failed.get::<_, &str>(2), requests[0].text());

    // It fails again: two more attempts.
    bench.run(&format!("SELECT hydra.webhook_retry('{id}')"));
    let attempts = bench.wait_for_history(4);
    assert_eq!(bench.wait_for_failed_delivery(), id);
    assert!(attempts.iter().map(|attempt| attempt.attempt).eq([1, 2, 3, 4]));
    assert!(attempts.iter().all(|attempt| attempt.excerpt.as_deref() == Some("it broke")));
    assert!(attempts[2].next_at.is_some() && attempts[3].next_at.is_none());

    // Now it is received.
    bench.receiver.answer("/", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_retry('{id}')"));
    bench.wait_for_count("delivery", 0);
    let requests = bench.wait_for("/", 5);
    assert_eq!(requests.len(), 5);
    assert!(requests.iter().all(|request| request.delivery_id() == id && request.body == requests[0].body));
    assert_eq!(bench.ask::<i64>(&format!("SELECT hydra.webhook_retry('{id}')")), 0, "it was delivered");
}

#[test]
fn a_failed_delivery_of_a_deleted_subscription_can_be_cancelled_and_not_retried() {
    let mut bench = bench("orphaned");
    bench.receiver.answer("/", Answer::status(500));
    let (subscription, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{}'"]);
    bench.emit_ticket(1);
    let delivery = bench.wait_for_failed_delivery();
    bench.run(&format!("SELECT hydra.webhook_delete({subscription})"));
    assert_eq!(bench.count("webhook_failed"), 1, "it outlives its subscription");
    assert_eq!(bench.ask::<i64>(&format!("SELECT hydra.webhook_retry('{delivery}')")), 0, "it has no endpoint");
    assert_eq!(bench.ask::<i64>(&format!("SELECT hydra.webhook_cancel('{delivery}')")), 1);
    assert_eq!(bench.count("webhook_failed"), 0);
}

#[test]
fn a_cancelled_delivery_is_not_sent_again_and_keeps_its_history() {
    let mut bench = bench("cancelled");
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{5 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit_ticket(1);
    let delivery = bench.wait_for_failed_attempt(1);
    bench.run(&format!("BEGIN; SELECT hydra.webhook_cancel('{delivery}'); ROLLBACK"));
    assert_eq!(bench.count("webhook_pending"), 1);
    bench.run(&format!("SELECT hydra.webhook_cancel('{delivery}')"));
    assert_eq!(bench.count("webhook_pending"), 0);
    // Longer than the delay of the retry, which may be a tenth more.
    let_pass(millis(6500));
    assert_eq!(bench.receiver.received("/"), 1);
    assert_eq!(bench.history().len(), 1);
}

#[test]
fn a_replay_sends_the_failed_deliveries_of_its_time_and_no_others() {
    let mut bench = bench("replay");
    bench.receiver.answer_first("/", 3, Answer::status(500));
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{}'", "max_in_flight => 1"]);
    let mut moments: Vec<String> = Vec::new();
    for number in 1..=3 {
        moments.push(bench.ask("SELECT clock_timestamp()::text"));
        bench.emit_ticket(number);
    }
    bench.wait_for_count("webhook_failed", 3);
    let replay = |since: &str, until: &str| format!("SELECT hydra.webhook_replay({id}, '{since}', '{until}')");
    let replayed: i64 = bench.ask(&replay(&moments[1], &moments[2]));
    assert_eq!(replayed, 1);
    let requests = bench.wait_for("/", 4);
    assert_eq!(requests[3].delivery_id(), requests[1].delivery_id());
    bench.wait_for_empty_queue();
    assert_eq!(bench.count("webhook_failed"), 2);
    let rest: i64 = bench.ask(&replay("-infinity", "infinity"));
    assert_eq!(rest, 2);
    bench.wait_for("/", 6);
    bench.refused(&replay("2026-01-02", "2026-01-01"), "22023");
    bench.refused("SELECT hydra.webhook_replay()", "22004");
    bench.refused("SELECT hydra.webhook_replay(99, '-infinity', 'infinity')", "42704");
}
