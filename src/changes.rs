//! Notices that subscriptions, signing secrets or event types have changed, in this session or in another one.
//!
//! The dispatcher keeps in memory what to send where; every other session keeps which events are wanted. A statement
//! that changes this data invalidates the cached relation `hydra.subscription`, as Postgres does after DDL; dropping
//! the extension does the same. The invalidation message is transactional: other sessions receive it after the commit,
//! in the order of commits, and a rollback discards it. The session that made the change notices it at once. Others
//! receive the message at the start of their next transaction, or when they call `AcceptInvalidationMessages`.

use std::cell::{Cell, RefCell};

use pgrx::prelude::*;

use crate::slots::wake;
use crate::tables::Tables;

thread_local! {
    /// Whether there were changes since the last [`take`]. True at first, because nothing has been read yet.
    static NOTED: Cell<bool> = const { Cell::new(true) };
    /// Whether the callback is registered.
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    /// The relations to listen to. If empty, an invalidation of any relation counts as a change.
    static RELATIONS: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
}

/// Returns whether there were changes since the last [`take`].
pub fn are_noted() -> bool {
    NOTED.get()
}

/// Returns whether there were changes, and clears the flag. To be called before reading, so that a change that arrives
/// during the read sets the flag again.
pub fn take() -> bool {
    NOTED.replace(false)
}

/// Sets the flag, so that everything is read again.
pub fn note() {
    NOTED.set(true);
}

/// Begins to note changes. An invalidation of any relation counts until [`listen_to`] is called.
pub fn listen() {
    if !LISTENING.replace(true) {
        // SAFETY: the callback is guarded, and stays loaded for as long as the process lives.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null()) };
    }
}

/// Makes only invalidations of these relations count as changes from now on. If the list is empty, those of any
/// relation count.
pub fn listen_to(relations: &[pg_sys::Oid]) {
    RELATIONS.set(relations.to_vec());
}

/// Makes only changes of subscriptions count from now on. To be called in a transaction.
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

/// Trigger function: announces a change of the table that has the trigger.
#[pg_trigger]
fn _subscriptions_changed<'a>(
    _trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    _announce_changes();
    Ok(None)
}

/// Makes other sessions read again what they keep in memory, after this transaction has committed, and wakes the
/// dispatcher. This session reads the data again at its next emit.
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
