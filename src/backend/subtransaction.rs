//! Running code that may fail, without failing the caller's transaction.

use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::prelude::*;

/// How it failed. Only the code may be sent: the message can contain anything that the failing code puts into it.
pub struct Failure {
    pub code: PgSqlErrorCode,
}

/// Runs `body` in a subtransaction, which is rolled back if it fails. An error that must end the statement is raised again.
pub fn in_subtransaction<T>(body: impl Fn() -> T) -> Result<T, Failure> {
    // SAFETY: the subtransaction is ended in both cases, and memory context and resource owner are restored, as PL/pgSQL
    // does around a block with an EXCEPTION clause.
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
            if must_end(&error) {
                error.rethrow();
            }
            Err(Failure { code: report(&error).sql_error_code() })
        })
        .execute()
    }
}

/// Whether the statement must end: it was cancelled, or the session is being ended.
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

pub fn report(error: &CaughtError) -> &ErrorReportWithLevel {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    report
}

impl Failure {
    /// Whether the code that was run may be wrong, not the data.
    pub fn is_of_syntax_or_access(&self) -> bool {
        self.sqlstate().starts_with("42")
    }

    pub fn sqlstate(&self) -> String {
        let code = self.code as i32;
        // Five characters of six bits each, as Postgres packs them.
        (0..5).map(|place| char::from(((code >> (6 * place)) & 0x3f) as u8 + b'0')).collect()
    }
}
