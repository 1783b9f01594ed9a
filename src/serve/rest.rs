//! Answers requests with an API key under `/api/v1`.

use serde_json::json;

use super::answer::Answer;
use super::identity::{self, ApiKey};
use super::problem::Problem;
use super::request::Request;

pub fn answer(request: &Request) -> Result<Answer, Problem> {
    // Before the path is looked at, so that who has no key does not learn which paths there are.
    let key = identity::api_key(request)?;
    let answer = key.act(|| match request.segments()[..] {
        ["api", "v1", "me"] if request.reads() => Ok(me(&key)),
        ["api", "v1", "me"] => Err(Problem::method_not_allowed("GET")),
        _ => Err(Problem::not_found()),
    })?;
    Ok(answer
        .with_header("hydra-key", key.id.to_string())
        .with_header("hydra-quota", key.requests_per_minute.to_string()))
}

fn me(key: &ApiKey) -> Answer {
    Answer::json(
        200,
        &json!({"key": key.id, "tenant_id": key.tenant, "role": key.role_name, "scopes": key.scopes,
                "requests_per_minute": key.requests_per_minute}),
    )
}
