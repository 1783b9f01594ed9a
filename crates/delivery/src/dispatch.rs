//! The pure heart of the dispatcher: what to send next, and what to write about what was sent.
//!
//! *One event, one home.* An event starts in `hydra.event`. While all goes well its deliveries exist in memory alone,
//! and when the last of them succeeded the event's row is deleted. As soon as one of them fails, has to wait, or is
//! unfinished after [`STRAGGLER`], the event *moves*: every delivery without a success gets a row in
//! `hydra.delivery`, and the event's row goes in the same transaction. Whether a delivery's home is its event or a row
//! of its own is thus the question whether its event is still in `open`.
//!
//! Nothing here knows Postgres, a clock or chance: rows come in as [`StoredEvent`] and [`Work`], outcomes as [`Attempt`];
//! requests go out through [`Dispatch::hand_out`], and decisions are left in [`Dispatch::writes`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use foldhash::{HashMap, HashSet};
use smallvec::SmallVec;
use wire::attempt::{Attempt, ErrorClass, Outcome};
use wire::ids::{DeliveryId, EventId, SubscriptionId};
use wire::preset::Preset;
use wire::request::Request;

use crate::lanes::{FAILING_FROM, Lanes};
use crate::retry;
use crate::stored_event::{EventRow, StoredEvent};
use crate::subscription::{DisabledReason, Failing, Subscription};
use crate::tally::Tally;
use crate::work::Work;
use crate::writes::{AttemptRecord, RowState, RowWrite, Verdicts, Writes};
use judgement::{is_expired, reason_to_disable, record, retry_after};

mod judgement;
#[cfg(test)]
mod tests;

/// How long an event may be unfinished before it moves: what bounds the deliveries that a crash repeats.
pub const STRAGGLER: Duration = Duration::from_secs(2);

/// Deliveries of one event. Most events have one, which then takes no memory of its own.
type Deliveries = SmallVec<[Arc<Work>; 1]>;

/// Bodies of one event, each with the preset that it was made for.
type Bodies = SmallVec<[(Preset, Arc<str>); 1]>;

/// An event whose home is its row in `hydra.event`.
#[derive(Debug)]
struct OpenEvent {
    row: EventRow,
    deliveries: usize,
    /// Deliveries without a success.
    remaining: Deliveries,
}

/// A delivery that was handed out.
#[derive(Debug)]
struct UnderWay {
    work: Arc<Work>,
    /// Whether its thread is free after it.
    last: bool,
}

#[derive(Debug)]
pub struct Dispatch {
    /// What delivery ids are derived from.
    namespace: [u8; 16],
    lanes: Lanes,
    open: HashMap<EventId, OpenEvent>,
    /// Events by age, finished ones included.
    ages: VecDeque<(Instant, EventId)>,
    under_way: HashMap<DeliveryId, UnderWay>,
    /// Subscriptions that events named and that are no more; ids are not used again.
    gone: HashSet<SubscriptionId>,
    /// Since when deliveries are sent: the time before does not count against any.
    sending_since: SystemTime,
    pub writes: Writes,
    pub verdicts: Verdicts,
    pub tally: Tally,
}

impl Dispatch {
    pub fn new(namespace: [u8; 16]) -> Self {
        Self {
            namespace,
            lanes: Lanes::default(),
            open: HashMap::default(),
            ages: VecDeque::new(),
            under_way: HashMap::default(),
            gone: HashSet::default(),
            sending_since: SystemTime::UNIX_EPOCH,
            writes: Writes::default(),
            verdicts: Verdicts::default(),
            tally: Tally::default(),
        }
    }

    /// Who we are has changed hands: deliveries of new events get other ids.
    pub fn set_namespace(&mut self, namespace: [u8; 16]) {
        self.namespace = namespace;
    }

    /// Deliveries are sent from now on.
    pub fn begin_sending(&mut self, now: SystemTime) {
        self.sending_since = now;
    }

