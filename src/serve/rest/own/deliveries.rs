//! What can be done with a delivery that failed or waits, or has succeeded and is kept.

use openapi::own::{MANAGES_WEBHOOKS, WEBHOOK_DELIVERIES as DELIVERIES};
use pgrx::Uuid;

use super::webhooks::given;
use super::{as_owner, page, refuse_parameters, refuse_rehearsal, represented};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::rest::representation::Representation;
use crate::serve::rest::write::{once, target};
use crate::serve::rest::{Call, require};
use crate::serve::sql;

/// Answers what is not a read: sends a delivery again, or cancels it, once for each Idempotency-Key. `path` is what follows the
/// name of the resource.
pub fn answer(call: &Call<'_>, path: &[&str]) -> Result<Answer, Problem> {
    match path {
        [] | [_] => Err(Problem::method_not_allowed("GET, HEAD")),
        [_, "retry" | "cancel"] if call.request.method != "POST" => Err(Problem::method_not_allowed("POST")),
        [id, action @ ("retry" | "cancel")] => {
            require(call, MANAGES_WEBHOOKS)?;
            refuse_parameters(call)?;
            refuse_rehearsal(call)?;
            given::nothing(call)?;
            once(call, || act(call, id, action))
        }
        _ => Err(Problem::not_found()),
    }
}

/// The row is locked first, so that it stays what was looked at.
fn act(call: &Call<'_>, id: &str, action: &str) -> Result<Answer, Problem> {
    const LOCK: &str = include_str!("../../../../sql/queries/lock_api_delivery.sql");
    let text = page::id(&DELIVERIES, id).ok_or_else(Problem::not_found)?;
    let delivery = uuid(&text).ok_or_else(Problem::not_found)?;
    let state: Option<String> = as_owner(|| sql::one(LOCK, &[delivery.into(), call.key.tenant.as_deref().into()]));
    let state = state.ok_or_else(Problem::not_found)?;
    if target::is_conditional(call.request) {
        target::check(call.request, &represented(call, &DELIVERIES, id)?)?;
    }
    match state.as_str() {
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
            Some(0_i64) => Err(Problem::conflict().with_detail("Its webhook was deleted, so that it has no endpoint, or has missed it, and sends it when it is resumed.")),
            _ => {
                let Representation { text, etag } = represented(call, &DELIVERIES, id)?;
                Ok(Answer::json_text(200, text).with_header("etag", etag))
            }
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
