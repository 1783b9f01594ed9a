use std::collections::HashMap;

use wire::attempt::{Answer, Failure};
use wire::event::Event;
use wire::request::Endpoint;
use wire::secret::SigningSecret;

use super::*;
use crate::stored_event::tests::stored;
use crate::xid::Xid8;

mod simulation;

const NAMESPACE: [u8; 16] = [7; 16];

/// How many deliveries a lane holds, how many crowd it and for how long that may keep others waiting, and from how many
/// failures on its endpoint gets one request at a time.
const LANE: i64 = 2000;
const CROWD: i64 = 1000;
const CROWDED_FOR: Duration = Duration::from_millis(100);
const FAILING_FROM: i64 = 5;

/// What is to be written about one delivery.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    Insert(RowState),
    Update(RowState),
    Delete,
}

fn subscription(id: i64) -> Subscription {
    let endpoint = Endpoint {
        subscription: SubscriptionId(id),
        url: format!("https://receiver.example/{id}"),
        secrets: vec![SigningSecret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())],
        schemes: Vec::new(),
        headers: Vec::new(),
        timeout: seconds(8),
        gate: Arc::default(),
    };
    Subscription {
        id: SubscriptionId(id),
        active: true,
        status_since: time(0),
        preset: Preset::Hydra,
        endpoint: Arc::new(endpoint),
        schedule: vec![seconds(10), seconds(20)],
        max_in_flight: 10,
        disable_after: None,
        stale_after: None,
        rate_limit: None,
        log_successes: false,
        failing: Failing::default(),
    }
}

fn failing(attempts: u32) -> Failing {
    Failing { attempts, since: Some(time(0)) }
}

fn paused(id: i64) -> Subscription {
    Subscription { active: false, status_since: time(1), ..subscription(id) }
}

fn one_at_a_time(id: i64) -> Subscription {
    Subscription { max_in_flight: 1, ..subscription(id) }
}

