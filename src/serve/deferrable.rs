//! The tables that have deferrable triggers, foreign keys among them.
//!
//! They are looked up after each change that a request or a flow makes. A database can have thousands of foreign keys, so the
//! list is kept until the definition of a relation changes.

use std::cell::{Cell, RefCell};

use pgrx::prelude::*;

use crate::store::Statement;

thread_local! {
    static TABLES: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    /// How many changes of definitions this process has heard of, and how many when the list was read.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static READ_AT: Cell<Option<u64>> = const { Cell::new(None) };
    /// Whether the callback is registered.
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static READ: Statement = const {
        Statement::new("SELECT DISTINCT t.tgrelid FROM pg_catalog.pg_trigger AS t WHERE t.tgdeferrable")
    };
}

/// Whether a trigger of the current transaction waits for its end.
pub fn is_pending() -> bool {
    refresh();
    // SAFETY: reads the queue of triggers.
    TABLES.with_borrow(|tables| tables.iter().any(|table| unsafe { pg_sys::AfterTriggerPendingOnRel(*table) }))
}

fn refresh() {
    if !LISTENING.replace(true) {
        // SAFETY: the callback is guarded, and stays loaded for as long as the process lives.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null()) };
    }
    let changes = CHANGES.get();
    if READ_AT.get() == Some(changes) {
        return;
    }
    // The snapshot of the running statement may be older than the change.
    // SAFETY: popped again; an error aborts the (sub)transaction, which pops it as well.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let all = |read: &Statement| {
        Spi::connect(|client| read.read(client, &[]).filter_map(|row| row.first()).collect::<Vec<pg_sys::Oid>>())
    };
    TABLES.set(READ.with(all));
    // SAFETY: as above.
    unsafe { pg_sys::PopActiveSnapshot() };
    // A change that has arrived since counts.
    READ_AT.set(Some(changes));
}

#[pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, _relation: pg_sys::Oid) {
    CHANGES.set(CHANGES.get() + 1);
}
