//! The effect of outcomes on deliveries, subscriptions, the history and the counts.

use super::*;
use crate::tally::{AttemptResult, Combination};

#[test]
fn the_last_attempt_of_a_schedule_fails_the_delivery() {
    let mut dispatch = dispatch([subscription(1)]);
    for (event, attempts, row) in [
        (1, 0, Row::Insert(due(1, 10))),
        (2, 1, Row::Update(due(2, 20))),
        (3, 2, Row::Update(RowState::Failed { attempts: 3 })),
    ] {
        match attempts {
            0 => dispatch.accept(&[1], [event]),
            _ => dispatch.accept_row(claimed(event, 1, attempts)),
        }
        dispatch.send(99);
        dispatch.conclude(event, 1, status(500));
        assert_eq!(dispatch.row(event, 1), Some(row));
    }
    let recorded = dispatch.writes.attempts.iter().map(|record| (record.attempt, record.next_at));
    assert!(recorded.eq([(1, Some(time(10))), (2, Some(time(20))), (3, None)]));
}

#[test]
fn a_retry_by_hand_starts_the_schedule_again_and_goes_on_counting_attempts() {
    let mut dispatch = dispatch([subscription(1)]);
    let again = Work { earlier_attempts: 3, scheduled_at: None, ..claimed(1, 1, 3) };
    dispatch.accept_row(again);
    dispatch.send(99);
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.row(1, 1), Some(Row::Update(due(4, 10))));
    assert_eq!(dispatch.writes.attempts[0].attempt, 4);
}

#[test]
fn gone_disables_a_subscription() {
    let mut dispatch = dispatch([one_at_a_time(1)]);
    dispatch.accept(&[1], [1, 2]);
    let requests = dispatch.hand_out(99, Instant::now());
    dispatch.conclude(1, 1, status(410));
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Gone));
    assert!(requests[0].endpoint.gate.is_closed());
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(due(1, 10))), "it can go on after a resume");
    assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Released)));
    assert!(dispatch.send(99).is_empty());
}

#[test]
fn enough_failures_in_a_row_disable_a_subscription_and_a_success_starts_the_count_again() {
    let mut dispatch = dispatch([Subscription { disable_after: Some(3), max_in_flight: 1, ..subscription(1) }]);
    dispatch.accept(&[1], 1..=6);
    let mut conclude = |event, outcome| {
        assert_eq!(dispatch.send(99), [(event, 1)]);
        dispatch.conclude(event, 1, outcome);
        (dispatch.verdicts.failing[&SubscriptionId(1)].attempts, dispatch.verdicts.disabled.clone())
    };
    let nothing = HashMap::new();
    assert_eq!(conclude(1, timeout()), (1, nothing.clone()));
    assert_eq!(conclude(2, status(503)), (2, nothing.clone()));
    assert_eq!(conclude(3, status(200)), (0, nothing.clone()));
    assert_eq!(conclude(4, status(404)), (1, nothing.clone()));
    assert_eq!(conclude(5, status(404)), (2, nothing));
    assert_eq!(conclude(6, timeout()), (3, disabled(1, DisabledReason::Failures)));
}

#[test]
fn enough_failures_disable_a_subscription_only_after_the_time_that_it_was_given() {
    let patient = Subscription {
        disable_after: Some(2),
        disable_after_time: Some(seconds(100)),
        max_in_flight: 1,
        ..subscription(1)
    };
    let mut dispatch = dispatch([patient]);
    dispatch.begin_sending(instant(0));
    dispatch.accept(&[1], 1..=5);
    let mut conclude = |event, outcome, at| {
        assert_eq!(dispatch.send(9), [(event, 1)]);
        dispatch.conclude_at(time(at), event, 1, outcome);
        (dispatch.verdicts.failing[&SubscriptionId(1)].attempts, dispatch.verdicts.disabled.clone())
    };
    let nothing = HashMap::new();
    assert_eq!(conclude(1, timeout(), 10), (1, nothing.clone()));
    assert_eq!(conclude(2, timeout(), 50), (2, nothing.clone()));
    assert_eq!(conclude(3, timeout(), 109), (3, nothing));
    assert_eq!(conclude(4, timeout(), 110), (4, disabled(1, DisabledReason::Failures)));
}

