//! Claiming rows of the retry queue.

use super::*;

#[test]
fn rows_are_claimed_when_they_are_due_and_not_before() {
    let mut dispatch = dispatch([subscription(1), one_at_a_time(2)]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.send(99);
    dispatch.conclude(1, 1, status(500));
    dispatch.conclude(1, 2, status(500));
    assert!(dispatch.to_claim(time(100)).is_empty(), "the rows are not written yet");
    dispatch.write_all(time(0));
    assert!(dispatch.to_claim(time(9)).is_empty());
    assert_eq!(dispatch.next_due_after(time(9)), Some(time(10)));
    assert_eq!(
        dispatch.to_claim(time(10)),
        [(SubscriptionId(1), 20), (SubscriptionId(2), 16)],
        "twice what may be in flight, and no less than 16"
    );
    assert_eq!(dispatch.next_due_after(time(10)), None);

    // Deliveries in memory take up room.
    dispatch.accept_row(claimed(1, 2, 1));
    assert_eq!(dispatch.to_claim(time(10)), [(SubscriptionId(1), 20), (SubscriptionId(2), 15)]);
    dispatch.set_next_due(SubscriptionId(1), None, time(10));
    assert_eq!(dispatch.to_claim(time(10)), [(SubscriptionId(2), 15)]);
}

#[test]
fn for_an_endpoint_that_keeps_failing_one_row_is_claimed_at_a_time() {
    let mut dispatch = dispatch([Subscription { failing: failing(5), ..subscription(1) }]);
    dispatch.set_next_due(SubscriptionId(1), Some(time(0)), time(0));
    assert_eq!(dispatch.to_claim(time(0)), [(SubscriptionId(1), 1)]);
    dispatch.accept_row(claimed(1, 1, 1));
    assert!(dispatch.to_claim(time(0)).is_empty());
    dispatch.send(99);
    assert!(dispatch.to_claim(time(0)).is_empty());
    dispatch.conclude(1, 1, status(500));
    dispatch.write_all(time(0));
    assert_eq!(dispatch.to_claim(time(0)), [(SubscriptionId(1), 1)]);
}

#[test]
fn rows_are_claimed_again_when_half_of_those_before_have_been_sent() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.set_next_due(SubscriptionId(1), Some(time(0)), time(0));
    assert_eq!(dispatch.to_claim(time(0)), [(SubscriptionId(1), 20)]);
    (1..=11).for_each(|event| dispatch.accept_row(claimed(event, 1, 0)));
    assert!(dispatch.to_claim(time(0)).is_empty());
    dispatch.send(1);
    dispatch.conclude(1, 1, status(200));
    assert!(dispatch.to_claim(time(0)).is_empty() && dispatch.may_claim(time(0)), "a decision is not written yet");
    dispatch.write_all(time(0));
    assert_eq!(dispatch.to_claim(time(0)), [(SubscriptionId(1), 10)]);
}

#[test]
fn no_rows_are_claimed_while_half_of_the_memory_is_used() {
    let others: Vec<i64> = (1..=20).collect();
    let mut many = dispatch((1..=21).map(subscription));
    many.set_next_due(SubscriptionId(21), Some(time(0)), time(0));
    many.accept(&others, 1..=99);
    assert_eq!(many.to_claim(time(0)), [(SubscriptionId(21), 20)]);
    many.accept(&others, [100]);
    assert!(many.to_claim(time(0)).is_empty());

    let mut large = dispatch([subscription(1), subscription(2)]);
    large.set_next_due(SubscriptionId(2), Some(time(0)), time(0));
    large.accept_event(&with_entity(wanted_by(&[1], 1), "x".repeat(16 << 20)), Instant::now());
    assert!(large.to_claim(time(0)).is_empty());
}

#[test]
fn a_row_is_too_far_away_if_it_is_due_later_than_its_schedule_can_have_planned() {
    let dispatch = dispatch([subscription(1)]);
    let is_too_far = |after: u64| dispatch.is_too_far(SubscriptionId(1), time(100 + after), time(100));
    assert!(!is_too_far(22), "the longest delay is 20 s, and may be a tenth longer");
    assert!(is_too_far(24) && is_too_far(365 * 86_400));
    assert!(!dispatch.is_too_far(SubscriptionId(9), time(1_000_000), time(0)), "there is no such subscription");
}
