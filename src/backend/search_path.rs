//! Running an expression under the `search_path` of its author, not of the session.
//!
//! As with a function that has a `SET search_path` clause, the path also holds for what the expression calls. Otherwise a
//! session could replace the functions and tables that the author meant by its own.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;

/// An error needs no cleanup: aborting the (sub)transaction restores the former setting.
pub fn with_search_path<R>(path: Option<&str>, body: impl FnOnce() -> R) -> R {
    let Some(path) = path.and_then(|path| CString::new(path).ok()) else { return body() };
    // SAFETY: a parameter that always exists, changed as Postgres does around a function with a SET clause.
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