fn dispatch(subscriptions: impl IntoIterator<Item = Subscription>) -> Dispatch {
    let mut dispatch = Dispatch::new(NAMESPACE);
    dispatch.set_subscriptions(subscriptions.into_iter().collect());
    dispatch
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Seconds after the moment at which these tests play.
fn time(after: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + seconds(1_000_000_000 + after)
}

fn wanted_by(targets: &[i64], id: i64) -> StoredEvent {
    stored(xid_of(id), id, targets)
}

fn xid_of(event: i64) -> u64 {
    event as u64 + 500
}

fn id_of(event: i64, subscription: i64) -> DeliveryId {
    DeliveryId::derive(NAMESPACE, EventId(event), SubscriptionId(subscription))
}

fn disabled(id: i64, reason: DisabledReason) -> HashMap<SubscriptionId, DisabledReason> {
    HashMap::from([(SubscriptionId(id), reason)])
}

/// A delivery as it is claimed from the retry queue.
fn claimed(event: i64, subscription: i64, attempts: u32) -> Work {
    let known = wanted_by(&[subscription], event);
    let work = first_work(NAMESPACE, &self::subscription(subscription), &known, "{}".into());
    Work { attempts, scheduled_at: (attempts > 0).then(|| time(0)), ..work }
}

fn status(status: u16) -> Outcome {
    Outcome::Answered(Answer { status, excerpt: "said so".into(), retry_after: None })
}

fn timeout() -> Outcome {
    Outcome::Failed(Failure { class: ErrorClass::Timeout, message: "too late".into() })
}

fn due(attempts: u32, after: u64) -> RowState {
    RowState::Due { attempts, scheduled_at: time(0), due_at: time(after) }
}

fn attempt(event: i64, subscription: i64, outcome: Outcome, at: SystemTime, took: Duration) -> Attempt {
    let delivery = id_of(event, subscription);
    Attempt { delivery, subscription: SubscriptionId(subscription), outcome, at, took }
}

impl Dispatch {
    fn accept(&mut self, targets: &[i64], events: impl IntoIterator<Item = i64>) {
        let now = Instant::now();
        events.into_iter().for_each(|id| self.accept_event(&wanted_by(targets, id), now));
    }

    fn accept_row(&mut self, work: Work, now: SystemTime) {
        self.accept_claimed(work, now, Instant::now());
    }

    /// What became of a request, made and over at `time(0)`.
    fn conclude(&mut self, event: i64, subscription: i64, outcome: Outcome) {
        self.conclude_at(time(0), event, subscription, outcome);
    }

    fn conclude_at(&mut self, at: SystemTime, event: i64, subscription: i64, outcome: Outcome) {
        self.settle(attempt(event, subscription, outcome, at, seconds(1)), at, 0.0);
    }

    fn conclude_quickly(&mut self, event: i64, subscription: i64, outcome: Outcome) {
        let at = time(event as u64);
        self.settle(attempt(event, subscription, outcome, at, Duration::from_micros(200)), at, 0.0);
    }

    fn row(&self, event: i64, subscription: i64) -> Option<Row> {
        self.writes.rows.get(&id_of(event, subscription)).map(|write| match write {
            RowWrite::Insert(_, state) => Row::Insert(*state),
            RowWrite::Update(id, state) => {
                assert_eq!(*id, SubscriptionId(subscription));
                Row::Update(*state)
            }
            RowWrite::Delete => Row::Delete,
        })
    }

    fn finished(&self) -> Vec<i64> {
        let finished = self.writes.finished_events.iter();
        finished
            .map(|row| {
                assert_eq!(row.xid, Xid8(xid_of(row.id.0)));
                row.id.0
            })
            .collect()
    }

    /// The ids of what may be sent now, as `(event, subscription)`; events are numbered below 10,000 here.
    fn send(&mut self, room: usize) -> Vec<(i64, i64)> {
        let requests = self.hand_out(room, Instant::now());
        requests
            .iter()
            .map(|request| {
                let subscription = request.endpoint.subscription.0;
                let event = (1..10_000).find(|event| id_of(*event, subscription) == request.delivery);
                (event.expect("a delivery of one of our events"), subscription)
            })
            .collect()
    }
}

#[test]
fn an_event_that_everybody_received_is_deleted_and_leaves_nothing() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1]);
    assert_eq!(dispatch.send(9), [(1, 1), (1, 2)]);
    dispatch.conclude(1, 1, status(200));
    assert!(dispatch.writes.is_empty(), "the other one is still under way");
    dispatch.conclude(1, 2, status(299));
    assert_eq!(dispatch.finished(), [1]);
    assert!(dispatch.writes.rows.is_empty() && dispatch.writes.attempts.is_empty());
    assert_eq!((dispatch.queued(), dispatch.in_flight()), (0, 0));
}

#[test]
fn an_event_of_which_one_delivery_fails_moves_with_all_that_are_unfinished() {
    let mut dispatch = dispatch([subscription(1), subscription(2), subscription(3), one_at_a_time(4)]);
    dispatch.accept(&[4], [1]);
    dispatch.accept(&[1, 2, 3, 4], [2]);
    assert_eq!(dispatch.send(9).len(), 4, "4 has one request at a time and is busy");
    dispatch.conclude(2, 1, status(204));
    dispatch.conclude(2, 2, timeout());

    assert_eq!(dispatch.finished(), [2]);
    assert_eq!(dispatch.row(2, 1), None, "it was delivered");
    assert_eq!(dispatch.row(2, 2), Some(Row::Insert(due(1, 10))));
    assert_eq!(dispatch.row(2, 3), Some(Row::Insert(RowState::Claimed)), "in flight");
    assert_eq!(dispatch.row(2, 4), Some(Row::Insert(RowState::Claimed)), "in memory, to be sent by us");
    assert_eq!(dispatch.row(1, 4), None, "another event");
}

#[test]
fn a_delivery_in_flight_when_its_event_moves_ends_without_a_row() {
    let mut dispatch = dispatch([subscription(1), subscription(2), subscription(3)]);
    dispatch.accept(&[1, 2, 3], [1]);
    dispatch.send(9);
    dispatch.conclude(1, 1, status(500));
    // Before the move is written there is nothing to delete yet; afterwards there is.
    dispatch.conclude(1, 2, status(200));
    assert_eq!(dispatch.row(1, 2), None);
    dispatch.written(time(0));
    dispatch.conclude(1, 3, status(200));
    assert_eq!(dispatch.row(1, 3), Some(Row::Delete));
    assert!(dispatch.finished().is_empty(), "it is deleted once");
}

