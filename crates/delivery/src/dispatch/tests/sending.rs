//! Which requests are handed out, and in which order.

use super::*;

#[test]
fn subscriptions_take_turns() {
    let mut dispatch = dispatch([subscription(1), subscription(2), subscription(3)]);
    dispatch.accept(&[1], 1..=6);
    dispatch.accept(&[2], [7]);
    dispatch.accept(&[3], [8, 9]);
    let turns: Vec<i64> = dispatch.send(9).iter().map(|(_, subscription)| *subscription).collect();
    assert_eq!(turns, [1, 2, 3, 1, 3, 1, 1, 1, 1]);
}

#[test]
fn no_more_is_handed_out_than_there_is_room_or_the_subscription_allows() {
    let mut dispatch = dispatch([Subscription { max_in_flight: 3, ..subscription(1) }]);
    dispatch.accept(&[1], 1..=5);
    assert_eq!(dispatch.send(2), [(1, 1), (2, 1)]);
    assert_eq!(dispatch.send(9), [(3, 1)]);
    assert!(dispatch.send(9).is_empty());
    assert_eq!((dispatch.in_flight(), dispatch.queued()), (3, 2));
    dispatch.conclude(2, 1, status(200));
    assert_eq!(dispatch.send(9), [(4, 1)]);
}

#[test]
fn many_slow_endpoints_leave_threads_for_one_that_answers() {
    let mut dispatch = dispatch((1..=9).map(subscription).collect::<Vec<_>>());
    (1..=8).for_each(|slow| dispatch.accept(&[slow], slow * 100..slow * 100 + 50));
    assert_eq!(dispatch.send(64).len(), 48);
    dispatch.accept(&[9], [1]);
    assert_eq!(dispatch.send(64), [(1, 9)]);
}

#[test]
fn endpoints_that_fail_have_a_quarter_of_the_threads_at_most() {
    let failing = (1..=30).map(|id| Subscription { failing: failing(5), ..subscription(id) });
    let mut dispatch = dispatch(failing.chain([subscription(31)]));
    (1..=31).for_each(|id| dispatch.accept(&[id], [id]));
    let sent = dispatch.send(64);
    assert_eq!(sent.len(), 17);
    assert!(sent.contains(&(31, 31)));
}

#[test]
fn no_more_requests_start_in_a_second_than_the_rate_limit_says() {
    let mut dispatch = dispatch([Subscription { rate_limit: Some(10), ..subscription(1) }, subscription(2)]);
    dispatch.accept(&[1, 2], 1..=30);
    let start = Instant::now();
    let mut started = Vec::new();
    for millis in 0..1000 {
        let now = start + Duration::from_millis(millis);
        dispatch.end_pauses(now);
        for request in dispatch.hand_out(99, now) {
            let (delivery, subscription) = (request.delivery, request.endpoint.subscription);
            if subscription == SubscriptionId(1) {
                started.push(millis);
            }
            let (outcome, at, took) = (status(200), time(0), seconds(0));
            dispatch.settle(Attempt { delivery, subscription, outcome, at, took }, at, now, 0.0);
        }
    }
    assert_eq!(started, (0..1000).step_by(100).collect::<Vec<_>>());
    // The lane can send again only when time has passed, so the dispatcher has to know when to wake up.
    assert_eq!(dispatch.next_change(), Some(start + Duration::from_millis(1000)));
}

#[test]
fn an_endpoint_that_failed_five_times_gets_one_request_at_a_time_until_one_succeeds() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], 1..=8);
    assert_eq!(dispatch.send(5).len(), 5);
    (1..=4).for_each(|event| dispatch.conclude(event, 1, status(500)));
    dispatch.conclude(5, 1, status(500));
    assert_eq!(dispatch.row(6, 1), Some(Row::Insert(RowState::Released)), "it would wait in memory for a long time");
    (6..=8).for_each(|event| dispatch.accept_row(claimed(event, 1, 0)));
    assert_eq!(dispatch.send(9), [(6, 1)]);
    assert!(dispatch.send(9).is_empty());
    dispatch.conclude(6, 1, status(500));
    assert_eq!(dispatch.send(9), [(7, 1)]);
    dispatch.conclude(7, 1, status(200));
    (9..=10).for_each(|event| dispatch.accept_row(claimed(event, 1, 0)));
    assert_eq!(dispatch.send(9).len(), 3);
}

