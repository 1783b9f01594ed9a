//! Answers, their headers, and problems.

use serde_json::{Value, json};

use crate::Named;

/// Problems that every request with a key can get.
const ALWAYS: [u16; 4] = [401, 403, 429, 503];

/// Headers of every answer to a request with a key.
const OF_ALL: [&str; 6] =
    ["RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id"];

pub fn reference(part: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{part}/{name}")})
}

/// Returns the headers of an answer: these, and those that all have.
pub fn headers_of(names: &[&str]) -> Value {
    crate::object(names.iter().chain(&OF_ALL).map(|name| ((*name).to_owned(), reference("headers", name))))
}

/// Returns an answer with a body.
pub fn answer(description: &str, schema: Value, headers: &[&str]) -> Value {
    json!({
        "description": description,
        "headers": headers_of(headers),
        "content": {"application/json": {"schema": schema}},
    })
}

/// Adds problems to the answers of an operation: those with these statuses, and those that all can get.
pub fn with_problems(mut answers: Value, statuses: &[u16]) -> Value {
    for status in statuses.iter().chain(&ALWAYS) {
        answers[status.to_string()] = reference("responses", &status.to_string());
    }
    answers
}

/// Returns the answer to a request whose answer the caller has.
pub fn not_modified() -> Value {
    json!({"description": "It is still what `If-None-Match` names", "headers": headers_of(&["ETag"])})
}

/// Returns the answers of a list with this page.
pub fn of_list(page: Value) -> Value {
    with_problems(json!({"200": answer("Rows, and where the next ones are", page, &["Link"])}), &[400, 404, 422])
}

/// Returns the answer to a request with `Prefer: tx=rollback`.
pub fn rehearsed() -> Value {
    let schema = reference("schemas", "rehearsal");
    answer("With `Prefer: tx=rollback`: what would happen. Nothing is changed", schema, &["Preference-Applied"])
}

/// Returns the schema of a page of a list of things with this schema.
pub fn page(of: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": reference("schemas", of)},
            "has_more": {"type": "boolean", "description": "Whether there are more after these."},
            "next_cursor": {"type": ["string", "null"], "description": "Where the next ones begin; null: these are the last ones."},
        },
        "required": ["data", "has_more", "next_cursor"],
    })
}

/// Returns the schemas that operations of several resources have.
pub fn schemas() -> Vec<Named> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let problem = json!({
        "type": "object",
        "description": "A problem of RFC 9457.",
        "properties": {
            "type": text("What kind of problem it is. It stays the same from version to version."),
            "title": text("The kind, in words."),
            "status": {"type": "integer", "description": "The status of the answer."},
            "detail": text("What is wrong in this request."),
            "hint": text("What can be done."),
            "code": text("The SQLSTATE, if a statement failed."),
            "request_id": text("Name it when you ask for help."),
            "errors": {
                "type": "array",
                "description": "Which members of the body, or parameters, are not accepted.",
                "items": {
                    "type": "object",
                    "properties": {"field": text("Its name."), "code": text("A word for why."), "detail": text("Why, in words.")},
                    "required": ["field", "code", "detail"],
                },
            },
        },
        "required": ["type", "title", "status", "request_id"],
    });
    let rehearsal = json!({
        "type": "object",
        "description": "What a change would do.",
        "properties": {
            "result": {"description": "What the answer would be."},
            "tables": {
                "type": "array",
                "description": "Tables that would be written, and how many rows at most.",
                "items": {
                    "type": "object",
                    "properties": {
                        "table": {"type": "string"}, "inserted": {"type": "integer"}, "updated": {"type": "integer"},
                        "deleted": {"type": "integer"},
                    },
                },
            },
            "webhooks": {
                "type": "array", "description": "The requests that would be made.", "items": {"type": "object"},
            },
            "notices": {"type": "array", "description": "What the database would say.", "items": {}},
        },
        "required": ["result", "tables", "webhooks", "notices"],
    });
    vec![("problem".into(), problem), ("rehearsal".into(), rehearsal)]
}

/// Returns the problems, under their statuses.
pub fn responses() -> Vec<Named> {
    const PROBLEMS: [(u16, &str, &[&str]); 11] = [
        (400, "A parameter is unknown, is there twice or cannot be read", &[]),
        (401, "The key is missing or not valid", &["WWW-Authenticate"]),
        (403, "The key lacks a scope, or its role a privilege", &["WWW-Authenticate"]),
        (404, "There is no such thing for this key", &[]),
        (409, "It contradicts what is there already", &[]),
        (412, "The row is not the one that `If-Match` names", &[]),
        (413, "The body is too large", &[]),
        (415, "The body is not JSON", &[]),
        (422, "A value is not accepted; `errors` says which", &[]),
        (429, "The key has used up its requests of this minute", &["Retry-After"]),
        (503, "It could not be answered in time. Try again", &["Retry-After"]),
    ];
    let problem = |(status, description, extra): (u16, &str, &[&str])| {
        // Who has no key has no limits that a header could show, and a gateway with too much to do does not know them.
        let mut headers = match status {
            401 | 413 | 503 => crate::object([("X-Request-Id".to_owned(), reference("headers", "X-Request-Id"))]),
            _ => headers_of(&[]),
        };
        for name in extra {
            headers[*name] = reference("headers", name);
        }
        let content = json!({"application/problem+json": {"schema": reference("schemas", "problem")}});
        (status.to_string(), json!({"description": description, "headers": headers, "content": content}))
    };
    PROBLEMS.into_iter().map(problem).collect()
}

pub fn headers() -> Vec<Named> {
    let header = |name: &str, description: &str, of: &str| {
        (name.to_owned(), json!({"description": description, "schema": {"type": of}}))
    };
    vec![
        header("ETag", "Identifies the row as it is. It changes with each change that can be seen.", "string"),
        header("Link", "Where the next ones are, with `rel=\"next\"`.", "string"),
        header("Location", "Where the new row is.", "string"),
        header("Idempotency-Replayed", "`true`: this is the answer that the first request with the same `Idempotency-Key` got.", "string"),
        header("Preference-Applied", "`tx=rollback`: everything was undone.", "string"),
        header("WWW-Authenticate", "How to authenticate, and which scope is missing.", "string"),
        header("Retry-After", "Seconds after which to try again.", "integer"),
        header("RateLimit", "What is left: `r` requests now, and all of them in `t` seconds.", "string"),
        header("RateLimit-Policy", "What the key has: `q` requests in `w` seconds.", "string"),
        header("X-RateLimit-Limit", "Requests of the key in a minute.", "integer"),
        header("X-RateLimit-Remaining", "Requests that are left.", "integer"),
        header("X-RateLimit-Reset", "Seconds until all of them are there again.", "integer"),
        header("X-Request-Id", "Identifies the request. That of the request, if it had one.", "string"),
    ]
}
