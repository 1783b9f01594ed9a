//! Which requests are handed out, and in which order.

use super::*;

#[test]
fn subscriptions_take_turns() {
    let mut dispatch = dispatch([subscription(1), subscription(2), subscription(3)]);
    dispatch.accept(&[1], 1..=6);
    dispatch.accept(&[2], [7]);
    dispatch.accept(&[3], [8, 9]);
    let turns: Vec<i64> = dispatch.send(99).iter().map(|(_, subscription)| *subscription).collect();
    assert_eq!(turns, [1, 2, 3, 1, 3, 1, 1, 1, 1]);
}

#[test]
fn no_more_is_handed_out_than_there_is_room_or_the_subscription_allows() {
    let mut dispatch = dispatch([Subscription { max_in_flight: 3, ..subscription(1) }]);
    dispatch.accept(&[1], 1..=5);
    assert_eq!(dispatch.send(3), [(1, 1), (2, 1)], "one is left for others");
    assert_eq!(dispatch.send(99), [(3, 1)]);
    assert!(dispatch.send(99).is_empty());
    assert_eq!((dispatch.in_flight(), dispatch.queued()), (3, 2));
    dispatch.conclude(2, 1, status(200));
    assert_eq!(dispatch.send(99), [(4, 1)]);
}

#[test]
fn however_many_endpoints_do_not_answer_requests_are_left_for_one_that_does() {
    let mut dispatch = dispatch((1..=9).map(subscription).collect::<Vec<_>>());
    (1..=8).for_each(|slow| dispatch.accept(&[slow], slow * 100..slow * 100 + 50));
    assert_eq!(dispatch.send(64).len(), 57, "seven or eight for each");
    dispatch.accept(&[9], 1..=50);
    assert_eq!(dispatch.send(64), [(1, 9), (2, 9), (3, 9), (4, 9)]);
}

#[test]
fn endpoints_that_fail_have_a_quarter_of_the_requests_at_most() {
    let failing = (1..=30).map(|id| Subscription { failing: failing(5), ..subscription(id) });
    let mut dispatch = dispatch(failing.chain([subscription(31)]));
    (1..=31).for_each(|id| dispatch.accept(&[id], [id]));
    let sent = dispatch.send(64);
    assert_eq!(sent.len(), 17);
    assert!(sent.contains(&(31, 31)));
}

#[test]
fn large_bodies_in_flight_leave_memory_for_others() {
    let mut dispatch = dispatch([1, 2, 3, 4].map(|id| Subscription { max_in_flight: 20, ..subscription(id) }));
    let large = |event, id| Work { body: "x".repeat(10 << 20).into(), ..claimed(event, id, 0) };
    (1..=9).for_each(|event| dispatch.accept_row(large(event, 1)));
    assert_eq!(dispatch.send(99).len(), 4, "40 MB are enough");
    (10..=19).for_each(|event| dispatch.accept_row(large(event, 2)));
    dispatch.accept_row(claimed(20, 3, 0));
    assert_eq!(dispatch.send(99), [(10, 2), (20, 3)], "one request of each of the others");
    dispatch.conclude(1, 1, status(200));
    dispatch.conclude(2, 1, status(200));
    assert_eq!(dispatch.send(99), [(5, 1)]);
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
    let mut dispatch = dispatch([Subscription { max_in_flight: 5, ..subscription(1) }]);
    dispatch.accept(&[1], 1..=8);
    assert_eq!(dispatch.send(99).len(), 5);
    (1..=4).for_each(|event| dispatch.conclude(event, 1, status(500)));
    dispatch.conclude(5, 1, status(500));
    assert_eq!(dispatch.row(6, 1), Some(Row::Insert(RowState::Released)), "it would wait in memory for a long time");
    (6..=8).for_each(|event| dispatch.accept_row(claimed(event, 1, 0)));
    assert_eq!(dispatch.send(99), [(6, 1)]);
    assert!(dispatch.send(99).is_empty());
    dispatch.conclude(6, 1, status(500));
    assert_eq!(dispatch.send(99), [(7, 1)]);
    dispatch.conclude(7, 1, status(200));
    (9..=10).for_each(|event| dispatch.accept_row(claimed(event, 1, 0)));
    assert_eq!(dispatch.send(99).len(), 3);
}

