//! The lane of one subscription: its queue, and how many deliveries it may send, keep in memory and claim.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wire::attempt::Attempt;

use super::limits::{
    BYTES_ENOUGH, CATCHES_UP, CHAIN_BYTES, CLAIM_AT_LEAST, CROWD, FAILING_FROM, FIRST_BODY, LONGEST_CHAIN, QUEUE_LIMIT,
    QUICK, SHORT,
};
use crate::subscription::{Failing, Subscription};
use crate::work::Work;

#[derive(Debug)]
pub struct Lane {
    pub subscription: Subscription,
    pub failing: Failing,
    /// When deliveries of this lane began to be sent by its present schedule, if that was while the dispatcher ran.
    /// Earlier time is not counted.
    pub sending_since: Option<Instant>,
    /// The number of attempts that have failed since the last success. In contrast to those of `failing`, attempts that
    /// were under way together are counted each.
    pub failed: u32,
    /// What the count of faults was after the latest failure that counts.
    failure_counted: u64,
    /// When the latest attempt failed.
    failed_at: Option<Instant>,
    /// The number of consecutive faults on this side, because of which nothing could be sent.
    pub faults: u32,
    /// What the count of faults was after the latest of them.
    pub counted: u64,
    /// Until when nothing is sent.
    pub(super) held_until: Option<Instant>,
    /// Whether new deliveries become rows of the retry queue.
    pub overflowing: bool,
    pub(super) queue: VecDeque<Arc<Work>>,
    /// Deliveries that a thread gave back because those before them took too long. When the thread has given back all
    /// of them, they are put at the front of the queue.
    pub(super) given_back: Vec<Arc<Work>>,
    /// The number of threads that are making requests for this lane.
    pub(super) in_flight: usize,
    /// About the shortest of the recent response times of the endpoint. `None` if the endpoint is not quick. Longer
    /// times mostly show how busy this machine is.
    quick: Option<Duration>,
    /// An estimate of the size of the next bodies in bytes, from the sizes of the latest ones.
    body_bytes: Option<usize>,
    pub(super) in_ring: bool,
    pub(super) next_due: Option<SystemTime>,
    /// When the next request may start, if the rate is limited.
    next_start: Option<Instant>,
}

impl Lane {
    pub(super) fn new(subscription: Subscription) -> Self {
        Self {
            failing: subscription.failing,
            sending_since: None,
            failed: subscription.failing.attempts,
            failure_counted: 0,
            failed_at: None,
            faults: 0,
            counted: 0,
            held_until: None,
            subscription,
            overflowing: false,
            queue: VecDeque::new(),
            given_back: Vec::new(),
            in_flight: 0,
            quick: None,
            body_bytes: None,
            in_ring: false,
            next_due: None,
            next_start: None,
        }
    }

    /// Counts a failed attempt. `handed_out` and `counted` are counts of faults, see [`UnderWay`]: when its request was
    /// handed out, and now. Returns false if it is not a further failure, because it was under way together with the
    /// one that was counted before.
    ///
    /// [`UnderWay`]: crate::dispatch
    pub fn count_failure(&mut self, handed_out: u64, counted: u64, now: SystemTime) -> bool {
        self.failed += 1;
        if self.failing.attempts > 0 && handed_out < self.failure_counted {
            return false;
        }
        self.failure_counted = counted;
        self.failing.attempts += 1;
        self.failing.since.get_or_insert(now);
        true
    }

    /// Adds the time since the failure before this one to that for which the endpoint has failed, except time before
    /// `sending_since`.
    pub fn count_time(&mut self, sending_since: Option<Instant>, instant: Instant) {
        let since = sending_since.max(self.failed_at.replace(instant));
        if self.failing.since.is_some() {
            self.failing.lasted += since.map(|since| instant.saturating_duration_since(since)).unwrap_or_default();
        }
    }

    pub(super) fn fails(&self) -> bool {
        self.failed >= FAILING_FROM
    }

