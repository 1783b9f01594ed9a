//! Finds out which constraint or column an error is about.
//!
//! pgrx keeps only the code and the texts of an error of Postgres, and the texts are in the language of the server. The
//! names are read while the error is raised.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};

use pgrx::prelude::*;

use super::error_context::with_callback;
use super::sqlstate;

/// What the latest integrity error was about. A name that the error does not have is empty.
#[derive(Debug, Default, Clone)]
pub struct Diagnostics {
    pub code: String,
    pub schema: String,
    pub table: String,
    pub column: String,
    pub constraint: String,
}

thread_local! {
    static LATEST: RefCell<Diagnostics> = RefCell::default();
}

/// Runs `body`. After an error in it, [`latest`] says what the error was about.
pub fn noting<R>(body: impl FnOnce() -> R) -> R {
    LATEST.take();
    with_callback(on_error, body)
}

/// Returns what the latest integrity error of the latest [`noting`] was about, if that error has this code.
pub fn latest(code: &str) -> Option<Diagnostics> {
    LATEST.with_borrow(|latest| (latest.code == code).then(|| latest.clone()))
}

#[pg_guard]
unsafe extern "C-unwind" fn on_error(_arg: *mut c_void) {
    // SAFETY: Postgres calls this while it handles a message. The copy must not be made in the memory for errors, and is
    // freed.
    unsafe {
        let code = sqlstate(pg_sys::geterrcode().into());
        if !code.starts_with("23") {
            return;
        }
        let memory = pg_sys::MemoryContextSwitchTo(pg_sys::TopTransactionContext);
        let error = pg_sys::CopyErrorData();
        let text = |text: *const c_char| match text.is_null() {
            true => String::new(),
            false => CStr::from_ptr(text).to_string_lossy().into_owned(),
        };
        LATEST.set(Diagnostics {
            code,
            schema: text((*error).schema_name),
            table: text((*error).table_name),
            column: text((*error).column_name),
            constraint: text((*error).constraint_name),
        });
        pg_sys::FreeErrorData(error);
        pg_sys::MemoryContextSwitchTo(memory);
    }
}
