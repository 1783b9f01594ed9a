//! Keeps DROP EXTENSION waiting while a transaction uses the tables of the extension.
//!
//! DROP EXTENSION locks the tables one after the other. A transaction that has locked one table and needs another can
//! therefore be in a deadlock with it. Before its tables, DROP EXTENSION locks the extension itself. So a transaction that
//! begins with a lock on the extension comes before or after the whole statement.

use pgrx::prelude::*;

use super::catalog_changes::Kept;
use super::refuse::refuse;

/// Locks the extension until the end of the transaction. Fails if there is no extension, or none any more.
pub fn hold() {
    let found = known();
    if let Some(extension) = found {
        // SAFETY: a lock on an object of this database, in a transaction.
        unsafe {
            pg_sys::LockDatabaseObject(
                pg_sys::ExtensionRelationId,
                extension,
                0,
                pg_sys::AccessShareLock as pg_sys::LOCKMODE,
            );
        }
    }
    if found.is_none() || known() != found {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the extension is not in this database any more",
            "It was dropped while the transaction waited for it.",
            "Try again when it has been created.",
        );
    }
}

/// The same as [`find`], without reading the catalog each time. CREATE EXTENSION and DROP EXTENSION change definitions.
fn known() -> Option<pg_sys::Oid> {
    thread_local! {
        static KNOWN: Kept<(), Option<pg_sys::Oid>> = const { Kept::new() };
    }
    KNOWN.with(|known| known.get((), find))
}

/// Returns the extension in this database; `None` if there is none.
pub fn find() -> Option<pg_sys::Oid> {
    // SAFETY: looks a name up in a catalog, in a transaction.
    let oid = unsafe { pg_sys::get_extension_oid(c"hydra_webhooks".as_ptr(), true) };
    Some(oid).filter(|oid| *oid != pg_sys::InvalidOid)
}
