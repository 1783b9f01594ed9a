//! Finds out whether the extension is in the database.

use pgrx::prelude::*;

use crate::backend::{Failure, extension_lock, transaction};

/// Returns the extension in this database; `None` if there is none.
pub fn find() -> Result<Option<pg_sys::Oid>, Failure> {
    transaction(c"look for the extension", extension_lock::find)
}
