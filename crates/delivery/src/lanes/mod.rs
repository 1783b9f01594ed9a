//! Who is sent to next.
//!
//! Each subscription has a lane of its own: a bounded queue and a limit of requests under way. Lanes take turns, one
//! request a turn, so that a slow or dead endpoint, or a flood for one endpoint, never holds up another.
//!
//! Behind a lane stand the rows of the retry queue. A lane knows when the earliest of them is due, so that rows are
//! looked for only where there are some and where there is room. While a lane is *overflowing*, what comes new goes
//! behind what is already waiting in the table.
//!
//! A lane that has plenty queued keeps everybody from reading more, for a moment: most often it is about to drain, and
//! what is not read yet waits in the table for nothing. If it is still so crowded after that moment and has hardly moved,
//! its endpoint is slow; then it overflows, and the others go on. One that moves on is waited for: to move what is meant
//! for it out of the others' way would take longer than to deliver it. If that lasts, events for others are read past it,
//! see [`progress`](crate::reading).
//!
//! A lane with a rate limit *pauses* after each request until the next may start.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use foldhash::{HashMap, HashSet};
use wire::attempt::Attempt;
use wire::ids::SubscriptionId;

use crate::subscription::{Failing, Subscription};
use crate::work::Work;

/// How many deliveries are plenty for a lane.
const CROWD: usize = 1000;

/// How long a crowded lane may keep the others waiting.
const CROWDED_FOR: Duration = Duration::from_millis(100);

/// A crowded lane that sends so many in that time moves on.
const MOVES_ON: usize = 500;

/// How many deliveries a lane holds in memory at most; more wait in the table.
const QUEUE_LIMIT: usize = 2 * CROWD;

/// How many deliveries, and bytes of them, all lanes hold in memory before no more are read. Few enough that a busy
/// machine sends them before they are stragglers, which have to be moved.
const QUEUED_ENOUGH: usize = 4_000;
const BYTES_ENOUGH: usize = 32 << 20;

/// A claim costs a commit that waits for the disk, so it is worth several deliveries.
const CLAIM_AT_LEAST: usize = 16;

/// Consecutive failures from which an endpoint gets one request at a time, until one succeeds.
pub const FAILING_FROM: u32 = 5;

/// How many deliveries a thread takes at a time at most, and how soon an endpoint must answer for that.
const LONGEST_CHAIN: usize = 32;
const QUICK: Duration = Duration::from_millis(10);

/// What a thread does in so much time is not worth waking another one for.
const SHORT: Duration = Duration::from_millis(4);

/// A lane that was late may catch up for so long, because nobody wakes up on the microsecond.
const CATCHES_UP: Duration = Duration::from_millis(10);

/// A lane with fewer requests under way than this may always send, whoever is busy besides.
const FEW: usize = 4;

#[derive(Debug)]
pub struct Lane {
    pub subscription: Subscription,
    pub failing: Failing,
    pub overflowing: bool,
    queue: VecDeque<Arc<Work>>,
    /// What a thread gave back because those before it took too long; goes in front once it has given back all.
    given_back: Vec<Arc<Work>>,
    /// Threads that are at work for it.
    in_flight: usize,
    /// How soon its endpoint can answer, if that is quickly: about the shortest time of late. The
    /// others say how busy this machine is.
    quick: Option<Duration>,
    /// Bytes of the body that came latest, for a guess at those to come.
    body_bytes: usize,
    in_ring: bool,
    next_due: Option<SystemTime>,
    /// Where the rate is limited: when the next request may start.
    next_start: Option<Instant>,
}

impl Lane {
    fn new(subscription: Subscription) -> Self {
        Self {
            failing: subscription.failing,
            subscription,
            overflowing: false,
            queue: VecDeque::new(),
            given_back: Vec::new(),
            in_flight: 0,
            quick: None,
            body_bytes: 0,
            in_ring: false,
            next_due: None,
            next_start: None,
        }
    }

    fn fails(&self) -> bool {
        self.failing.attempts >= FAILING_FROM
    }

    /// Time between two starts, where the rate is limited.
    fn gap(&self) -> Option<Duration> {
        self.subscription.rate_limit.map(|limit| Duration::from_secs(1) / limit.max(1))
    }

    /// When the pause after the latest request ends, if that is still to come.
    fn pause_end(&self, now: Instant) -> Option<Instant> {
        self.gap().and(self.next_start).filter(|next| *next > now)
    }

