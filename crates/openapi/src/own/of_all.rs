//! Paths that every key has, and schemas that several paths have.

use serde_json::{Value, json};

use crate::Named;
use crate::responses::{self, answer, reference};

/// Returns the paths that every key has.
pub fn paths_of_all() -> Vec<Named> {
    let get = |id: &str, summary: &str, description: &str, schema: Value| {
        json!({"get": {
            "operationId": id, "tags": ["api"], "summary": summary, "description": "Needs no scope.",
            "responses": responses::with_problems(json!({"200": answer(description, schema, &[])}), &[400]),
        }})
    };
    vec![
        ("/".into(), get("get_links", "List what there is", "Where everything is", reference("schemas", "links"))),
        ("/me".into(), get("get_me", "Describe the key", "The key of this request", reference("schemas", "me"))),
        (
            "/openapi.json".into(),
            get(
                "get_openapi",
                "Describe the API",
                "An OpenAPI document, with what this key can do",
                json!({"type": "object"}),
            ),
        ),
    ]
}

/// Returns the schemas that several of these, or all keys, have.
pub fn schemas_of_all() -> Vec<Named> {
    let resource = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"}, "url": {"type": "string"}, "description": {"type": "string"},
            "methods": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name", "url", "description", "methods"],
    });
    let links = json!({
        "type": "object",
        "properties": {
            "openapi": {"type": "string", "description": "The description for programs."},
            "me": {"type": "string", "description": "The key of the request."},
            "resources": {"type": "array", "items": resource},
        },
        "required": ["openapi", "me", "resources"],
    });
    let me = json!({
        "type": "object",
        "properties": {
            "key": {"type": "integer", "description": "Number of the key."},
            "tenant_id": {"type": ["string", "null"], "description": "Tenant to which the key is limited; null: none."},
            "role": {"type": "string", "description": "Role of the database as which requests act."},
            "scopes": {"type": "array", "items": {"type": "string"}, "description": "What the key may do."},
            "requests_per_minute": {"type": "integer", "description": "How many requests it has in a minute."},
        },
        "required": ["key", "tenant_id", "role", "scopes", "requests_per_minute"],
    });
    let attempt = json!({
        "type": "object",
        "properties": {
            "attempt": {"type": "integer", "description": "Its number, from 1."},
            "status_code": {"type": ["integer", "null"], "description": "Status of the answer; null: there was none."},
            "error_class": {"type": ["string", "null"], "description": "Kind of failure; null: success."},
            "error": {"type": ["string", "null"], "description": "What went wrong; null: success."},
            "response_excerpt": {"type": ["string", "null"], "description": "Start of the body of the answer."},
            "response_ms": {"type": ["integer", "null"], "description": "Milliseconds that it took."},
            "attempted_at": {"type": "string", "format": "date-time", "description": "When it started."},
            "next_attempt_at": {"type": ["string", "null"], "format": "date-time", "description": "When the next one was planned; null: it was not."},
        },
        "required": ["attempt", "status_code", "error_class", "error", "response_excerpt", "response_ms", "attempted_at", "next_attempt_at"],
    });
    vec![("links".into(), links), ("me".into(), me), ("webhook_deliveries.attempt".into(), attempt)]
}