    /// No request starts any more, also of those that were handed out.
    pub fn close_gates(&mut self) {
        for id in self.lanes.ids() {
            if let Some(lane) = self.lanes.get(id) {
                lane.subscription.endpoint.gate.close();
            }
        }
    }

    pub fn queued(&self) -> usize {
        self.lanes.queued()
    }

    pub fn in_flight(&self) -> usize {
        self.lanes.in_flight()
    }

    /// Whether more should be read; the tables are the buffer.
    pub fn has_room(&mut self, now: Instant) -> bool {
        self.lanes.have_room(now)
    }

    /// Whether more should be read, however crowded the lanes are that a flood is for.
    pub fn has_room_beside(&self, is_flooded: impl Fn(SubscriptionId) -> bool) -> bool {
        self.lanes.have_room_beside(is_flooded)
    }

    /// Subscriptions that were promised an order.
    pub fn in_order(&self) -> HashSet<SubscriptionId> {
        self.lanes.subscriptions().filter(|one| one.is_in_order()).map(|one| one.id).collect()
    }

    /// Active subscriptions that were promised none.
    pub fn active_others(&self) -> HashSet<SubscriptionId> {
        self.lanes.subscriptions().filter(|one| one.active && !one.is_in_order()).map(|one| one.id).collect()
    }

    pub fn subscription_ids(&self) -> Vec<SubscriptionId> {
        self.lanes.ids()
    }

    /// Takes over the subscriptions as they are now.
    pub fn set_subscriptions(&mut self, subscriptions: Vec<Subscription>) {
        let known: HashSet<SubscriptionId> = subscriptions.iter().map(|subscription| subscription.id).collect();
        for id in self.lanes.ids() {
            if !known.contains(&id) {
                self.drop_lane(id);
            }
        }
        for subscription in subscriptions {
            self.set_subscription(subscription);
        }
    }

    fn drop_lane(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get(id) {
            lane.subscription.endpoint.gate.close();
        }
        for work in self.lanes.remove(id) {
            self.finish(&work);
        }
        self.writes.deleted.push(id);
    }

    fn set_subscription(&mut self, mut subscription: Subscription) {
        let id = subscription.id;
        // What we decided and could not write yet still holds.
        subscription.active &= !self.verdicts.disabled.contains_key(&id);
        let active = subscription.active;
        match self.lanes.get_mut(id) {
            None => self.lanes.insert(subscription),
            Some(lane) => {
                if lane.subscription.status_since != subscription.status_since {
                    lane.failing = subscription.failing;
                }
                let gate = &lane.subscription.endpoint.gate;
                if !active {
                    gate.close();
                } else if !gate.is_closed() {
                    // One gate for all that was handed out, before this change or after it.
                    let endpoint = Arc::get_mut(&mut subscription.endpoint).expect("nobody else has it yet");
                    endpoint.gate = Arc::clone(gate);
                }
                lane.subscription = subscription;
            }
        }
        if !active {
            self.release_queue(id);
        }
        self.lanes.give_turn(id);
    }

    /// Gives back to the table what is queued for a subscription.
    fn release_queue(&mut self, id: SubscriptionId) {
        for work in self.lanes.take_queue(id) {
            self.move_event(work.event);
            self.writes.update(&work, RowState::Released);
        }
    }

    /// Whether these events are for subscriptions that we have not heard of: then they have to be read again first. A
    /// commit can be seen a moment before the news of what it changed.
    pub fn has_strangers(&self, events: &[StoredEvent]) -> bool {
        let mut targets = events.iter().flat_map(|event| &event.targets);
        targets.any(|id| self.lanes.get(*id).is_none() && !self.gone.contains(id))
    }

