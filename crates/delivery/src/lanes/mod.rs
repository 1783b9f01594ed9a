//! Decides which subscription may send next.
//!
//! Each subscription has a *lane*: a bounded queue of deliveries and a limit of requests in flight. Lanes take turns,
//! so that a slow or dead endpoint, or many events for one endpoint, never delay another endpoint. In each turn a
//! thread takes one delivery. From the lane of an endpoint that answers quickly it takes several, and sends them one
//! after the other: a *chain*.
//!
//! Deliveries that do not fit into their lane, or that are to be retried, are rows of the retry queue. A lane knows
//! when the earliest of its rows is due. Rows are claimed only for a lane that has due rows and room for them. While a
//! lane is *overflowing*, its new deliveries become rows too, so that they are sent after those that already wait in
//! the table.
//!
//! A lane is *crowded* when it has many deliveries queued. Then no more events are read for any lane, for at most
//! `CROWDED_FOR`. Usually the lane sends its queue within that time, and unread events wait in the table at no cost. If
//! the lane is still crowded after that time and has sent little, its endpoint is slow: the lane overflows, and reading
//! continues. If it has sent many deliveries, reading waits for another `CROWDED_FOR`, because moving its deliveries to
//! the table would take longer than sending them. If a flood keeps the lane crowded, events for other subscriptions are
//! read before the rest of the flood, see [`reading`](crate::reading).
//!
//! If memory is full and lanes send little, the lanes that have most of what is queued are emptied, for the same reason.
//! A body that several deliveries share counts once.
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
use limits::{BYTES_ENOUGH, CROWD, CROWDED_FOR, FEW, MOVES_ON, QUEUE_LIMIT, QUEUED_ENOUGH};

mod lane;
mod limits;

pub use lane::Lane;
pub use limits::{FAILING_FROM, UNWRITTEN_ENOUGH};

/// A crowded lane, or all lanes while memory is full.
#[derive(Debug)]
struct Crowd {
    since: Instant,
    /// The number of deliveries that were sent since then.
    sent: usize,
}

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
    /// Threads that are making requests.
    in_flight: usize,
}

impl Lanes {
    pub fn queued(&self) -> usize {
        self.queued
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether more events should be read. A lane that has been crowded for `CROWDED_FOR` and has sent little begins to
    /// overflow.
    pub fn have_room(&mut self, now: Instant) -> bool {
        self.crowded.retain(|id, crowd| {
            if now.duration_since(crowd.since) < CROWDED_FOR {
                return true;
            }
            let moves_on = crowd.sent >= MOVES_ON;
            *crowd = Crowd { since: now, sent: 0 };
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.overflowing = !moves_on;
            }
            moves_on
        });
        self.crowded.is_empty() && self.have_memory()
    }

    /// Whether more events should be read although lanes are crowded. True if only lanes of a flood are crowded, and
    /// each of them still has room for a page, because the next page may be for these lanes too.
    pub fn have_room_beside(&self, is_flooded: impl Fn(SubscriptionId) -> bool) -> bool {
        let has_room = |id| self.lanes.get(id).is_some_and(|lane| lane.queue.len() + CROWD / 2 <= QUEUE_LIMIT);
        self.crowded.keys().all(|id| is_flooded(*id) && has_room(id)) && self.have_memory()
    }

    fn have_memory(&self) -> bool {
        self.queued < QUEUED_ENOUGH && self.bodies.bytes() < BYTES_ENOUGH
    }

    /// When memory has been full for `CROWDED_FOR` and little has been sent: the lanes that have most of what is queued.
    /// They are to be emptied, so that slow endpoints do not keep events of others from being read.
    pub fn stuck(&mut self, now: Instant) -> Vec<SubscriptionId> {
        if self.have_memory() {
            self.full = None;
            return Vec::new();
        }
        let full = self.full.get_or_insert(Crowd { since: now, sent: 0 });
        if now.duration_since(full.since) < CROWDED_FOR {
            return Vec::new();
        }
        let moves_on = full.sent >= MOVES_ON;
        *full = Crowd { since: now, sent: 0 };
        if moves_on {
            return Vec::new();
        }
        // A lane that has no request in flight waits for a thread: it is not known to be slow.
        let queued = || self.lanes.iter().filter(|(_, lane)| lane.in_flight > 0 && !lane.queue.is_empty());
        let share = queued().map(|(_, lane)| lane.queue.len()).sum::<usize>() / queued().count().max(1);
        queued().filter(|(_, lane)| lane.queue.len() >= share).map(|(id, _)| *id).collect()
    }

    /// When the first crowded lane may begin to overflow, or memory has been full for too long.
    pub fn next_overflow(&self) -> Option<Instant> {
        self.crowded.values().chain(&self.full).map(|crowd| crowd.since + CROWDED_FOR).min()
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
        let mut queue: VecDeque<_> = std::mem::take(&mut lane.given_back).into();
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

    /// Takes the next deliveries for one thread, which counts as busy from then on. `threads` is the total number of
    /// threads.
    ///
    /// A quarter of the threads is reserved for lanes that have few requests in flight. All lanes that fail have at
    /// most another quarter. So an endpoint that answers is served, however many other endpoints are slow or dead.
    pub fn take(&mut self, threads: usize, now: Instant) -> Option<Vec<Arc<Work>>> {
        // If there are few threads, none is reserved.
        let quarter = if threads < 4 * FEW { 0 } else { threads / 4 };
        let turns = if self.in_flight < threads { self.ring.len() } else { 0 };
        for _ in 0..turns {
            let id = self.ring.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.in_ring = false;
            let reserved = self.in_flight >= threads - quarter && lane.in_flight >= FEW;
            let probes = lane.fails() && quarter > 0 && self.probing.len() >= quarter;
            if lane.is_ready() && (reserved || probes) {
                self.give_turn(id);
            } else if let Some(end) = lane.pause_end(now).filter(|_| lane.is_ready()) {
                self.pausing.insert((end, id));
            } else if lane.is_ready() {
                if lane.fails() {
                    self.probing.insert(id);
                }
                lane.start(now);
                let chain = lane.chain();
                let works: Vec<_> = lane.queue.drain(..chain).collect();
                lane.in_flight += 1;
                self.in_flight += 1;
                self.queued -= works.len();
                works.iter().for_each(|work| self.bodies.remove(&work.body));
                if let Some(full) = &mut self.full {
                    full.sent += works.len();
                }
                if lane.queue.len() < CROWD {
                    self.crowded.remove(&id);
                } else if let Some(crowd) = self.crowded.get_mut(&id) {
                    crowd.sent += works.len();
                }
                self.give_turn(id);
                return Some(works);
            }
        }
        None
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

    /// Takes back a delivery that a thread did not send. When the chain ends, it is put back at the front of the queue.
    pub fn take_back(&mut self, work: Arc<Work>) {
        if let Some(lane) = self.lanes.get_mut(&work.subscription) {
            self.queued += 1;
            self.bodies.add(&work.body);
            lane.given_back.push(work);
        }
    }

    /// Ends the chain that a thread took from this lane. `attempt` is the outcome of its last request.
    pub fn end_chain(&mut self, id: SubscriptionId, attempt: &Attempt) {
        self.in_flight -= 1;
        self.probing.remove(&id);
        if let Some(lane) = self.lanes.get_mut(&id) {
            for work in lane.given_back.drain(..).rev() {
                lane.queue.push_front(work);
            }
            // The subscription may have been removed and added again while the chain was being sent. Then the new lane
            // has not counted the chain.
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
