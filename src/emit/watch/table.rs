//! Looks up a watched table in the catalog: the type of its rows, its version, its name.

use std::ffi::{CStr, CString, c_char};

use pgrx::prelude::*;

use crate::emit::entity::Projection;

/// A table, and whether the operation has an old row, a new row, or both.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table {
    pub oid: pg_sys::Oid,
    pub has_old: bool,
    pub has_new: bool,
}

impl Table {
    pub fn row_type(self) -> pg_sys::Oid {
        // SAFETY: looks it up in the catalog.
        unsafe { pg_sys::get_rel_type_id(self.oid) }
    }

    pub fn array_type(self) -> pg_sys::Oid {
        // SAFETY: looks it up in the catalog.
        unsafe { pg_sys::get_array_type(self.row_type()) }
    }

    pub fn exists(self) -> bool {
        self.row_type() != pg_sys::InvalidOid
    }

    /// Returns a number that changes whenever the columns of the table change.
    pub fn version(self) -> u64 {
        // SAFETY: the row type of a table.
        unsafe { pg_sys::assign_record_type_identifier(self.row_type(), -1) }
    }

    pub fn has_column(self, name: &str) -> bool {
        let name = CString::new(name).expect("an argument of a trigger has no NUL");
        // SAFETY: looks it up in the catalog. Columns of the system have numbers below zero.
        unsafe { pg_sys::get_attnum(self.oid, name.as_ptr()) > 0 }
    }

    /// Chooses columns by their names.
    pub fn columns(self, is_chosen: impl Fn(&str) -> bool) -> Projection {
        // SAFETY: the descriptor of the table's row type, which is pinned until it is released.
        unsafe {
            let rows = pg_sys::lookup_rowtype_tupdesc(self.row_type(), -1);
            let columns = Projection::new(rows, is_chosen);
            if (*rows).tdrefcount >= 0 {
                pg_sys::DecrTupleDescRefCount(rows);
            }
            columns
        }
    }

    /// Returns an array of rows, as one value.
    pub fn array_of(self, mut rows: Vec<pg_sys::Datum>) -> pg_sys::Datum {
        const DOUBLE: c_char = b'd' as c_char;
        // SAFETY: values of the table's row type, which has a variable length and the alignment of all row types.
        unsafe {
            pg_sys::construct_array(rows.as_mut_ptr(), rows.len() as i32, self.row_type(), -1, false, DOUBLE).into()
        }
    }

    /// Returns the name of the table, quoted and with its schema, as in SQL.
    pub fn name(self) -> String {
        // SAFETY: looks the names up in the catalog; null if the table has been dropped meanwhile.
        unsafe {
            let text = |name: *mut c_char| match name.is_null() {
                true => String::new(),
                false => CStr::from_ptr(name).to_string_lossy().into_owned(),
            };
            let schema = text(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(self.oid)));
            pgrx::spi::quote_qualified_identifier(schema, text(pg_sys::get_rel_name(self.oid)))
        }
    }
}
