//! Computes with histograms of response times: the number of responses in each bucket, as arrays. A null, or a bucket
//! that is missing at the end, is 0.

use delivery::histogram::Histogram;
use pgrx::datum::Internal;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::prelude::*;

use crate::backend::refuse::refuse;

/// Returns a percentile of the response times in a histogram, in milliseconds; null if there are no responses.
#[pg_extern(immutable, strict, parallel_safe)]
fn webhook_percentile(response_times: Array<'_, i64>, share: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&share) {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("invalid share: {share}"),
            "It is the share of the responses that took no longer, from 0 to 1.",
            "For the 95th percentile, pass 0.95.",
        );
    }
    let mut histogram = Histogram::default();
    add(&mut histogram, response_times);
    histogram.percentile(share)
}

/// Adds a histogram to the sum of those before it. The sum is changed in place: there can be a million of them.
#[pg_extern(immutable, parallel_safe)]
fn _merge_step(sum: Internal, response_times: Option<Array<'_, i64>>, fcinfo: pg_sys::FunctionCallInfo) -> Internal {
    let mut sum = if sum.initialized() { sum } else { new_sum(fcinfo) };
    // SAFETY: it was made by `new_sum`, and nobody else has it during this call.
    if let (Some(sum), Some(response_times)) = (unsafe { sum.get_mut::<Histogram>() }, response_times) {
        add(sum, response_times);
    }
    sum
}

/// Returns the sum of the histograms that were added; null if there were no rows.
#[pg_extern(immutable, parallel_safe)]
fn _merge_end(sum: Internal) -> Option<Vec<Option<i64>>> {
    // SAFETY: it was made by `new_sum`, or is null.
    unsafe { sum.get::<Histogram>() }.map(Histogram::sparse)
}

/// A sum that lives as long as its aggregate, in memory that Postgres counts.
fn new_sum(fcinfo: pg_sys::FunctionCallInfo) -> Internal {
    let mut context = std::ptr::null_mut();
    // SAFETY: Postgres passes its call.
    if unsafe { pg_sys::AggCheckCallContext(fcinfo, &mut context) } == 0 {
        error!("only an aggregate can add histograms");
    }
    // SAFETY: Postgres keeps the context until the aggregate is done. The memory is set before it is read.
    unsafe {
        let sum = PgMemoryContexts::For(context).palloc_struct::<Histogram>();
        sum.write(Histogram::default());
        Internal::from(Some(pg_sys::Datum::from(sum)))
    }
}

fn add(sum: &mut Histogram, response_times: Array<'_, i64>) {
    sum.add(response_times.iter().map(Option::unwrap_or_default));
}
