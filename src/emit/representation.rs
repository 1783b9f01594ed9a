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

/// The maximum size of the text of a row.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The columns of a representation.
pub struct Columns {
    names: Vec<String>,
    /// The columns of the latest row, and the version of its type.
    latest: RefCell<Option<(u64, Rc<Projection>)>>,
}

impl Columns {
    /// Names that no column has are left out. The order is that of the relation.
    pub fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), latest: RefCell::new(None) }
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

/// Returns the representation of a row, which is JSON; `None` if it is too large. Fails with the error of a value that cannot be
/// rendered. To be called as the role that reads: casts and output functions are code of users.
///
/// # Safety
/// The value must be a composite one.
pub unsafe fn representation(row: pg_sys::Datum, columns: &Columns) -> Option<String> {
    with_fixed_settings(|| {
        // SAFETY: as the caller promises. The value stays where it is until the end.
        unsafe {
            let mut value = Composite::new(row);
            let columns = columns.of(&value);
            Row::of(&mut value).text(&columns, MAX_BYTES)
        }
    })
}
