//! The SQLSTATE with which an error was raised. An application can raise errors with SQLSTATEs of its own, and pgrx knows
//! only those that Postgres defines.

use std::cell::Cell;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::error_context::with_callback;
use super::failure;
use super::subtransaction::report;

thread_local! {
    /// That of the last message of Postgres for which [`noting`] ran. It is that of an error which has just been caught.
    static LAST: Cell<i32> = const { Cell::new(0) };
}

/// Runs `body`, and notes the SQLSTATE of an error with which it ends.
pub fn noting<R>(body: impl FnOnce() -> R) -> R {
    with_callback(note, body)
}

/// Postgres calls it while it makes a message.
#[pg_guard]
unsafe extern "C-unwind" fn note(_arg: *mut std::ffi::c_void) {
    // SAFETY: a message is being made.
    LAST.set(unsafe { pg_sys::geterrcode() });
}

/// Returns the SQLSTATE of an error that has just ended a subtransaction of ours.
pub fn sqlstate(error: &CaughtError) -> String {
    match code(error) {
        Code::OfPostgres(code) => failure::sqlstate(code),
        Code::OfApplication(number) => failure::unpacked(number),
    }
}

/// Whether the error has a SQLSTATE that Postgres does not define.
pub fn is_of_application(error: &CaughtError) -> bool {
    matches!(code(error), Code::OfApplication(_))
}

enum Code {
    OfPostgres(PgSqlErrorCode),
    OfApplication(i32),
}

fn code(error: &CaughtError) -> Code {
    // This stands for all that pgrx does not know.
    const UNKNOWN: PgSqlErrorCode = PgSqlErrorCode::ERRCODE_INTERNAL_ERROR;
    match (error, report(error).sql_error_code(), LAST.get()) {
        (CaughtError::PostgresError(_), UNKNOWN, last) if last != UNKNOWN as i32 => Code::OfApplication(last),
        (_, code, _) => Code::OfPostgres(code),
    }
}
