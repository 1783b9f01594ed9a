//! Notices that something may have changed that decides whether the worker can enter a database: its privileges, its
//! connection limit, whether it is a template, whether the role of the worker may log in.

use std::cell::Cell;

use pgrx::prelude::*;

use crate::backend::{Failure, transaction};

thread_local! {
    static ARE_THERE: Cell<bool> = const { Cell::new(false) };
}

/// Begins to notice changes of the catalogs of databases and roles.
pub fn listen() {
    for catalog in [pg_sys::SysCacheIdentifier::DATABASEOID, pg_sys::SysCacheIdentifier::AUTHOID] {
        // SAFETY: the callback is guarded, and stays loaded for as long as the process lives.
        unsafe { pg_sys::CacheRegisterSyscacheCallback(catalog as i32, Some(on_change), pg_sys::Datum::null()) };
    }
}

/// Returns whether there were changes since the last call.
pub fn take() -> Result<bool, Failure> {
    // At the start of a transaction Postgres delivers the messages that report changes.
    transaction(c"look for changed databases", || ())?;
    Ok(ARE_THERE.replace(false))
}

#[pg_guard]
unsafe extern "C-unwind" fn on_change(_arg: pg_sys::Datum, _cache: i32, _row: u32) {
    ARE_THERE.set(true);
}