#[test]
fn decisions_about_one_delivery_fold_into_one_write() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept_row(claimed(1, 1, 1), time(0));
    dispatch.send(9);
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.row(1, 1), Some(Row::Update(due(2, 20))));
    // Nothing was written, and still the next outcome is the one that counts.
    dispatch.accept_row(claimed(1, 1, 2), time(0));
    dispatch.send(9);
    dispatch.conclude(1, 1, status(200));
    assert_eq!(dispatch.row(1, 1), Some(Row::Delete));
    assert_eq!(dispatch.writes.rows.len(), 1);
    assert_eq!(dispatch.writes.attempts.len(), 2, "history folds nothing");
    dispatch.written(time(0));
    assert!(dispatch.writes.is_empty());
}

#[test]
fn an_event_unfinished_for_two_seconds_moves() {
    let mut dispatch = dispatch([subscription(1)]);
    let start = Instant::now();
    for (id, after) in [(1, 0), (2, 500), (3, 1000)] {
        dispatch.accept_event(&wanted_by(&[1], id), start + Duration::from_millis(after));
    }
    dispatch.send(9);
    dispatch.conclude(1, 1, status(200));
    dispatch.written(time(0));
    let moment = start + STRAGGLER + Duration::from_millis(600);
    dispatch.move_stragglers(moment);
    assert_eq!(dispatch.finished(), [2], "1 was delivered and 3 is young");
    assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Claimed)));
    assert_eq!(dispatch.next_change(), Some(start + STRAGGLER + seconds(1)));
}

#[test]
fn what_waits_behind_a_slow_endpoint_for_two_seconds_waits_in_the_table_and_nothing_overtakes_it() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    let start = Instant::now();
    dispatch.accept_event(&wanted_by(&[1], 1), start);
    dispatch.accept_event(&wanted_by(&[1, 2], 2), start);
    dispatch.accept_event(&wanted_by(&[1], 3), start + seconds(1));
    dispatch.send(9);
    dispatch.move_stragglers(start + STRAGGLER);
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(RowState::Claimed)), "under way");
    assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(2, 2), Some(Row::Insert(RowState::Claimed)), "under way to somebody else");
    assert_eq!(dispatch.row(3, 1), Some(Row::Insert(RowState::Released)), "young, and behind");
    dispatch.accept(&[1], [4]);
    assert_eq!(dispatch.row(4, 1), Some(Row::Insert(RowState::Released)), "new, and behind");
    dispatch.conclude(1, 1, status(200));
    assert!(dispatch.send(9).is_empty());
}

#[test]
fn what_does_not_fit_into_memory_waits_in_the_table_and_what_comes_later_goes_behind_it() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    dispatch.accept(&[1], 1..=LANE);
    assert!(dispatch.writes.is_empty());
    dispatch.accept(&[1, 2], [LANE + 1]);
    assert_eq!(dispatch.finished(), [LANE + 1]);
    assert_eq!(dispatch.row(LANE + 1, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(LANE + 1, 2), Some(Row::Insert(RowState::Claimed)), "2 has room");

    // There is room again, and still it goes behind.
    assert_eq!(dispatch.send(1), [(1, 1)]);
    dispatch.accept(&[1], [LANE + 2]);
    assert_eq!(dispatch.row(LANE + 2, 1), Some(Row::Insert(RowState::Released)));

    // Until the table is drained.
    dispatch.written(time(0));
    dispatch.set_next_due(SubscriptionId(1), Some(time(0)), time(1));
    dispatch.accept(&[1], [LANE + 3]);
    assert_eq!(dispatch.row(LANE + 3, 1), Some(Row::Insert(RowState::Released)));
    dispatch.written(time(0));
    dispatch.set_next_due(SubscriptionId(1), None, time(1));
    dispatch.conclude(1, 1, status(200));
    assert_eq!(dispatch.send(2), [(LANE + 1, 2), (2, 1)]);
    dispatch.written(time(0));
    dispatch.accept(&[1], [LANE + 4]);
    assert_eq!(dispatch.row(LANE + 4, 1), None);
}