    /// Takes in an event that was read from `hydra.event`.
    pub fn accept_event(&mut self, event: &StoredEvent, now: Instant) {
        let mut bodies = Bodies::new();
        let mut remaining = Deliveries::with_capacity(event.targets.len());
        for &id in &event.targets {
            // A subscription that was deleted since gets nothing.
            let Some(lane) = self.lanes.get(id) else {
                self.gone.insert(id);
                continue;
            };
            let body = body_for(lane.subscription.preset, event, &mut bodies);
            remaining.push(Arc::new(first_work(self.namespace, &lane.subscription, event, body)));
        }
        if remaining.is_empty() {
            self.writes.finished_events.push(event.row);
            return;
        }
        let open = OpenEvent { row: event.row, deliveries: remaining.len(), remaining: remaining.clone() };
        self.open.insert(event.row.id, open);
        self.ages.push_back((now, event.row.id));
        for work in remaining {
            self.enqueue_or_release(work, now);
        }
    }

    fn enqueue_or_release(&mut self, work: Arc<Work>, now: Instant) {
        let Some(lane) = self.lanes.get_mut(work.subscription) else { return };
        if lane.is_full() {
            lane.overflowing |= lane.subscription.active;
            self.move_event(work.event);
            self.writes.update(&work, RowState::Released);
        } else {
            self.lanes.push(work, now);
        }
    }

    /// Takes in a delivery that was claimed from `hydra.delivery`.
    pub fn accept_claimed(&mut self, work: Work, now: SystemTime, instant: Instant) {
        let Some(lane) = self.lanes.get(work.subscription) else {
            self.writes.delete(&work);
            return;
        };
        if !lane.subscription.active {
            self.writes.update(&work, RowState::Released);
        } else if is_expired(&lane.subscription, &work, self.sending_since, now) {
            self.expire(Arc::new(work), now);
        } else {
            self.lanes.push(Arc::new(work), instant);
        }
    }

    fn expire(&mut self, work: Arc<Work>, now: SystemTime) {
        self.tally.failed(work.subscription, now);
        // Counted as an attempt, so that each row of history has a number of its own.
        self.writes.update(&work, RowState::Failed { attempts: work.attempts + 1 });
        self.writes.attempts.push(AttemptRecord {
            attempt: work.attempts + 1,
            status: None,
            error: Some((ErrorClass::Expired, "unfinished at twice the sum of its schedule".into())),
            excerpt: None,
            response_ms: None,
            at: now,
            next_at: None,
            work,
        });
    }

    /// Lets subscriptions send again that have waited long enough for their rate limit.
    pub fn end_pauses(&mut self, now: Instant) {
        self.lanes.end_pauses(now);
    }

    /// The next requests to make, for so many threads.
    pub fn hand_out(&mut self, threads: usize, now: Instant) -> Vec<Request> {
        let mut requests = Vec::new();
        while let Some(works) = self.lanes.take(threads, now) {
            requests.extend(self.chain(works));
        }
        requests
    }

    /// The requests for one thread to make one after the other.
    fn chain(&mut self, works: Vec<Arc<Work>>) -> Option<Request> {
        let mut chain = None;
        for work in works.into_iter().rev() {
            let lane = self.lanes.get(work.subscription)?;
            let last = chain.is_none();
            chain = Some(Request {
                delivery: work.delivery,
                endpoint: Arc::clone(&lane.subscription.endpoint),
                preset: work.preset,
                event_type: Arc::clone(&work.event_type),
                body: Arc::clone(&work.body),
                next: chain.map(Box::new),
            });
            self.under_way.insert(work.delivery, UnderWay { work, last });
        }
        chain
    }

    /// Takes in what became of a request. `jitter` is a random number from -1 to 1.
    pub fn settle(&mut self, attempt: Attempt, now: SystemTime, jitter: f64) {
        let Some(UnderWay { work, last }) = self.under_way.remove(&attempt.delivery) else { return };
        if matches!(attempt.outcome, Outcome::Answered(_)) {
            self.tally.answered(work.subscription, now, attempt.took);
        }
        match &attempt.outcome {
            Outcome::NotStarted if self.lanes.get(work.subscription).is_none() => self.finish(&work),
            Outcome::NotStarted if self.lanes.is_open(work.subscription) => self.lanes.take_back(work),
            Outcome::NotStarted => {
                self.move_event(work.event);
                self.writes.update(&work, RowState::Released);
            }
            outcome if outcome.is_success() => self.settle_success(&work, &attempt, now),
            _ => self.settle_failure(&work, &attempt, now, jitter),
        }
        if last {
            self.lanes.land(attempt.subscription, &attempt);
        }
    }

