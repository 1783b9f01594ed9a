//! When nothing is sent to an endpoint for some time: after a fault on this side, and when its receiver asks for that.

use super::*;

#[test]
fn a_fault_on_this_side_is_no_attempt_and_no_failure_and_the_delivery_waits() {
    let mut dispatch =
        dispatch([Subscription { disable_after: Some(1), stale_after: Some(seconds(1)), ..subscription(1) }]);
    dispatch.accept(&[1], [1, 2]);
    dispatch.accept_row(claimed(3, 1, 1));
    dispatch.send(99);
    for event in 1..=3 {
        dispatch.conclude(event, 1, fault());
    }
    let waits = RowState::Due { attempts: 0, scheduled_at: None, due_at: time(1) };
    assert_eq!([1, 2].map(|event| dispatch.row(event, 1)), [Some(Row::Insert(waits)), Some(Row::Insert(waits))]);
    assert_eq!(dispatch.row(3, 1), Some(Row::Update(due(1, 1))));
    assert!(
        dispatch.writes.attempts.is_empty()
            && dispatch.verdicts.failing.is_empty()
            && dispatch.verdicts.disabled.is_empty()
    );
    assert_eq!(dispatch.verdicts.faults[&SubscriptionId(1)].as_deref(), Some("nobody knows the name"));
    assert_eq!(dispatch.faulty(), 1);
}

#[test]
fn after_a_fault_one_delivery_is_tried_at_a_time_after_pauses_that_grow_and_an_answer_ends_that() {
    let mut dispatch = dispatch([subscription(1)]);
    let id = SubscriptionId(1);
    dispatch.accept(&[1], 1..=9);
    assert_eq!(dispatch.send(99).len(), 9);
    (1..=9).for_each(|event| dispatch.conclude(event, 1, fault()));
    let mut at = 0;
    // Faults of requests that were under way together are one.
    for pause in [1, 2, 4] {
        dispatch.write_all(time(at));
        dispatch.set_next_due(id, Some(time(at)), time(at));
        assert!(dispatch.to_claim(time(at + pause)).is_empty(), "it is held");
        assert_eq!(dispatch.lanes.next_pause_end(), Some(instant(at + pause)));
        at += pause;
        dispatch.end_pauses(instant(at));
        assert_eq!(dispatch.to_claim(time(at)), [(id, 1)]);
        dispatch.accept_row(claimed(at as i64, 1, 0));
        assert_eq!(dispatch.send(99).len(), 1);
        let outcome = if pause == 4 { status(200) } else { fault() };
        dispatch.conclude_at(time(at), at as i64, 1, outcome);
    }
    assert_eq!((dispatch.verdicts.faults[&id].as_deref(), dispatch.faulty()), (None, 0));
    dispatch.write_all(time(at));
    dispatch.set_next_due(id, Some(time(at)), time(at));
    assert_eq!(dispatch.to_claim(time(at)), [(id, 20)]);
}

#[test]
fn new_events_wait_in_the_table_while_a_lane_is_held_and_new_settings_or_a_new_url_end_that() {
    for mended in [true, false] {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.accept(&[1], [1]);
        dispatch.send(99);
        dispatch.conclude(1, 1, fault());
        dispatch.accept(&[1], [2]);
        assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Released)));
        dispatch.write_all(time(0));
        assert!(dispatch.to_claim(time(100)).is_empty());
        if mended {
            dispatch.end_faults();
        } else {
            let mut other = subscription(1);
            Arc::get_mut(&mut other.endpoint).expect("it is new").url = "https://other.example/".into();
            dispatch.set_subscriptions(vec![other], instant(0));
        }
        assert_eq!(dispatch.to_claim(time(100)), [(SubscriptionId(1), 1)]);
    }
}

fn asking(status: u16, seconds: u64) -> Outcome {
    Outcome::Answered(Answer { status, excerpt: String::new(), retry_after: Some(self::seconds(seconds)) })
}

#[test]
fn a_receiver_that_asks_for_time_gets_nothing_until_then_and_what_was_not_sent_uses_no_attempt() {
    let id = SubscriptionId(1);
    let mut dispatch = dispatch([Subscription { max_in_flight: 2, ..subscription(1) }]);
    dispatch.accept(&[1], 1..=4);
    assert_eq!(dispatch.send(99), [(1, 1), (2, 1)]);
    dispatch.conclude(1, 1, asking(429, 15));
    assert_eq!([3, 4].map(|event| dispatch.row(event, 1)), [const { Some(Row::Insert(RowState::Released)) }; 2]);
    dispatch.accept(&[1], [5]);
    assert_eq!(dispatch.row(5, 1), Some(Row::Insert(RowState::Released)));
    // One that was under way may succeed, which ends nothing.
    dispatch.conclude(2, 1, status(200));
    dispatch.write_all(time(0));
    assert!(dispatch.send(99).is_empty() && dispatch.to_claim(time(14)).is_empty());
    dispatch.end_pauses(instant(14));
    assert!(dispatch.to_claim(time(14)).is_empty());
    dispatch.end_pauses(instant(15));
    assert_eq!(dispatch.to_claim(time(15)), [(id, 16)]);
}

#[test]
fn requests_that_were_handed_over_are_not_made_to_a_receiver_that_asks_for_time() {
    let mut dispatch = dispatch([one_at_a_time(1)]);
    dispatch.accept(&[1], [1]);
    dispatch.send(99);
    dispatch.conclude_quickly(1, 1, status(200));
    dispatch.accept(&[1], 2..=4);
    let requests = dispatch.hand_out(99, Instant::now());
    assert_eq!(requests.len(), 3);
    dispatch.conclude(2, 1, asking(503, 15));
    assert!(requests[0].endpoint.gate.is_closed());
    [3, 4].into_iter().for_each(|event| dispatch.conclude(event, 1, Outcome::NotStarted));
    assert!(dispatch.send(99).is_empty());
    assert_eq!(dispatch.in_flight(), 0);
    dispatch.end_pauses(instant(15));
    assert_eq!(dispatch.send(99), [(3, 1)]);
}

#[test]
fn a_receiver_cannot_ask_for_more_time_than_the_longest_delay_of_the_schedule() {
    for (schedule, asked, held) in
        [(vec![seconds(10), seconds(20)], 3600, Some(20)), (vec![], 3600, None), (vec![seconds(10)], 0, None)]
    {
        let mut dispatch = dispatch([Subscription { schedule, ..subscription(1) }]);
        dispatch.accept(&[1], [1]);
        dispatch.send(99);
        dispatch.conclude(1, 1, asking(429, asked));
        assert_eq!(dispatch.lanes.next_pause_end(), held.map(instant));
    }
}
