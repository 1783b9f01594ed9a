//! Deliveries from event to success or failure, one step at a time. `simulation` does all steps in random order.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use wire::attempt::{Answer, Attempt, ErrorClass, Failure, Outcome};
use wire::event::Event;
use wire::preset::Preset;
use wire::request::{Endpoint, Request};
use wire::secret::SigningSecret;

use super::intake::first_work;
use super::*;
use crate::stored_event::StoredEvent;
use crate::stored_event::tests::{key, stored};
use crate::subscription::{DisabledReason, Failing, Subscription};
use crate::work::Work;
use crate::xid::Xid8;

mod claims;
mod held;
mod moving;
mod outcomes;
mod room;
mod sending;
mod simulation;
mod subscriptions;

/// The limits of lanes: the maximum number of deliveries in memory, the number from which a lane is crowded, the time
/// for which a crowded lane may keep others waiting, and the number of failures after which an endpoint gets one
/// request at a time.
const LANE: i64 = 2000;
const CROWD: i64 = 1000;
const CROWDED_FOR: Duration = Duration::from_millis(100);
const FAILING_FROM: i64 = 5;

/// The write that is decided about one delivery.
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
        drops_missed: false,
        cancelled_at: None,
        preset: Preset::Hydra,
        endpoint: Arc::new(endpoint),
        schedule: vec![seconds(10), seconds(20)],
        max_in_flight: 10,
        disable_after: None,
        disable_after_time: None,
        stale_after: None,
        rate_limit: None,
        log_successes: false,
        keep_bodies: None,
        failing: Failing::default(),
    }
}

fn failing(attempts: u32) -> Failing {
    Failing { attempts, since: Some(time(0)), lasted: Duration::ZERO }
}

fn paused(id: i64) -> Subscription {
    Subscription { active: false, status_since: time(1), ..subscription(id) }
}

/// A subscription that was disabled and then resumed without what it had missed.
fn resumed_without_missed(id: i64) -> Subscription {
    Subscription { drops_missed: true, status_since: time(2), ..subscription(id) }
}

fn one_at_a_time(id: i64) -> Subscription {
    Subscription { max_in_flight: 1, ..subscription(id) }
}

fn dispatch(subscriptions: impl IntoIterator<Item = Subscription>) -> Dispatch {
    let mut dispatch = Dispatch::default();
    dispatch.set_subscriptions(subscriptions.into_iter().collect(), instant(0));
    dispatch
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The time this many seconds after the beginning of these tests.
fn time(after: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + seconds(1_000_000_000 + after)
}

/// The same time on the steady clock.
fn instant(after: u64) -> Instant {
    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
    *BEGINNING + seconds(after)
}

fn wanted_by(targets: &[i64], id: i64) -> StoredEvent {
    stored(xid_of(id), id, targets)
}

fn with_entity(event: StoredEvent, entity: String) -> StoredEvent {
    StoredEvent { event: Event { entity: Some(entity), ..event.event }, ..event }
}

fn xid_of(event: i64) -> u64 {
    event as u64 + 500
}

fn id_of(event: i64, subscription: i64) -> DeliveryId {
    DeliveryId::derive(key(event), SubscriptionId(subscription))
}

fn disabled(id: i64, reason: DisabledReason) -> HashMap<SubscriptionId, DisabledReason> {
    HashMap::from([(SubscriptionId(id), reason)])
}

/// A delivery as it is claimed from the retry queue.
fn claimed(event: i64, subscription: i64, attempts: u32) -> Work {
    let known = wanted_by(&[subscription], event);
    let work = first_work(&self::subscription(subscription), &known, "{}".into());
    Work { attempts, scheduled_at: (attempts > 0).then(|| time(0)), ..work }
}

fn status(status: u16) -> Outcome {
    Outcome::Answered(Answer { status, excerpt: "said so".into(), retry_after: None })
}

fn timeout() -> Outcome {
    Outcome::Failed(Failure { class: ErrorClass::Timeout, message: "too late".into() })
}

/// Something on this side prevented the request.
fn fault() -> Outcome {
    Outcome::Failed(Failure { class: ErrorClass::Resolver, message: "nobody knows the name".into() })
}

fn due(attempts: u32, after: u64) -> RowState {
    RowState::Due { attempts, scheduled_at: Some(time(0)), due_at: time(after) }
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

    fn accept_row(&mut self, work: Work) {
        self.accept_claimed(work, Instant::now());
    }

    /// The outcome of a request that was made and answered at `time(0)`.
    fn conclude(&mut self, event: i64, subscription: i64, outcome: Outcome) {
        self.conclude_at(time(0), event, subscription, outcome);
    }

    fn conclude_at(&mut self, at: SystemTime, event: i64, subscription: i64, outcome: Outcome) {
        let after = at.duration_since(time(0)).expect("tests begin then").as_secs();
        self.settle(attempt(event, subscription, outcome, at, seconds(1)), at, instant(after), 0.0);
    }

    fn conclude_quickly(&mut self, event: i64, subscription: i64, outcome: Outcome) {
        let at = time(event as u64);
        let took = Duration::from_micros(200);
        self.settle(attempt(event, subscription, outcome, at, took), at, instant(event as u64), 0.0);
    }

    /// Writes all decisions so far.
    fn write_all(&mut self, now: SystemTime) {
        while !self.writes.is_empty() {
            let part = self.writes.take_part();
            self.written(&part, now);
        }
    }

    fn has_no_rows(&self) -> bool {
        self.writes.inserts.is_empty() && self.writes.changes.is_empty()
    }

    fn row(&self, event: i64, subscription: i64) -> Option<Row> {
        let key = (key(event), id_of(event, subscription));
        if let Some((_, state)) = self.writes.inserts.get(&key) {
            return Some(Row::Insert(*state));
        }
        let change = self.writes.changes.get(&key)?;
        assert_eq!(change.of.subscription, SubscriptionId(subscription));
        Some(change.state.map_or(Row::Delete, Row::Update))
    }

    /// The events whose rows will be deleted.
    fn finished(&self) -> Vec<i64> {
        let finished = self.writes.finished_events.iter().chain(self.writes.moved.values());
        finished
            .map(|row| {
                assert_eq!(row.xid, Xid8(xid_of(row.event.id.0)));
                row.event.id.0
            })
            .collect()
    }

    /// The deliveries that may be sent now, as `(event, subscription)`. The ids of events are below 10,000 here.
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
