//! Decides when a failed delivery is tried again, and when it has expired.
//!
//! A schedule is a list of delays. Each delay is counted from the failure before it. A delivery has one attempt more
//! than its schedule has delays. Delays are varied a little, so that deliveries that failed at the same time are not
//! retried at the same time. With `Retry-After` a receiver may ask for a longer delay, but not for a shorter one, and
//! not for more than the longest delay of the schedule. Until then nothing else is sent to it either.

use std::time::Duration;

use crate::lanes::FAILING_FROM;

/// The fraction by which a delay may be shorter or longer.
const JITTER: f64 = 0.1;

/// How long the endpoint is to be left alone, if the receiver asks for `retry_after`.
pub fn rest(schedule: &[Duration], retry_after: Duration) -> Duration {
    retry_after.min(schedule.iter().max().copied().unwrap_or_default())
}

/// Returns the delay after the `failures`-th failure of a schedule (counted from 1). `None` if that was the last
/// attempt. `jitter` is a random number from -1 to 1.
pub fn delay(schedule: &[Duration], failures: usize, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
    let planned = schedule.get(failures.checked_sub(1)?)?.mul_f64(1.0 + JITTER * jitter);
    Some(planned.max(rest(schedule, retry_after.unwrap_or_default())))
}

/// The pause of an endpoint to which nothing can be sent because of a fault on this side, after `faults` faults
/// (counted from 1).
pub fn pause(faults: u32) -> Duration {
    LONGEST_PAUSE.min(FIRST_PAUSE * 2u32.saturating_pow(faults.saturating_sub(1)))
}

/// The pause of an endpoint that fails, before the next of the `disable_after` failures that disable it. They are spread over
/// half a minute, so that the restart of a receiver does not disable a busy subscription. After a recovery nobody waits for
/// long.
pub fn spread(disable_after: u32) -> Duration {
    match disable_after.saturating_sub(FAILING_FROM) {
        0 => Duration::ZERO,
        more => (RESTART / more).min(LONGEST_SPREAD),
    }
}

/// How long the restart of a receiver takes.
const RESTART: Duration = Duration::from_secs(30);
const LONGEST_SPREAD: Duration = Duration::from_secs(6);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The longest time for which a delivery can have to wait for its next attempt. If it is due later, the clock was wrong
/// when it failed, or is wrong now, or its schedule was longer.
pub fn longest_wait(schedule: &[Duration]) -> Duration {
    schedule.iter().max().copied().unwrap_or_default().mul_f64(1.0 + JITTER) + CLOCKS_DIFFER
}

/// By how much a time that was planned may seem further away, because a clock was corrected a little.
const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

/// Whether a delivery has expired: it has been sent for `time`, which is more than twice the duration of its schedule.
/// This happens when many deliveries wait for an endpoint that keeps failing and gets one request at a time. To be
/// asked when an attempt has failed: a delivery is not given up without the attempt that it waits for.
///
/// The duration of a schedule is the sum of its delays and of the time limits of its requests. Without the time limits,
/// a short schedule would be over before its last attempt. With an empty schedule no delivery expires.
pub fn is_expired(schedule: &[Duration], timeout: Duration, time: Duration) -> bool {
    let requests = timeout * (schedule.len() as u32 + 1);
    let lifetime = (schedule.iter().sum::<Duration>() + requests) * 2;
    !schedule.is_empty() && time > lifetime
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hydra() -> Vec<Duration> {
        [30, 120, 600, 1800, 3600].map(Duration::from_secs).to_vec()
    }

    #[test]
    fn a_schedule_of_five_delays_allows_six_attempts() {
        let delays: Vec<_> = (1..=6).map(|failures| delay(&hydra(), failures, None, 0.0)).collect();
        let planned: Vec<_> = hydra().into_iter().map(Some).chain([None]).collect();
        assert_eq!(delays, planned);
    }

    #[test]
    fn an_empty_schedule_allows_one_attempt() {
        assert_eq!(delay(&[], 1, Some(Duration::from_secs(5)), 0.0), None);
    }

    #[test]
    fn jitter_moves_a_delay_by_a_tenth_at_most() {
        assert_eq!(delay(&hydra(), 1, None, -1.0), Some(Duration::from_secs(27)));
        assert_eq!(delay(&hydra(), 1, None, 1.0), Some(Duration::from_secs(33)));
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_but_not_for_less_and_not_beyond_the_longest_delay() {
        let asked = |seconds| delay(&hydra(), 1, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(asked(1), Some(Duration::from_secs(30)));
        assert_eq!(asked(300), Some(Duration::from_secs(300)));
        assert_eq!(asked(1_000_000), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn the_pause_after_a_fault_grows_to_a_minute() {
        let pauses = [1, 2, 3, 7, 8, 1000].map(|faults| pause(faults).as_secs());
        assert_eq!(pauses, [1, 2, 4, 60, 60, 60]);
    }

    #[test]
    fn the_failures_that_disable_are_spread_over_half_a_minute_if_there_are_enough() {
        let pauses = [1, 5, 6, 10, 15, 65].map(|disable_after| spread(disable_after).as_millis());
        assert_eq!(pauses, [0, 0, 6000, 6000, 3000, 500]);
    }

    #[test]
    fn a_delivery_expires_when_its_schedule_could_have_passed_twice() {
        let timeout = Duration::from_secs(8);
        let once = hydra().iter().sum::<Duration>() + 6 * timeout;
        assert!(!is_expired(&hydra(), timeout, once * 2));
        assert!(is_expired(&hydra(), timeout, once * 2 + Duration::from_secs(1)));
        assert!(!is_expired(&[], timeout, Duration::from_secs(1)));
    }
}