#[test]
fn a_crowded_lane_holds_up_reading_for_a_moment_and_then_overflows() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    let start = Instant::now();
    (1..CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert!(dispatch.has_room(start));
    dispatch.accept_event(&wanted_by(&[1], CROWD), start);
    assert!(!dispatch.has_room(start));
    assert!(!dispatch.has_room(start + CROWDED_FOR - Duration::from_millis(1)));
    assert_eq!(dispatch.next_change(), Some(start + CROWDED_FOR));

    assert!(dispatch.has_room(start + CROWDED_FOR));
    dispatch.accept_event(&wanted_by(&[1, 2], CROWD + 1), start + CROWDED_FOR);
    assert_eq!(dispatch.row(CROWD + 1, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(CROWD + 1, 2), Some(Row::Insert(RowState::Claimed)));
    assert!(dispatch.send(99).contains(&(CROWD + 1, 2)), "the other one goes on");
}

#[test]
fn a_crowded_lane_that_drains_in_time_does_not_overflow() {
    let mut dispatch = dispatch([subscription(1)]);
    let start = Instant::now();
    (1..=CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert!(!dispatch.has_room(start));
    dispatch.send(1);
    assert!(dispatch.has_room(start));
    dispatch.accept_event(&wanted_by(&[1], CROWD + 1), start + CROWDED_FOR);
    assert!(dispatch.writes.is_empty());
}

#[test]
fn beside_a_lane_that_a_flood_crowds_there_is_room_for_others_until_one_of_them_is_crowded() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    let start = Instant::now();
    (1..=CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert!(!dispatch.has_room(start) && dispatch.has_room_beside(|id| id == SubscriptionId(1)));
    (CROWD + 1..=2 * CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[2], id), start));
    assert!(!dispatch.has_room_beside(|id| id == SubscriptionId(1)));
}

#[test]
fn beside_a_flood_nothing_is_read_that_could_make_its_lane_overflow() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    let start = Instant::now();
    let mut ids = 1..;
    while dispatch.has_room_beside(|id| id == SubscriptionId(1)) {
        // A page of what is for both.
        ids.by_ref().take(CROWD as usize / 4).for_each(|id| dispatch.accept_event(&wanted_by(&[1, 2], id), start));
        dispatch.send(99);
    }
    assert!(dispatch.writes.is_empty());
}

#[test]
fn no_more_is_read_than_memory_is_meant_to_hold() {
    let everybody: Vec<i64> = (1..=20).collect();
    let mut many = dispatch(everybody.iter().copied().map(subscription));
    many.accept(&everybody, 1..=199);
    assert!(many.has_room(Instant::now()));
    many.accept(&everybody, [200]);
    assert!(!many.has_room(Instant::now()));

    let mut large = dispatch([subscription(1)]);
    let entity = Some(format!("\"{}\"", "x".repeat(16 << 20)));
    let with_entity = |id| {
        let event = wanted_by(&[1], id);
        StoredEvent { event: Event { entity: entity.clone(), ..event.event }, ..event }
    };
    large.accept_event(&with_entity(1), Instant::now());
    assert!(large.has_room(Instant::now()));
    large.accept_event(&with_entity(2), Instant::now());
    assert!(!large.has_room(Instant::now()));
    large.send(1);
    assert!(large.has_room(Instant::now()));
}

#[test]
fn a_pause_gives_what_is_queued_back_to_the_table_and_closes_the_gate() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1, 2]);
    dispatch.accept_row(claimed(3, 1, 1), time(0));
    let requests = dispatch.hand_out(9, Instant::now());
    assert_eq!(requests.len(), 3);
    dispatch.set_subscriptions(vec![paused(1), subscription(2)]);

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
    assert_eq!(dispatch.row(1, 1), None, "in flight, and its event is where it was");

    // The one in flight is recorded; what else is queued for it waits.
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(due(1, 10))));
    dispatch.accept(&[1], [4]);
    assert_eq!(dispatch.row(4, 1), Some(Row::Insert(RowState::Released)));
    assert!(dispatch.send(9).is_empty());
    dispatch.written(time(0));
    assert!(dispatch.to_claim(time(100)).is_empty(), "nothing is claimed for a paused one");
}