    /// The time between the starts of two requests, if the rate is limited.
    fn gap(&self) -> Option<Duration> {
        self.subscription.rate_limit.map(|limit| Duration::from_secs(1) / limit.max(1))
    }

    /// When the next request may start. `None` if it may start now.
    pub(super) fn pause_end(&self, now: Instant) -> Option<Instant> {
        self.gap().and(self.next_start).max(self.held_until).filter(|next| *next > now)
    }

    /// Records that a request starts now, and computes when the next one may start.
    pub(super) fn start(&mut self, now: Instant) {
        self.next_start = self.gap().map(|gap| {
            let earliest = now.checked_sub(CATCHES_UP).unwrap_or(now);
            self.next_start.map_or(now, |next| next.max(earliest)) + gap
        });
    }

    /// The maximum number of requests in flight.
    fn limit(&self) -> usize {
        if self.fails() || self.faults > 0 { 1 } else { self.subscription.max_in_flight }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.subscription.active && self.in_flight < self.limit() && !self.queue.is_empty()
    }

    /// How many deliveries one thread should take at a time. One, unless the endpoint is quick. Then as many as one
    /// thread can send within [`SHORT`]. If the queue is long, more: an equal share of it for each permitted request.
    pub(super) fn chain(&self) -> usize {
        match self.quick {
            Some(took) if !self.fails() && self.faults == 0 && self.subscription.rate_limit.is_none() => {
                let short = SHORT.as_micros() / took.as_micros().max(1);
                let most = (self.queue.len() / self.limit()).max(short as usize).clamp(1, LONGEST_CHAIN);
                let mut bytes = 0;
                let fits = |work: &&Arc<Work>| {
                    bytes += work.body.len();
                    bytes <= CHAIN_BYTES
                };
                self.queue.iter().take(most).take_while(fits).count().max(1)
            }
            _ => 1,
        }
    }

    /// Updates the estimate of the size of bodies.
    pub(super) fn note_body(&mut self, bytes: usize) {
        self.body_bytes = Some(self.body_bytes.map_or(bytes, |before| bytes.max(before / 2)));
    }

    /// Updates the response time of the endpoint from the last attempt of a chain.
    pub(super) fn note_time_of(&mut self, attempt: &Attempt) {
        let shortest = self.quick.map_or(attempt.took, |before| attempt.took.min(before * 9 / 8));
        self.quick = (attempt.outcome.is_success() && shortest <= QUICK).then_some(shortest);
    }

    /// Whether nothing may be sent for some time.
    pub fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Whether a new delivery has to wait in the table.
    pub fn is_full(&self) -> bool {
        !self.subscription.active || self.overflowing || self.held_until.is_some() || self.queue.len() >= QUEUE_LIMIT
    }

    /// About the size in bytes of this many bodies.
    pub(super) fn bytes_of(&self, rows: usize) -> usize {
        rows * self.body_bytes.unwrap_or(FIRST_BODY)
    }

    /// How many rows to claim: enough to keep the lane busy until the next claim, but only one for an endpoint that
    /// fails.
    pub(super) fn room(&self) -> usize {
        let each = if self.quick.is_some() { LONGEST_CHAIN } else { 2 };
        let fitting = |bytes: usize| (BYTES_ENOUGH / 4 / bytes.max(1)).clamp(CLAIM_AT_LEAST, CROWD);
        let most = self.body_bytes.map_or(2 * CLAIM_AT_LEAST, fitting);
        let paced = self.subscription.rate_limit.map_or(most, |limit| limit as usize);
        let wanted = if self.fails() || self.faults > 0 {
            1
        } else {
            (each * self.limit()).clamp(CLAIM_AT_LEAST, most).min(paced)
        };
        match self.in_flight + self.queue.len() {
            there if self.subscription.active && self.held_until.is_none() && there <= wanted / 2 => wanted - there,
            _ => 0,
        }
    }
}
