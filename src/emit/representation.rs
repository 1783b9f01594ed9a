//! Renders a row as the webhook of a watch that sends the same columns renders it, byte for byte, for those who read it
//! over HTTP.
//!
//! The row is a composite value that a query has returned. It may be of a table, of a view or of a subquery, so which
//! columns it has is found out from the value itself.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::prelude::*;

use super::entity::{Composite, Projection, Row};
use crate::backend::fixed_settings::with_fixed_settings;
use crate::backend::refuse::refuse;

/// The maximum size of the text of a row.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The columns of a representation.
pub struct Columns {
    relation: pg_sys::Oid,
    names: Vec<String>,
    /// The columns of the latest row, and the version of its type.
    latest: RefCell<Option<(u64, Rc<Projection>)>>,
}

impl Columns {
    /// Names that no column has are left out. The order is that of the relation.
    pub fn new(relation: pg_sys::Oid, names: &[String]) -> Self {
        Self { relation, names: names.to_vec(), latest: RefCell::new(None) }
    }

    fn of(&self, row: &Composite) -> Rc<Projection> {
        let version = row.version();
        if let Some((known, columns)) = &*self.latest.borrow()
            && *known == version
        {
            return Rc::clone(columns);
        }
        let is_chosen = |column: &str| self.names.iter().any(|name| name == column);
        // SAFETY: the descriptor is pinned by the row.
        let columns = Rc::new(unsafe { Projection::new(row.descriptor(), is_chosen) });
        // What it replaces is dropped after the borrow has ended, because freeing memory calls Postgres.
        let former = self.latest.replace(Some((version, Rc::clone(&columns))));
        drop(former);
        columns
    }
}

/// Returns the representation of a row, which is JSON. Fails with the error of a value that cannot be rendered, and if it
/// is too large. To be called as the role that reads: casts and output functions are code of users.
///
/// # Safety
/// The value must be a composite one.
pub unsafe fn representation(row: pg_sys::Datum, columns: &Columns) -> String {
    with_fixed_settings(|| {
        // SAFETY: as the caller promises. The value stays where it is until the end.
        let text = unsafe {
            let mut value = Composite::new(row);
            let columns = columns.of(&value);
            Row::of(&mut value).text(&columns, MAX_BYTES)
        };
        text.unwrap_or_else(|| refuse_large(columns.relation))
    })
}

fn refuse_large(relation: pg_sys::Oid) -> ! {
    // SAFETY: looks it up in the catalog; null if it does not exist any more.
    let name = unsafe { pg_sys::get_rel_name(relation) };
    // SAFETY: a C string, or null.
    let name = (!name.is_null()).then(|| unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy().into_owned());
    refuse(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("a row of {} is too large to be shown", name.as_deref().unwrap_or("a relation")),
        &format!("Its text has more than {} MB.", MAX_BYTES / 1024 / 1024),
        "Show fewer of its columns.",
    )
}
