//! Runs statements of requests. Those of a request that reads run in a read-only transaction; SPI of pgrx would assign a
//! transaction id even then.

use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, JsonB};
use serde_json::Value;

use crate::backend::refuse::refuse;
use crate::store::{Row, Rows};

/// Runs a statement and returns what `take` makes of each row.
pub fn rows<R>(sql: &str, args: &[DatumWithOid<'_>], take: impl Fn(Row<'_>) -> R) -> Vec<R> {
    all(sql, args, |rows| rows.map(take).collect())
}

/// Runs a statement and returns what `take` makes of its result.
pub fn all<R>(sql: &str, args: &[DatumWithOid<'_>], take: impl FnOnce(Rows<'_>) -> R) -> R {
    let sql = CString::new(sql).expect("a statement without NUL");
    let mut types: Vec<pg_sys::Oid> = args.iter().map(|arg| arg.oid()).collect();
    let mut values: Vec<pg_sys::Datum> =
        args.iter().map(|arg| arg.datum().map_or(pg_sys::Datum::null(), |datum| datum.sans_lifetime())).collect();
    let nulls: Vec<std::ffi::c_char> =
        args.iter().map(|arg| if arg.datum().is_some() { b' ' } else { b'n' } as std::ffi::c_char).collect();
    Spi::connect(|_client| {
        // SAFETY: as many types, values and nulls as there are arguments; the rows do not outlive the connection.
        let (code, rows) = unsafe {
            let code = pg_sys::SPI_execute_with_args(
                sql.as_ptr(),
                args.len() as i32,
                types.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_ptr(),
                false,
                0,
            );
            (code, Rows::of_last_statement())
        };
        if code < 0 {
            refuse(
                PgSqlErrorCode::ERRCODE_INVALID_TRANSACTION_TERMINATION,
                "a request cannot run this statement",
                "It would begin or end a transaction, or copy to or from the client.",
                "A request is one transaction, which the gateway ends.",
            );
        }
        take(rows)
    })
}

/// Runs a query and passes its rows to `take`, at most `size` at a time, until there are no more or `take` has enough. So no
/// more rows are in memory than that, however large they are.
pub fn batches(sql: &str, args: &[DatumWithOid<'_>], size: usize, mut take: impl FnMut(Rows<'_>) -> ControlFlow<()>) {
    Spi::connect(|client| {
        // After an error, the cursor ends with its subtransaction. It must not be closed before.
        let mut cursor = ManuallyDrop::new(client.open_cursor(sql, args));
        loop {
            let count = cursor.fetch(size as _).expect("SPI fetches").len();
            // SAFETY: the rows do not outlive the connection.
            let rows = unsafe { Rows::of_last_statement() };
            if take(rows).is_break() || count < size {
                break;
            }
        }
        drop(ManuallyDrop::into_inner(cursor));
    });
}

/// Runs a statement and returns the value in the first column of its first row.
pub fn one<T: FromDatum + IntoDatum + 'static>(sql: &str, args: &[DatumWithOid<'_>]) -> Option<T> {
    rows(sql, args, |row| row.first()).into_iter().next().flatten()
}

/// Runs a statement whose one value is JSON.
pub fn json(sql: &str, args: &[DatumWithOid<'_>]) -> Value {
    one::<JsonB>(sql, args).map_or(Value::Null, |value| value.0)
}

pub fn run(sql: &str, args: &[DatumWithOid<'_>]) {
    rows(sql, args, |_row| ());
}
