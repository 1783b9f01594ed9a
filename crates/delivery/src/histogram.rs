//! A histogram of the times that answers took. Histograms can be added, so that a percentile of any hours and
//! subscriptions together can be computed.

use std::time::Duration;

/// The number of buckets. The first bucket ends at a quarter of a millisecond. The upper bound of each bucket is
/// 2^(1/4) times that of the bucket before it, so that a percentile is at most a fifth too high before it is rounded.
/// The last bucket also has all longer times.
pub const TIMES: usize = 73;
const FIRST_TIME: Duration = Duration::from_micros(250);
const PER_DOUBLING: f64 = 4.0;

/// The number of answers in each bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram([i64; TIMES]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; TIMES])
    }
}

impl Histogram {
    /// Counts an answer that took this long.
    pub fn count(&mut self, took: Duration) {
        self.0[bucket(took)] += 1;
    }

    /// Adds the counts of the first buckets; those of further buckets are 0.
    pub fn add(&mut self, counts: impl IntoIterator<Item = i64>) {
        self.0.iter_mut().zip(counts).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    /// The counts of all buckets.
    pub fn counts(&self) -> [i64; TIMES] {
        self.0
    }

    /// The counts as they are stored in an array of Postgres, in which a null takes a bit: empty buckets are `None`, and
    /// those at the end are left out.
    pub fn sparse(&self) -> Vec<Option<i64>> {
        let used = self.0.iter().rposition(|count| *count != 0).map_or(0, |last| last + 1);
        self.0[..used].iter().map(|count| Some(*count).filter(|count| *count != 0)).collect()
    }

    /// Returns a percentile as the upper bound of its bucket in milliseconds, rounded to two digits; `None` if there are
    /// no answers. `share` is from 0 to 1.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let total: i128 = self.0.iter().copied().map(i128::from).sum();
        let mut so_far = 0;
        let bucket = self.0.iter().position(|answers| {
            so_far += i128::from(*answers);
            so_far > 0 && so_far as f64 >= total as f64 * share
        });
        bucket.map(|bucket| two_digits(end(bucket)))
    }
}

/// The bucket for an answer that took this long.
fn bucket(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() / FIRST_TIME.as_secs_f64()).log2();
    // The conversion of a negative number gives 0.
    ((doublings * PER_DOUBLING).ceil() as usize).min(TIMES - 1)
}

/// The upper bound of a bucket in milliseconds.
fn end(bucket: usize) -> f64 {
    FIRST_TIME.as_secs_f64() * 1000.0 * 2f64.powf(bucket as f64 / PER_DOUBLING)
}

fn two_digits(number: f64) -> f64 {
    format!("{number:.1e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(answers: &[(usize, i64)]) -> Histogram {
        let mut histogram = Histogram::default();
        answers.iter().for_each(|(bucket, count)| histogram.0[*bucket] = *count);
        histogram
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket_in_one_histogram_or_in_the_sum_of_several() {
        let (mut both, slow) = (histogram(&[(0, 90), (4, 5)]), histogram(&[(8, 5)]));
        both.add(slow.counts());
        assert_eq!([0.5, 0.9, 0.91, 0.99].map(|share| both.percentile(share)), [0.25, 0.25, 0.5, 1.0].map(Some));
        assert_eq!([0.0, 0.01, 1.0].map(|share| slow.percentile(share)), [Some(1.0); 3]);
        assert_eq!(histogram(&[]).percentile(0.5), None);
    }

    #[test]
    fn answer_times_are_exact_to_a_fifth_from_a_quarter_of_a_millisecond_to_a_minute() {
        for micros in [251, 300, 999, 1_000, 8_000, 123_456, 8_000_000, 59_000_000] {
            let took = Duration::from_micros(micros);
            let millis = micros as f64 / 1000.0;
            let end = end(bucket(took));
            assert!((millis..millis * 1.19).contains(&end), "{took:?} is in the bucket that ends at {end} ms");
        }
        assert_eq!([bucket(Duration::ZERO), bucket(FIRST_TIME), bucket(Duration::from_secs(3600))], [0, 0, TIMES - 1]);
    }

    #[test]
    fn a_percentile_has_two_digits_and_is_at_most_a_quarter_too_high_and_a_twentieth_too_low() {
        for place in 1..TIMES {
            let shown = histogram(&[(place, 1)]).percentile(0.5).expect("there is an answer");
            let digits = format!("{shown:e}").split('e').next().map_or(0, |digits| digits.replace('.', "").len());
            assert!(digits <= 2, "{shown}");
            let (shortest, longest) = (end(place - 1), end(place));
            assert!(shown <= shortest * 1.25 && shown >= longest * 0.95, "{shortest} to {longest} is shown as {shown}");
        }
        assert_eq!(
            [26, 30, 37, 48].map(|place| histogram(&[(place, 1)]).percentile(1.0)),
            [23.0, 45.0, 150.0, 1000.0].map(Some)
        );
    }

    #[test]
    fn a_histogram_is_stored_without_its_empty_buckets_and_read_as_it_was() {
        let known = histogram(&[(2, 7), (5, 1)]);
        let sparse = known.sparse();
        assert_eq!(sparse, [None, None, Some(7), None, None, Some(1)]);
        let mut read = Histogram::default();
        read.add(sparse.into_iter().map(Option::unwrap_or_default));
        assert_eq!(read, known);
        assert!(histogram(&[]).sparse().is_empty());
        let mut full = histogram(&[(0, i64::MAX)]);
        full.add([i64::MAX]);
        assert_eq!(full.counts()[0], i64::MAX);
    }
}
