//! Limits the time of a statement while it runs.
//!
//! `statement_timeout` counts from the start of a statement, so a change has no effect on the statement that makes it.
//! This timer cancels the statement in the same way. A handler of PL/pgSQL can catch the error of a cancelled
//! statement and go on. So the cancel is repeated each second, and in the end the session is ended.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use pgrx::prelude::*;

use super::timer::{self, Timer};

const AGAIN_AFTER_MS: i32 = 1000;
/// After this many cancels the session is ended.
const CANCELS: u32 = 5;

static FIRED: AtomicU32 = AtomicU32::new(0);
static ARMED: AtomicBool = AtomicBool::new(false);
/// Whether the deadline that ended last was over.
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// When the running deadline ends, so that one inside of it does not end later.
static END: AtomicI64 = AtomicI64::new(i64::MAX);

thread_local! {
    // SAFETY: the handler only sets flags.
    static TIMER: Timer = unsafe { timer::register(on_timeout) };
}

unsafe extern "C-unwind" fn on_timeout() {
    if !ARMED.load(Ordering::Relaxed) {
        return;
    }
    let times = FIRED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: flags of this process, each written by a single instruction. The caller, a signal handler of Postgres, sets
    // the latch.
    unsafe {
        match times < CANCELS {
            true => (&raw mut pg_sys::QueryCancelPending).write_volatile(1),
            false => (&raw mut pg_sys::ProcDiePending).write_volatile(1),
        }
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
    }
}

/// Runs `body`, and cancels the statement if `body` takes longer than `limit`. [`is_over`] then distinguishes this from
/// a cancel by a user, until the next call has ended. `body` may contain another part with a limit, which has no more
/// time than is left of this one.
pub fn with_deadline<R>(limit: Duration, body: impl FnOnce() -> R) -> R {
    struct Armed {
        timer: Timer,
        outer: i64,
    }
    impl Drop for Armed {
        fn drop(&mut self) {
            ARMED.store(false, Ordering::Relaxed);
            // SAFETY: the timer of this process.
            unsafe { timer::disable_timeout(self.timer, false) };
            let is_over = FIRED.load(Ordering::Relaxed) > 0;
            // `body` may have ended by itself after the cancel was requested.
            if is_over {
                // SAFETY: as in the handler.
                unsafe { (&raw mut pg_sys::QueryCancelPending).write_volatile(0) };
            }
            IS_OVER.store(is_over, Ordering::Relaxed);
            END.store(self.outer, Ordering::Relaxed);
            if self.outer != i64::MAX {
                arm(self.timer, self.outer);
            }
        }
    }
    let timer = TIMER.with(|timer| *timer);
    let outer = END.load(Ordering::Relaxed);
    // SAFETY: reads the clock.
    let own = unsafe { pg_sys::GetCurrentTimestamp() }.saturating_add(limit.as_micros() as i64);
    let end = own.min(outer);
    END.store(end, Ordering::Relaxed);
    IS_OVER.store(false, Ordering::Relaxed);
    let _armed = Armed { timer, outer };
    arm(timer, end);
    body()
}

/// Starts the timer, which fires at once if the time is over already.
fn arm(timer: Timer, end: i64) {
    FIRED.store(0, Ordering::Relaxed);
    ARMED.store(true, Ordering::Relaxed);
    // SAFETY: a timer that is registered and does not run.
    unsafe { timer::enable_timeout_every(timer, end, AGAIN_AFTER_MS) };
}

/// Whether the time of the running [`with_deadline`] is over, or that of the one that ended last was.
pub fn is_over() -> bool {
    IS_OVER.load(Ordering::Relaxed) || FIRED.load(Ordering::Relaxed) > 0
}
