//! Timers of Postgres. Their handlers run in a signal handler.
//!
//! All supported versions have these functions; pgrx does not declare them. None of them raises an error.

use std::ffi::c_int;

use pgrx::prelude::*;

/// The number of a timer of this process.
pub type Timer = c_int;

/// Any number that is at least `USER_TIMEOUT` asks for a free timer. The number of `USER_TIMEOUT` depends on the version.
const ANY_FREE: Timer = 1000;

unsafe extern "C-unwind" {
    fn RegisterTimeout(id: Timer, handler: unsafe extern "C-unwind" fn()) -> Timer;
    pub fn enable_timeout_after(id: Timer, milliseconds: c_int);
    pub fn enable_timeout_every(id: Timer, first: pg_sys::TimestampTz, milliseconds: c_int);
    pub fn disable_timeout(id: Timer, keep_indicator: bool);
}

/// Returns a new timer of this process, which keeps it for its life.
///
/// # Safety
/// The handler is sound in a signal handler.
pub unsafe fn register(handler: unsafe extern "C-unwind" fn()) -> Timer {
    // SAFETY: as the caller promises; the number leaves the choice to Postgres.
    unsafe { RegisterTimeout(ANY_FREE, handler) }
}
