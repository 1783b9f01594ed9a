//! Runs the transactions of a background worker.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::prelude::*;

use super::failure::Failure;
use super::{activity, signals};

/// Runs `body` in its own transaction and commits it. On an error, aborts the transaction and returns the error: the
/// process goes on, and the caller still has what was to be written.
///
/// `step` says what is being done: a verb phrase that can stand after "could not". `pg_stat_activity` shows it, and the
/// returned failure contains it.
pub fn transaction<R>(step: &'static CStr, body: impl FnOnce() -> R) -> Result<R, Failure> {
    activity::running(step);
    let attempt = AssertUnwindSafe(|| {
        // SAFETY: the worker is connected and outside of a transaction.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            signals::allow_cancels();
            let result = body();
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
            signals::hold_off_cancels();
            // Without this report autovacuum would not know what the worker wrote.
            pg_sys::pgstat_report_stat(false);
            Ok(result)
        }
    });
    PgTryBuilder::new(attempt)
        .catch_others(|error| {
            // The error has reset this.
            signals::hold_off_cancels();
            // SAFETY: ends what was begun above; sets a flag of this process.
            unsafe {
                pg_sys::AbortCurrentTransaction();
                // When Postgres cancels a statement, it also clears the flag that says that other interrupts are
                // pending. Set it again: DROP DATABASE, for example, waits until this process has handled such an
                // interrupt.
                (&raw mut pg_sys::InterruptPending).write_volatile(1);
            }
            Err(Failure::new(step, &error))
        })
        .execute()
}
