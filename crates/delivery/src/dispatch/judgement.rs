//! Decides what an outcome means: whether to disable the subscription, whether to retry later than planned, whether the
//! delivery has expired, and what the history says.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wire::attempt::{Answer, Attempt, ErrorClass, Failure, Outcome};

use crate::retry;
use crate::subscription::{DisabledReason, Failing, Subscription};
use crate::work::Work;
use crate::writes::{AttemptRecord, Names};

/// Whether the delivery has expired, see [`retry::is_expired`]. The time is counted from the latest of three moments:
/// the first attempt of its schedule, the latest change of the status of its subscription, and the moment when this
/// dispatcher began to send. So the time during which the subscription was paused or no dispatcher ran is not counted.
pub fn is_expired(subscription: &Subscription, work: &Work, sending_since: SystemTime, now: SystemTime) -> bool {
    let Subscription { schedule, endpoint, status_since, .. } = subscription;
    work.scheduled_at.is_some_and(|began| {
        retry::is_expired(schedule, endpoint.timeout, began.max(*status_since).max(sending_since), now)
    })
}

/// The delay that the receiver asks for, if the answer has a status with which it may ask for one.
pub fn retry_after(outcome: &Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Answered(Answer { status: 429 | 503, retry_after, .. }) => *retry_after,
        _ => None,
    }
}

/// Whether to disable the subscription after this outcome, and why. `failing` includes the outcome.
pub fn reason_to_disable(
    outcome: &Outcome,
    failing: Failing,
    subscription: &Subscription,
    now: SystemTime,
) -> Option<DisabledReason> {
    let lasted = failing.since.and_then(|since| now.duration_since(since).ok()).unwrap_or_default();
    match outcome {
        Outcome::Answered(Answer { status: 410, .. }) => Some(DisabledReason::Gone),
        _ if subscription.disable_after.is_some_and(|limit| failing.attempts >= limit) => {
            Some(DisabledReason::Failures)
        }
        _ if subscription.stale_after.is_some_and(|limit| lasted >= limit) => Some(DisabledReason::Stale),
        _ => None,
    }
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
        response_ms: Some(attempt.took.as_millis().try_into().unwrap_or(i32::MAX)),
        at: attempt.at,
        next_at,
    }
}
