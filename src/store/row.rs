//! Reads the rows that a statement has returned.
//!
//! A row is split into its columns once, and the values are read in place, without a copy. The tuples of pgrx look each
//! column up again and copy its value twice; that took a third of the dispatcher's time for a delivery.
//!
//! Columns are found by name, not by position. The names are looked up once for each result, so that a query that lost
//! a column fails at its first use.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::{Duration, SystemTime};

use pgrx::array::RawArray;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};

use super::types::to_system_time;
use crate::backend::attributes::attributes;

/// No statement of ours has more columns.
const MAX_COLUMNS: usize = 24;

/// The place of a column in a result.
#[derive(Clone, Copy)]
pub struct Column(usize);

/// Defines the columns that a statement returns, as a struct with a field for each.
macro_rules! columns {
    ($name:ident { $($column:ident),+ $(,)? }) => {
        struct $name {
            $($column: $crate::store::Column,)+
        }

        impl $name {
            fn of(rows: &$crate::store::Rows<'_>) -> Self {
                Self { $($column: rows.column(stringify!($column)),)+ }
            }
        }
    };
}
pub(crate) use columns;

/// The rows of a statement. They are valid until SPI is disconnected.
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
    /// Returns the rows of the statement that SPI has just run.
    ///
    /// # Safety
    /// SPI must stay connected for as long as these rows are in use.
    pub unsafe fn of_last_statement() -> Self {
        // SAFETY: null, or the table of that statement.
        Self { table: unsafe { pg_sys::SPI_tuptable.as_ref() }, next: 0 }
    }

    /// Returns the column of this name; raises an error if there is none.
    pub fn column(&self, name: &str) -> Column {
        let attributes = self.table.map(types_of).unwrap_or_default();
        let is_it = |attribute: &pg_sys::FormData_pg_attribute| {
            // SAFETY: a name is a C string.
            unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) }.to_bytes() == name.as_bytes()
        };
        Column(attributes.iter().position(is_it).unwrap_or_else(|| error!("a statement returns no column \"{name}\"")))
    }
}

impl<'conn> Iterator for Rows<'conn> {
    type Item = Row<'conn>;

    fn next(&mut self) -> Option<Row<'conn>> {
        let table = self.table.filter(|table| self.next < table.numvals as usize)?;
        let mut row = Row {
            values: [pg_sys::Datum::null(); MAX_COLUMNS],
            nulls: [true; MAX_COLUMNS],
            types: types_of(table),
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
    /// Returns the value of a column that is never null.
    pub fn value<T: IntoDatum + FromDatum + 'static>(&self, column: Column) -> T {
        self.maybe(column).expect("a column that is not null")
    }

    /// Returns the value of a column that may be null.
    pub fn maybe<T: IntoDatum + FromDatum + 'static>(&self, column: Column) -> Option<T> {
        self.read(column)
    }

    /// Returns the value of the first column, which may be null; `None` also if there is no column.
    pub fn first<T: IntoDatum + FromDatum + 'static>(&self) -> Option<T> {
        if self.types.is_empty() { None } else { self.read(Column(0)) }
    }

    /// Returns a text that is never null, without a copy.
    pub fn text(&self, column: Column) -> &'conn str {
        self.maybe_text(column).expect("a column that is not null")
    }

    /// Returns a text that may be null, without a copy.
    pub fn maybe_text(&self, column: Column) -> Option<&'conn str> {
        self.read(column)
    }

    /// Returns a value of any type, which is valid as long as the rows are; `None` if it is null.
    pub fn datum(&self, Column(index): Column) -> Option<pg_sys::Datum> {
        (!self.nulls[index]).then_some(self.values[index])
    }

    /// Returns a value of any type as text, as the output function of its type writes it; `None` if it is null. To be called as
    /// the role that may run this function, which can be code of a user.
    pub fn output(&self, column: Column) -> Option<String> {
        let datum = self.datum(column)?;
        let (mut function, mut is_varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: the output function of the type of the value, which returns a C string.
        unsafe {
            pg_sys::getTypeOutputInfo(self.types[column.0].atttypid, &raw mut function, &raw mut is_varlena);
            let text = pg_sys::OidOutputFunctionCall(function, datum);
            Some(CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }

    /// Returns the size in bytes of a value of variable length, as it is when it is read; zero if it is null. Does not
    /// read a value that is compressed or stored outside of the row.
    pub fn size(&self, Column(index): Column) -> usize {
        assert_eq!(self.types[index].attlen, -1, "column {} has a fixed length", index + 1);
        if self.nulls[index] {
            return 0;
        }
        // SAFETY: a value of variable length that lies in the table that the rows come from.
        unsafe { pg_sys::toast_raw_datum_size(self.values[index]) }
    }

    /// Returns an array of numbers (`bigint[]`). Neither the array nor a number is ever null.
    pub fn numbers(&self, Column(index): Column) -> &'conn [i64] {
        assert_eq!(self.types[index].atttypid, pg_sys::INT8ARRAYOID, "column {} has another type", index + 1);
        assert!(!self.nulls[index], "an array that is not null");
        // SAFETY: the type fits; the array lies in the table that the rows come from, or is a copy in the memory of SPI.
        // Not by the array type of pgrx, which looks up the type of the elements for each value.
        unsafe {
            let array = pg_sys::pg_detoast_datum(self.values[index].cast_mut_ptr());
            let mut array = RawArray::from_ptr(NonNull::new(array.cast()).expect("an array"));
            assert!(array.nulls().is_none(), "an array without nulls");
            array.data().as_ref()
        }
    }

    /// Returns a time that may be null.
    pub fn time(&self, column: Column) -> Option<SystemTime> {
        self.maybe::<TimestampWithTimeZone>(column).map(to_system_time)
    }

    /// Returns a duration, stored as a number of milliseconds, that may be null.
    pub fn millis(&self, column: Column) -> Option<Duration> {
        self.maybe::<i64>(column).map(millis)
    }

    fn read<T: IntoDatum + FromDatum>(&self, Column(index): Column) -> Option<T> {
        let of = self.types[index].atttypid;
        assert!(T::is_compatible_with(of), "column {} has another type", index + 1);
        // SAFETY: the type fits, and the value lies in the table that the rows come from.
        unsafe { T::from_polymorphic_datum(self.values[index], self.nulls[index], of) }
    }
}

fn types_of(table: &pg_sys::SPITupleTable) -> &[pg_sys::FormData_pg_attribute] {
    // SAFETY: the descriptor lives as long as its table.
    unsafe { attributes(table.tupdesc) }
}

pub fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}
