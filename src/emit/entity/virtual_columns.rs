//! Computes the virtual generated columns of a row, which PostgreSQL 18 does not store.
//!
//! Postgres computes them when a query reads them. A trigger function gets the row as it is stored, in which they are
//! null.

use std::slice;

use pgrx::prelude::*;

use crate::backend::subtransaction::{Failure, in_subtransaction};

/// The virtual columns of a table. To be used in the trigger call in which it was made.
pub struct VirtualColumns {
    table: pg_sys::Oid,
    descriptor: pg_sys::TupleDesc,
    columns: Vec<Column>,
}

struct Column {
    number: i32,
    expression: *mut pg_sys::ExprState,
}

/// Why a row lacks the values of some virtual columns.
pub struct Incomplete {
    pub failure: Failure,
    /// The numbers of the columns that cannot be computed.
    pub columns: Vec<i32>,
}

impl VirtualColumns {
    /// Whether a table has virtual columns.
    ///
    /// # Safety
    /// The relation must be a table, and open.
    pub unsafe fn are_in(table: pg_sys::Relation) -> bool {
        // SAFETY: as the caller promises.
        unsafe { !expressions(table).is_empty() }
    }

    /// # Safety
    /// The relation must be a table, and open for as long as the result is used.
    pub unsafe fn of(table: pg_sys::Relation) -> Self {
        // SAFETY: as the caller promises; the expressions are allocated in the current memory context.
        unsafe {
            let compile = |(number, expression)| {
                let expression = pg_sys::expression_planner(expression);
                Column { number, expression: pg_sys::ExecInitExpr(expression, std::ptr::null_mut()) }
            };
            let columns = expressions(table).into_iter().map(compile).collect();
            Self { table: (*table).rd_id, descriptor: (*table).rd_att, columns }
        }
    }

    /// Returns the row with the values of its virtual columns, in the current memory context. If a column cannot be
    /// computed, it stays null, and the first error is returned.
    ///
    /// # Safety
    /// The row must be one of the table.
    pub unsafe fn complete(&self, row: pg_sys::HeapTuple) -> (pg_sys::HeapTuple, Option<Incomplete>) {
        if self.columns.is_empty() {
            return (row, None);
        }
        // SAFETY: as the caller promises.
        let with = |row, columns: &[Column]| in_subtransaction(|| unsafe { self.with(row, columns) });
        match with(row, &self.columns) {
            Ok(row) => (row, None),
            Err(failure) => {
                let mut columns = Vec::new();
                let one_more = |row, column: &Column| {
                    with(row, slice::from_ref(column)).unwrap_or_else(|_| {
                        columns.push(column.number);
                        row
                    })
                };
                let row = self.columns.iter().fold(row, one_more);
                (row, Some(Incomplete { failure, columns }))
            }
        }
    }

    /// Returns the row with the values of these columns.
    unsafe fn with(&self, row: pg_sys::HeapTuple, columns: &[Column]) -> pg_sys::HeapTuple {
        // SAFETY: a row of the table, and expressions over such a row. After an error Postgres frees the slot and the
        // context.
        unsafe {
            let slot = pg_sys::MakeSingleTupleTableSlot(self.descriptor, &raw const pg_sys::TTSOpsHeapTuple);
            pg_sys::ExecStoreHeapTuple(row, slot, false);
            // A row of a transition table does not say where it is from.
            (*slot).tts_tableOid = self.table;
            let context = pg_sys::CreateStandaloneExprContext();
            (*context).ecxt_scantuple = slot;

            let count = (*self.descriptor).natts as usize;
            let mut values = vec![pg_sys::Datum::null(); count];
            let (mut nulls, mut replaced) = (vec![true; count], vec![false; count]);
            for column in columns {
                let index = column.number as usize - 1;
                values[index] = evaluate(column.expression, context, &mut nulls[index]);
                replaced[index] = true;
            }
            let (values, nulls, replaced) = (values.as_mut_ptr(), nulls.as_mut_ptr(), replaced.as_mut_ptr());
            let row = pg_sys::heap_modify_tuple(row, self.descriptor, values, nulls, replaced);
            pg_sys::FreeExprContext(context, true);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            row
        }
    }
}

unsafe fn evaluate(
    expression: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
    is_null: &mut bool,
) -> pg_sys::Datum {
    // SAFETY: the function of a prepared expression. Errors that it raises pass the guard.
    unsafe {
        let function = (*expression).evalfunc.expect("a prepared expression");
        pg_sys::ffi::pg_guard_ffi_boundary(|| function(expression, context, is_null))
    }
}

/// Returns the virtual columns of a table: their numbers and expressions.
///
/// # Safety
/// The relation must be open.
#[cfg(feature = "pg18")]
unsafe fn expressions(table: pg_sys::Relation) -> Vec<(i32, *mut pg_sys::Expr)> {
    use crate::backend::attributes::attributes;

    // SAFETY: as the caller promises.
    unsafe {
        let descriptor = (*table).rd_att;
        if !(*descriptor).constr.as_ref().is_some_and(|constraints| constraints.has_generated_virtual) {
            return Vec::new();
        }
        let is_virtual = |attribute: &pg_sys::FormData_pg_attribute| {
            !attribute.attisdropped && attribute.attgenerated as u8 == pg_sys::ATTRIBUTE_GENERATED_VIRTUAL
        };
        let virtual_ones = (1..).zip(attributes(descriptor)).filter(|(_, attribute)| is_virtual(attribute));
        virtual_ones.map(|(number, _)| (number, pg_sys::build_generation_expression(table, number).cast())).collect()
    }
}

/// Before PostgreSQL 18 there are none.
///
/// # Safety
/// As in PostgreSQL 18.
#[cfg(not(feature = "pg18"))]
unsafe fn expressions(_table: pg_sys::Relation) -> Vec<(i32, *mut pg_sys::Expr)> {
    Vec::new()
}
