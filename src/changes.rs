//! Noticing that subscriptions, signing secrets or event types have changed.
//!
//! Processes keep them in memory: the dispatcher what to send where, every other session which events are wanted. A
//! statement that changes them invalidates the cached relation `hydra.subscription`, as Postgres does after DDL; dropping
//! the extension does the same. Such a message is transactional: it arrives with the commit, in the order of commits, and
//! a rollback takes it back. The session that made the change sees it at once. Others receive it at the start of their
//! next transaction, or when they call `AcceptInvalidationMessages`.

use std::cell::{Cell, RefCell};

use pgrx::prelude::*;

use crate::slots::wake;
use crate::tables::Tables;

thread_local! {
    /// True at first: nothing has been read yet.
    static NOTED: Cell<bool> = const { Cell::new(true) };
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    /// Relations whose invalidation is a change; empty: any relation's.
    static RELATIONS: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
}

/// Whether there are changes that have not been taken.
pub fn are_noted() -> bool {
    NOTED.get()
}

/// Whether there were changes. To be called before reading: a change that arrives meanwhile is noted again.
pub fn take() -> bool {
    NOTED.replace(false)
}

/// As if there were changes: everything has to be read again.
pub fn note() {
    NOTED.set(true);
}

/// Begins to note changes of any relation.
pub fn listen() {
    if !LISTENING.replace(true) {
        // SAFETY: the callback is guarded, and stays loaded for as long as the process lives.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null()) };
    }
}

/// From now on notes changes of these relations only; of any relation if there are none.
pub fn listen_to(relations: &[pg_sys::Oid]) {
    RELATIONS.set(relations.to_vec());
}

/// From now on notes changes of subscriptions only. To be called in a transaction.
pub fn listen_to_subscriptions() {
    listen_to(&[Tables::find().subscription]);
}

#[pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let listened_to = |relations: &Vec<pg_sys::Oid>| relations.is_empty() || relations.contains(&relation);
    if relation == pg_sys::InvalidOid || RELATIONS.with_borrow(listened_to) {
        note();
    }
}

/// Trigger function: announces a change of the table that it is on.
#[pg_trigger]
fn _subscriptions_changed<'a>(
    _trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    _announce_changes();
    Ok(None)
}

/// Makes processes read again what they keep in memory, once this transaction has committed, and wakes the dispatcher.
/// This session reads it again at once.
#[pg_extern]
fn _announce_changes() {
    // SAFETY: looks names up and queues a message for the end of the transaction.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"hydra".as_ptr(), false);
        let relation = pg_sys::get_relname_relid(c"subscription".as_ptr(), schema);
        if relation != pg_sys::InvalidOid {
            pg_sys::CacheInvalidateRelcacheByRelid(relation);
        }
    }
    wake::at_commit();
}
