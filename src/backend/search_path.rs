//! Runs an expression with the `search_path` of its author instead of that of the session.
//!
//! As with a function that has a `SET search_path` clause, the path also applies to the functions that the expression
//! calls. Otherwise a session could substitute its own functions and tables for those that the author meant.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;

use super::setting;

/// Runs `body` with this `search_path`; with that of the session if `path` is `None`. After an error no cleanup is
/// needed: aborting the (sub)transaction restores the former setting.
pub fn with_search_path<R>(path: Option<&str>, body: impl FnOnce() -> R) -> R {
    let Some(path) = path.and_then(|path| CString::new(path).ok()) else { return body() };
    // SAFETY: a parameter that always exists, changed as Postgres does around a function with a SET clause.
    unsafe {
        if CStr::from_ptr(pg_sys::namespace_search_path) == path.as_c_str() {
            return body();
        }
        let level = pg_sys::NewGUCNestLevel();
        setting::save(c"search_path", &path);
        let result = body();
        pg_sys::AtEOXact_GUC(true, level);
        result
    }
}
