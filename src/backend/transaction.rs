//! Transactions of a background worker.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::prelude::*;

use super::{Failure, activity};

/// Runs `body` in its own transaction and commits it. On an error aborts it and returns the error: an error never ends
/// the process, and what was to be written is still in the caller's hands.
///
/// `step` says what is being done, as it follows "could not". `pg_stat_activity` shows it, and the failure holds it.
pub fn transaction<R>(step: &'static CStr, body: impl FnOnce() -> R) -> Result<R, Failure> {
    activity::running(step);
    let attempt = AssertUnwindSafe(|| {
        // SAFETY: the worker is connected and outside of a transaction.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let result = body();
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
            // Otherwise autovacuum never learns what the worker wrote.
            pg_sys::pgstat_report_stat(false);
            Ok(result)
        }
    });
    PgTryBuilder::new(attempt)
        .catch_others(|error| {
            // SAFETY: ends what was begun above; sets a flag of this process.
            unsafe {
                pg_sys::AbortCurrentTransaction();
                // When Postgres cancels a statement, it clears the flag for all other pending interrupts too. DROP
                // DATABASE waits until this process has served one of those.
                (&raw mut pg_sys::InterruptPending).write_volatile(1);
            }
            Err(Failure::new(step, &error))
        })
        .execute()
}
