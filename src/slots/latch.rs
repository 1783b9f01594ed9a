//! Latches of other processes, by their addresses in shared memory.

use pgrx::prelude::*;

/// Returns the latch of this process.
pub fn my_latch() -> usize {
    // SAFETY: set before any of our code runs; the latch of a process lives in shared memory.
    unsafe { pg_sys::MyLatch as usize }
}

/// Wakes the process that has this latch; 0: none.
pub fn set_latch(latch: usize) {
    if latch != 0 {
        // SAFETY: it was MyLatch of some process, which lives in shared memory as long as the server runs.
        unsafe { pg_sys::SetLatch(latch as *mut pg_sys::Latch) };
    }
}
