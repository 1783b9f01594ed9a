//! Runs code that may fail, without failing the caller's transaction.

use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::prelude::*;

use super::time_limit;

/// The error of code that failed. Only its SQLSTATE is kept: receivers are informed of it, and the message could
/// contain any text.
pub struct Failure {
    pub code: PgSqlErrorCode,
}

/// Runs `body` in a subtransaction. If `body` fails, rolls the subtransaction back and returns the error; an error that
/// must end the statement is raised again. If `body` was cancelled because its time is over, that does not end the
/// statement.
pub fn in_subtransaction<T>(body: impl Fn() -> T) -> Result<T, Failure> {
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
            let result = body();
            pg_sys::ReleaseCurrentSubTransaction();
            restore();
            Ok(result)
        }))
        .catch_others(move |error| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            restore();
            if must_end(&error) && !time_limit::is_over() {
                error.rethrow();
            }
            Err(Failure { code: report(&error).sql_error_code() })
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
