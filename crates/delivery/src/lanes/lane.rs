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

    pub(super) fn fails(&self) -> bool {
        self.failing.attempts >= FAILING_FROM
    }

    /// The time between the starts of two requests, if the rate is limited.
    fn gap(&self) -> Option<Duration> {
        self.subscription.rate_limit.map(|limit| Duration::from_secs(1) / limit.max(1))
    }

    /// When the rate limit allows the next request. `None` if it allows one now.
    pub(super) fn pause_end(&self, now: Instant) -> Option<Instant> {
        self.gap().and(self.next_start).filter(|next| *next > now)
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
        if self.fails() { 1 } else { self.subscription.max_in_flight }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.subscription.active && self.in_flight < self.limit() && !self.queue.is_empty()
    }

    /// How many deliveries one thread should take at a time. One, unless the endpoint is quick. Then as many as one
    /// thread can send within [`SHORT`]. If the queue is long, more: an equal share of it for each permitted request.
    pub(super) fn chain(&self) -> usize {
        match self.quick {
            Some(took) if !self.fails() && self.subscription.rate_limit.is_none() => {
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

    /// Whether a new delivery has to wait in the table.
    pub fn is_full(&self) -> bool {
        !self.subscription.active || self.overflowing || self.queue.len() >= QUEUE_LIMIT
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
        let wanted = if self.fails() { 1 } else { (each * self.limit()).clamp(CLAIM_AT_LEAST, most).min(paced) };
        match self.in_flight + self.queue.len() {
            there if self.subscription.active && there <= wanted / 2 => wanted - there,
            _ => 0,
        }
    }
}
