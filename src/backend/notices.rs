//! Collects the messages that a part of a statement would send to the client.
//!
//! Postgres calls its hook for messages only if they go to the log. So meanwhile notices go to the log, and the hook keeps
//! those out of it that would not have been there.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;

use pgrx::prelude::*;
use serde_json::{Value, json};

use super::setting;

/// No more are kept.
const AT_MOST: usize = 100;

thread_local! {
    static COLLECTED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static LEVEL_OF_LOG: Cell<i32> = const { Cell::new(0) };
    static FORMER_HOOK: Cell<pg_sys::emit_log_hook_type> = const { Cell::new(None) };
}

/// Runs `body` and returns its result with the notices and warnings that it raised, as JSON objects. To be called in a subtransaction
/// that is rolled back, which restores the setting.
pub fn collect<R>(body: impl FnOnce() -> R) -> (R, Vec<Value>) {
    struct Hooked;
    impl Drop for Hooked {
        fn drop(&mut self) {
            // SAFETY: the hook of this process.
            unsafe { pg_sys::emit_log_hook = FORMER_HOOK.take() };
        }
    }
    COLLECTED.take();
    // SAFETY: variables of this process.
    unsafe {
        LEVEL_OF_LOG.set(pg_sys::log_min_messages);
        FORMER_HOOK.set(pg_sys::emit_log_hook);
        pg_sys::emit_log_hook = Some(on_message);
    }
    let _hooked = Hooked;
    if LEVEL_OF_LOG.get() > pg_sys::NOTICE as i32 {
        setting::set_local(c"log_min_messages", c"notice");
    }
    let result = body();
    (result, COLLECTED.take())
}

#[pg_guard]
unsafe extern "C-unwind" fn on_message(error: *mut pg_sys::ErrorData) {
    // SAFETY: Postgres passes a valid message, with C strings or null.
    let (message, level) = unsafe { (&mut *error, (*error).elevel) };
    let text = |text: *mut std::ffi::c_char| {
        // SAFETY: as above.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    let severity = match level {
        _ if level == pg_sys::NOTICE as i32 => Some("notice"),
        _ if level == pg_sys::WARNING as i32 => Some("warning"),
        _ if level == pg_sys::INFO as i32 => Some("info"),
        _ => None,
    };
    COLLECTED.with_borrow_mut(|collected| {
        if let Some(severity) = severity.filter(|_| collected.len() < AT_MOST) {
            collected.push(json!({"severity": severity, "message": text(message.message),
                                  "detail": text(message.detail), "hint": text(message.hint)}));
        }
    });
    if severity.is_some() && level < LEVEL_OF_LOG.get() {
        message.output_to_server = false;
    }
    if let Some(former) = FORMER_HOOK.get().filter(|_| message.output_to_server) {
        // SAFETY: the hook of another extension, called as Postgres would.
        unsafe { former(error) };
    }
}