#[test]
fn a_resumed_subscription_starts_with_its_counters_reset() {
    let failing = Subscription { failing: failing(7), max_in_flight: 3, ..subscription(1) };
    let mut dispatch = dispatch([failing]);
    dispatch.accept(&[1], 1..=3);
    assert_eq!(dispatch.send(9).len(), 1);
    let resumed = Subscription { status_since: time(5), max_in_flight: 3, ..subscription(1) };
    dispatch.set_subscriptions(vec![resumed]);
    assert_eq!(dispatch.send(9).len(), 2);
}

#[test]
fn a_change_that_is_no_resume_keeps_the_count_of_failures() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], 1..=FAILING_FROM);
    dispatch.send(9);
    (1..=FAILING_FROM).for_each(|event| dispatch.conclude(event, 1, timeout()));
    dispatch.set_subscriptions(vec![Subscription { log_successes: true, ..subscription(1) }]);
    (6..=8).for_each(|event| dispatch.accept_row(claimed(event, 1, 0), time(0)));
    assert_eq!(dispatch.send(9).len(), 1);
}

#[test]
fn a_deleted_subscription_is_waited_for_by_nobody() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    dispatch.accept(&[1], [1]);
    dispatch.accept(&[1, 2], [2]);
    dispatch.accept_row(claimed(3, 1, 1), time(0));
    dispatch.send(9);
    dispatch.conclude(2, 2, status(200));
    assert!(dispatch.finished().is_empty());
    dispatch.set_subscriptions(vec![subscription(2)]);
    assert_eq!(dispatch.finished(), [2], "nobody else wanted it");
    assert_eq!(dispatch.writes.deleted, [SubscriptionId(1)]);
    assert_eq!(dispatch.row(3, 1), Some(Row::Delete));
    assert_eq!(dispatch.queued(), 0);

    // The one in flight is history, and not tried again.
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.finished(), [2, 1]);
    assert!(dispatch.writes.attempts.iter().map(|attempt| attempt.next_at).eq([None]));
    assert_eq!(dispatch.row(1, 1), None);
    assert_eq!(dispatch.in_flight(), 0);
}

#[test]
fn what_was_handed_out_for_a_deleted_subscription_and_not_sent_gets_no_row() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.accept_row(claimed(2, 1, 1), time(0));
    dispatch.send(9);
    dispatch.set_subscriptions(vec![subscription(2)]);
    dispatch.conclude(1, 1, Outcome::NotStarted);
    dispatch.conclude(2, 1, Outcome::NotStarted);
    assert_eq!((dispatch.row(1, 1), dispatch.row(2, 1)), (None, Some(Row::Delete)));
    dispatch.conclude(1, 2, status(200));
    assert_eq!(dispatch.finished(), [1]);
}

#[test]
fn an_event_that_nobody_is_left_for_is_deleted_at_once() {
    let mut dispatch = dispatch([subscription(1)]);
    assert!(dispatch.has_strangers(&[wanted_by(&[1, 9], 1)]));
    assert!(!dispatch.has_strangers(&[wanted_by(&[1], 1)]));
    dispatch.accept(&[9], [1]);
    assert_eq!(dispatch.finished(), [1]);
    dispatch.accept_row(claimed(2, 9, 1), time(0));
    assert_eq!(dispatch.row(2, 9), Some(Row::Delete));
    assert!(dispatch.send(9).is_empty());
}

#[test]
fn what_a_thread_did_not_get_to_is_the_next_to_be_sent_in_the_same_order() {
    let mut dispatch = dispatch([one_at_a_time(1)]);
    dispatch.accept(&[1], 1..=5);
    assert_eq!(dispatch.send(1), [(1, 1)]);
    dispatch.conclude_quickly(1, 1, status(200));
    let chain = dispatch.hand_out(1, Instant::now());
    assert_eq!(chain.iter().map(length).collect::<Vec<_>>(), [4], "a quick endpoint gets several at a time");
    dispatch.conclude(2, 1, status(200));
    dispatch.conclude(3, 1, Outcome::NotStarted);
    dispatch.conclude(4, 1, Outcome::NotStarted);
    assert!(dispatch.send(1).is_empty(), "the thread has not given back all");
    dispatch.conclude(5, 1, Outcome::NotStarted);
    for event in 3..=5 {
        assert_eq!(dispatch.send(1), [(event, 1)]);
        dispatch.conclude(event, 1, status(200));
    }
    assert!(dispatch.writes.rows.is_empty() && dispatch.writes.attempts.is_empty());
    assert_eq!((dispatch.queued(), dispatch.in_flight()), (0, 0));
}

