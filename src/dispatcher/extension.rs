//! Finds out whether the extension is in the database.

use pgrx::prelude::*;

use crate::backend::{Failure, transaction};

/// Returns the extension in this database; `None` if there is none.
pub fn find() -> Result<Option<pg_sys::Oid>, Failure> {
    transaction(c"look for the extension", find_in_catalog)
}

fn find_in_catalog() -> Option<pg_sys::Oid> {
    // SAFETY: looks a name up in a catalog, in a transaction.
    let oid = unsafe { pg_sys::get_extension_oid(c"hydra_webhooks".as_ptr(), true) };
    Some(oid).filter(|oid| *oid != pg_sys::InvalidOid)
}
