//! Decides which subscription may send next.
//!
//! Each subscription has a *lane*: a bounded queue of deliveries and a limit of requests in flight. Lanes take turns,
//! so that a slow or dead endpoint, or many events for one endpoint, never delay another endpoint. In each turn a
//! lane hands over one delivery. To an endpoint that answers quickly it hands over more, and more than may be in flight:
//! the sender starts them when it may.
//!
//! A lane may have as many requests in flight as are left for others. So there is always room for one more lane, however
//! many endpoints do not answer.
//!
//! Deliveries that do not fit into their lane, or that are to be retried, are rows of the retry queue. A lane knows
//! when the earliest of its rows is due. Rows are claimed only for a lane that has due rows and room for them. While a
//! lane is *overflowing*, its new deliveries become rows too, so that they are sent after those that already wait in
//! the table.
//!
//! A lane with many deliveries is *crowded*, see `crowds`.
//!
//! A lane with a rate limit waits after each request until the next one may start. The code calls this wait a *pause*.
//! It is not the pause of a subscription that a user asked for. A lane is *held* for some time if its receiver asked
//! for that with `Retry-After`, or if nothing can be sent to its endpoint because of a fault on this side. Then its
//! deliveries wait in the table. After a fault one of them is tried at a time.
//!
//! A lane *fails* after [`FAILING_FROM`] consecutive failures. Then it has one request in flight at a time, until one
//! succeeds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use foldhash::{HashMap, HashSet};
use wire::attempt::Attempt;
use wire::ids::SubscriptionId;

use crate::bodies::Bodies;
use crate::subscription::Subscription;
use crate::work::Work;
use limits::{BYTES_ENOUGH, CROWD, IN_FLIGHT_ENOUGH, QUEUED_ENOUGH};

mod crowds;
mod lane;
mod limits;

use crowds::Crowd;
pub use lane::Lane;
pub use limits::{FAILING_FROM, UNWRITTEN_ENOUGH};

#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<SubscriptionId, Lane>,
    /// Lanes that can send now, in order of their turns.
    ring: VecDeque<SubscriptionId>,
    /// Lanes with rows in the table, ordered by the due time of their earliest row.
    due: BTreeSet<(SystemTime, SubscriptionId)>,
    /// Lanes that are crowded and do not overflow.
    crowded: HashMap<SubscriptionId, Crowd>,
    /// Lanes that may not send before some time, because of their rate limit or because they are held, ordered by this
    /// time.
    pausing: BTreeSet<(Instant, SubscriptionId)>,
    /// Lanes that fail and have their one request in flight.
    probing: HashSet<SubscriptionId>,
    /// Lanes to which nothing could be sent because of a fault on this side.
    faulty: HashSet<SubscriptionId>,
    /// Deliveries in the queues of all lanes, and their bodies.
    queued: usize,
    bodies: Bodies,
    /// Present while there is no memory for more deliveries.
    full: Option<Crowd>,
    /// Requests that were handed over and have no outcome so far, and their bodies.
    in_flight: usize,
    sent_bodies: Bodies,
}

impl Lanes {
    pub fn queued(&self) -> usize {
        self.queued
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn ids(&self) -> Vec<SubscriptionId> {
        self.lanes.keys().copied().collect()
    }

    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.lanes.values().map(|lane| &lane.subscription)
    }

    pub fn get(&self, id: SubscriptionId) -> Option<&Lane> {
        self.lanes.get(&id)
    }

    pub fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Lane> {
        self.lanes.get_mut(&id)
    }

    pub fn insert(&mut self, subscription: Subscription) {
        self.lanes.insert(subscription.id, Lane::new(subscription));
    }

    /// Removes a lane, and returns what was queued.
    pub fn remove(&mut self, id: SubscriptionId) -> VecDeque<Arc<Work>> {
        let queue = self.take_queue(id);
        self.set_next_due(id, None);
        self.lanes.remove(&id);
        self.faulty.remove(&id);
        queue
    }

