//! Decides when a failed delivery is tried again, and when it has expired.
//!
//! A schedule is a list of delays. Each delay is counted from the failure before it. A delivery has one attempt more
//! than its schedule has delays. Delays are varied a little, so that deliveries that failed at the same time are not
//! retried at the same time. With `Retry-After` a receiver may ask for a longer delay, but not for a shorter one, and
//! not for more than the longest delay of the schedule.

use std::time::{Duration, SystemTime};

/// The fraction by which a delay may be shorter or longer.
const JITTER: f64 = 0.1;

/// Returns the delay after the `failures`-th failure of a schedule (counted from 1). `None` if that was the last
/// attempt. `jitter` is a random number from -1 to 1.
pub fn delay(schedule: &[Duration], failures: usize, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
    let planned = schedule.get(failures.checked_sub(1)?)?.mul_f64(1.0 + JITTER * jitter);
    let longest = schedule.iter().max()?;
    Some(planned.max(retry_after.unwrap_or_default().min(*longest)))
}

/// Whether a delivery has expired: twice the duration of its schedule has passed since `began`. This happens when many
/// deliveries wait for an endpoint that keeps failing and gets one request at a time. The duration of a schedule is the
/// sum of its delays and of the time limits of its requests. Without the time limits, a short schedule would be over
/// before its last attempt. With an empty schedule no delivery expires.
pub fn is_expired(schedule: &[Duration], timeout: Duration, began: SystemTime, now: SystemTime) -> bool {
    let requests = timeout * (schedule.len() as u32 + 1);
    let lifetime = (schedule.iter().sum::<Duration>() + requests) * 2;
    !schedule.is_empty() && began + lifetime < now
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
    fn a_delivery_expires_when_its_schedule_could_have_passed_twice() {
        let began = SystemTime::UNIX_EPOCH;
        let timeout = Duration::from_secs(8);
        let once = hydra().iter().sum::<Duration>() + 6 * timeout;
        assert!(!is_expired(&hydra(), timeout, began, began + once * 2));
        assert!(is_expired(&hydra(), timeout, began, began + once * 2 + Duration::from_secs(1)));
        assert!(!is_expired(&[], timeout, began, began + Duration::from_secs(1)));
    }
}
