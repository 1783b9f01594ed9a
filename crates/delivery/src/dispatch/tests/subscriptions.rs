//! Pausing, resuming, changing and deleting subscriptions.

use super::*;

#[test]
fn a_pause_gives_queued_deliveries_back_to_the_table_and_closes_the_gate() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1, 2]);
    dispatch.accept_row(claimed(3, 1, 1));
    let requests = dispatch.hand_out(99, Instant::now());
    assert_eq!(requests.len(), 3);
    dispatch.set_subscriptions(vec![paused(1), subscription(2)], instant(0));

    let under_way = requests.iter().filter(|request| request.endpoint.subscription == SubscriptionId(1));
    assert!(under_way.map(|request| request.endpoint.gate.is_closed()).eq([true]));
    assert!(
        requests
            .iter()
            .filter(|request| request.endpoint.subscription == SubscriptionId(2))
            .all(|r| !r.endpoint.gate.is_closed())
    );
    assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(2, 2), Some(Row::Insert(RowState::Claimed)), "in flight");
    assert_eq!(dispatch.row(3, 1), Some(Row::Update(RowState::Released)));
    assert_eq!(dispatch.row(1, 1), None, "in flight, and its event has not moved");

    // The request in flight is recorded, and new deliveries for the subscription wait.
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(due(1, 10))));
    dispatch.accept(&[1], [4]);
    assert_eq!(dispatch.row(4, 1), Some(Row::Insert(RowState::Released)));
    assert!(dispatch.send(99).is_empty());
    dispatch.write_all(time(0));
    assert!(dispatch.to_claim(time(100)).is_empty(), "nothing is claimed for a paused one");
}

#[test]
fn when_deliveries_are_cancelled_what_has_not_started_goes_back_to_the_table() {
    let mut dispatch = dispatch([Subscription { max_in_flight: 2, ..subscription(1) }, subscription(2)]);
    dispatch.accept(&[1, 2], 1..=3);
    let requests = dispatch.hand_out(99, Instant::now());
    let cancelled = || Subscription { cancelled_at: Some(time(1)), max_in_flight: 2, ..subscription(1) };
    assert!(dispatch.are_cancelled(&[cancelled()]));
    dispatch.set_subscriptions(vec![cancelled(), subscription(2)], instant(0));
    assert!(!dispatch.are_cancelled(&[cancelled()]), "it is noticed once");

    assert_eq!(dispatch.row(3, 1), Some(Row::Insert(RowState::Released)), "it was queued");
    let own = requests.iter().filter(|request| request.endpoint.subscription == SubscriptionId(1));
    assert!(own.map(|request| request.endpoint.gate.is_closed()).eq([true, true]));
    dispatch.conclude(1, 1, Outcome::NotStarted);
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(RowState::Released)), "it was handed over and had not started");
    dispatch.conclude(2, 1, status(200));
    assert_eq!(dispatch.row(2, 1), None, "it was being sent");
    assert!(dispatch.send(99).is_empty(), "nothing of it stays in memory");
}

#[test]
fn a_resumed_subscription_starts_with_its_counters_reset() {
    let failing = Subscription { failing: failing(7), max_in_flight: 3, ..subscription(1) };
    let mut dispatch = dispatch([failing]);
    dispatch.accept(&[1], 1..=3);
    assert_eq!(dispatch.send(99).len(), 1);
    let resumed = Subscription { status_since: time(5), max_in_flight: 3, ..subscription(1) };
    dispatch.set_subscriptions(vec![resumed], instant(0));
    assert_eq!(dispatch.send(99).len(), 2);
}