#[test]
fn after_five_failures_those_that_disable_a_subscription_are_seconds_apart() {
    let mut dispatch = dispatch([Subscription { disable_after: Some(7), ..one_at_a_time(1) }]);
    let id = SubscriptionId(1);
    dispatch.accept(&[1], 1..=4);
    for event in 1..=4 {
        assert_eq!(dispatch.send(9), [(event, 1)]);
        dispatch.conclude_at(time(0), event, 1, timeout());
    }
    for (event, at) in [(5, 0), (6, 6), (7, 12)] {
        dispatch.end_pauses(instant(at));
        dispatch.accept_row(claimed(event, 1, 0));
        assert_eq!(dispatch.send(9), [(event, 1)]);
        dispatch.conclude_at(time(at), event, 1, timeout());
        dispatch.set_next_due(id, Some(time(at)), time(at));
        assert!(dispatch.to_claim(time(at + 5)).is_empty());
    }
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Failures));
}

#[test]
fn an_outage_is_reported_once_at_half_of_what_disables_the_subscription() {
    let id = SubscriptionId(1);
    // The outcomes of attempts 10 seconds apart, and after which of them it is reported.
    let cases = [
        (Subscription { disable_after: Some(5), ..one_at_a_time(1) }, "ffff", vec![3]),
        (Subscription { disable_after: Some(4), ..one_at_a_time(1) }, "ff.fff", vec![2, 5]),
        (Subscription { disable_after: Some(1), ..one_at_a_time(1) }, "f", vec![]),
        (
            Subscription { disable_after: Some(2), disable_after_time: Some(seconds(100)), ..one_at_a_time(1) },
            "fffffff",
            vec![6],
        ),
        (Subscription { stale_after: Some(seconds(40)), ..one_at_a_time(1) }, "ffff", vec![3]),
        (subscription(1), "fffffff", vec![]),
    ];
    for (subscription, outcomes, reported) in cases {
        let mut dispatch = dispatch([subscription]);
        dispatch.begin_sending(instant(0));
        let mut after = Vec::new();
        for (attempt, outcome) in (1..).zip(outcomes.chars()) {
            dispatch.accept_row(claimed(attempt, 1, 0));
            assert_eq!(dispatch.send(9), [(attempt, 1)]);
            let outcome = if outcome == 'f' { status(500) } else { status(200) };
            dispatch.conclude_at(time(10 * attempt as u64), attempt, 1, outcome);
            after.extend(dispatch.verdicts.halfway.take(&id).map(|_| attempt));
        }
        assert_eq!(after, reported, "{outcomes}");
    }
}

#[test]
fn an_endpoint_turns_when_it_begins_to_fail_and_when_it_answers_again() {
    let id = SubscriptionId(1);
    let mut dispatch = dispatch([one_at_a_time(1)]);
    let mut turned = Vec::new();
    for (attempt, outcome) in (1..).zip([500, 200, 500, 500, 500, 500, 500, 500, 500, 200, 200]) {
        dispatch.accept_row(claimed(attempt, 1, 0));
        assert_eq!(dispatch.send(9), [(attempt, 1)]);
        dispatch.conclude(attempt, 1, status(outcome));
        turned.extend(dispatch.verdicts.turned.remove(&id).map(|fails| (attempt, fails)));
    }
    assert_eq!(turned, [(7, true), (10, false)]);
    // What was not written yet cancels out.
    dispatch.verdicts.turn(id, true);
    dispatch.verdicts.turn(id, false);
    assert!(dispatch.verdicts.turned.is_empty());
}

