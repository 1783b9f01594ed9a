//! Operations that change something. Each can be repeated with an `Idempotency-Key`, and rehearsed.

use serde_json::{Value, json};

use crate::parameters;
use crate::responses::{self, answer, reference};

/// Completes the operation that creates one from a body with the schema `body`.
pub fn create(mut operation: Value, body: &str, created: Value) -> Value {
    operation["parameters"] = parameters::of_change(false);
    operation["requestBody"] = json!({"required": true, "content": {"application/json": schema(body)}});
    operation["responses"] =
        responses::with_problems(json!({"200": responses::rehearsed(), "201": created}), &[400, 409, 413, 415, 422]);
    operation
}

/// Completes the operation that changes one by a body with the schema `body`, and returns what it has become.
pub fn update(mut operation: Value, body: &str, changed: Value) -> Value {
    operation["parameters"] = parameters::of_change(true);
    operation["requestBody"] = json!({"required": true, "content": {
        "application/json": schema(body), "application/merge-patch+json": schema(body),
    }});
    operation["responses"] = of_one(json!({"200": changed}));
    operation
}

/// Completes the operation that removes one.
pub fn delete(mut operation: Value) -> Value {
    operation["parameters"] = parameters::of_change(true);
    operation["responses"] = responses::with_problems(
        json!({
            "200": responses::rehearsed(),
            "204": {"description": "It is deleted", "headers": responses::headers_of(&["Idempotency-Replayed"])},
        }),
        &[400, 404, 409, 412, 422],
    );
    operation
}

/// Completes an operation that does something with one; the body with the schema `body` can be left out.
pub fn act(mut operation: Value, body: Option<&str>, changed: Value) -> Value {
    operation["parameters"] = parameters::of_change(true);
    if let Some(body) = body {
        operation["requestBody"] = json!({"required": false, "content": {"application/json": schema(body)}});
    }
    operation["responses"] = of_one(json!({"200": changed}));
    operation
}

/// Returns the answer to a change: what it is now, or what it would be.
pub fn changed(what: &str, now: Value) -> Value {
    let either = json!({"anyOf": [now, reference("schemas", "rehearsal")]});
    let described = format!("{what} as it is now or, with `Prefer: tx=rollback`, what would happen");
    answer(&described, either, &["ETag", "Idempotency-Replayed", "Preference-Applied"])
}

fn of_one(answers: Value) -> Value {
    responses::with_problems(answers, &[400, 404, 409, 412, 413, 415, 422])
}

fn schema(name: &str) -> Value {
    json!({"schema": reference("schemas", name)})
}

/// Returns what can be done with something that was just created, whose id is the member `id`: operations on the same resource.
pub fn links<'a>(resource: &str, id: &str, verbs: impl IntoIterator<Item = &'a str>) -> Value {
    let id = format!("$response.body#/{id}");
    crate::object(
        verbs.into_iter().map(|verb| {
            (verb.to_owned(), json!({"operationId": format!("{verb}_{resource}"), "parameters": {"id": id}}))
        }),
    )
}
