//! Errors in Postgres's style: lower case without a full stop, facts in the detail, the next step in the hint.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::sealing::Unreadable;

/// Fails the statement.
pub fn refuse(code: PgSqlErrorCode, message: impl Into<String>, detail: &str, hint: &str) -> ! {
    let report = ErrorReport::new(code, message.into(), "hydra_webhooks");
    report.set_detail(detail).set_hint(hint).report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Fails the statement: a secret of this subscription cannot be read.
pub fn refuse_unreadable(subscription: i64, why: &Unreadable) -> ! {
    let detail = match why {
        Unreadable::KeyMissing(id) => format!("It is sealed with key {id}, which is not in hydra_webhooks.key_file."),
        Unreadable::Damaged => "It was changed, or belongs to another subscription.".into(),
    };
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the signing secret of subscription {subscription} cannot be read"),
        &detail,
        "Bring the key back, or give the subscription another secret, without an overlap: hydra.webhook_rotate_secret.",
    )
}
