//! Runs statements of requests. Those of a request that reads run in a read-only transaction; SPI of pgrx would assign a
//! transaction id even then.

use std::ffi::c_char;
use std::ops::ControlFlow;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};
use serde_json::Value;

use super::plans::{self, Values};
use crate::backend::refuse::refuse;
use crate::emit::RawJsonb;
use crate::store::{Row, Rows};

/// Runs a statement and returns what `take` makes of each row.
pub fn rows<R>(sql: &str, args: &[DatumWithOid<'_>], take: impl Fn(Row<'_>) -> R) -> Vec<R> {
    all(sql, args, |rows| rows.map(take).collect())
}

/// Runs a statement and returns what `take` makes of its result. Its plan is kept.
pub fn all<R>(sql: &str, args: &[DatumWithOid<'_>], take: impl FnOnce(Rows<'_>) -> R) -> R {
    let (types, mut values, nulls) = parts(args);
    Spi::connect(|_client| {
        let plan = plans::get(sql, types, Values::AreAlike);
        // SAFETY: as many values and nulls as the plan has arguments; the rows do not outlive the connection.
        let rows = plan.and_then(|plan| unsafe {
            let code = pg_sys::SPI_execute_plan(plan.as_ptr(), values.as_mut_ptr(), nulls.as_ptr(), false, 0);
            (code >= 0).then(|| Rows::of_last_statement())
        });
        take(rows.unwrap_or_else(|| cannot_run()))
    })
}

/// The types and values of arguments, and which of them are null.
fn parts(args: &[DatumWithOid<'_>]) -> (Vec<pg_sys::Oid>, Vec<pg_sys::Datum>, Vec<c_char>) {
    let value = |arg: &DatumWithOid<'_>| arg.datum().map_or(pg_sys::Datum::null(), |datum| datum.sans_lifetime());
    let null = |arg: &DatumWithOid<'_>| if arg.datum().is_some() { b' ' } else { b'n' } as c_char;
    (args.iter().map(DatumWithOid::oid).collect(), args.iter().map(value).collect(), args.iter().map(null).collect())
}

fn cannot_run() -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_INVALID_TRANSACTION_TERMINATION,
        "a request cannot run this statement",
        "It would begin or end a transaction, or copy to or from the client.",
        "A request is one transaction, which the gateway ends.",
    )
}

/// Runs a query and passes its rows to `take`, at most `size` at a time, until there are no more or `take` has enough. So no
/// more rows are in memory than that, however large they are.
pub fn batches(sql: &str, args: &[DatumWithOid<'_>], size: usize, mut take: impl FnMut(Rows<'_>) -> ControlFlow<()>) {
    let (types, mut values, nulls) = parts(args);
    Spi::connect(|_client| {
        let plan = plans::get(sql, types, Values::Matter).unwrap_or_else(|| cannot_run());
        // SAFETY: as many values and nulls as the plan has arguments; the rows do not outlive the connection. After an error,
        // the cursor ends with its subtransaction.
        unsafe {
            let cursor =
                pg_sys::SPI_cursor_open(std::ptr::null(), plan.as_ptr(), values.as_mut_ptr(), nulls.as_ptr(), false);
            loop {
                pg_sys::SPI_cursor_fetch(cursor, true, size as i64);
                let (table, count) = (pg_sys::SPI_tuptable, pg_sys::SPI_processed as usize);
                let is_enough = take(Rows::of_last_statement()).is_break();
                pg_sys::SPI_freetuptable(table);
                if is_enough || count < size {
                    break;
                }
            }
            pg_sys::SPI_cursor_close(cursor);
        }
    });
}

/// Runs a statement and returns the value in the first column of its first row.
pub fn one<T: FromDatum + IntoDatum + 'static>(sql: &str, args: &[DatumWithOid<'_>]) -> Option<T> {
    rows(sql, args, |row| row.first()).into_iter().next().flatten()
}

/// Runs a statement whose one value is JSON.
pub fn json(sql: &str, args: &[DatumWithOid<'_>]) -> Value {
    // The value lives as long as the row.
    let values = rows(sql, args, |row| row.first::<RawJsonb>().map(|value| value.value()));
    values.into_iter().next().flatten().unwrap_or_default()
}

pub fn run(sql: &str, args: &[DatumWithOid<'_>]) {
    rows(sql, args, |_row| ());
}
