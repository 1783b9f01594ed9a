//! Sets parameters of this process, for the rest of its life or for a while.

use std::ffi::CStr;

use pgrx::prelude::*;

/// Sets a parameter for the rest of the life of this process. ALTER DATABASE and ALTER ROLE do not override it.
pub fn pin(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_SET);
}

/// As [`pin`], until the end of the current transaction.
pub fn pin_local(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_LOCAL);
}

/// Sets a parameter until `AtEOXact_GUC` ends the current nest level of parameters.
pub fn save(name: &CStr, value: &CStr) {
    let (context, source) = (pg_sys::GucContext::PGC_USERSET, pg_sys::GucSource::PGC_S_SESSION);
    let action = pg_sys::GucAction::GUC_ACTION_SAVE;
    // SAFETY: both are C strings, and the process is connected.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, 0, false) };
}

fn set(name: &CStr, value: &CStr, action: pg_sys::GucAction::Type) {
    let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
    // SAFETY: both are C strings, and the process is connected.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, 0, false) };
}
