//! What the views compute of the histograms of answer times.

use delivery::tally::percentile;
use pgrx::prelude::*;

/// Returns a percentile of the answer times in the histograms of one or more rows of `hydra.delivery_count`, in
/// milliseconds; null if there are no answers.
#[pg_extern(immutable, strict, parallel_safe)]
fn _percentile(response_times: Array<'_, i64>, share: f64) -> Option<f64> {
    percentile(response_times.iter().map(Option::unwrap_or_default), share)
}
