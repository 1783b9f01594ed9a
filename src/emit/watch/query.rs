//! Plans and runs a query with two parameters through SPI.
//!
//! SPI is called directly. pgrx would assign a transaction id before every statement that is not read-only. Here that
//! would use one transaction id for each subtransaction. pgrx would also disconnect SPI while an error is being
//! handled.

use std::ffi::CString;

use pgrx::FromDatum;
use pgrx::pg_sys::SPIPlanPtr;
use pgrx::prelude::*;

/// A plan that lives until it is dropped.
pub struct Plan(SPIPlanPtr);

/// A row of the result. To be used inside SPI.
pub struct Answer {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

/// Runs `body` inside SPI. After an error, the end of the (sub)transaction disconnects SPI and frees what the statement
/// held.
pub fn inside_spi<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: connected and disconnected in the same (sub)transaction; no pointer into SPI's memory leaves `body`.
    unsafe {
        pg_sys::SPI_connect();
        let result = body();
        pg_sys::SPI_finish();
        result
    }
}

impl Plan {
    /// Plans a query, and keeps the plan for later transactions. To be called inside SPI. Both parameters have this
    /// type.
    pub fn kept(sql: &str, parameter: pg_sys::Oid) -> Self {
        let sql = CString::new(sql).expect("an argument of a trigger has no NUL");
        // SAFETY: a C string, and as many types as parameters. Keeping the plan cannot fail.
        unsafe {
            let plan = pg_sys::SPI_prepare(sql.as_ptr(), 2, [parameter; 2].as_mut_ptr());
            assert!(!plan.is_null(), "SPI prepares one SELECT");
            pg_sys::SPI_keepplan(plan);
            Self(plan)
        }
    }

    /// Runs the query. To be called inside SPI. The query is not run as read-only: like the statements of a trigger
    /// function, it sees the changes of the statement that fired the trigger.
    pub fn run(&self, arguments: [Option<pg_sys::Datum>; 2]) -> Vec<Answer> {
        let mut values = arguments.map(|value| value.unwrap_or(pg_sys::Datum::null()));
        let nulls = arguments.map(|value| if value.is_none() { b'n' } else { b' ' });
        // SAFETY: values and nulls for both parameters; SPI keeps the answer until it is disconnected.
        unsafe {
            let status = pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls.as_ptr().cast(), false, 0);
            assert_eq!(status, pg_sys::SPI_OK_SELECT as i32, "SPI reads");
            let table = &*pg_sys::SPI_tuptable;
            let answer = |row| Answer { tuple: *table.vals.add(row), descriptor: table.tupdesc };
            (0..pg_sys::SPI_processed as usize).map(answer).collect()
        }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: nobody else uses it; if it is still running, it is freed at its end.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}

impl Answer {
    /// Returns the value of a column; `None` if it is null.
    pub fn get<T: FromDatum>(&self, column: i32) -> Option<T> {
        let mut is_null = false;
        // SAFETY: a column of this row, of the type that the query gives it.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null);
            T::from_datum(datum, is_null)
        }
    }
}
