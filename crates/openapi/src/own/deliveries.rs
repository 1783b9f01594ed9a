//! What can be done with a delivery that failed or waits. None of it can be rehearsed.

use serde_json::{Value, json};

use super::{MANAGES_WEBHOOKS, Own};
use crate::responses::{self, answer, reference};

pub fn actions(own: &Own) -> Vec<(&'static str, Value)> {
    vec![("retry", retry(own)), ("cancel", cancel(own))]
}

/// Whoever sends a body gets to know that there is none.
const PROBLEMS: [u16; 7] = [400, 404, 409, 412, 413, 415, 422];

fn parameters() -> Value {
    json!([reference("parameters", "If-Match"), reference("parameters", "Idempotency-Key")])
}

fn retry(own: &Own) -> Value {
    let mut operation = own.operation("retry", "Send it again now", &[MANAGES_WEBHOOKS]);
    operation["parameters"] = parameters();
    let again = answer(
        "It is being sent, with the same id and body",
        reference("schemas", own.name),
        &["ETag", "Idempotency-Replayed"],
    );
    operation["responses"] = responses::with_problems(json!({"200": again}), &PROBLEMS);
    operation
}

fn cancel(own: &Own) -> Value {
    let mut operation = own.operation("cancel", "Never send it again", &[MANAGES_WEBHOOKS]);
    operation["parameters"] = parameters();
    let headers = responses::headers_of(&["Idempotency-Replayed"]);
    let cancelled = json!({"description": "It is not sent any more", "headers": headers});
    operation["responses"] = responses::with_problems(json!({"204": cancelled}), &PROBLEMS);
    operation
}