    fn settle_success(&mut self, work: &Arc<Work>, attempt: &Attempt, now: SystemTime) {
        self.tally.delivered(work.subscription, now);
        let lane = self.lanes.get_mut(work.subscription);
        if work.attempts > 0 || lane.as_ref().is_some_and(|lane| lane.subscription.log_successes) {
            self.writes.attempts.push(record(work, attempt, None));
        }
        if let Some(lane) = lane
            && lane.failing.attempts > 0
        {
            lane.failing = Failing::default();
            self.verdicts.failing.insert(work.subscription, lane.failing);
        }
        self.finish(work);
    }

    fn settle_failure(&mut self, work: &Arc<Work>, attempt: &Attempt, now: SystemTime, jitter: f64) {
        self.tally.failed_attempt(work.subscription, now);
        let Some(lane) = self.lanes.get_mut(work.subscription) else {
            self.writes.attempts.push(record(work, attempt, None));
            self.finish(work);
            return;
        };
        lane.failing.attempts += 1;
        lane.failing.since.get_or_insert(now);
        let failing = lane.failing;
        let attempts = work.attempts + 1;
        let in_schedule = (attempts - work.earlier_attempts) as usize;
        let schedule = &lane.subscription.schedule;
        let due_at =
            retry::delay(schedule, in_schedule, retry_after(&attempt.outcome), jitter).map(|delay| now + delay);
        let disable = reason_to_disable(&attempt.outcome, failing, &lane.subscription, now);

        self.move_event(work.event);
        self.verdicts.failing.insert(work.subscription, failing);
        self.writes.attempts.push(record(work, attempt, due_at));
        let state = match due_at {
            Some(due_at) => {
                let scheduled_at = work.scheduled_at.unwrap_or(attempt.at);
                RowState::Due { attempts, scheduled_at, due_at }
            }
            None => {
                self.tally.failed(work.subscription, now);
                RowState::Failed { attempts }
            }
        };
        self.writes.update(work, state);
        match disable {
            Some(reason) => self.disable(work.subscription, reason),
            // What was meant for many requests at a time would wait in memory for very long.
            None if failing.attempts == FAILING_FROM => self.empty_lane(work.subscription),
            None => {}
        }
    }

    fn disable(&mut self, id: SubscriptionId, reason: DisabledReason) {
        if let Some(lane) = self.lanes.get_mut(id)
            && lane.subscription.active
        {
            lane.subscription.active = false;
            lane.subscription.endpoint.gate.close();
            self.verdicts.disabled.insert(id, reason);
            self.release_queue(id);
        }
    }

    /// A delivery is done: its row goes, or the event's row when it was the last.
    fn finish(&mut self, work: &Work) {
        let Some(open) = self.open.get_mut(&work.event) else {
            self.writes.delete(work);
            return;
        };
        open.remaining.retain(|other| other.delivery != work.delivery);
        if open.remaining.is_empty() {
            self.writes.finished_events.push(open.row);
            self.open.remove(&work.event);
        }
    }

    /// Gives each delivery of an event without a success a row of its own, if they have none yet.
    fn move_event(&mut self, event: EventId) {
        if let Some(open) = self.open.remove(&event) {
            self.writes.finished_events.push(open.row);
            for work in open.remaining {
                self.writes.insert(work);
            }
        }
    }

