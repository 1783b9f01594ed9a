//! A query that reads, planned by SPI.
//!
//! Not through pgrx: there, whoever may write is given a transaction id first, and here that would be one for each
//! subtransaction; and SPI would be disconnected in the midst of an error.

use std::ffi::CString;

use pgrx::FromDatum;
use pgrx::pg_sys::SPIPlanPtr;
use pgrx::prelude::*;

/// A plan that lives until it is dropped.
pub struct Plan(SPIPlanPtr);

/// A row of an answer, inside SPI.
pub struct Answer {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

/// After an error SPI is left to the end of the (sub)transaction, which knows what the statement still held.
pub fn inside_spi<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: connected and disconnected in the same (sub)transaction; nothing of SPI's memory leaves `body`.
    unsafe {
        pg_sys::SPI_connect();
        let result = body();
        pg_sys::SPI_finish();
        result
    }
}

impl Plan {
    /// Inside SPI. Both arguments are of the same type.
    pub fn prepare(sql: &str, argument: pg_sys::Oid) -> Self {
        let sql = CString::new(sql).expect("an argument of a trigger has no NUL");
        // SAFETY: a C string, and as many types as arguments.
        let plan = unsafe { pg_sys::SPI_prepare(sql.as_ptr(), 2, [argument; 2].as_mut_ptr()) };
        assert!(!plan.is_null(), "SPI prepares one SELECT");
        Self(plan)
    }

    /// The same, for later transactions too.
    pub fn kept(sql: &str, argument: pg_sys::Oid) -> Self {
        let plan = Self::prepare(sql, argument);
        // SAFETY: a plan that was just prepared; keeping it cannot fail.
        unsafe { pg_sys::SPI_keepplan(plan.0) };
        plan
    }

    /// Inside SPI. Not as reading only: like a trigger function, it sees what its statement did.
    pub fn run(&self, arguments: [Option<pg_sys::Datum>; 2]) -> Vec<Answer> {
        let mut values = arguments.map(|value| value.unwrap_or(pg_sys::Datum::null()));
        let nulls = arguments.map(|value| if value.is_none() { b'n' } else { b' ' });
        // SAFETY: values and nulls for both arguments; SPI keeps its answer until it is disconnected.
        unsafe {
            let status = pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls.as_ptr().cast(), false, 0);
            assert_eq!(status, pg_sys::SPI_OK_SELECT as i32, "SPI reads");
            let table = &*pg_sys::SPI_tuptable;
            let answer = |place| Answer { tuple: *table.vals.add(place), descriptor: table.tupdesc };
            (0..pg_sys::SPI_processed as usize).map(answer).collect()
        }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: nobody else has it; one that is still running is freed when it ends.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}

impl Answer {
    pub fn get<T: FromDatum>(&self, column: i32) -> Option<T> {
        let mut is_null = false;
        // SAFETY: a column of this row, of the type that the statement gives it.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null);
            T::from_datum(datum, is_null)
        }
    }
}
