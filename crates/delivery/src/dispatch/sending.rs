//! Hands deliveries out as requests, and processes the outcomes.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wire::attempt::{Attempt, Failure, Outcome};
use wire::ids::SubscriptionId;
use wire::request::{Endpoint, Request};

use super::judgement::{is_expired, is_halfway, kept, reason_to_disable, record, record_expiry, retry_after};
use super::{Dispatch, UnderWay};
use crate::lanes::FAILING_FROM;
use crate::retry;
use crate::subscription::{DisabledReason, Failing};
use crate::tally::{AttemptResult, Combination};
use crate::work::Work;
use crate::writes::RowState;

impl Dispatch {
    /// Lets subscriptions send again if their rate limit allows the next request.
    pub fn end_pauses(&mut self, now: Instant) {
        self.lanes.end_pauses(now);
    }

    /// Returns the next requests to make. At most `most` requests can be in flight.
    pub fn hand_out(&mut self, most: usize, now: Instant) -> Vec<Request> {
        let mut requests = Vec::new();
        while let Some(works) = self.lanes.take(most, now) {
            for work in works {
                let Some(lane) = self.lanes.get(work.subscription) else { continue };
                requests.push(Request {
                    delivery: work.delivery,
                    endpoint: Arc::clone(&lane.subscription.endpoint),
                    preset: work.preset,
                    event: work.event,
                    event_type: Arc::clone(&work.event_type),
                    emitted_at: work.emitted_at,
                    operation: work.operation,
                    body: Arc::clone(&work.body),
                    hops: work.hops,
                    max_in_flight: lane.limit(),
                });
                self.under_way.insert(work.delivery, UnderWay { work, counted: self.counted, is_recalled: false });
            }
        }
        requests
    }

    /// Processes the outcome of a request. `jitter` is a random number from -1 to 1.
    pub fn settle(&mut self, attempt: Attempt, now: SystemTime, instant: Instant, jitter: f64) {
        let Some(UnderWay { work, counted, is_recalled }) = self.under_way.remove(&attempt.delivery) else { return };
        self.lanes.settle(&work, &attempt);
        match &attempt.outcome {
            Outcome::NotStarted if self.lanes.get(work.subscription).is_none() => self.finish(&work),
            Outcome::NotStarted if self.lanes.is_open(work.subscription) && !is_recalled => self.take_back(work),
            Outcome::NotStarted => {
                self.move_event(work.event);
                self.writes.update(&work, RowState::Released);
            }
            Outcome::Failed(failure) if failure.class.is_ours() => {
                self.settle_fault(&work, failure, counted, now, instant);
            }
            outcome if outcome.is_success() => self.settle_success(&work, &attempt, now),
            _ => self.settle_failure(&work, &attempt, counted, now, instant, jitter),
        }
    }

    /// Takes back a delivery that was handed over and not sent.
    fn take_back(&mut self, work: Arc<Work>) {
        let id = work.subscription;
        self.lanes.take_back(work);
        self.lanes.give_turn(id);
    }

    /// Processes a fault on this side: the delivery waits, and no attempt is counted.
    fn settle_fault(&mut self, work: &Arc<Work>, failure: &Failure, counted: u64, now: SystemTime, instant: Instant) {
        let id = work.subscription;
        let Some(lane) = self.lanes.get_mut(id) else { return self.finish(work) };
        // Time in which nothing can be sent does not count.
        lane.sending_since = Some(instant);
        if lane.faults == 0 || counted >= lane.counted {
            lane.faults += 1;
            self.counted += 1;
            lane.counted = self.counted;
            self.verdicts.faults.insert(id, Some(failure.message.clone()));
        }
        let pause = retry::pause(lane.faults);
        // Other deliveries go first, because the reason may be this one, unless they were promised an order.
        let state = match lane.subscription.is_in_order() {
            true => RowState::Released,
            false => RowState::Due { attempts: work.attempts, scheduled_at: work.scheduled_at, due_at: now + pause },
        };
        self.move_event(work.event);
        self.writes.update(work, state);
        self.lanes.hold(id, instant + pause);
        self.lanes.note_fault(id);
        self.empty_lane(id);
    }

    /// Notes that the receiver could be asked: there is no fault on this side, or no longer.
    fn end_fault(&mut self, id: SubscriptionId) {
        if self.lanes.end_fault(id) {
            self.verdicts.faults.insert(id, None);
        }
    }