#[test]
fn requests_that_were_under_way_together_fail_once() {
    let mut dispatch = dispatch([Subscription { disable_after: Some(3), ..subscription(1) }]);
    let attempts = |dispatch: &Dispatch| dispatch.verdicts.failing[&SubscriptionId(1)].attempts;
    dispatch.accept(&[1], 1..=4);
    assert_eq!(dispatch.send(99).len(), 4);
    (1..=3).for_each(|event| dispatch.conclude(event, 1, status(503)));
    assert_eq!(attempts(&dispatch), 1);
    // Handed out before the first failure was counted, and after it.
    dispatch.accept(&[1], [5]);
    assert_eq!(dispatch.send(99), [(5, 1)]);
    dispatch.conclude(4, 1, status(503));
    assert_eq!(attempts(&dispatch), 1);
    dispatch.conclude(5, 1, status(503));
    assert_eq!(attempts(&dispatch), 2);
    dispatch.accept_row(claimed(6, 1, 0));
    dispatch.send(99);
    dispatch.conclude(6, 1, status(503));
    assert_eq!((attempts(&dispatch), &dispatch.verdicts.disabled), (3, &disabled(1, DisabledReason::Failures)));
}

fn stale_after(limit: u64) -> Subscription {
    Subscription { stale_after: Some(seconds(limit)), ..subscription(1) }
}

#[test]
fn days_without_a_success_disable_a_subscription_and_a_success_starts_the_count_again() {
    let mut dispatch = dispatch([stale_after(100)]);
    dispatch.accept(&[1], 1..=5);
    dispatch.send(99);
    let mut conclude = |event, outcome, at| {
        dispatch.conclude_at(time(at), event, 1, outcome);
        dispatch.verdicts.disabled.clone()
    };
    conclude(1, timeout(), 0);
    conclude(2, status(200), 90);
    assert!(conclude(3, timeout(), 150).is_empty());
    assert!(conclude(4, timeout(), 249).is_empty());
    assert_eq!(conclude(5, timeout(), 250), disabled(1, DisabledReason::Stale));
}

#[test]
fn time_in_which_nothing_could_be_sent_does_not_make_an_endpoint_stale() {
    let mut dispatch = dispatch([stale_after(100)]);
    dispatch.accept(&[1], 1..=3);
    dispatch.send(99);
    dispatch.begin_sending(instant(0));
    dispatch.conclude_at(time(10), 1, 1, timeout());
    // The server was down, the process was stopped, or the like, for a day.
    dispatch.begin_sending(instant(86_410));
    dispatch.conclude_at(time(86_480), 2, 1, timeout());
    assert_eq!(dispatch.verdicts.failing[&SubscriptionId(1)].lasted, seconds(70));
    assert!(dispatch.verdicts.disabled.is_empty());
    dispatch.conclude_at(time(86_510), 3, 1, timeout());
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Stale));
}

#[test]
fn how_long_an_endpoint_has_failed_is_kept_over_a_restart_and_the_time_between_is_not_added() {
    let before = Failing { lasted: seconds(90), ..failing(3) };
    let mut dispatch = dispatch([Subscription { failing: before, ..stale_after(100) }]);
    dispatch.begin_sending(instant(1_000_000));
    dispatch.accept(&[1], 1..=2);
    dispatch.send(99);
    dispatch.conclude_at(time(1_000_009), 1, 1, timeout());
    assert!(dispatch.verdicts.disabled.is_empty());
    dispatch.conclude_at(time(1_000_010), 2, 1, timeout());
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Stale));
}

/// Twice the duration of the schedule of these tests, with the time limits of its requests.
const LIFETIME: u64 = 2 * (30 + 3 * 8);

/// Sends a delivery that failed first at `time(0)`, and lets it fail again at `time(after)`.
fn fail_again(dispatch: &mut Dispatch, after: u64) -> (Option<Row>, Option<ErrorClass>) {
    dispatch.accept_row(claimed(1, 1, 1));
    assert_eq!(dispatch.send(99), [(1, 1)], "a delivery is never given up without the attempt that it waits for");
    dispatch.conclude_at(time(after), 1, 1, status(500));
    let record = dispatch.writes.attempts.pop().expect("a failure is recorded");
    assert_eq!((record.attempt, record.status, record.response_ms), (2, Some(500), Some(1000)));
    (dispatch.row(1, 1), record.error.map(|(class, _)| class))
}