fn length(request: &Request) -> usize {
    1 + request.next.as_deref().map_or(0, length)
}

#[test]
fn a_request_that_a_closed_gate_stopped_counts_for_nothing() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], [1]);
    dispatch.accept_row(claimed(2, 1, 2), time(0));
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
fn an_outcome_that_nobody_waits_for_is_ignored() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.conclude(1, 1, status(500));
    assert!(dispatch.writes.is_empty());
    assert_eq!(dispatch.in_flight(), 0);
}

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
            _ => dispatch.accept_row(claimed(event, 1, attempts), time(0)),
        }
        dispatch.send(9);
        dispatch.conclude(event, 1, status(500));
        assert_eq!(dispatch.row(event, 1), Some(row));
    }
    let told = dispatch.writes.attempts.iter().map(|record| (record.attempt, record.next_at));
    assert!(told.eq([(1, Some(time(10))), (2, Some(time(20))), (3, None)]));
}

#[test]
fn a_retry_by_hand_starts_the_schedule_anew_and_goes_on_counting_attempts() {
    let mut dispatch = dispatch([subscription(1)]);
    let again = Work { earlier_attempts: 3, scheduled_at: None, ..claimed(1, 1, 3) };
    dispatch.accept_row(again, time(0));
    dispatch.send(9);
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.row(1, 1), Some(Row::Update(due(4, 10))));
    assert_eq!(dispatch.writes.attempts[0].attempt, 4);
}

#[test]
fn a_delivery_that_outlived_its_schedule_is_failed_without_a_request() {
    let mut dispatch = dispatch([subscription(1)]);
    let once = 30 + 3 * subscription(1).endpoint.timeout.as_secs();
    dispatch.accept_row(claimed(1, 1, 1), time(2 * once));
    dispatch.accept_row(claimed(2, 1, 1), time(2 * once + 1));
    dispatch.accept_row(claimed(3, 1, 0), time(1000));
    assert_eq!(dispatch.send(9), [(1, 1), (3, 1)], "a delivery that was never tried has no schedule to outlive");
    assert_eq!(dispatch.row(2, 1), Some(Row::Update(RowState::Failed { attempts: 2 })));
    let record = &dispatch.writes.attempts[0];
    assert!(matches!(record.error, Some((ErrorClass::Expired, _))));
    assert_eq!((record.attempt, record.status, record.response_ms, record.next_at), (2, None, None, None));
}

#[test]
fn the_time_of_a_pause_does_not_bring_a_delivery_nearer_to_its_end() {
    let mut dispatch = dispatch([Subscription { status_since: time(1000), ..subscription(1) }]);
    dispatch.accept_row(claimed(1, 1, 1), time(1059));
    assert_eq!(dispatch.send(9), [(1, 1)]);
}

#[test]
fn gone_disables_a_subscription() {
    let mut dispatch = dispatch([one_at_a_time(1)]);
    dispatch.accept(&[1], [1, 2]);
    let requests = dispatch.hand_out(9, Instant::now());
    dispatch.conclude(1, 1, status(410));
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Gone));
    assert!(requests[0].endpoint.gate.is_closed());
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(due(1, 10))), "it can go on after a resume");
    assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Released)));
    assert!(dispatch.send(9).is_empty());
}

