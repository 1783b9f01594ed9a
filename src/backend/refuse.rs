//! Raises errors in the style of Postgres: the message in lower case without a full stop, facts in the detail, the next
//! step in the hint.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Fails the statement with this error.
pub fn refuse(code: PgSqlErrorCode, message: impl Into<String>, detail: &str, hint: &str) -> ! {
    let report = ErrorReport::new(code, message.into(), "hydra_webhooks");
    report.set_detail(detail).set_hint(hint).report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}
