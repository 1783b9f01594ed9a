//! What can be done with a delivery that failed or waits, or has succeeded and is kept.

use openapi::own::WEBHOOK_DELIVERIES as DELIVERIES;
use pgrx::Uuid;

use super::{as_owner, one, page};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::rest::Call;
use crate::serve::rest::write::{is_rehearsal, once};
use crate::serve::sql;

/// Sends a delivery again, or cancels it, once for each Idempotency-Key.
pub fn answer(call: &Call<'_>, id: &str, action: &str) -> Result<Answer, Problem> {
    // Whoever sends it expects that nothing happens.
    if is_rehearsal(call.request) {
        return Err(
            Problem::bad_request().with_detail("Prefer: tx=rollback is not for deliveries: this cannot be undone.")
        );
    }
    once(call, || act(call, id, action))
}

/// The row is locked first, so that it stays what was looked at.
fn act(call: &Call<'_>, id: &str, action: &str) -> Result<Answer, Problem> {
    const LOCK: &str = include_str!("../../../../sql/queries/lock_api_delivery.sql");
    let text = page::id(&DELIVERIES, id).ok_or_else(Problem::not_found)?;
    let delivery = uuid(&text).ok_or_else(Problem::not_found)?;
    let state: Option<String> = as_owner(|| sql::one(LOCK, &[delivery.into(), call.key.tenant.as_deref().into()]));
    match state.ok_or_else(Problem::not_found)?.as_str() {
        "sending" => {
            return Err(Problem::conflict()
                .with_detail("It is being sent.")
                .with_hint("Try again when the attempt is over."));
        }
        "delivered" if action == "cancel" => {
            return Err(Problem::conflict().with_detail("It has succeeded: its receiver has it."));
        }
        _ => {}
    }
    match action {
        "retry" => match as_owner(|| sql::one("SELECT hydra.webhook_retry($1)", &[delivery.into()])) {
            Some(0_i64) => Err(Problem::conflict().with_detail("Its webhook was deleted, so that it has no endpoint.")),
            _ => one(call, &DELIVERIES, id),
        },
        _ => {
            as_owner(|| sql::run("SELECT hydra.webhook_cancel($1)", &[delivery.into()]));
            Ok(Answer::no_content())
        }
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    let bytes: [u8; 16] = hex::decode(text.replace('-', "")).ok()?.try_into().ok()?;
    Some(Uuid::from_bytes(bytes))
}