#[test]
fn enough_failures_in_a_row_disable_a_subscription_and_a_success_starts_the_count_again() {
    let mut dispatch = dispatch([Subscription { disable_after: Some(3), ..subscription(1) }]);
    dispatch.accept(&[1], 1..=6);
    dispatch.send(9);
    for event in [1, 2] {
        dispatch.conclude(event, 1, timeout());
    }
    assert_eq!(dispatch.verdicts.failing[&SubscriptionId(1)].attempts, 2);
    dispatch.conclude(3, 1, status(200));
    assert_eq!(dispatch.verdicts.failing[&SubscriptionId(1)].attempts, 0);
    for event in [4, 5] {
        dispatch.conclude(event, 1, status(404));
    }
    assert!(dispatch.verdicts.disabled.is_empty());
    dispatch.conclude(6, 1, timeout());
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Failures));
    assert_eq!(dispatch.verdicts.failing[&SubscriptionId(1)].attempts, 3);
}

#[test]
fn days_without_a_success_disable_a_subscription_and_a_success_starts_them_again() {
    let mut dispatch = dispatch([Subscription { stale_after: Some(seconds(100)), ..subscription(1) }]);
    dispatch.accept(&[1], 1..=5);
    dispatch.send(9);
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
            dispatch.settle(Attempt { delivery, subscription, outcome, at, took }, at, 0.0);
        }
    }
    assert_eq!(started, (0..1000).step_by(100).collect::<Vec<_>>());
    // Nothing but the passing of time lets it send again, so somebody has to be told when.
    assert_eq!(dispatch.next_change(), Some(start + Duration::from_millis(1000)));
}

#[test]
fn a_subscription_is_disabled_once() {
    let mut dispatch = dispatch([Subscription { disable_after: Some(1), ..subscription(1) }]);
    dispatch.accept(&[1], [1, 2]);
    dispatch.send(9);
    dispatch.conclude(1, 1, timeout());
    dispatch.conclude(2, 1, status(410));
    assert_eq!(dispatch.verdicts.disabled, disabled(1, DisabledReason::Failures));
}

#[test]
fn an_endpoint_that_failed_five_times_gets_one_request_at_a_time_until_one_succeeds() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], 1..=8);
    assert_eq!(dispatch.send(5).len(), 5);
    (1..=4).for_each(|event| dispatch.conclude(event, 1, status(500)));
    dispatch.conclude(5, 1, status(500));
    assert_eq!(dispatch.row(6, 1), Some(Row::Insert(RowState::Released)), "it would wait in memory for long");
    (6..=8).for_each(|event| dispatch.accept_row(claimed(event, 1, 0), time(0)));
    assert_eq!(dispatch.send(9), [(6, 1)]);
    assert!(dispatch.send(9).is_empty());
    dispatch.conclude(6, 1, status(500));
    assert_eq!(dispatch.send(9), [(7, 1)]);
    dispatch.conclude(7, 1, status(200));
    (9..=10).for_each(|event| dispatch.accept_row(claimed(event, 1, 0), time(0)));
    assert_eq!(dispatch.send(9).len(), 3);
}

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
fn what_waits_in_the_table_is_claimed_when_it_is_due_and_not_before() {
    let mut dispatch = dispatch([subscription(1), one_at_a_time(2)]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.send(9);
    dispatch.conclude(1, 1, status(500));
    dispatch.conclude(1, 2, status(500));
    assert!(dispatch.to_claim(time(100)).is_empty(), "the rows are not written yet");
    dispatch.written(time(0));
    assert!(dispatch.to_claim(time(9)).is_empty());
    assert_eq!(dispatch.next_due_after(time(9)), Some(time(10)));
    assert_eq!(
        dispatch.to_claim(time(10)),
        [(SubscriptionId(1), 20), (SubscriptionId(2), 16)],
        "twice what may be in flight, and no less than 16"
    );
    assert_eq!(dispatch.next_due_after(time(10)), None);

    // What is in memory takes up room.
    dispatch.accept_row(claimed(1, 2, 1), time(10));
    assert_eq!(dispatch.to_claim(time(10)), [(SubscriptionId(1), 20), (SubscriptionId(2), 15)]);
    dispatch.set_next_due(SubscriptionId(1), None, time(10));
    assert_eq!(dispatch.to_claim(time(10)), [(SubscriptionId(2), 15)]);
}

#[test]
fn for_an_endpoint_that_keeps_failing_one_row_is_claimed_at_a_time() {
    let mut dispatch = dispatch([Subscription { failing: failing(5), ..subscription(1) }]);
    dispatch.set_next_due(SubscriptionId(1), Some(time(0)), time(0));
    assert_eq!(dispatch.to_claim(time(0)), [(SubscriptionId(1), 1)]);
    dispatch.accept_row(claimed(1, 1, 1), time(0));
    assert!(dispatch.to_claim(time(0)).is_empty());
    dispatch.send(9);
    assert!(dispatch.to_claim(time(0)).is_empty());
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.to_claim(time(0)), [(SubscriptionId(1), 1)]);
}