    /// Notes that a request starts now.
    fn start(&mut self, now: Instant) {
        self.next_start = self.gap().map(|gap| {
            let earliest = now.checked_sub(CATCHES_UP).unwrap_or(now);
            self.next_start.map_or(now, |next| next.max(earliest)) + gap
        });
    }

    fn limit(&self) -> usize {
        if self.fails() { 1 } else { self.subscription.max_in_flight }
    }

    fn is_ready(&self) -> bool {
        self.subscription.active && self.in_flight < self.limit() && !self.queue.is_empty()
    }

    /// How many deliveries one thread should take at a time: several only where they wait for a quick endpoint, as many
    /// as are done in a moment, or more where there are more than threads.
    fn chain(&self) -> usize {
        match self.quick {
            Some(took) if !self.fails() && self.subscription.rate_limit.is_none() => {
                let short = SHORT.as_micros() / took.as_micros().max(1);
                (self.queue.len() / self.limit()).max(short as usize).clamp(1, LONGEST_CHAIN)
            }
            _ => 1,
        }
    }

    /// Whether a new delivery has to wait in the table.
    pub fn is_full(&self) -> bool {
        !self.subscription.active || self.overflowing || self.queue.len() >= QUEUE_LIMIT
    }

    /// How many rows to claim: enough to be busy until the next claim, and one alone for an endpoint that fails.
    fn room(&self) -> usize {
        let each = if self.quick.is_some() { LONGEST_CHAIN } else { 2 };
        let most = (BYTES_ENOUGH / 4 / self.body_bytes.max(1)).clamp(CLAIM_AT_LEAST, CROWD);
        let paced = self.subscription.rate_limit.map_or(most, |limit| limit as usize);
        let wanted = if self.fails() { 1 } else { (each * self.limit()).clamp(CLAIM_AT_LEAST, most).min(paced) };
        match self.in_flight + self.queue.len() {
            there if self.subscription.active && there <= wanted / 2 => wanted - there,
            _ => 0,
        }
    }
}

#[derive(Debug)]
struct Crowd {
    since: Instant,
    /// Deliveries that left the lane since then.
    sent: usize,
}

#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<SubscriptionId, Lane>,
    /// Lanes that can send now, in order of their turns.
    ring: VecDeque<SubscriptionId>,
    /// Lanes with rows in the table, by when the earliest is due.
    due: BTreeSet<(SystemTime, SubscriptionId)>,
    /// Lanes that have plenty and do not overflow.
    crowded: HashMap<SubscriptionId, Crowd>,
    /// Lanes that could send but for the pause after their latest request, by when it ends.
    pausing: BTreeSet<(Instant, SubscriptionId)>,
    /// Lanes that fail and have their one request under way.
    probing: HashSet<SubscriptionId>,
    queued: usize,
    bytes: usize,
    in_flight: usize,
}

