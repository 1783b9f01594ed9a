//! Runs code that may fail, without failing the caller's transaction.

use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::prelude::*;

use super::{raised, time_limit};

/// The error of code that failed. Receivers are informed only of its SQLSTATE, because the message could contain any
/// text.
#[derive(Clone)]
pub struct Failure {
    pub code: PgSqlErrorCode,
    pub message: String,
}

/// Runs `body` in a subtransaction. If `body` fails, rolls the subtransaction back and returns the error; an error that
/// must end the statement is raised again. If `body` was cancelled because its time is over, that does not end the
/// statement.
pub fn in_subtransaction<T>(body: impl Fn() -> T) -> Result<T, Failure> {
    attempt(body).map_err(|error| failure_of(error, |error| !must_end(error) || time_limit::is_over()))
}

/// Runs `body` in a subtransaction, as [`in_subtransaction`] does, and rolls it back in any case. So locks are held no
/// longer than that.
pub fn in_undone_subtransaction<T>(body: impl Fn() -> T) -> Result<T, Failure> {
    undo(body).map_err(|error| failure_of(error, |error| !must_end(error)))
}

/// Runs `body` in a subtransaction, as [`in_subtransaction`] does. Only an error of class 42 (syntax error or access
/// rule violation) is returned: then the code may be wrong. Any other error is raised again.
pub fn catching_syntax_or_access<T>(body: impl Fn() -> T) -> Result<T, Failure> {
    let is_returned = |error: &CaughtError| !must_end(error) && Failure::of(error).is_of_syntax_or_access();
    attempt(body).map_err(|error| failure_of(error, is_returned))
}

/// Returns the failure of an error that is to be returned. Raises any other error again.
fn failure_of(error: Box<CaughtError>, is_returned: impl Fn(&CaughtError) -> bool) -> Failure {
    if !is_returned(&error) {
        error.rethrow();
    }
    Failure::of(&error)
}

/// Runs `body` in a subtransaction. If `body` fails, rolls the subtransaction back and returns the error, whatever it
/// is: see [`must_end`].
pub fn attempt<T>(body: impl FnOnce() -> T) -> Result<T, Box<CaughtError>> {
    run(body, |_| true)
}

/// Runs `body` in a subtransaction, as [`attempt`] does, which is also rolled back if `body` returns an error of its own.
pub fn attempt_to<T, E>(body: impl FnOnce() -> Result<T, E>) -> Result<Result<T, E>, Box<CaughtError>> {
    run(body, Result::is_ok)
}

/// Runs `body` in a subtransaction, as [`attempt`] does, which is also rolled back unless `is_kept` says that it stays.
pub fn attempt_if<T>(body: impl FnOnce() -> T, is_kept: impl FnOnce(&T) -> bool) -> Result<T, Box<CaughtError>> {
    run(body, is_kept)
}

/// Runs `body` in a subtransaction that is rolled back in any case.
fn undo<T>(body: impl FnOnce() -> T) -> Result<T, Box<CaughtError>> {
    run(body, |_| false)
}

/// Runs `body` in a subtransaction, whose effects are kept if `body` does not fail and `is_kept` says so.
fn run<T>(body: impl FnOnce() -> T, is_kept: impl FnOnce(&T) -> bool) -> Result<T, Box<CaughtError>> {
    // SAFETY: the subtransaction is ended in both cases, and memory context and resource owner are restored, as
    // PL/pgSQL does around a block with an EXCEPTION clause.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let restore = move || {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        };
        PgTryBuilder::new(std::panic::AssertUnwindSafe(|| {
            let result = raised::noting(body);
            match is_kept(&result) {
                true => pg_sys::ReleaseCurrentSubTransaction(),
                false => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
            }
            restore();
            Ok(result)
        }))
        .catch_others(move |error| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            restore();
            Err(Box::new(error))
        })
        .execute()
    }
}

/// Returns whether the statement must end: it was cancelled, or the session is being ended.
pub fn must_end(error: &CaughtError) -> bool {
    use PgSqlErrorCode::*;
    match error {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => matches!(
            report.sql_error_code(),
            ERRCODE_QUERY_CANCELED
                | ERRCODE_ADMIN_SHUTDOWN
                | ERRCODE_CRASH_SHUTDOWN
                | ERRCODE_CANNOT_CONNECT_NOW
                | ERRCODE_DATABASE_DROPPED
        ),
        CaughtError::RustPanic { .. } => true,
    }
}

/// Returns the report of an error of any kind.
pub fn report(error: &CaughtError) -> &ErrorReportWithLevel {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    report
}

impl Failure {
    fn of(error: &CaughtError) -> Self {
        let report = report(error);
        Self { code: report.sql_error_code(), message: report.message().to_owned() }
    }

    /// Returns whether the error is of class 42 (syntax error or access rule violation). Then the code may be wrong,
    /// not the data.
    pub fn is_of_syntax_or_access(&self) -> bool {
        self.sqlstate().starts_with("42")
    }

    /// Returns the SQLSTATE as text.
    pub fn sqlstate(&self) -> String {
        super::sqlstate(self.code)
    }
}
