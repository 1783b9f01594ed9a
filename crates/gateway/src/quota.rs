//! How many requests a key may make, or an inbound adapter may get, shared among the gateways that live.
//!
//! A key has so many requests per minute, and an adapter so many per second. Each gateway grants its share of them, evenly
//! over time: requests are scheduled one interval apart, and may come as much ahead of their schedule as the share of one
//! minute or second. So a key that was idle may make all its requests at once, and then one per interval (GCRA, the generic
//! cell rate algorithm). Its state is one time per key.

use std::time::{Duration, Instant};

/// That of keys.
pub const MINUTE: Duration = Duration::from_secs(60);
/// That of inbound adapters.
pub const SECOND: Duration = Duration::from_secs(1);

/// What a key or an inbound adapter may do at this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests in each window, at all gateways.
    pub requests: u32,
    pub window: Duration,
    /// The number of gateways.
    pub live: u32,
}

/// When the requests so far would have been made if they had come evenly.
#[derive(Debug, Clone, Copy)]
pub struct Schedule(Instant);

/// What is left of a quota, for the headers of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub quota: u32,
    /// How many requests are left at all gateways, if the others have granted as many as this one.
    pub remaining: u32,
    /// When all of the quota is there again, or, if nothing is left, when the next request is granted.
    pub reset: Duration,
}

impl Schedule {
    pub fn new(now: Instant) -> Self {
        Self(now)
    }

    /// Whether it is as that of a key that was never used.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.0 <= now
    }

    /// Grants a request, or says when there will be one again.
    pub fn take(&mut self, quota: Quota, now: Instant) -> Result<Left, Left> {
        let live = quota.live.max(1);
        // A share of less than one request is one request, as seldom as it must be.
        let interval = quota.window * live / quota.requests.max(1);
        let burst = interval.max(quota.window);
        let next = self.0.max(now) + interval;
        let ahead = next - now;
        if ahead > burst {
            return Err(Left { quota: quota.requests, remaining: 0, reset: ahead - burst });
        }
        self.0 = next;
        let remaining = ((burst - ahead).as_nanos() / interval.as_nanos().max(1)) as u32;
        Ok(Left { quota: quota.requests, remaining: (remaining * live).min(quota.requests), reset: ahead })
    }
}

impl Left {
    /// Whole seconds, never too few.
    pub fn reset_seconds(&self) -> u64 {
        self.reset.as_millis().div_ceil(1000) as u64
    }

    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let (quota, remaining, reset) = (self.quota, self.remaining, self.reset_seconds());
        vec![
            ("ratelimit-policy", format!("\"default\";q={quota};w={}", MINUTE.as_secs())),
            ("ratelimit", format!("\"default\";r={remaining};t={reset}")),
            ("x-ratelimit-limit", quota.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset", reset.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(requests: u32, live: u32) -> Quota {
        Quota { requests, window: MINUTE, live }
    }

    fn granted(schedule: &mut Schedule, quota: Quota, now: Instant) -> u32 {
        (0..10_000).take_while(|_| schedule.take(quota, now).is_ok()).count() as u32
    }

    #[test]
    fn a_key_may_make_its_requests_at_once_and_then_evenly() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        let quota = minute(600, 1);
        assert_eq!(granted(&mut schedule, quota, start), 600);
        let refused = schedule.take(quota, start).unwrap_err();
        assert_eq!(refused, Left { quota: 600, remaining: 0, reset: Duration::from_millis(100) });
        assert_eq!(refused.reset_seconds(), 1);
        assert_eq!(granted(&mut schedule, quota, start + Duration::from_millis(100)), 1);
        assert_eq!(granted(&mut schedule, quota, start + Duration::from_secs(6)), 59);
        assert!(schedule.is_idle(start + Duration::from_secs(66)));
        assert_eq!(granted(&mut schedule, quota, start + Duration::from_secs(600)), 600);
    }

    #[test]
    fn an_adapter_may_get_the_requests_of_a_second_at_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        let quota = Quota { requests: 50, window: SECOND, live: 2 };
        assert_eq!(granted(&mut schedule, quota, start), 25);
        assert_eq!(granted(&mut schedule, quota, start + Duration::from_millis(40)), 1);
        assert_eq!(granted(&mut schedule, quota, start + Duration::from_secs(2)), 25);
    }

    #[test]
    fn gateways_share_the_quota() {
        let start = Instant::now();
        for (requests, live, share) in [(600, 3, 200), (1, 1, 1), (2, 3, 1), (7, 2, 3), (100_000, 1, 10_000)] {
            assert_eq!(granted(&mut Schedule::new(start), minute(requests, live), start), share, "{requests} / {live}");
        }
        // One request per minute at three gateways: each grants one in three minutes.
        let mut schedule = Schedule::new(start);
        let quota = minute(1, 3);
        assert!(schedule.take(quota, start).is_ok());
        assert!(schedule.take(quota, start + Duration::from_secs(179)).is_err());
        assert!(schedule.take(quota, start + Duration::from_secs(180)).is_ok());
    }

    #[test]
    fn the_headers_say_what_is_left() {
        let start = Instant::now();
        let left = Schedule::new(start).take(minute(600, 2), start).unwrap();
        assert_eq!(
            left.headers(),
            [
                ("ratelimit-policy", "\"default\";q=600;w=60".to_owned()),
                ("ratelimit", "\"default\";r=598;t=1".to_owned()),
                ("x-ratelimit-limit", "600".to_owned()),
                ("x-ratelimit-remaining", "598".to_owned()),
                ("x-ratelimit-reset", "1".to_owned()),
            ]
        );
    }
}
