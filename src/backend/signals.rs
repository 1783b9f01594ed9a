//! Handles the signals of a background worker, and waits.
//!
//! The first SIGTERM cancels the current statement, which may be waiting for a lock, and is remembered. The transaction
//! is aborted as after any error, and the worker writes the outcomes that have arrived before it ends. Postgres's own
//! handler, `die`, would end the process at once, and deliveries whose outcomes had arrived but were not yet written
//! would be sent again. A second SIGTERM does what `die` does.
//!
//! Postgres handles a cancel request at many places, such as after each message for the log. Between transactions there
//! is no statement to cancel, and the error would end the process. So cancels are held off there.

use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgrx::prelude::*;

use super::activity;

static STOP: AtomicBool = AtomicBool::new(false);

/// Installs the signal handlers. To be called once, before the worker connects.
pub fn attach() {
    // SAFETY: the handlers do only what a signal handler may do; sets a flag of this process.
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
        // A background worker starts with SIGHUP ignored. A SIGHUP may have been sent before now, so a reload is
        // requested.
        (&raw mut pg_sys::ConfigReloadPending).write_volatile(1);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    hold_off_cancels();
}

/// From now on, cancel requests wait: to be called after each transaction.
pub(super) fn hold_off_cancels() {
    // SAFETY: a counter of this process.
    unsafe { (&raw mut pg_sys::QueryCancelHoldoffCount).write_volatile(1) };
}

/// From now on, a cancel request raises an error: to be called at the start of each transaction. Cancel requests
/// that waited are dropped, because their statement is over. If a SIGTERM has arrived, its cancel request is kept.
pub(super) fn allow_cancels() {
    if !stop_was_requested() {
        forget_cancel();
    }
    // SAFETY: as above.
    unsafe { (&raw mut pg_sys::QueryCancelHoldoffCount).write_volatile(0) };
}

unsafe extern "C-unwind" fn on_sigterm(_signal: i32) {
    let again = STOP.swap(true, Ordering::AcqRel);
    // SAFETY: flags of this process, each written by a single instruction, and its own latch. errno is restored, since
    // the interrupted code may be about to read it.
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

unsafe extern "C-unwind" fn on_sighup(_signal: i32) {
    // SAFETY: as above.
    unsafe {
        let errno = *libc::__errno_location();
        (&raw mut pg_sys::ConfigReloadPending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
        *libc::__errno_location() = errno;
    }
}

/// Sleeps until the latch is set, `fd` is readable or the timeout has passed. Then handles interrupts, except that
/// SIGTERM is left to [`stop_requested`].
pub fn wait(fd: Option<RawFd>, timeout: Duration) {
    wait_by(timeout, || sleep(fd, timeout));
}

fn wait_by(timeout: Duration, sleep: impl FnOnce()) {
    if !timeout.is_zero() {
        activity::idle();
    }
    if !stop_was_requested() {
        sleep();
    }
    if !stop_was_requested() {
        pgrx::check_for_interrupts!();
    }
}

/// Clears a pending cancel of a statement.
fn forget_cancel() {
    // SAFETY: a flag of this process.
    unsafe { (&raw mut pg_sys::QueryCancelPending).write_volatile(0) };
}

/// Sleeps in the same way in a client's backend, where SIGTERM ends the process.
pub fn wait_as_backend(fd: Option<RawFd>, timeout: Duration) {
    sleep(fd, timeout);
    pgrx::check_for_interrupts!();
}

/// Waits for the latch, `fd` or the timeout. Ends the process if the postmaster no longer runs.
fn sleep(fd: Option<RawFd>, timeout: Duration) {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    if fd.is_some() {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    // SAFETY: MyLatch is this process's latch, and the caller owns the descriptor.
    unsafe {
        pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            fd.unwrap_or(pg_sys::PGINVALID_SOCKET),
            millis(timeout),
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}

fn millis(timeout: Duration) -> i64 {
    timeout.as_millis().try_into().unwrap_or(i32::MAX).into()
}

/// Waits as [`wait`] does, always for the same file descriptor. It is made once, because making it takes several system
/// calls.
pub struct Waits(NonNull<pg_sys::WaitEventSet>);

impl Waits {
    /// # Safety
    /// The descriptor must stay open for as long as there are waits for it.
    pub unsafe fn new(fd: RawFd) -> Self {
        let events = [
            (pg_sys::WL_LATCH_SET, pg_sys::PGINVALID_SOCKET),
            (pg_sys::WL_EXIT_ON_PM_DEATH, pg_sys::PGINVALID_SOCKET),
            (pg_sys::WL_SOCKET_READABLE, fd),
        ];
        // SAFETY: MyLatch is this process's latch. The set lives as long as the process.
        unsafe {
            #[cfg(any(feature = "pg15", feature = "pg16"))]
            let set = pg_sys::CreateWaitEventSet(pg_sys::TopMemoryContext, events.len() as i32);
            #[cfg(not(any(feature = "pg15", feature = "pg16")))]
            let set = pg_sys::CreateWaitEventSet(std::ptr::null_mut(), events.len() as i32);
            for (event, fd) in events {
                let latch = if event == pg_sys::WL_LATCH_SET { pg_sys::MyLatch } else { std::ptr::null_mut() };
                pg_sys::AddWaitEventToSet(set, event, fd, latch, std::ptr::null_mut());
            }
            Self(NonNull::new(set).expect("a set of events"))
        }
    }

    /// Sleeps until the latch is set, the file descriptor is readable or the timeout has passed.
    pub fn wait(&self, timeout: Duration) {
        wait_by(timeout, || {
            // SAFETY: room for one event, as said; the set exists, and the latch is that of this process.
            unsafe {
                let mut event = std::mem::zeroed();
                let set = self.0.as_ptr();
                pg_sys::WaitEventSetWait(set, millis(timeout), &raw mut event, 1, pg_sys::PG_WAIT_EXTENSION);
                pg_sys::ResetLatch(pg_sys::MyLatch);
            }
        });
    }
}

/// Returns whether this process was asked to end. If so, a pending cancel is cleared, so that the caller can run the
/// statements that write its outcomes. The caller then has to end soon.
pub fn stop_requested() -> bool {
    let asked = stop_was_requested();
    if asked {
        forget_cancel();
    }
    asked
}

/// Returns whether this process was asked to end, without clearing a pending cancel.
pub fn stop_was_requested() -> bool {
    STOP.load(Ordering::Acquire)
}

/// Reads the configuration again if a reload was requested, and returns whether it was requested.
pub fn reload_requested() -> bool {
    // SAFETY: called from the main loop of a worker, as Postgres requires.
    unsafe {
        let asked = pg_sys::ConfigReloadPending != 0;
        if asked {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
        asked
    }
}