    fn settle_success(&mut self, work: &Arc<Work>, attempt: &Attempt, now: SystemTime) {
        self.tally.attempted(work, attempt, now);
        self.end_fault(work.subscription);
        let lane = self.lanes.get_mut(work.subscription);
        if work.attempts > 0 || lane.as_ref().is_some_and(|lane| lane.subscription.log_successes) {
            self.writes.attempts.push(record(work, attempt, None));
        }
        let keep = lane.as_ref().and_then(|lane| lane.subscription.keep_bodies);
        if let (Some(keep), Outcome::Answered(answer)) = (keep, &attempt.outcome) {
            self.writes.keep(kept(work, attempt, answer, now, keep));
        }
        if let Some(lane) = lane
            && lane.failing.attempts > 0
        {
            if lane.failed >= FAILING_FROM {
                self.verdicts.turn(work.subscription, false);
            }
            lane.failed = 0;
            lane.failing = Failing::default();
            self.verdicts.failing.insert(work.subscription, lane.failing);
        }
        self.finish(work);
    }

    fn settle_failure(
        &mut self,
        work: &Arc<Work>,
        attempt: &Attempt,
        counted: u64,
        now: SystemTime,
        instant: Instant,
        jitter: f64,
    ) {
        self.tally.attempted(work, attempt, now);
        self.end_fault(work.subscription);
        let Some(lane) = self.lanes.get_mut(work.subscription) else {
            self.writes.attempts.push(record(work, attempt, None));
            self.finish(work);
            return;
        };
        let sending_since = self.sending_since.max(lane.sending_since);
        let was_halfway = is_halfway(lane.failing, &lane.subscription);
        lane.count_time(sending_since, instant);
        if lane.count_failure(counted, self.counted + 1, now) {
            self.counted += 1;
        }
        let (failing, failed) = (lane.failing, lane.failed);
        let attempts = work.attempts + 1;
        let in_schedule = (attempts - work.earlier_attempts) as usize;
        let schedule = &lane.subscription.schedule;
        let due_at =
            retry::delay(schedule, in_schedule, retry_after(&attempt.outcome), jitter).map(|delay| now + delay);
        let expired = due_at.is_some() && is_expired(&lane.subscription, work, sending_since, now, instant);
        let due_at = due_at.filter(|_| !expired);
        let asked = retry_after(&attempt.outcome).map(|asked| retry::rest(schedule, asked));
        let spread = lane.subscription.disable_after.filter(|_| failed >= FAILING_FROM);
        let rest = asked.max(spread.map(retry::spread));
        let disable = reason_to_disable(&attempt.outcome, failing, &lane.subscription);
        if disable.is_none() && !was_halfway && is_halfway(failing, &lane.subscription) {
            self.verdicts.halfway.insert(work.subscription);
        }

        self.move_event(work.event);
        self.verdicts.failing.insert(work.subscription, failing);
        let record = if expired { record_expiry(work, attempt) } else { record(work, attempt, due_at) };
        self.writes.attempts.push(record);
        let state = match due_at {
            Some(due_at) => {
                let scheduled_at = work.scheduled_at.or(Some(attempt.at));
                RowState::Due { attempts, scheduled_at, due_at }
            }
            None => {
                if let Some(result) = AttemptResult::of(&attempt.outcome) {
                    self.tally.given_up(work.subscription, Combination::of(work, result), now);
                }
                RowState::Failed { attempts }
            }
        };
        self.writes.update(work, state);
        match disable {
            Some(reason) => self.disable(work.subscription, reason),
            // From now on there is one request at a time, so the queued deliveries would stay in memory for a long
            // time.
            None if failed == FAILING_FROM => {
                self.verdicts.turn(work.subscription, true);
                self.call_back(work.subscription);
                self.empty_lane(work.subscription);
            }
            None => {}
        }
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            self.leave_alone(work.subscription, instant + rest);
        }
    }

    /// Sends nothing to an endpoint until this time. What waits in memory or was handed over and is not sent yet uses no
    /// attempt.
    fn leave_alone(&mut self, id: SubscriptionId, until: Instant) {
        if self.lanes.get(id).is_some_and(|lane| !lane.is_held()) {
            self.call_back(id);
        }
        self.lanes.hold(id, until);
        self.empty_lane(id);
    }

    /// Gives back all deliveries of a subscription of which no request has started. Some were cancelled, and have no row
    /// any more: they are forgotten. The others get rows of the retry queue.
    pub(super) fn recall(&mut self, id: SubscriptionId) {
        for under_way in self.under_way.values_mut().filter(|under_way| under_way.work.subscription == id) {
            under_way.is_recalled = true;
        }
        self.call_back(id);
        self.empty_lane(id);
    }

    /// Prevents the start of the requests that were handed over.
    fn call_back(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(id)
            && lane.subscription.active
        {
            let endpoint = &mut lane.subscription.endpoint;
            endpoint.gate.close();
            *endpoint = Arc::new(Endpoint { gate: Arc::default(), ..(**endpoint).clone() });
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
}
