//! The lane of one subscription: its queue, and how many deliveries it may send, keep in memory and claim.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wire::attempt::Attempt;

use super::limits::{
    AHEAD, AHEAD_BYTES, BYTES_ENOUGH, CATCHES_UP, CLAIM_AT_LEAST, CROWD, FAILING_FROM, FIRST_BODY, MOST_AHEAD,
    QUEUE_LIMIT, TURN,
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
    /// Deliveries that the sender gave back because those before them took too long. They go before the queue.
    pub(super) given_back: VecDeque<Arc<Work>>,
    /// The number of requests that were handed over and have no outcome so far.
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
            given_back: VecDeque::new(),
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

    /// How many requests may be in flight to the endpoint.
    pub fn limit(&self) -> usize {
        if self.fails() || self.faults > 0 { 1 } else { self.subscription.max_in_flight }
    }

    /// How many requests may be handed over and have no outcome: as many as may be in flight, and more to an endpoint
    /// that answers quickly. The sender keeps to the limit.
    fn window(&self) -> usize {
        let limit = self.limit();
        match self.quick {
            Some(took) if !self.fails() && self.faults == 0 && self.subscription.rate_limit.is_none() => {
                let ahead = AHEAD.as_micros() / took.as_micros().max(1);
                let fitting = AHEAD_BYTES / self.body_bytes.unwrap_or(FIRST_BODY).max(1);
                (limit * (ahead as usize).clamp(1, MOST_AHEAD)).min(fitting).max(limit)
            }
            _ => limit,
        }
    }

    /// How many requests may be handed over now. If the subscription was promised an order, none until all that were
    /// handed over have an outcome: some of them may be given back.
    fn free(&self) -> usize {
        match self.subscription.is_in_order() && self.in_flight > 0 {
            true => 0,
            false => self.window().saturating_sub(self.in_flight),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.subscription.active && self.free() > 0 && self.waiting() > 0
    }

    /// The number of deliveries that wait in memory.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.given_back.len()
    }

    /// Takes the deliveries for one turn, at most `left`. One, unless the endpoint is quick and has no rate limit.
    pub(super) fn take_turn(&mut self, left: usize) -> Vec<Arc<Work>> {
        let is_paced = self.quick.is_none() || self.subscription.rate_limit.is_some();
        let most = if is_paced { 1 } else { self.free().min(TURN).min(left) };
        let works: Vec<_> =
            (0..most).map_while(|_| self.given_back.pop_front().or_else(|| self.queue.pop_front())).collect();
        self.in_flight += works.len();
        works
    }

    /// Updates the estimate of the size of bodies.
    pub(super) fn note_body(&mut self, bytes: usize) {
        self.body_bytes = Some(self.body_bytes.map_or(bytes, |before| bytes.max(before / 2)));
    }

    /// Updates the response time of the endpoint from an attempt.
    pub(super) fn note_time_of(&mut self, attempt: &Attempt) {
        let shortest = self.quick.map_or(attempt.took, |before| attempt.took.min(before * 9 / 8));
        self.quick = (attempt.outcome.is_success() && shortest < AHEAD).then_some(shortest);
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
        let each = if self.quick.is_some() { MOST_AHEAD } else { 2 };
        let fitting = |bytes: usize| (BYTES_ENOUGH / 4 / bytes.max(1)).clamp(CLAIM_AT_LEAST, CROWD);
        let most = self.body_bytes.map_or(2 * CLAIM_AT_LEAST, fitting);
        let paced = self.subscription.rate_limit.map_or(most, |limit| limit as usize);
        let wanted = if self.fails() || self.faults > 0 {
            1
        } else {
            (each * self.limit()).clamp(CLAIM_AT_LEAST, most).min(paced)
        };
        match self.in_flight + self.waiting() {
            there if self.subscription.active && self.held_until.is_none() && there <= wanted / 2 => wanted - there,
            _ => 0,
        }
    }
}
