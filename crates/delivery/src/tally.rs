//! Counts for the statistics: deliveries that succeeded, attempts that failed, and times of answers, by subscription
//! and hour.
//!
//! Counts are kept in memory and added to `hydra.delivery_count` once a minute, those of some subscriptions at a time. If
//! a row were updated with every batch, updates would become slow while a long transaction keeps the old versions of the
//! row from being removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foldhash::HashMap;
use wire::ids::SubscriptionId;

use crate::writes::ROWS;

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

impl Count {
    fn add(&mut self, other: &Count) {
        self.delivered += other.delivered;
        self.failed_attempts += other.failed_attempts;
        self.failed += other.failed;
        self.times.iter_mut().zip(other.times).for_each(|(time, more)| *time += more);
    }
}

/// The bucket of the histogram for an answer that took this long.
fn bucket(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() / FIRST_TIME.as_secs_f64()).log2();
    // The conversion of a negative number gives 0.
    ((doublings * PER_DOUBLING).ceil() as usize).min(TIMES - 1)
}

/// Returns a percentile of the answer times in histograms, one after the other, as the upper bound of its bucket in
/// milliseconds; `None` if there are no answers. `share` is from 0 to 1.
pub fn percentile(histograms: impl IntoIterator<Item = i64>, share: f64) -> Option<f64> {
    let mut sums = [0i128; TIMES];
    for (place, answers) in histograms.into_iter().enumerate() {
        sums[place % TIMES] += i128::from(answers);
    }
    let total: i128 = sums.iter().sum();
    let mut so_far = 0;
    let bucket = sums.iter().position(|answers| {
        so_far += answers;
        so_far as f64 >= total as f64 * share
    });
    let bound = |bucket| FIRST_TIME.as_secs_f64() * 1000.0 * 2f64.powf(bucket as f64 / PER_DOUBLING);
    bucket.filter(|_| total > 0).map(|bucket| (bound(bucket) * 100.0).round() / 100.0)
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

    /// Takes out the counts that one transaction writes.
    pub fn take_part(&mut self) -> Tally {
        let keys: Vec<_> = self.counts.keys().take(ROWS).copied().collect();
        Tally { counts: keys.iter().filter_map(|key| self.counts.remove_entry(key)).collect() }
    }

    pub fn add(&mut self, other: Tally) {
        for (key, count) in other.counts {
            self.counts.entry(key).or_default().add(&count);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_taken_out_in_parts_and_added_again() {
        let tallied = || {
            let mut tally = Tally::default();
            for id in 1..=3 * ROWS as i64 / 2 {
                tally.delivered(SubscriptionId(id), UNIX_EPOCH);
                tally.answered(SubscriptionId(id), UNIX_EPOCH, FIRST_TIME);
            }
            tally
        };
        let mut tally = tallied();
        let first = tally.take_part();
        assert_eq!((first.counts.len(), tally.counts.len()), (ROWS, ROWS / 2));
        let mut twice = tallied();
        twice.add(first);
        twice.add(tally.take_part());
        assert!(tally.is_empty() && twice.counts.len() == 3 * ROWS / 2);
        assert!(twice.counts.values().all(|count| count.delivered == 2 && count.times[0] == 2));
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket_in_one_histogram_or_in_several() {
        let histogram = |answers: &[(usize, i64)]| {
            let mut histogram = [0; TIMES];
            answers.iter().for_each(|(bucket, count)| histogram[*bucket] = *count);
            histogram
        };
        let (quick, slow) = (histogram(&[(0, 90), (4, 5)]), histogram(&[(8, 5)]));
        let both = || quick.iter().chain(&slow).copied();
        assert_eq!([0.5, 0.9, 0.91, 0.99].map(|share| percentile(both(), share)), [0.25, 0.25, 0.5, 1.0].map(Some));
        assert_eq!(percentile(slow, 0.01), Some(1.0));
        assert_eq!((percentile(histogram(&[]), 0.5), percentile([], 0.5)), (None, None));
    }

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