#[test]
fn deliveries_that_the_sender_gave_back_are_sent_next_in_the_same_order() {
    let mut dispatch = dispatch([one_at_a_time(1)]);
    dispatch.accept(&[1], 1..=6);
    assert_eq!(dispatch.send(99), [(1, 1)]);
    dispatch.conclude_quickly(1, 1, status(200));
    assert_eq!(dispatch.send(4), [(2, 1), (3, 1), (4, 1), (5, 1)], "a quick endpoint gets several ahead");
    dispatch.conclude(2, 1, status(200));
    dispatch.conclude(3, 1, Outcome::NotStarted);
    dispatch.conclude(4, 1, Outcome::NotStarted);
    assert!(dispatch.send(99).is_empty(), "the sender has not given all back");
    dispatch.conclude(5, 1, Outcome::NotStarted);
    for event in 3..=6 {
        assert_eq!(dispatch.send(99), [(event, 1)]);
        dispatch.conclude(event, 1, status(200));
    }
    assert!(dispatch.has_no_rows() && dispatch.writes.attempts.is_empty());
    assert_eq!((dispatch.queued(), dispatch.in_flight()), (0, 0));
}

#[test]
fn a_quick_endpoint_gets_ahead_what_it_answers_in_twenty_milliseconds_and_at_most_32_times_its_limit() {
    for (micros, expected) in [(200, 320), (1, 320), (5_000, 40), (15_000, 10), (20_000, 10)] {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.accept(&[1], [1]);
        dispatch.send(1);
        let took = Duration::from_micros(micros);
        dispatch.settle(attempt(1, 1, status(200), time(0), took), time(0), instant(0), 0.0);
        dispatch.accept(&[1], 2..1000);
        let requests = dispatch.hand_out(9999, Instant::now());
        assert_eq!(requests.len(), expected, "{took:?}");
        assert!(requests.iter().all(|request| request.max_in_flight == 10));
    }
}

#[test]
fn of_large_deliveries_few_are_handed_over_ahead() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], [1]);
    dispatch.send(1);
    dispatch.conclude_quickly(1, 1, status(200));
    let large = |event| Work { body: "x".repeat(250_000).into(), ..claimed(event, 1, 0) };
    (2..=100).for_each(|event| dispatch.accept_row(large(event)));
    assert_eq!(dispatch.send(9999).len(), 16, "four megabytes");
}

#[test]
fn a_few_slow_answers_do_not_make_an_endpoint_slow_and_many_do() {
    let handed_out_after = |slow: i64| {
        let mut dispatch = dispatch([subscription(1)]);
        for event in 0..=slow {
            dispatch.accept(&[1], [event + 1]);
            assert_eq!(dispatch.send(99), [(event + 1, 1)]);
            let took = if event == 0 { Duration::from_micros(200) } else { seconds(1) };
            dispatch.settle(attempt(event + 1, 1, status(200), time(0), took), time(0), instant(0), 0.0);
        }
        dispatch.accept(&[1], 100..200);
        dispatch.hand_out(9999, Instant::now()).len()
    };
    assert_eq!(handed_out_after(3), 100, "the machine may have been busy");
    assert_eq!(handed_out_after(45), 10);
}

#[test]
fn requests_that_were_handed_over_ahead_are_called_back_when_their_endpoint_has_failed_five_times() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], [1]);
    dispatch.send(99);
    dispatch.conclude_quickly(1, 1, status(200));
    dispatch.accept(&[1], 2..=40);
    let requests = dispatch.hand_out(9999, Instant::now());
    assert_eq!(requests.len(), 39);
    (2..=5).for_each(|event| dispatch.conclude(event, 1, status(500)));
    assert!(!requests[0].endpoint.gate.is_closed());
    dispatch.conclude(6, 1, status(500));
    assert!(requests[0].endpoint.gate.is_closed());
    (7..=40).for_each(|event| dispatch.conclude(event, 1, Outcome::NotStarted));
    assert_eq!(dispatch.send(9999), [(7, 1)], "one at a time");
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
    dispatch.send(99);
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
    let requests = dispatch.hand_out(99, Instant::now());
    assert!(Arc::ptr_eq(&requests[0].body, &requests[1].body));
    assert_ne!(requests[0].delivery, requests[1].delivery);
}

#[test]
fn the_outcomes_of_an_event_for_a_hundred_thousand_subscriptions_take_no_longer_than_those_of_as_many_events() {
    const TARGETS: i64 = 100_000;
    let mut open = open_events::OpenEvents::default();
    let (event, subscription) = (wanted_by(&[1], 1), subscription(1));
    let works: Vec<_> = (1..=TARGETS)
        .map(|id| {
            let of = Subscription { id: SubscriptionId(id), ..subscription.clone() };
            Arc::new(first_work(&of, &event, "body".into()))
        })
        .collect();
    open.insert(event.row, works.iter().cloned().collect(), Instant::now());
    let began = Instant::now();
    for work in works.iter().rev() {
        let is_last = matches!(open.end(work), open_events::Ended::Last(_));
        assert_eq!(is_last, work.subscription == SubscriptionId(1));
    }
    assert!(began.elapsed() < seconds(2), "it took {:?}", began.elapsed());
}