impl Lanes {
    pub fn queued(&self) -> usize {
        self.queued
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether more should be read. Lets lanes overflow that are crowded for too long.
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

    /// Whether more should be read, however crowded the lanes are that a flood is for. The next page may be for them too.
    pub fn have_room_beside(&self, is_flooded: impl Fn(SubscriptionId) -> bool) -> bool {
        let has_room = |id| self.lanes.get(id).is_some_and(|lane| lane.queue.len() + CROWD / 2 <= QUEUE_LIMIT);
        self.crowded.keys().all(|id| is_flooded(*id) && has_room(id)) && self.have_memory()
    }

    fn have_memory(&self) -> bool {
        self.queued < QUEUED_ENOUGH && self.bytes < BYTES_ENOUGH
    }

    /// When the first crowded lane begins to overflow.
    pub fn next_overflow(&self) -> Option<Instant> {
        self.crowded.values().map(|crowd| crowd.since + CROWDED_FOR).min()
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

    /// Takes a lane away, with what was queued on it.
    pub fn remove(&mut self, id: SubscriptionId) -> VecDeque<Arc<Work>> {
        let queue = self.take_queue(id);
        self.set_next_due(id, None);
        self.lanes.remove(&id);
        queue
    }

    /// Empties the queue of a lane.
    pub fn take_queue(&mut self, id: SubscriptionId) -> VecDeque<Arc<Work>> {
        let Some(lane) = self.lanes.get_mut(&id) else { return VecDeque::new() };
        let mut queue: VecDeque<_> = std::mem::take(&mut lane.given_back).into();
        queue.append(&mut lane.queue);
        self.queued -= queue.len();
        self.bytes -= queue.iter().map(|work| work.body.len()).sum::<usize>();
        self.crowded.remove(&id);
        queue
    }

    pub fn push(&mut self, work: Arc<Work>, now: Instant) {
        let id = work.subscription;
        if let Some(lane) = self.lanes.get_mut(&id) {
            self.queued += 1;
            self.bytes += work.body.len();
            lane.body_bytes = work.body.len();
            lane.queue.push_back(work);
            if lane.queue.len() >= CROWD && !lane.overflowing {
                self.crowded.entry(id).or_insert(Crowd { since: now, sent: 0 });
            }
            self.give_turn(id);
        }
    }

    /// The next deliveries for one thread to make, which is counted as at work from here on; there are `threads`.
    ///
    /// A quarter of the threads is kept for lanes that have few requests under way, and lanes that fail have another
    /// quarter at most: so however many endpoints are slow or dead, one that answers is served.
    pub fn take(&mut self, threads: usize, now: Instant) -> Option<Vec<Arc<Work>>> {
        // With few threads there is nothing to keep.
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
                let chain = lane.chain().min(lane.queue.len());
                let works: Vec<_> = lane.queue.drain(..chain).collect();
                lane.in_flight += 1;
                self.in_flight += 1;
                self.queued -= works.len();
                self.bytes -= works.iter().map(|work| work.body.len()).sum::<usize>();
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

    /// Lets lanes send whose pause is over.
    pub fn end_pauses(&mut self, now: Instant) {
        while self.next_pause_end().is_some_and(|end| end <= now) {
            if let Some((_, id)) = self.pausing.pop_first() {
                self.give_turn(id);
            }
        }
    }

    /// When the first pause is over.
    pub fn next_pause_end(&self) -> Option<Instant> {
        self.pausing.first().map(|(end, _)| *end)
    }

    /// Whether requests of this lane may start.
    pub fn is_open(&self, id: SubscriptionId) -> bool {
        self.lanes.get(&id).is_some_and(|lane| !lane.subscription.endpoint.gate.is_closed())
    }

    /// A thread did not get to this delivery, which is still the next of its lane.
    pub fn take_back(&mut self, work: Arc<Work>) {
        if let Some(lane) = self.lanes.get_mut(&work.subscription) {
            self.queued += 1;
            self.bytes += work.body.len();
            lane.given_back.push(work);
        }
    }

    /// A thread is done with what it took from this lane; the last of it was this attempt.
    pub fn land(&mut self, id: SubscriptionId, attempt: &Attempt) {
        self.in_flight -= 1;
        self.probing.remove(&id);
        if let Some(lane) = self.lanes.get_mut(&id) {
            for work in lane.given_back.drain(..).rev() {
                lane.queue.push_front(work);
            }
            // A lane that was deleted and made again has not seen the start of it.
            lane.in_flight = lane.in_flight.saturating_sub(1);
            let shortest = lane.quick.map_or(attempt.took, |before| attempt.took.min(before * 9 / 8));
            lane.quick = (attempt.outcome.is_success() && shortest <= QUICK).then_some(shortest);
            self.give_turn(id);
        }
    }

    /// Lets a lane send if it can; to be called when something about it changed.
    pub fn give_turn(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && !lane.in_ring
            && lane.is_ready()
        {
            lane.in_ring = true;
            self.ring.push_back(id);
        }
    }

    /// Says when the earliest row of a lane is due, or that it has none.
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

    /// Says that there is a row of this lane due then.
    pub fn add_due(&mut self, id: SubscriptionId, due: SystemTime) {
        let known = self.lanes.get(&id).and_then(|lane| lane.next_due);
        if known.is_none_or(|known| due < known) {
            self.set_next_due(id, Some(due));
        }
    }

    /// Lanes with rows due and room for some: which, and how many.
    pub fn to_claim(&self, now: SystemTime) -> Vec<(SubscriptionId, i32)> {
        // Half of the memory stays for events: what waits behind slow endpoints must not keep others from being read.
        if self.queued >= QUEUED_ENOUGH / 2 || self.bytes >= BYTES_ENOUGH / 2 {
            return Vec::new();
        }
        let mut claimed = self.queued;
        let lanes = self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| (*id, self.lanes[id].room()));
        let with_room = lanes.filter(|(_, room)| *room > 0);
        let claims = with_room.take_while(|(_, room)| {
            let before = claimed;
            claimed += room;
            before < QUEUED_ENOUGH / 2
        });
        claims.map(|(id, room)| (id, room as i32)).collect()
    }

    /// When the next row is due that is not due yet.
    pub fn next_due_after(&self, now: SystemTime) -> Option<SystemTime> {
        self.due.range((now, SubscriptionId(i64::MAX))..).next().map(|(due, _)| *due)
    }
}
