//! The tables that have deferrable triggers, foreign keys among them.
//!
//! They are looked up after each change that a request or a flow makes. A database can have thousands of foreign keys, so the
//! list is kept.

use std::rc::Rc;

use pgrx::prelude::*;

use crate::backend::catalog_changes::Kept;
use crate::store::Statement;

thread_local! {
    static TABLES: Kept<(), Rc<[pg_sys::Oid]>> = const { Kept::new() };
    static READ: Statement = const {
        Statement::new("SELECT DISTINCT t.tgrelid FROM pg_catalog.pg_trigger AS t WHERE t.tgdeferrable")
    };
}

/// Whether a trigger of the current transaction waits for its end.
pub fn is_pending() -> bool {
    let tables = TABLES.with(|tables| tables.get((), read));
    // SAFETY: reads the queue of triggers.
    tables.iter().any(|table| unsafe { pg_sys::AfterTriggerPendingOnRel(*table) })
}

fn read() -> Rc<[pg_sys::Oid]> {
    READ.with(|read| Spi::connect(|client| read.read(client, &[]).filter_map(|row| row.first()).collect()))
}
