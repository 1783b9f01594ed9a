//! Limits the time of a part of a statement.
//!
//! `statement_timeout` would end the whole statement, and has no effect in a background worker. So a timer of its own
//! requests a cancel, as `pg_cancel_backend` does, and notes that the request is its own. Postgres then raises the error
//! of a cancelled statement. The subtransaction in which the part runs finds the note, and returns the error instead of
//! raising it again: only that part has ended.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgrx::prelude::*;

use super::timer::{self, Timer};

thread_local! {
    // SAFETY: the handler only sets flags.
    static TIMER: Timer = unsafe { timer::register(end_part) };
}

/// Whether the part has run for too long, and the cancel was requested.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Runs a part of a statement. It is cancelled when it has taken longer than `limit`: then [`is_over`] until it ends. A
/// part must not contain another one.
pub fn limited<R>(limit: Duration, part: impl FnOnce() -> R) -> R {
    struct Part(Timer);
    impl Drop for Part {
        fn drop(&mut self) {
            // SAFETY: a timer of this process; disabling it raises no error.
            unsafe { timer::disable_timeout(self.0, false) };
            // The part may have ended by itself after the cancel was requested.
            if IS_OVER.swap(false, Ordering::Relaxed) {
                set_cancel(false);
            }
        }
    }
    let timer = TIMER.with(|timer| *timer);
    let milliseconds = limit.as_millis().try_into().unwrap_or(c_int::MAX);
    // SAFETY: a timer that is not in use, because parts do not contain each other.
    unsafe { timer::enable_timeout_after(timer, milliseconds) };
    let _part = Part(timer);
    part()
}

/// Whether the running part was cancelled because it took too long.
pub fn is_over() -> bool {
    IS_OVER.load(Ordering::Relaxed)
}

/// Runs in a signal handler.
unsafe extern "C-unwind" fn end_part() {
    IS_OVER.store(true, Ordering::Relaxed);
    set_cancel(true);
}

/// Requests or forgets the cancel of the current statement.
fn set_cancel(wanted: bool) {
    // SAFETY: flags of this process, each written by a single instruction. Postgres itself writes them in signal
    // handlers, so it expects that they change at any time.
    unsafe {
        (&raw mut pg_sys::QueryCancelPending).write_volatile(wanted.into());
        // Also after a cancel, which clears this flag: other interrupts may be pending.
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
    }
}
