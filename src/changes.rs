//! Telling backends and the dispatcher that subscriptions changed.

use pgrx::prelude::*;

use crate::wake;

/// Trigger function: makes whoever keeps subscriptions in memory read them again, once this transaction has committed
/// (and at once in this one).
#[pg_trigger]
fn _subscriptions_changed<'a>(
    _trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    _tell_dispatcher();
    Ok(None)
}

/// The same, for statements that change what the dispatcher keeps in memory besides.
#[pg_extern]
fn _tell_dispatcher() {
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
