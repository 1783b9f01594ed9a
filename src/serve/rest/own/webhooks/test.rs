//! Makes a test request. It is sent at once, and a rollback does not undo it.

use openapi::own::WEBHOOKS;
use serde_json::json;

use super::super::{as_owner, found, refuse_rehearsal};
use super::{given, number, refusal};
use crate::backend::deadline;
use crate::backend::subtransaction::{attempt, must_end};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::rest::Call;
use crate::serve::rest::write::once;
use crate::serve::{refused, sql};

const TEST: &str = include_str!("../../../../../sql/queries/send_test.sql");

pub fn answer(call: &Call<'_>, id: &str) -> Result<Answer, Problem> {
    refuse_rehearsal(call)?;
    given::nothing(call)?;
    once(call, || send(call, id))
}

/// The webhook is not locked: a lock would last as long as the request to the endpoint.
fn send(call: &Call<'_>, id: &str) -> Result<Answer, Problem> {
    found(call, &WEBHOOKS, id)?;
    let id = number(id)?;
    match attempt(|| as_owner(|| sql::json(TEST, &[id.into()]))) {
        Ok(made) => Ok(Answer::json(200, &made)),
        // The time of the request is over. It was sent, so the answer says that and not to try again.
        Err(_) if deadline::is_over() => {
            let error = "there was no answer in time";
            Ok(Answer::json(
                200,
                &json!({"status_code": null, "response_body": null, "response_ms": null, "error": error}),
            ))
        }
        Err(error) if must_end(&error) => error.rethrow(),
        Err(error) => Err(refusal::problem(refused::WEBHOOK, &error)),
    }
}
