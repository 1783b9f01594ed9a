//! What a statement returned, row by row.
//!
//! A row is taken apart once, and its values are read from where they lie. pgrx's own tuples look each column up anew
//! and copy it before it is copied into a Rust value; that was a third of what a delivery costs the dispatcher.

use std::marker::PhantomData;

use pgrx::prelude::*;
use pgrx::{Array, FromDatum, IntoDatum};
use smallvec::SmallVec;

/// More columns than any of our statements has.
const MAX_COLUMNS: usize = 20;

/// The rows of a statement; they live until SPI is disconnected.
pub struct Rows<'conn> {
    table: Option<&'conn pg_sys::SPITupleTable>,
    next: usize,
}

pub struct Row<'conn> {
    values: [pg_sys::Datum; MAX_COLUMNS],
    nulls: [bool; MAX_COLUMNS],
    types: &'conn [pg_sys::FormData_pg_attribute],
    connection: PhantomData<&'conn ()>,
}

impl Rows<'_> {
    /// Those of the statement that SPI has just run.
    ///
    /// # Safety
    /// SPI must stay connected for as long as these rows are in use.
    #[allow(unsafe_code)]
    pub unsafe fn of_last_statement() -> Self {
        // SAFETY: null, or the table of that statement.
        Self { table: unsafe { pg_sys::SPI_tuptable.as_ref() }, next: 0 }
    }
}

impl<'conn> Iterator for Rows<'conn> {
    type Item = Row<'conn>;

    #[allow(unsafe_code)]
    fn next(&mut self) -> Option<Row<'conn>> {
        let table = self.table.filter(|table| self.next < table.numvals as usize)?;
        let mut row = Row {
            values: [pg_sys::Datum::null(); MAX_COLUMNS],
            nulls: [true; MAX_COLUMNS],
            // SAFETY: a descriptor has as many attributes as it says.
            types: unsafe { (*table.tupdesc).attrs.as_slice((*table.tupdesc).natts as usize) },
            connection: PhantomData,
        };
        assert!(row.types.len() <= MAX_COLUMNS, "a statement with too many columns");
        // SAFETY: a tuple of this table, and room for all of its values.
        unsafe {
            let tuple = *table.vals.add(self.next);
            pg_sys::heap_deform_tuple(tuple, table.tupdesc, row.values.as_mut_ptr(), row.nulls.as_mut_ptr());
        }
        self.next += 1;
        Some(row)
    }
}

impl<'conn> Row<'conn> {
    /// A column that is never null, by its place from 1.
    pub fn value<T: IntoDatum + FromDatum + 'static>(&self, column: usize) -> T {
        self.maybe(column).expect("a column that is not null")
    }

    /// A column that may be null, by its place from 1.
    pub fn maybe<T: IntoDatum + FromDatum + 'static>(&self, column: usize) -> Option<T> {
        self.read(column)
    }

    /// A text that is never null, where it lies.
    pub fn text(&self, column: usize) -> &'conn str {
        self.maybe_text(column).expect("a column that is not null")
    }

    /// A text that may be null, where it lies.
    pub fn maybe_text(&self, column: usize) -> Option<&'conn str> {
        self.read(column)
    }

    /// An array of numbers that has no nulls and is never null itself.
    pub fn numbers(&self, column: usize) -> SmallVec<[i64; 1]> {
        let array: Array<'_, i64> = self.read(column).expect("a column that is not null");
        array.as_slice().expect("an array without nulls").into()
    }

    #[allow(unsafe_code)]
    fn read<T: IntoDatum + FromDatum>(&self, column: usize) -> Option<T> {
        let (place, of) = (column - 1, self.types[column - 1].atttypid);
        assert!(T::is_compatible_with(of), "column {column} is of another type");
        // SAFETY: the type fits, and the value lies in the table that the rows come from.
        unsafe { T::from_polymorphic_datum(self.values[place], self.nulls[place], of) }
    }
}
