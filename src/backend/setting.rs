//! Sets parameters of this process in such a way that ALTER DATABASE and ALTER ROLE do not override them.

use std::ffi::CStr;

use pgrx::prelude::*;

/// Sets a parameter for the rest of the life of this process.
pub fn pin(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_SET);
}

/// Sets a parameter until the end of the current transaction.
pub fn pin_local(name: &CStr, value: &CStr) {
    set(name, value, pg_sys::GucAction::GUC_ACTION_LOCAL);
}

fn set(name: &CStr, value: &CStr, action: pg_sys::GucAction::Type) {
    let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
    // SAFETY: both are C strings, and the process is connected.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, 0, false) };
}