const GIVEN_UP: (Option<Row>, Option<ErrorClass>) =
    (Some(Row::Update(RowState::Failed { attempts: 2 })), Some(ErrorClass::Expired));

fn waits(at: u64) -> (Option<Row>, Option<ErrorClass>) {
    (Some(Row::Update(due(2, at + 20))), Some(ErrorClass::Status))
}

#[test]
fn a_delivery_that_fails_when_twice_its_schedule_has_passed_is_given_up() {
    for (after, expected) in [(LIFETIME, waits(LIFETIME)), (LIFETIME + 1, GIVEN_UP)] {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.begin_sending(instant(0));
        assert_eq!(fail_again(&mut dispatch, after), expected, "after {after} s");
    }
}

#[test]
fn time_in_which_nothing_could_be_sent_does_not_count_towards_the_end_of_a_schedule() {
    let late = 86_400;
    for begun in [late - LIFETIME, late] {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.begin_sending(instant(begun));
        assert_eq!(fail_again(&mut dispatch, late), waits(late), "sending since {begun} s");
    }
    let mut paused_before = dispatch([Subscription { status_since: time(late - LIFETIME), ..subscription(1) }]);
    paused_before.begin_sending(instant(0));
    assert_eq!(fail_again(&mut paused_before, late), waits(late), "resumed");
}

#[test]
fn a_clock_that_was_set_does_not_end_a_schedule() {
    // The wall clock says that a day has passed, the steady clock that a minute has, and the other way around.
    for (wall, steady) in [(86_400, 60), (60, 86_400)] {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.begin_sending(instant(0));
        dispatch.accept_row(claimed(1, 1, 1));
        dispatch.send(99);
        let failed = attempt(1, 1, timeout(), time(wall), seconds(1));
        dispatch.settle(failed, time(wall), instant(steady), 0.0);
        assert_eq!(dispatch.row(1, 1), Some(Row::Update(due(2, wall + 20))));
    }
}

#[test]
fn a_schedule_that_was_made_shorter_does_not_count_the_time_before() {
    let mut dispatch = dispatch([Subscription { schedule: vec![seconds(5000); 2], ..subscription(1) }]);
    dispatch.begin_sending(instant(0));
    dispatch.set_subscriptions(vec![subscription(1)], instant(4000));
    assert_eq!(fail_again(&mut dispatch, 4000 + LIFETIME), waits(4000 + LIFETIME));
}

#[test]
fn the_time_without_a_readable_secret_does_not_count() {
    let mut dispatch = dispatch([Subscription { active: false, ..subscription(1) }]);
    dispatch.begin_sending(instant(0));
    dispatch.set_subscriptions(vec![subscription(1)], instant(86_400));
    assert_eq!(fail_again(&mut dispatch, 86_400 + LIFETIME), waits(86_400 + LIFETIME));
}

#[test]
fn a_subscription_is_disabled_once() {
    let mut dispatch = dispatch([Subscription { disable_after: Some(1), ..subscription(1) }]);
    dispatch.accept(&[1], [1, 2]);
    dispatch.send(99);
    dispatch.conclude(1, 1, timeout());
    dispatch.conclude(2, 1, status(410));
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Failures));
}

#[test]
fn a_receiver_can_ask_for_more_time_only_with_429_and_503() {
    for (code, after) in [(429, 15), (503, 15), (500, 10)] {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.accept(&[1], [1]);
        dispatch.send(99);
        let asking = Answer { status: code, excerpt: String::new(), retry_after: Some(seconds(15)) };
        dispatch.conclude(1, 1, Outcome::Answered(asking));
        assert_eq!(dispatch.row(1, 1), Some(Row::Insert(due(1, after))), "status {code}");
    }
}

