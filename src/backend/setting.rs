//! Sets parameters of this process, for the rest of its life or for a while.

use std::ffi::CStr;

use pgrx::prelude::*;

/// Sets a parameter for the rest of the life of this process. ALTER DATABASE and ALTER ROLE do not override it.
pub fn pin(name: &CStr, value: &CStr) {
    pin_or(name, value, pg_sys::PGERROR);
}

/// As [`pin`]; writes a warning if the value is not accepted.
pub fn try_to_pin(name: &CStr, value: &CStr) {
    pin_or(name, value, pg_sys::WARNING);
}

/// As [`pin`]; does nothing if this server does not know the value.
pub fn pin_if_known(name: &CStr, value: &CStr) {
    pin_or(name, value, pg_sys::DEBUG1);
}

/// `level` is that of the message if the value is not accepted.
fn pin_or(name: &CStr, value: &CStr, level: u32) {
    let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
    let (action, level) = (pg_sys::GucAction::GUC_ACTION_SET, level as i32);
    // SAFETY: both are C strings.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, level, false) };
}

/// Lets the transactions of this process take as long as they need. Unlike `statement_timeout`, `transaction_timeout`
/// works in a background worker, and it ends the process.
pub fn pin_no_transaction_timeout() {
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    pin(c"transaction_timeout", c"0");
}

/// Sets a parameter until the end of the current transaction, as `SET LOCAL` by a superuser does. Not with the source of
/// [`pin`]: Postgres keeps no former value for that, and would not restore it.
pub fn set_local(name: &CStr, value: &CStr) {
    let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_SESSION);
    let action = pg_sys::GucAction::GUC_ACTION_LOCAL;
    // SAFETY: both are C strings, and the process is connected.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, 0, false) };
}

/// Sets a parameter until `AtEOXact_GUC` ends the current nest level of parameters.
pub fn save(name: &CStr, value: &CStr) {
    let (context, source) = (pg_sys::GucContext::PGC_USERSET, pg_sys::GucSource::PGC_S_SESSION);
    let action = pg_sys::GucAction::GUC_ACTION_SAVE;
    // SAFETY: both are C strings, and the process is connected.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, 0, false) };
}
