//! Finds the extension's tables in the catalog, and runs code as their owner.
//!
//! Users who emit events have no privileges on these tables. So the extension accesses the tables as their owner. No
//! code of the user runs during that time; only triggers run that were added to these tables.

use std::ffi::CStr;

use pgrx::prelude::*;

/// The number of the column `id` in `hydra.event`.
const ID_COLUMN: pg_sys::AttrNumber = 2;

/// The tables that Rust code accesses directly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    pub event: pg_sys::Oid,
    /// The sequence that generates the ids of events.
    pub event_ids: pg_sys::Oid,
    pub subscription: pg_sys::Oid,
    owner: pg_sys::Oid,
}

impl Tables {
    /// Looks the tables up in the catalog.
    pub fn find() -> Self {
        let (event, owner, event_ids) = with_event(|event, relation| {
            // SAFETY: the relation is open.
            unsafe {
                #[cfg(any(feature = "pg15", feature = "pg16"))]
                let event_ids = pg_sys::getIdentitySequence(event, ID_COLUMN, false);
                #[cfg(any(feature = "pg17", feature = "pg18"))]
                let event_ids = pg_sys::getIdentitySequence(relation, ID_COLUMN, false);
                (event, owner_of(relation), event_ids)
            }
        });
        // SAFETY: looks names up in the catalog.
        let subscription = unsafe { pg_sys::get_relname_relid(c"subscription".as_ptr(), schema()) };
        Self { event, event_ids, subscription, owner }
    }

    /// Runs `body` as the owner of the tables.
    pub fn as_owner<R>(&self, body: impl FnOnce() -> R) -> R {
        as_role(self.owner, body)
    }
}

/// Locks tables of the extension, by name, as a query does. A snapshot that is made afterwards sees all their rows.
///
/// Postgres makes the snapshot of a query that only reads before it waits for the locks of its tables. Some statements
/// replace the rows of a table by copies, which older snapshots do not see: ALTER TABLE, and the functions of pg_repack.
/// To a query that waits for their end, the table would be empty, and events or subscriptions would be taken for deleted.
pub fn lock_to_read(tables: &[&CStr]) {
    for table in tables {
        // SAFETY: C strings that live long enough; an error if there is no such table. The functions do not change them.
        unsafe {
            let name = pg_sys::makeRangeVar(c"hydra".as_ptr().cast_mut(), table.as_ptr().cast_mut(), -1);
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            pg_sys::RangeVarGetRelidExtended(name, lock, 0, None, std::ptr::null_mut());
        }
    }
}

/// Runs `body` as the owner of the extension's tables.
pub fn as_owner<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: the relation is open.
    as_role(with_event(|_, relation| unsafe { owner_of(relation) }), body)
}

fn schema() -> pg_sys::Oid {
    // SAFETY: looks a name up in the catalog.
    unsafe { pg_sys::get_namespace_oid(c"hydra".as_ptr(), false) }
}

/// Returns what `body` reads of `hydra.event`.
fn with_event<R>(body: impl FnOnce(pg_sys::Oid, pg_sys::Relation) -> R) -> R {
    // SAFETY: looks a name up in the catalog; the relation is closed again. After an error, aborting the (sub)transaction closes
    // it.
    unsafe {
        let event = pg_sys::get_relname_relid(c"event".as_ptr(), schema());
        let relation = pg_sys::RelationIdGetRelation(event);
        if relation.is_null() {
            error!("table hydra.event does not exist");
        }
        let read = body(event, relation);
        pg_sys::RelationClose(relation);
        read
    }
}

/// # Safety
/// The relation must be open.
unsafe fn owner_of(relation: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: as the caller promises.
    unsafe { (*(*relation).rd_rel).relowner }
}

/// Returns the role whose privileges count now.
pub fn current_role() -> pg_sys::Oid {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetUserId() }
}

/// Runs `body` as `role`. SQL in `body` cannot change the role (SET ROLE fails, also in functions). After an error no cleanup is needed: aborting the (sub)transaction restores the caller's
/// identity.
pub fn as_role<R>(role: pg_sys::Oid, body: impl FnOnce() -> R) -> R {
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: the identity of this backend, restored at the end.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(role, context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
        let result = body();
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}