#[test]
fn the_history_has_failures_and_retries_and_with_log_successes_first_attempts() {
    let mut dispatch = dispatch([subscription(1), Subscription { log_successes: true, ..subscription(2) }]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.accept_row(claimed(2, 1, 1));
    dispatch.send(99);
    dispatch.conclude(1, 1, status(200));
    assert!(dispatch.writes.attempts.is_empty());
    dispatch.conclude(1, 2, status(201));
    dispatch.conclude(2, 1, status(202));
    let recorded: Vec<_> = dispatch.writes.attempts.iter().map(|record| (record.status, record.attempt)).collect();
    assert_eq!(recorded, [(Some(201), 1), (Some(202), 2)]);
    assert!(dispatch.writes.attempts.iter().all(|record| record.error.is_none() && record.next_at.is_none()));
}

#[test]
fn a_subscription_that_keeps_bodies_keeps_what_succeeds_with_the_answer_and_others_keep_nothing() {
    let keeping = Subscription { keep_bodies: Some(seconds(100)), ..subscription(2) };
    let mut dispatch = dispatch([subscription(1), keeping]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.accept_row(claimed(2, 2, 3));
    dispatch.accept_row(claimed(3, 2, 0));
    dispatch.send(99);
    dispatch.conclude(1, 1, status(200));
    assert_eq!(dispatch.writes.bytes(), 0, "it keeps nothing");
    dispatch.conclude(1, 2, status(201));
    dispatch.conclude(2, 2, status(202));
    dispatch.conclude(3, 2, status(500));
    assert!(dispatch.writes.bytes() > 0);
    let part = dispatch.writes.take_part();
    let kept: Vec<_> = part.delivered.iter().map(|kept| (kept.work.delivery, kept.status, kept.attempts())).collect();
    assert_eq!(kept, [(id_of(1, 2), 201, 1), (id_of(2, 2), 202, 4)]);
    for kept in &part.delivered {
        assert_eq!((kept.excerpt.as_str(), kept.response_ms), ("said so", 1000));
        assert_eq!((kept.at, kept.kept_until), (time(0), time(100)));
    }
    assert_eq!((dispatch.writes.bytes(), dispatch.writes.is_empty()), (0, true));
}

#[test]
fn the_history_says_what_was_answered_or_why_there_was_no_answer() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], [1, 2]);
    dispatch.send(99);
    dispatch.conclude(1, 1, status(302));
    dispatch.conclude(2, 1, timeout());
    let [answered, silent] = &dispatch.writes.attempts[..] else { panic!("{:?}", dispatch.writes.attempts) };
    assert_eq!((answered.status, answered.excerpt.as_deref()), (Some(302), Some("said so")));
    assert!(matches!(&answered.error, Some((ErrorClass::Status, message)) if message.contains("302")));
    assert_eq!((silent.status, silent.excerpt.as_deref()), (None, None));
    assert_eq!(silent.error, Some((ErrorClass::Timeout, "too late".into())));
    assert_eq!((silent.at, silent.response_ms), (time(0), Some(1000)));
}

#[test]
fn every_delivery_is_counted() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], 1..=3);
    dispatch.send(99);
    for (event, code) in [(1, 200), (2, 204), (3, 500)] {
        dispatch.conclude(event, 1, status(code));
    }
    let hour = time(0).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 3600;
    let part = dispatch.tally.take_part();
    let counted: Vec<_> = part.iter().collect();
    let [(SubscriptionId(1), at, counts)] = counted[..] else { panic!("{counted:?}") };
    let total = counts.total();
    assert_eq!((at, total.delivered, total.failed_attempts, total.failed), (hour, 2, 1, 0));
    assert_eq!(total.times.counts().iter().sum::<i64>(), 3, "an answer that is a failure is counted too");
    let mut by_status: Vec<_> = counts.iter().map(|(known, attempts)| (known.result, attempts.number)).collect();
    by_status.sort_by_key(|(result, _)| format!("{result:?}"));
    assert_eq!(by_status, [200, 204, 500].map(|status| (AttemptResult::Status(status), 1)));
    let names = |known: &Combination| {
        (known.event_type.as_deref() == Some("ticket.created"), known.tenant_id.as_deref() == Some("t1"))
    };
    assert!(counts.iter().all(|(known, _)| names(known) == (true, true) && !known.others));
}