    /// Empties the queue of a lane, and returns what was in it.
    pub fn take_queue(&mut self, id: SubscriptionId) -> VecDeque<Arc<Work>> {
        let Some(lane) = self.lanes.get_mut(&id) else { return VecDeque::new() };
        let mut queue = std::mem::take(&mut lane.given_back);
        queue.append(&mut lane.queue);
        self.queued -= queue.len();
        queue.iter().for_each(|work| self.bodies.remove(&work.body));
        self.crowded.remove(&id);
        queue
    }

    /// Adds a delivery to the end of the queue of its lane.
    pub fn push(&mut self, work: Arc<Work>, now: Instant) {
        let id = work.subscription;
        if let Some(lane) = self.lanes.get_mut(&id) {
            self.queued += 1;
            self.bodies.add(&work.body);
            lane.note_body(work.body.len());
            lane.queue.push_back(work);
            if lane.queue.len() >= CROWD && !lane.overflowing {
                self.crowded.entry(id).or_insert(Crowd { since: now, sent: 0 });
            }
            self.give_turn(id);
        }
    }

    /// Takes the deliveries of the next turn, whose requests count as in flight from then on. At most `most` requests can
    /// be in flight.
    ///
    /// A lane may have as many requests in flight as are left for others, and all lanes that fail have at most a quarter
    /// of the requests. So an endpoint that answers is served, however many other endpoints are slow or dead.
    pub fn take(&mut self, most: usize, now: Instant) -> Option<Vec<Arc<Work>>> {
        let left = most.saturating_sub(self.in_flight);
        let turns = if left > 0 { self.ring.len() } else { 0 };
        for _ in 0..turns {
            let id = self.ring.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.in_ring = false;
            if !lane.is_ready() {
                continue;
            }
            if let Some(end) = lane.pause_end(now) {
                self.pausing.insert((end, id));
                continue;
            }
            let allowance = if lane.in_flight > 0 { IN_FLIGHT_ENOUGH } else { 2 * IN_FLIGHT_ENOUGH };
            let probes = lane.fails() && most >= 4 && self.probing.len() >= most / 4;
            if lane.in_flight >= left || self.sent_bodies.bytes() >= allowance || probes {
                self.give_turn(id);
                continue;
            }
            if lane.fails() {
                self.probing.insert(id);
            }
            lane.start(now);
            let works = lane.take_turn(left - lane.in_flight);
            self.note_sent(id, &works);
            self.give_turn(id);
            return Some(works);
        }
        None
    }

    fn note_sent(&mut self, id: SubscriptionId, works: &[Arc<Work>]) {
        self.in_flight += works.len();
        self.queued -= works.len();
        for work in works {
            self.bodies.remove(&work.body);
            self.sent_bodies.add(&work.body);
        }
        if let Some(full) = &mut self.full {
            full.sent += works.len();
        }
        if self.lanes.get(&id).is_none_or(|lane| lane.queue.len() < CROWD) {
            self.crowded.remove(&id);
        } else if let Some(crowd) = self.crowded.get_mut(&id) {
            crowd.sent += works.len();
        }
    }

