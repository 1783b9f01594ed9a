//! Connects a worker so that no setting of its database or role reaches it.
//!
//! The owner of a database can change most parameters with ALTER DATABASE, and the settings would apply to the worker
//! as to every session. Some of them would make it fail or stop. Postgres applies them while it connects, so afterwards
//! each of them is set back to the value that it had before: that of the configuration file.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use pgrx::prelude::*;

use super::setting;

/// Connects, and undoes what the settings of the database and the role have changed.
pub fn without_settings_of_role(connect: impl FnOnce()) {
    // These would act while it connects. A worker sends nothing to a client; with this encoding Postgres does not look
    // for a conversion, which fails if `dynamic_library_path` is wrong.
    setting::pin(c"client_encoding", c"SQL_ASCII");
    setting::pin_no_transaction_timeout();
    let before = values();
    connect();
    for parameter in parameters() {
        // SAFETY: a parameter of this process.
        let parameter = unsafe { &*parameter };
        let name = name(parameter);
        if is_of_role(parameter.source)
            && let Some(value) = before.get(name)
        {
            setting::try_to_pin(name, value);
        }
    }
}

/// Returns whether the value comes from ALTER DATABASE or ALTER ROLE.
fn is_of_role(source: pg_sys::GucSource::Type) -> bool {
    (pg_sys::GucSource::PGC_S_GLOBAL..=pg_sys::GucSource::PGC_S_DATABASE_USER).contains(&source)
}

/// Returns the values of all parameters.
fn values() -> HashMap<CString, CString> {
    let value = |parameter: *mut pg_sys::config_generic| {
        // SAFETY: a parameter of this process. The result is a C string or null, and copied at once.
        unsafe {
            let name = name(&*parameter);
            let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
            (!value.is_null()).then(|| (name.to_owned(), CStr::from_ptr(value).to_owned()))
        }
    };
    parameters().into_iter().filter_map(value).collect()
}

fn name(parameter: &pg_sys::config_generic) -> &CStr {
    // SAFETY: each parameter has a name, a C string that is never freed before the parameter.
    unsafe { CStr::from_ptr(parameter.name) }
}

/// Returns all parameters that this process knows.
fn parameters() -> Vec<*mut pg_sys::config_generic> {
    // SAFETY: an array of as many parameters as stated.
    unsafe {
        #[cfg(feature = "pg15")]
        let (array, count) = (pg_sys::get_guc_variables(), pg_sys::GetNumConfigOptions());
        #[cfg(not(feature = "pg15"))]
        let (array, count) = {
            let mut count = 0;
            (pg_sys::get_guc_variables(&raw mut count), count)
        };
        std::slice::from_raw_parts(array, count as usize).to_vec()
    }
}
