//! Decides what an outcome means: whether to disable the subscription, whether to retry later than planned, whether the
//! delivery has expired, and what the history says.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wire::attempt::{Answer, Attempt, ErrorClass, Failure, Outcome};

use crate::retry;
use crate::subscription::{DisabledReason, Failing, Subscription};
use crate::work::Work;
use crate::writes::{AttemptRecord, Delivered, Names};

/// Whether the delivery, an attempt of which has just failed, has expired, see [`retry::is_expired`]. The time is
/// counted from the first attempt of its schedule, but not from before the latest change of the status of its
/// subscription, and not from before `sending_since`: the latest interruption, during which nothing could be sent to
/// it.
pub fn is_expired(
    subscription: &Subscription,
    work: &Work,
    sending_since: Option<Instant>,
    now: SystemTime,
    instant: Instant,
) -> bool {
    let Subscription { schedule, endpoint, status_since, .. } = subscription;
    let Some((began, since)) = work.scheduled_at.zip(sending_since) else { return false };
    let by_wall = now.duration_since(began.max(*status_since)).unwrap_or_default();
    retry::is_expired(schedule, endpoint.timeout, by_wall.min(instant.saturating_duration_since(since)))
}

/// The delay that the receiver asks for, if the answer has a status with which it may ask for one.
pub fn retry_after(outcome: &Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Answered(Answer { status: 429 | 503, retry_after, .. }) => *retry_after,
        _ => None,
    }
}

/// Whether to disable the subscription after this outcome, and why. `failing` includes the outcome.
pub fn reason_to_disable(outcome: &Outcome, failing: Failing, subscription: &Subscription) -> Option<DisabledReason> {
    match outcome {
        Outcome::Answered(Answer { status: 410, .. }) => Some(DisabledReason::Gone),
        _ if subscription.disable_after.is_some_and(|limit| failing.attempts >= limit)
            && subscription.disable_after_time.is_none_or(|limit| failing.lasted >= limit) =>
        {
            Some(DisabledReason::Failures)
        }
        _ if subscription.stale_after.is_some_and(|limit| failing.lasted >= limit) => Some(DisabledReason::Stale),
        _ => None,
    }
}

/// Whether the subscription has failed for half of what disables it. So that somebody can be told before it is.
pub fn is_halfway(failing: Failing, subscription: &Subscription) -> bool {
    let by_failures = subscription.disable_after.is_some_and(|limit| failing.attempts >= limit.div_ceil(2))
        && subscription.disable_after_time.is_none_or(|limit| failing.lasted >= limit / 2);
    let by_time = subscription.stale_after.is_some_and(|limit| failing.lasted >= limit / 2);
    failing.attempts > 0 && (by_failures || by_time)
}

/// Returns the row of the history for the attempt after which a delivery was given up because it has expired.
pub fn record_expiry(work: &Arc<Work>, attempt: &Attempt) -> AttemptRecord {
    let mut record = record(work, attempt, None);
    record.error = record.error.map(|(_, message)| {
        (ErrorClass::Expired, format!("{message}; given up after more than twice the duration of its retry schedule"))
    });
    record
}

/// Returns the row of the history for an attempt. `next_at` is the time of the retry, if there is one.
pub fn record(work: &Arc<Work>, attempt: &Attempt, next_at: Option<SystemTime>) -> AttemptRecord {
    let (status, error, excerpt) = match &attempt.outcome {
        Outcome::Answered(answer) if attempt.outcome.is_success() => (Some(answer.status), None, Some(&answer.excerpt)),
        Outcome::Answered(answer) => {
            let message = format!("the receiver answered with status {}", answer.status);
            (Some(answer.status), Some((ErrorClass::Status, message)), Some(&answer.excerpt))
        }
        Outcome::Failed(Failure { class, message }) => (None, Some((*class, message.clone())), None),
        Outcome::NotStarted => (None, None, None),
    };
    AttemptRecord {
        of: Names::of(work),
        attempt: work.attempts + 1,
        status,
        error,
        excerpt: excerpt.cloned(),
        response_ms: Some(response_ms(attempt)),
        at: attempt.at,
        next_at,
    }
}

/// Returns the row that keeps a delivery for this long which has succeeded `now`.
pub fn kept(work: &Arc<Work>, attempt: &Attempt, answer: &Answer, now: SystemTime, keep: Duration) -> Delivered {
    Delivered {
        work: Arc::clone(work),
        status: answer.status,
        excerpt: answer.excerpt.clone(),
        response_ms: response_ms(attempt),
        at: now,
        kept_until: now + keep,
    }
}

fn response_ms(attempt: &Attempt) -> i32 {
    attempt.took.as_millis().try_into().unwrap_or(i32::MAX)
}
