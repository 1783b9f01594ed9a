//! Shows a signing secret in the answer to the request that has made it, and nowhere else. A request that is repeated gets the same
//! answer without the secret: it is not stored a second time, and whoever reads the stored answers does not get it.

use serde_json::Value;

use crate::serve::answer::Answer;

/// A client that repeats a request may not have got the first answer.
const HINT: &str =
    "The secret was in the first answer only. If it was lost, POST /api/v1/webhooks/{id}/rotate makes a new one.";

/// Adds the secret to an answer about a webhook.
pub fn shown_once(answer: Answer, secret: &str) -> Answer {
    let webhook = answer.body().strip_suffix(b"}").expect("an object");
    let first = [webhook, format!(",\"secret\":{}}}", Value::from(secret)).as_bytes()].concat();
    let repeated = [webhook, format!(",\"secret\":null,\"hint\":{}}}", Value::from(HINT)).as_bytes()].concat();
    answer.with_body_shown_once(first, repeated)
}
