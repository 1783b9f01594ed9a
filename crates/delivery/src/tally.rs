//! Counts for the statistics: deliveries that succeeded, attempts that failed, and times of answers, by subscription
//! and hour.
//!
//! Counts are kept in memory and added to `hydra.delivery_count` once a minute. If a row were updated with every batch,
//! updates would become slow while a long transaction keeps the old versions of the row from being removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foldhash::HashMap;
use wire::ids::SubscriptionId;

#[derive(Debug, Default)]
pub struct Tally {
    counts: HashMap<(SubscriptionId, u64), Count>,
}

/// The number of buckets in the histogram of answer times. The first bucket ends at a quarter of a millisecond. The
/// upper bound of each bucket is 2^(1/4) times that of the bucket before it, so that a percentile is at most a fifth
/// too high. The last bucket also has all longer times.
pub const TIMES: usize = 73;
const FIRST_TIME: Duration = Duration::from_micros(250);
const PER_DOUBLING: f64 = 4.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub delivered: i64,
    pub failed_attempts: i64,
    /// Deliveries that were given up.
    pub failed: i64,
    /// The number of answers with any status, by the time that they took.
    pub times: [i64; TIMES],
}

impl Default for Count {
    fn default() -> Self {
        Self { delivered: 0, failed_attempts: 0, failed: 0, times: [0; TIMES] }
    }
}

/// The bucket of the histogram for an answer that took this long.
fn bucket(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() / FIRST_TIME.as_secs_f64()).log2();
    // The conversion of a negative number gives 0.
    ((doublings * PER_DOUBLING).ceil() as usize).min(TIMES - 1)
}

impl Tally {
    /// Counts a delivery that succeeded.
    pub fn delivered(&mut self, subscription: SubscriptionId, now: SystemTime) {
        self.count(subscription, now).delivered += 1;
    }

    /// Counts an attempt that failed.
    pub fn failed_attempt(&mut self, subscription: SubscriptionId, now: SystemTime) {
        self.count(subscription, now).failed_attempts += 1;
    }

    /// Counts a delivery that was given up.
    pub fn failed(&mut self, subscription: SubscriptionId, now: SystemTime) {
        self.count(subscription, now).failed += 1;
    }

    /// Counts an answer by the time that it took.
    pub fn answered(&mut self, subscription: SubscriptionId, now: SystemTime, took: Duration) {
        self.count(subscription, now).times[bucket(took)] += 1;
    }

    fn count(&mut self, subscription: SubscriptionId, now: SystemTime) -> &mut Count {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.counts.entry((subscription, seconds / 3600)).or_default()
    }

    /// Returns all counts: subscription, hours since 1970, counts.
    pub fn iter(&self) -> impl Iterator<Item = (SubscriptionId, u64, &Count)> {
        self.counts.iter().map(|((subscription, hour), count)| (*subscription, *hour, count))
    }

    /// Clears the counts. To be called when they have been written.
    pub fn written(&mut self) {
        self.counts.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_times_are_exact_to_a_fifth_from_a_quarter_of_a_millisecond_to_a_minute() {
        let end = |bucket: usize| FIRST_TIME.as_secs_f64() * 2f64.powf(bucket as f64 / PER_DOUBLING);
        for micros in [251, 300, 999, 1_000, 8_000, 123_456, 8_000_000, 59_000_000] {
            let took = Duration::from_micros(micros);
            let end = end(bucket(took));
            assert!(
                (took.as_secs_f64()..took.as_secs_f64() * 1.19).contains(&end),
                "{took:?} is in the bucket that ends at {end} s"
            );
        }
        assert_eq!([bucket(Duration::ZERO), bucket(FIRST_TIME), bucket(Duration::from_secs(3600))], [0, 0, TIMES - 1]);
    }
}
