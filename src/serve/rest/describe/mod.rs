//! Describes the API as the key of the request sees it: as an OpenAPI document, as links, and as a page for people.
//!
//! All three are made of the same document. The page is made by the gateway, which gets the document and the header `hydra-page`.
//!
//! | file | what it does |
//! |---|---|
//! | `gathered` | finds out what the key can do, and with what |

use serde_json::json;

use super::Call;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;

mod gathered;

/// Answers `/api/v1/openapi.json`.
pub fn document(call: &Call<'_>) -> Result<Answer, Problem> {
    require_read(call)?;
    Ok(Answer::json(200, &openapi::document(&gathered::api(call))))
}

/// Answers `/api/v1`: a person gets a page, and a program links.
pub fn root(call: &Call<'_>) -> Result<Answer, Problem> {
    require_read(call)?;
    let api = gathered::api(call);
    if !is_person(call.request.header("accept").unwrap_or_default()) {
        return Ok(Answer::json(200, &openapi::links(&api)));
    }
    let key = call.key;
    let model = json!({
        "page": "api",
        "key": {"tenant_id": key.tenant, "role": key.role_name, "scopes": key.scopes, "requests_per_minute": key.requests_per_minute},
        "openapi": openapi::document(&api),
    });
    Ok(Answer::json(200, &model).with_header("hydra-page", "1").with_header("vary", "accept"))
}

fn require_read(call: &Call<'_>) -> Result<(), Problem> {
    if !call.request.reads() {
        return Err(Problem::method_not_allowed("GET, HEAD"));
    }
    super::own::refuse_parameters(call)
}

/// Whether a browser asks: it names HTML, and everything else as a last resort.
fn is_person(accept: &str) -> bool {
    let names_html = |range: &str| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html");
    accept.split(',').any(names_html)
}
