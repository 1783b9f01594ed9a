//! Knows as which roles requests may act.

use pgrx::prelude::*;

use super::sql;
use crate::backend::catalog_changes::Kept;
use crate::tables;

thread_local! {
    static KNOWN: Kept<pg_sys::Oid, bool> = const { Kept::new() };
}

/// Whether requests may act as this role: it exists, and is not one that has privileges that no request may have.
pub fn may_act(role: pg_sys::Oid) -> bool {
    const READ: &str = include_str!("../../sql/queries/role_may_act.sql");
    let read = || tables::as_owner(|| sql::one(READ, &[role.into()])) == Some(true);
    KNOWN.with(|known| known.get(role, read))
}