#[test]
fn history_has_failures_and_retries_and_first_successes_where_they_are_wanted() {
    let mut dispatch = dispatch([subscription(1), Subscription { log_successes: true, ..subscription(2) }]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.accept_row(claimed(2, 1, 1), time(0));
    dispatch.send(9);
    dispatch.conclude(1, 1, status(200));
    assert!(dispatch.writes.attempts.is_empty());
    dispatch.conclude(1, 2, status(201));
    dispatch.conclude(2, 1, status(202));
    let told: Vec<_> = dispatch.writes.attempts.iter().map(|record| (record.status, record.attempt)).collect();
    assert_eq!(told, [(Some(201), 1), (Some(202), 2)]);
    assert!(dispatch.writes.attempts.iter().all(|record| record.error.is_none() && record.next_at.is_none()));
}

#[test]
fn a_record_says_what_was_answered_or_why_nothing_was() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], [1, 2]);
    dispatch.send(9);
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
fn a_receiver_can_ask_for_time_with_429_and_503_alone() {
    for (code, after) in [(429, 15), (503, 15), (500, 10)] {
        let mut dispatch = dispatch([subscription(1)]);
        dispatch.accept(&[1], [1]);
        dispatch.send(9);
        let asking = Answer { status: code, excerpt: String::new(), retry_after: Some(seconds(15)) };
        dispatch.conclude(1, 1, Outcome::Answered(asking));
        assert_eq!(dispatch.row(1, 1), Some(Row::Insert(due(1, after))), "status {code}");
    }
}

#[test]
fn every_delivery_is_counted() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept(&[1], 1..=3);
    dispatch.send(9);
    for (event, code) in [(1, 200), (2, 204), (3, 500)] {
        dispatch.conclude(event, 1, status(code));
    }
    let hour = time(0).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 3600;
    let counted: Vec<_> = dispatch.tally.iter().collect();
    let [(SubscriptionId(1), at, count)] = counted[..] else { panic!("{counted:?}") };
    assert_eq!((at, count.delivered, count.failed_attempts, count.failed), (hour, 2, 1, 0));
    assert_eq!(count.times.iter().sum::<i64>(), 3, "a failure that is an answer took its time, too");
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

#[test]
fn many_slow_endpoints_leave_threads_for_one_that_answers() {
    let mut dispatch = dispatch((1..=9).map(subscription).collect::<Vec<_>>());
    (1..=8).for_each(|slow| dispatch.accept(&[slow], slow * 100..slow * 100 + 50));
    assert_eq!(dispatch.send(64).len(), 48);
    dispatch.accept(&[9], [1]);
    assert_eq!(dispatch.send(64), [(1, 9)]);
}

#[test]
fn an_event_that_somebody_received_is_not_left_for_the_next_dispatcher_to_send_again() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.accept(&[1, 2], [2]);
    dispatch.send(9);
    dispatch.conclude(1, 1, status(200));
    dispatch.move_half_delivered();
    assert_eq!(dispatch.finished(), [1]);
    assert_eq!(dispatch.row(1, 2), Some(Row::Insert(RowState::Claimed)));
    assert_eq!(dispatch.row(2, 2), None);
}

#[test]
fn a_subscription_that_is_gone_is_asked_after_once() {
    let event = wanted_by(&[1, 2], 1);
    let mut dispatch = dispatch([subscription(1)]);
    assert!(dispatch.has_strangers(std::slice::from_ref(&event)));
    dispatch.accept_event(&event, Instant::now());
    assert!(!dispatch.has_strangers(std::slice::from_ref(&event)));
}
