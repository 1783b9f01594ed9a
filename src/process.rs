//! Living as a background worker: signals, waiting, transactions.
//!
//! SIGTERM cancels the statement under way, which may be waiting for a lock, and is remembered: the transaction is
//! aborted like after any error, and the worker still writes what is done before it ends. Postgres's own `die` would end
//! it then and there, and have everything sent again that had arrived but was not written yet. A second SIGTERM does so.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

static STOP: AtomicBool = AtomicBool::new(false);

/// To be called once, before the worker connects.
#[allow(unsafe_code)]
pub fn attach_signals() {
    // SAFETY: the handlers do what is allowed in a signal handler; a flag of this process.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        {
            pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(on_sigterm));
            pg_sys::pqsignal(pg_sys::SIGHUP as i32, Some(on_sighup));
        }
        #[cfg(feature = "pg18")]
        {
            pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(on_sigterm));
            pg_sys::pqsignal_be(pg_sys::SIGHUP as i32, Some(on_sighup));
        }
        // A background worker begins by ignoring SIGHUP: one that was sent since its process was made is gone.
        (&raw mut pg_sys::ConfigReloadPending).write_volatile(1);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

#[allow(unsafe_code)]
unsafe extern "C-unwind" fn on_sigterm(_signal: i32) {
    let again = STOP.swap(true, Ordering::AcqRel);
    // SAFETY: flags of this process, written in full by the one instruction that sets them, and its own latch. What is
    // interrupted may be about to look at errno.
    unsafe {
        let errno = *libc::__errno_location();
        if again {
            (&raw mut pg_sys::ProcDiePending).write_volatile(1);
        } else {
            (&raw mut pg_sys::QueryCancelPending).write_volatile(1);
        }
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
        *libc::__errno_location() = errno;
    }
}

#[allow(unsafe_code)]
unsafe extern "C-unwind" fn on_sighup(_signal: i32) {
    // SAFETY: as above.
    unsafe {
        let errno = *libc::__errno_location();
        (&raw mut pg_sys::ConfigReloadPending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
        *libc::__errno_location() = errno;
    }
}

/// Sleeps until the latch is set, `fd` is readable or the time is over, and serves interrupts, except that a SIGTERM is
/// left for [`stop_requested`].
pub fn wait(fd: Option<RawFd>, timeout: Duration) {
    if !was_told_to_stop() {
        sleep(fd, timeout);
    }
    if !was_told_to_stop() {
        forget_cancel();
        pgrx::check_for_interrupts!();
    }
}

/// Between statements there is nothing to cancel; an error there would end the process.
#[allow(unsafe_code)]
fn forget_cancel() {
    // SAFETY: a flag of this process.
    unsafe { (&raw mut pg_sys::QueryCancelPending).write_volatile(0) };
}

/// The same for a client's backend, which SIGTERM ends.
pub fn wait_as_backend(fd: Option<RawFd>, timeout: Duration) {
    sleep(fd, timeout);
    pgrx::check_for_interrupts!();
}

/// Ends the process if the postmaster is gone.
#[allow(unsafe_code)]
fn sleep(fd: Option<RawFd>, timeout: Duration) {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    if fd.is_some() {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    let millis: i32 = timeout.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: MyLatch is this process's latch, and the caller owns the descriptor.
    unsafe {
        pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            fd.unwrap_or(pg_sys::PGINVALID_SOCKET),
            millis.into(),
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}

/// Whether this process was asked to end. Asking takes the wish over: from then on statements run again, so that the
/// caller can write what is done, and it is the caller's to end soon.
pub fn stop_requested() -> bool {
    let asked = was_told_to_stop();
    if asked {
        forget_cancel();
    }
    asked
}

/// Whether somebody told this process to end, at any time.
pub fn was_told_to_stop() -> bool {
    STOP.load(Ordering::Acquire)
}

/// Reads the configuration again if that was asked for, and says so.
#[allow(unsafe_code)]
pub fn reload_requested() -> bool {
    // SAFETY: the main loop of a worker is where Postgres wants this to be called.
    unsafe {
        let asked = pg_sys::ConfigReloadPending != 0;
        if asked {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
        asked
    }
}

/// Runs `body` in a transaction of its own and commits it; on an error aborts it and says what it was. An error thus
/// never ends the process, and what it should have written is still in the caller's hands.
#[allow(unsafe_code)]
pub fn transaction<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    let attempt = AssertUnwindSafe(|| {
        // SAFETY: the worker is connected and outside of a transaction.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let result = body();
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
            // Without it autovacuum never learns what the worker wrote.
            pg_sys::pgstat_report_stat(false);
            Ok(result)
        }
    });
    PgTryBuilder::new(attempt)
        .catch_others(|error| {
            // SAFETY: what was begun above is ended here; a flag of this process.
            unsafe {
                pg_sys::AbortCurrentTransaction();
                // To cancel a statement, Postgres leaves what else it had to serve at that moment, and takes the flag for
                // it down: whoever drops a database would wait for ever until this process has closed its files.
                (&raw mut pg_sys::InterruptPending).write_volatile(1);
            }
            Err(message(&error))
        })
        .execute()
}

fn message(error: &CaughtError) -> String {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    report.message().to_owned()
}

/// Sets a parameter for this process, against whatever ALTER DATABASE or ALTER ROLE say.
pub fn pin(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_SET);
}

/// Sets a parameter until the end of the current transaction.
pub fn pin_local(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_LOCAL);
}

#[allow(unsafe_code)]
fn set(name: &CStr, value: &CStr, action: pg_sys::GucAction::Type) {
    let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
    // SAFETY: both are C strings, and the worker is connected.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, 0, false) };
}