#[test]
fn what_a_subscription_missed_waits_and_is_dropped_or_sent_when_it_is_resumed() {
    let missed = |event| StoredEvent { missed: [SubscriptionId(1)].into_iter().collect(), ..wanted_by(&[1, 2], event) };
    for (resumed, is_sent) in [(resumed_without_missed(1), false), (subscription(1), true)] {
        let mut dispatch = dispatch([paused(1), subscription(2)]);
        dispatch.accept_event(&missed(1), Instant::now());
        assert_eq!(dispatch.row(1, 1), Some(Row::Insert(RowState::Released)));
        dispatch.write_all(time(0));
        dispatch.send(9);

        // A row that is in the table by now, and an event that is read only now.
        dispatch.set_subscriptions(vec![resumed, subscription(2)], instant(0));
        dispatch.accept_row(Work { missed: true, ..claimed(1, 1, 0) });
        dispatch.accept_event(&missed(2), Instant::now());
        let requests = dispatch.hand_out(9, Instant::now());
        let sent: Vec<_> = requests.iter().map(|request| request.delivery).collect();
        for event in [1, 2] {
            assert_eq!(sent.contains(&id_of(event, 1)), is_sent, "event {event}");
        }
        assert!(sent.contains(&id_of(2, 2)), "others get it all the same");
        assert_eq!(dispatch.row(1, 1), (!is_sent).then_some(Row::Delete));
    }
}

#[test]
fn a_change_that_is_not_a_resume_keeps_the_count_of_failures() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], 1..=FAILING_FROM);
    dispatch.send(99);
    (1..=FAILING_FROM).for_each(|event| dispatch.conclude(event, 1, timeout()));
    dispatch.set_subscriptions(vec![Subscription { log_successes: true, ..subscription(1) }], instant(0));
    (6..=8).for_each(|event| dispatch.accept_row(claimed(event, 1, 0)));
    assert_eq!(dispatch.send(99).len(), 1);
}

#[test]
fn no_event_waits_for_a_deleted_subscription() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    dispatch.accept(&[1], [1]);
    dispatch.accept(&[1, 2], [2]);
    dispatch.accept_row(claimed(3, 1, 1));
    dispatch.send(99);
    dispatch.conclude(2, 2, status(200));
    assert!(dispatch.finished().is_empty());
    dispatch.set_subscriptions(vec![subscription(2)], instant(0));
    assert_eq!(dispatch.finished(), [2], "no other subscription wanted it");
    assert_eq!(dispatch.writes.deleted, [SubscriptionId(1)]);
    assert_eq!(dispatch.row(3, 1), Some(Row::Delete));
    assert_eq!(dispatch.queued(), 0);

    // The request in flight is recorded, and not tried again.
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.finished(), [2, 1]);
    assert!(dispatch.writes.attempts.iter().map(|attempt| attempt.next_at).eq([None]));
    assert_eq!(dispatch.row(1, 1), None);
    assert_eq!(dispatch.in_flight(), 0);
}

#[test]
fn a_request_for_a_deleted_subscription_that_was_not_sent_gets_no_row() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.accept_row(claimed(2, 1, 1));
    dispatch.send(99);
    dispatch.set_subscriptions(vec![subscription(2)], instant(0));
    dispatch.conclude(1, 1, Outcome::NotStarted);
    dispatch.conclude(2, 1, Outcome::NotStarted);
    assert_eq!((dispatch.row(1, 1), dispatch.row(2, 1)), (None, Some(Row::Delete)));
    dispatch.conclude(1, 2, status(200));
    assert_eq!(dispatch.finished(), [1]);
}

#[test]
fn an_event_without_any_subscription_left_is_deleted_at_once() {
    let mut dispatch = dispatch([subscription(1)]);
    assert_eq!(dispatch.strangers(&[wanted_by(&[1, 9], 1)]), [SubscriptionId(9)]);
    assert!(dispatch.strangers(&[wanted_by(&[1], 1)]).is_empty());
    dispatch.accept(&[9], [1]);
    assert_eq!(dispatch.finished(), [1]);
    dispatch.accept_row(claimed(2, 9, 1));
    assert_eq!(dispatch.row(2, 9), Some(Row::Delete));
    assert!(dispatch.send(99).is_empty());
}

#[test]
fn a_subscription_that_does_not_exist_any_more_is_looked_for_once() {
    let event = wanted_by(&[1, 2], 1);
    let mut dispatch = dispatch([subscription(1)]);
    assert!(!dispatch.strangers(std::slice::from_ref(&event)).is_empty());
    dispatch.accept_event(&event, Instant::now());
    assert!(dispatch.strangers(std::slice::from_ref(&event)).is_empty());
}
