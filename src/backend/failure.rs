//! An error in a background worker, and what the worker was doing.

use std::ffi::CStr;

use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::prelude::*;

use super::signals;

/// An error of Postgres that a worker survived.
#[derive(Debug)]
pub struct Failure {
    /// What the worker was doing: a verb phrase such as `read new events`. Error messages put "could not" before it.
    pub step: &'static CStr,
    pub code: PgSqlErrorCode,
    pub message: String,
    pub detail: Option<String>,
}

impl Failure {
    pub fn new(step: &'static CStr, error: &CaughtError) -> Self {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = error;
        let code = report.sql_error_code();
        // It would show the row or the key, and so values of headers or data of the application.
        let hides_detail = sqlstate(code).starts_with("23");
        let detail = report.detail().filter(|_| !hides_detail).map(str::to_owned);
        Self { step, code, message: report.message().to_owned(), detail }
    }

    /// Whether the error may be caused by the rows of a statement, so that other rows could be written: invalid data, a
    /// violated constraint, a value that is too large, an error that a trigger raised, or an internal error. Not one of
    /// the environment, such as a full disk, a lock or a missing privilege, which affects all rows.
    pub fn is_about_rows(&self) -> bool {
        let state = sqlstate(self.code);
        ["22", "23", "44", "54", "P0", "XX000"].iter().any(|class| state.starts_with(class))
    }

    /// Writes the error to the server log, with its SQLSTATE and detail, and how often it has been repeated since the
    /// last message. The message begins with the name of the `worker`. Nothing is written if the statement was cancelled
    /// because the process has to end.
    pub fn warn(&self, worker: &str, repetitions: u64) {
        if self.code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED && signals::stop_was_requested() {
            return;
        }
        let message = format!("{worker}: could not {}: {}", self.step.to_string_lossy(), self.message);
        let repeated = (repetitions > 0)
            .then(|| format!("The same error has occurred {repetitions} times since it was last logged."));
        let detail: Vec<String> = self.detail.iter().cloned().chain(repeated).collect();
        let report = ErrorReport::new(self.code, message, "hydra_webhooks");
        let report = match detail.is_empty() {
            true => report,
            false => report.set_detail(detail.join("\n")),
        };
        report.report(PgLogLevel::WARNING);
    }
}

/// Returns an SQLSTATE as text.
pub fn sqlstate(code: PgSqlErrorCode) -> String {
    unpacked(code as i32)
}

pub fn unpacked(code: i32) -> String {
    // Five characters of six bits each, as Postgres packs them.
    (0..5).map(|place| char::from(((code >> (6 * place)) & 0x3f) as u8 + b'0')).collect()
}