    /// Moves events that are unfinished for too long, and empties the lanes that hold them up: what waits for a slow
    /// endpoint waits in the table.
    pub fn move_stragglers(&mut self, now: Instant) {
        while let Some((since, event)) = self.ages.front().copied() {
            if let Some(open) = self.open.get(&event) {
                if now.duration_since(since) < STRAGGLER {
                    break;
                }
                let waiting: Vec<SubscriptionId> = self.not_under_way(open).collect();
                self.move_event(event);
                waiting.into_iter().for_each(|id| self.empty_lane(id));
            }
            self.ages.pop_front();
        }
    }

    fn not_under_way(&self, open: &OpenEvent) -> impl Iterator<Item = SubscriptionId> {
        let waiting = open.remaining.iter().filter(|work| !self.under_way.contains_key(&work.delivery));
        waiting.map(|work| work.subscription)
    }

    fn empty_lane(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.overflowing = true;
        }
        self.release_queue(id);
    }

    /// Moves events that some subscriptions have received already: left where they are, they would be sent to those
    /// again by the next dispatcher.
    pub fn move_half_delivered(&mut self) {
        let half = |(_, open): &(&EventId, &OpenEvent)| open.remaining.len() < open.deliveries;
        let events: Vec<EventId> = self.open.iter().filter(half).map(|(event, _)| *event).collect();
        events.into_iter().for_each(|event| self.move_event(event));
    }

    /// When time alone changes something: the oldest open event is due to move, a crowded lane overflows, or one that
    /// may send so many in a second may send again.
    pub fn next_change(&self) -> Option<Instant> {
        let straggler = self.ages.front().map(|(since, _)| *since + STRAGGLER);
        straggler.into_iter().chain(self.lanes.next_overflow()).chain(self.lanes.next_pause_end()).min()
    }

    /// The decisions so far have been written.
    pub fn written(&mut self, now: SystemTime) {
        let writes = std::mem::take(&mut self.writes);
        for (_, write) in writes.rows {
            match write {
                RowWrite::Insert(work, RowState::Released) => self.lanes.add_due(work.subscription, now),
                RowWrite::Update(id, RowState::Released) => self.lanes.add_due(id, now),
                RowWrite::Insert(work, RowState::Due { due_at, .. }) => self.lanes.add_due(work.subscription, due_at),
                RowWrite::Update(id, RowState::Due { due_at, .. }) => self.lanes.add_due(id, due_at),
                _ => {}
            }
        }
    }

    /// Which subscriptions have deliveries due in the table and room for them: id and how many.
    pub fn to_claim(&self, now: SystemTime) -> Vec<(SubscriptionId, i32)> {
        self.lanes.to_claim(now)
    }

    pub fn next_due_after(&self, now: SystemTime) -> Option<SystemTime> {
        self.lanes.next_due_after(now)
    }

    /// Says when the earliest row of a subscription in the table is due.
    pub fn set_next_due(&mut self, id: SubscriptionId, due: Option<SystemTime>, now: SystemTime) {
        self.lanes.set_next_due(id, due);
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.overflowing = due.is_some_and(|due| due <= now);
        }
    }
}

fn body_for(preset: Preset, event: &StoredEvent, bodies: &mut Bodies) -> Arc<str> {
    if let Some((_, body)) = bodies.iter().find(|(known, _)| *known == preset) {
        return Arc::clone(body);
    }
    let body = preset.body(&event.event);
    bodies.push((preset, Arc::clone(&body)));
    body
}

fn first_work(namespace: [u8; 16], subscription: &Subscription, event: &StoredEvent, body: Arc<str>) -> Work {
    Work {
        delivery: DeliveryId::derive(namespace, event.row.id, subscription.id),
        subscription: subscription.id,
        event: event.row.id,
        event_type: Arc::clone(&event.event.event_type),
        tenant_id: event.event.tenant_id.clone(),
        emitted_at: event.event.emitted_at,
        preset: subscription.preset,
        body,
        attempts: 0,
        earlier_attempts: 0,
        scheduled_at: None,
    }
}