#[test]
fn deliveries_that_a_thread_gave_back_are_sent_next_in_the_same_order() {
    let mut dispatch = dispatch([one_at_a_time(1)]);
    dispatch.accept(&[1], 1..=5);
    assert_eq!(dispatch.send(1), [(1, 1)]);
    dispatch.conclude_quickly(1, 1, status(200));
    let chain = dispatch.hand_out(1, Instant::now());
    assert_eq!(chain.iter().map(length).collect::<Vec<_>>(), [4], "a quick endpoint gets several at a time");
    dispatch.conclude(2, 1, status(200));
    dispatch.conclude(3, 1, Outcome::NotStarted);
    dispatch.conclude(4, 1, Outcome::NotStarted);
    assert!(dispatch.send(1).is_empty(), "the thread has not given all back");
    dispatch.conclude(5, 1, Outcome::NotStarted);
    for event in 3..=5 {
        assert_eq!(dispatch.send(1), [(event, 1)]);
        dispatch.conclude(event, 1, status(200));
    }
    assert!(dispatch.has_no_rows() && dispatch.writes.attempts.is_empty());
    assert_eq!((dispatch.queued(), dispatch.in_flight()), (0, 0));
}

fn length(request: &Request) -> usize {
    1 + request.next.as_deref().map_or(0, length)
}

#[test]
fn a_thread_takes_as_many_deliveries_as_a_quick_endpoint_answers_in_four_milliseconds_and_at_most_32() {
    for (micros, queued, expected) in
        [(200, 100, 20), (1, 100, 32), (2000, 100, 10), (2000, 1000, 32), (20_000, 100, 1)]
    {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.accept(&[1], [1]);
        dispatch.send(1);
        let took = Duration::from_micros(micros);
        dispatch.settle(attempt(1, 1, status(200), time(0), took), time(0), instant(0), 0.0);
        dispatch.accept(&[1], 2..2 + queued);
        let chains = dispatch.hand_out(1, Instant::now());
        assert_eq!(chains.iter().map(length).collect::<Vec<_>>(), [expected], "{took:?}, {queued} queued");
    }
}

#[test]
fn a_few_slow_answers_do_not_make_an_endpoint_slow_and_many_do() {
    let chain_after = |slow: i64| {
        let mut dispatch = dispatch([subscription(1)]);
        for event in 0..=slow {
            dispatch.accept(&[1], [event + 1]);
            assert_eq!(dispatch.send(1), [(event + 1, 1)]);
            let took = if event == 0 { Duration::from_micros(200) } else { seconds(1) };
            dispatch.settle(attempt(event + 1, 1, status(200), time(0), took), time(0), instant(0), 0.0);
        }
        dispatch.accept(&[1], 100..200);
        length(&dispatch.hand_out(1, Instant::now())[0])
    };
    assert!(chain_after(3) > 10, "this machine may have been busy");
    assert_eq!(chain_after(40), 1);
}

#[test]
fn a_subscription_with_a_rate_limit_that_is_late_catches_up_for_ten_milliseconds() {
    let limited = Subscription { rate_limit: Some(1000), max_in_flight: 100, ..subscription(1) };
    let mut dispatch = dispatch([limited]);
    let start = Instant::now();
    dispatch.accept(&[1], 1..=100);
    assert_eq!(dispatch.hand_out(99, start).len(), 1);
    let later = start + seconds(1);
    dispatch.end_pauses(later);
    assert_eq!(dispatch.hand_out(99, later).len(), 11, "one that is due now, and ten for ten milliseconds");
}

#[test]
fn a_request_that_a_closed_gate_stopped_counts_for_nothing() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], [1]);
    dispatch.accept_row(claimed(2, 1, 2));
    dispatch.send(9);
    dispatch.close_gates();
    dispatch.conclude(1, 1, Outcome::NotStarted);
    dispatch.conclude(2, 1, Outcome::NotStarted);
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(2, 1), Some(Row::Update(RowState::Released)));
    assert!(dispatch.writes.attempts.is_empty() && dispatch.verdicts.failing.is_empty() && dispatch.tally.is_empty());
    assert_eq!(dispatch.in_flight(), 0);
}

#[test]
fn an_outcome_of_an_unknown_request_is_ignored() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.conclude(1, 1, status(500));
    assert!(dispatch.writes.is_empty());
    assert_eq!(dispatch.in_flight(), 0);
}

#[test]
fn all_deliveries_of_an_event_share_one_body_and_differ_in_their_ids() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1]);
    let requests = dispatch.hand_out(9, Instant::now());
    assert!(Arc::ptr_eq(&requests[0].body, &requests[1].body));
    assert_ne!(requests[0].delivery, requests[1].delivery);
    dispatch.set_namespace([8; 16]);
    dispatch.accept(&[1], [2]);
    assert_eq!(
        dispatch.hand_out(9, Instant::now())[0].delivery,
        DeliveryId::derive([8; 16], EventId(2), SubscriptionId(1))
    );
}
