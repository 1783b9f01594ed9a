//! Looking names up where the author of an expression did, whoever runs it.
//!
//! As with a function that has a `SET search_path` clause: it holds for what the expression calls, too. Otherwise a
//! session could put functions and tables of its own in the place of those that were meant.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;

/// An error needs no care: aborting the (sub)transaction brings the former setting back.
pub fn with_search_path<R>(path: Option<&str>, body: impl FnOnce() -> R) -> R {
    let Some(path) = path.and_then(|path| CString::new(path).ok()) else { return body() };
    // SAFETY: a setting that always exists, changed as Postgres does around a function with a SET clause.
    unsafe {
        if CStr::from_ptr(pg_sys::namespace_search_path) == path.as_c_str() {
            return body();
        }
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            path.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        let result = body();
        pg_sys::AtEOXact_GUC(true, level);
        result
    }
}
