//! Chooses columns of rows.
//!
//! A row of which only some columns are to be seen becomes a row that has no others, which is then rendered like any row.
//! So the text of a column does not depend on the choice, and a column that is not chosen is never read.

use std::ffi::CStr;

use pgrx::prelude::*;

use crate::backend::attributes::attributes;

/// Some columns of a table or view, in its order.
pub struct Projection {
    /// The numbers of the columns, which begin with 1, in ascending order.
    numbers: Vec<i32>,
    /// Whether these are all that there are.
    is_whole: bool,
    /// The descriptor of rows that have only these columns.
    descriptor: pg_sys::TupleDesc,
    /// The descriptor is in this memory context.
    memory: pg_sys::MemoryContext,
}

impl Projection {
    /// Chooses columns by their names.
    ///
    /// # Safety
    /// The descriptor, that of the whole rows, must be valid.
    pub unsafe fn new(rows: pg_sys::TupleDesc, is_chosen: impl Fn(&str) -> bool) -> Self {
        // SAFETY: as the caller promises. The descriptor of the chosen columns is a copy, in a memory context that lives
        // for as long as this value. After an error, it is freed with the current memory context.
        unsafe {
            let numbers: Vec<i32> = columns(rows)
                .filter(|(_, attribute)| name(attribute).to_str().is_ok_and(&is_chosen))
                .map(|(number, _)| number)
                .collect();
            let is_whole = numbers.len() == columns(rows).count();
            let memory = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"hydra_webhooks columns".as_ptr(),
                0,
                1024,
                8192,
            );
            let former = pg_sys::MemoryContextSwitchTo(memory);
            let descriptor = pg_sys::CreateTemplateTupleDesc(numbers.len() as i32);
            for (place, number) in (1..).zip(&numbers) {
                pg_sys::TupleDescCopyEntry(descriptor, place, rows, *number as i16);
            }
            pg_sys::MemoryContextSwitchTo(former);
            // Gives the rows a type, by which the functions of Postgres find the descriptor.
            pg_sys::BlessTupleDesc(descriptor);
            pg_sys::MemoryContextSetParent(memory, pg_sys::CacheMemoryContext);
            Self { numbers, is_whole, descriptor, memory }
        }
    }

    pub fn has(&self, column: i32) -> bool {
        self.numbers.binary_search(&column).is_ok()
    }

    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns a row with only the chosen columns, as a value, in the current memory context.
    ///
    /// # Safety
    /// The tuple must be one of the rows whose descriptor, now `rows`, the projection was made for.
    pub unsafe fn value_of(&self, tuple: pg_sys::HeapTuple, rows: pg_sys::TupleDesc) -> pg_sys::Datum {
        // SAFETY: as the caller promises; there is room for each column.
        unsafe {
            let count = (*rows).natts as usize;
            let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); count], vec![true; count]);
            pg_sys::heap_deform_tuple(tuple, rows, values.as_mut_ptr(), nulls.as_mut_ptr());
            let places = self.numbers.iter().map(|number| *number as usize - 1);
            let (mut values, mut nulls): (Vec<_>, Vec<_>) = places.map(|place| (values[place], nulls[place])).unzip();
            let chosen = pg_sys::heap_form_tuple(self.descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::HeapTupleHeaderGetDatum((*chosen).t_data)
        }
    }
}

impl Drop for Projection {
    fn drop(&mut self) {
        // While an error is handled, this may be the current memory context. Then it is kept.
        if !std::thread::panicking() {
            // SAFETY: nobody else uses it: Postgres has a copy of the descriptor.
            unsafe { pg_sys::MemoryContextDelete(self.memory) };
        }
    }
}

/// Returns the columns with their numbers, without dropped ones.
///
/// # Safety
/// The descriptor must be valid for as long as the result is used.
pub unsafe fn columns<'a>(
    descriptor: pg_sys::TupleDesc,
) -> impl Iterator<Item = (i32, &'a pg_sys::FormData_pg_attribute)> {
    // SAFETY: as the caller promises.
    let attributes = unsafe { attributes(descriptor) };
    (1..).zip(attributes).filter(|(_, attribute)| !attribute.attisdropped)
}

pub fn name(attribute: &pg_sys::FormData_pg_attribute) -> &CStr {
    // SAFETY: the name of a column is a C string.
    unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) }
}
