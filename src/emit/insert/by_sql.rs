//! Inserts events by an INSERT statement.
//!
//! It runs as the owner of the table, on texts that are rendered already. So do the triggers of the table, unless their
//! functions are SECURITY DEFINER; names in them are looked up in a fixed `search_path`, because that of the session
//! could have functions of somebody else.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::prelude::*;

use crate::backend::search_path::with_search_path;
use crate::emit::as_made::COLUMNS;
use crate::tables::Tables;

const INSERT: &CStr =
    c"INSERT INTO hydra.event (xid, id, random, emitted_at, installation, hops, operation, event_type, entity_type, \
                        entity_id, tenant_id, entity, entity_error, previous, targets) OVERRIDING SYSTEM VALUE \
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

thread_local! {
    /// The plan of [`INSERT`], which Postgres makes again when the table changes. Null until it is needed.
    static PLAN: Cell<pg_sys::SPIPlanPtr> = const { Cell::new(std::ptr::null_mut()) };
}

/// Inserts a row. Returns whether it was inserted: a trigger or a rule may have prevented it.
pub fn insert(tables: &Tables, values: &[Option<pg_sys::Datum>; COLUMNS.len()]) -> bool {
    let mut datums = values.map(|value| value.unwrap_or(pg_sys::Datum::null()));
    let nulls = values.map(|value| if value.is_none() { b'n' } else { b' ' });
    tables.as_owner(|| {
        // After an error, the end of the (sub)transaction disconnects SPI.
        // SAFETY: values and nulls for all parameters of the plan.
        with_search_path(Some("pg_catalog, pg_temp"), || unsafe {
            pg_sys::SPI_connect();
            pg_sys::SPI_execute_plan(plan(), datums.as_mut_ptr(), nulls.as_ptr().cast(), false, 0);
            let is_inserted = pg_sys::SPI_processed > 0;
            pg_sys::SPI_finish();
            is_inserted
        })
    })
}

/// Returns the plan, which is made at its first use. To be called inside SPI.
unsafe fn plan() -> pg_sys::SPIPlanPtr {
    if PLAN.get().is_null() {
        let mut types = COLUMNS.map(|(_, of, _)| of);
        // SAFETY: a C string, and as many types as parameters. Keeping the plan cannot fail.
        let plan = unsafe { pg_sys::SPI_prepare(INSERT.as_ptr(), types.len() as i32, types.as_mut_ptr()) };
        assert!(!plan.is_null(), "SPI prepares an INSERT");
        // SAFETY: a plan that was just made.
        unsafe { pg_sys::SPI_keepplan(plan) };
        PLAN.set(plan);
    }
    PLAN.get()
}