    /// Prevents the start of requests of a lane until this time, and the claim of its rows.
    pub fn hold(&mut self, id: SubscriptionId, until: Instant) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.held_until = lane.held_until.max(Some(until));
            self.pausing.insert((until, id));
        }
    }

    pub fn note_fault(&mut self, id: SubscriptionId) {
        self.faulty.insert(id);
    }

    /// Notes that a lane has no fault. Returns whether it had one.
    pub fn end_fault(&mut self, id: SubscriptionId) -> bool {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.faults = 0;
        }
        self.faulty.remove(&id)
    }

    /// Lets all lanes that have a fault try again now.
    pub fn end_faults(&mut self) {
        for id in self.faulty.iter().copied().collect::<Vec<_>>() {
            self.try_again(id);
        }
    }

    /// Lets a lane that is held send again now.
    pub fn try_again(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.held_until = None;
            self.give_turn(id);
        }
    }

    /// The number of lanes that have a fault.
    pub fn faulty(&self) -> usize {
        self.faulty.len()
    }

    /// Lets lanes send again that had to wait until now.
    pub fn end_pauses(&mut self, now: Instant) {
        while self.next_pause_end().is_some_and(|end| end <= now) {
            if let Some((_, id)) = self.pausing.pop_first() {
                if let Some(lane) = self.lanes.get_mut(&id) {
                    lane.held_until = lane.held_until.filter(|until| *until > now);
                }
                self.give_turn(id);
            }
        }
    }

    /// When the first waiting lane may send again.
    pub fn next_pause_end(&self) -> Option<Instant> {
        self.pausing.first().map(|(end, _)| *end)
    }

    /// Whether requests of this lane may start. False for a lane that does not exist.
    pub fn is_open(&self, id: SubscriptionId) -> bool {
        self.lanes.get(&id).is_some_and(|lane| !lane.subscription.endpoint.gate.is_closed())
    }

    /// Takes back a delivery that the sender gave back. It goes before the queue.
    pub fn take_back(&mut self, work: Arc<Work>) {
        if let Some(lane) = self.lanes.get_mut(&work.subscription) {
            self.queued += 1;
            self.bodies.add(&work.body);
            lane.given_back.push_back(work);
        }
    }

    /// Notes that the request for this delivery has an outcome.
    pub fn settle(&mut self, work: &Work, attempt: &Attempt) {
        let id = work.subscription;
        self.in_flight -= 1;
        self.sent_bodies.remove(&work.body);
        self.probing.remove(&id);
        if let Some(lane) = self.lanes.get_mut(&id) {
            // The subscription may have been removed and added again while the request was in flight. Then the new lane
            // has not counted it.
            lane.in_flight = lane.in_flight.saturating_sub(1);
            lane.note_time_of(attempt);
            self.give_turn(id);
        }
    }

    /// Lets a lane take turns if it can send. To be called when something about the lane has changed.
    pub fn give_turn(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && !lane.in_ring
            && lane.is_ready()
        {
            lane.in_ring = true;
            self.ring.push_back(id);
        }
    }

    /// Sets when the earliest row of a lane in the table is due. `None` if it has no row.
    pub fn set_next_due(&mut self, id: SubscriptionId, due: Option<SystemTime>) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if let Some(was) = lane.next_due {
            self.due.remove(&(was, id));
        }
        lane.next_due = due;
        if let Some(due) = due {
            self.due.insert((due, id));
        }
    }

    /// Notes that the lane has a row in the table that is due at `due`.
    pub fn add_due(&mut self, id: SubscriptionId, due: SystemTime) {
        let known = self.lanes.get(&id).and_then(|lane| lane.next_due);
        if known.is_none_or(|known| due < known) {
            self.set_next_due(id, Some(due));
        }
    }

    /// The lanes that have due rows and room for them, each with the number of rows to claim. Only those of which
    /// `may_claim` is true.
    pub fn to_claim(&self, now: SystemTime, may_claim: impl Fn(SubscriptionId) -> bool) -> Vec<(SubscriptionId, i32)> {
        let (mut claimed, mut bytes) = (self.queued, self.bodies.bytes());
        let due = self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| (*id, &self.lanes[id]));
        let mut claims = Vec::new();
        for (id, lane) in due {
            // Half of the memory is left for events: deliveries to slow endpoints must not keep events from being read.
            if claimed >= QUEUED_ENOUGH / 2 || bytes >= BYTES_ENOUGH / 2 {
                break;
            }
            let room = lane.room();
            if room > 0 && may_claim(id) {
                claimed += room;
                bytes += lane.bytes_of(room);
                claims.push((id, room as i32));
            }
        }
        claims
    }

    /// The earliest due time after `now`.
    pub fn next_due_after(&self, now: SystemTime) -> Option<SystemTime> {
        self.due.range((now, SubscriptionId(i64::MAX))..).next().map(|(due, _)| *due)
    }
}
