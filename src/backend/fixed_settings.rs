//! Runs code with fixed settings instead of those of the session.
//!
//! The text of a value depends on the session: a time is written in its time zone, a float with its number of digits.
//! What an event says, and who wants it, must not depend on that. So these settings hold as they are by default while
//! an event is made, like pg_dump and postgres_fdw fix them. Usually a session has them already; then this costs a few
//! comparisons.

use std::ffi::{CStr, c_int};

use pgrx::prelude::*;

use super::setting;

const BYTEA_OUTPUT_HEX: c_int = 1;
const XMLBINARY_BASE64: c_int = 0;
const XMLOPTION_CONTENT: c_int = 1;

// Variables of Postgres that pgrx does not declare.
unsafe extern "C" {
    static bytea_output: c_int;
    static xmlbinary: c_int;
    static xmloption: c_int;
}

/// A setting, the value that is fixed, and whether the session has another one.
type Fixed = (&'static CStr, &'static CStr, bool);

/// Returns the settings that decide how SQL is read, and the literals in it.
fn of_syntax() -> [Fixed; 5] {
    const SAFE_ENCODING: c_int = pg_sys::BackslashQuoteType::BACKSLASH_QUOTE_SAFE_ENCODING as c_int;
    // SAFETY: reads variables of this process.
    unsafe {
        [
            (c"standard_conforming_strings", c"on", !pg_sys::standard_conforming_strings),
            (c"backslash_quote", c"safe_encoding", pg_sys::backslash_quote != SAFE_ENCODING),
            (c"transform_null_equals", c"off", pg_sys::Transform_null_equals),
            (c"array_nulls", c"on", !pg_sys::Array_nulls),
            (c"xmloption", c"content", xmloption != XMLOPTION_CONTENT),
        ]
    }
}

/// Returns the settings that decide how values are written. `lc_monetary` is not one of them: it says which currency is
/// meant.
fn of_output() -> [Fixed; 7] {
    // SAFETY: reads variables of this process.
    unsafe {
        [
            // The order of day and month is left as it is: it only matters for reading.
            (c"datestyle", c"ISO", pg_sys::DateStyle != pg_sys::USE_ISO_DATES as c_int),
            (c"intervalstyle", c"postgres", pg_sys::IntervalStyle != pg_sys::INTSTYLE_POSTGRES as c_int),
            (c"timezone", c"UTC", !is_utc()),
            // 1, 2 and 3 mean the same.
            (c"extra_float_digits", c"1", pg_sys::extra_float_digits < 1),
            (c"bytea_output", c"hex", bytea_output != BYTEA_OUTPUT_HEX),
            (c"xmlbinary", c"base64", xmlbinary != XMLBINARY_BASE64),
            // The names of tables and roles are values too.
            (c"quote_all_identifiers", c"off", pg_sys::quote_all_identifiers),
        ]
    }
}

fn is_utc() -> bool {
    // SAFETY: the time zone of the session, and its name.
    let name = unsafe { CStr::from_ptr(pg_sys::pg_get_timezone_name(pg_sys::session_timezone)) };
    name == c"UTC" || name == c"Etc/UTC"
}

/// Runs `body` with fixed settings for reading SQL and for writing values. After an error no cleanup is needed:
/// aborting the (sub)transaction restores the former settings.
pub fn with_fixed_settings<R>(body: impl FnOnce() -> R) -> R {
    with(of_syntax().into_iter().chain(of_output()), body)
}

/// Runs `body` with fixed settings for reading SQL. Values are read and written as the session does.
pub fn with_fixed_syntax<R>(body: impl FnOnce() -> R) -> R {
    with(of_syntax().into_iter(), body)
}

fn with<R>(settings: impl Iterator<Item = Fixed>, body: impl FnOnce() -> R) -> R {
    let mut level = None;
    for (name, value, _) in settings.filter(|(_, _, differs)| *differs) {
        // SAFETY: the settings are changed as Postgres does around a function with a SET clause.
        level.get_or_insert_with(|| unsafe { pg_sys::NewGUCNestLevel() });
        setting::save(name, value);
    }
    let result = body();
    if let Some(level) = level {
        // SAFETY: the level that was begun.
        unsafe { pg_sys::AtEOXact_GUC(true, level) };
    }
    result
}
