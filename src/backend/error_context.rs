//! Has Postgres call a function while it makes a message, which then knows more of an error than pgrx passes on.

use std::ffi::c_void;
use std::ptr;

use pgrx::prelude::*;

/// Runs `body`. Meanwhile Postgres calls `callback` for each message that it makes.
pub fn with_callback<R>(callback: unsafe extern "C-unwind" fn(*mut c_void), body: impl FnOnce() -> R) -> R {
    struct Attached(*mut pg_sys::ErrorContextCallback);
    impl Drop for Attached {
        fn drop(&mut self) {
            // SAFETY: the chain as it was. After an error, Postgres or pgrx has shortened it already.
            unsafe { pg_sys::error_context_stack = self.0 };
        }
    }
    // SAFETY: reads the chain of this process.
    let former = unsafe { pg_sys::error_context_stack };
    let mut link = pg_sys::ErrorContextCallback { previous: former, callback: Some(callback), arg: ptr::null_mut() };
    let _attached = Attached(former);
    // SAFETY: the link lives until it is removed, at the end of this function.
    unsafe { pg_sys::error_context_stack = &raw mut link };
    body()
}
