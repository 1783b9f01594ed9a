//! How webhooks are created, changed and removed, and what else can be done with one.

use serde_json::{Value, json};

use super::settings::{self, Absence, PAUSING, RESUMING, ROTATING, SETTINGS, Setting};
use super::{Comments, MANAGES_WEBHOOKS, Own};
use crate::responses::{self, answer, reference};
use crate::{Named, changes};

pub fn create(own: &Own) -> Value {
    let mut created = answer(
        "The new webhook, with the secret that signs its requests. It is in this answer only",
        reference("schemas", WITH_SECRET),
        &["Location", "ETag", "Idempotency-Replayed"],
    );
    created["links"] = changes::links(own.name, "id", ["get", "update", "delete", "pause", "resume", "rotate", "test"]);
    changes::create(operation(own, "create", "Create one"), NEW, created)
}

pub fn update(own: &Own) -> Value {
    changes::update(operation(own, "update", "Change one"), CHANGES, changes::changed("The webhook", now(own)))
}

pub fn delete(own: &Own) -> Value {
    changes::delete(operation(own, "delete", "Delete one, with what waits to be sent to it"))
}

pub fn actions(own: &Own) -> Vec<(&'static str, Value)> {
    let act = |verb: &str, summary: &str, body: Option<&str>, row: Value| {
        changes::act(operation(own, verb, summary), body, changes::changed("The webhook", row))
    };
    vec![
        (
            "pause",
            act(
                "pause",
                "Stop it: nothing is sent, and new events are not queued for it",
                Some("webhooks.pause"),
                now(own),
            ),
        ),
        ("resume", act("resume", "Start it again after it was paused or disabled", Some("webhooks.resume"), now(own))),
        (
            "rotate",
            act("rotate", "Give it a new signing secret", Some("webhooks.rotate"), reference("schemas", WITH_SECRET)),
        ),
        ("test", test(own)),
    ]
}

fn test(own: &Own) -> Value {
    let mut operation = operation(own, "test", "Send a test request now, and return its answer");
    operation["parameters"] = json!([reference("parameters", "Idempotency-Key")]);
    let made = answer("What came of it", reference("schemas", "webhooks.test"), &["Idempotency-Replayed"]);
    operation["responses"] = responses::with_problems(json!({"200": made}), &[400, 404, 409, 413, 415, 422]);
    operation
}

const NEW: &str = "webhooks.new";
const CHANGES: &str = "webhooks.changes";
const WITH_SECRET: &str = "webhooks.with_secret";

pub fn schemas(own: &Own, comments: &Comments, has_tenant: bool) -> Vec<Named> {
    let is_required = |setting: &&Setting| setting.absence == Absence::Required;
    let mut new = settings::body(settings::settings(has_tenant), comments);
    new["required"] = SETTINGS.iter().filter(is_required).map(|setting| setting.name).collect();
    new["examples"] = json!([{"url": "https://example.com/webhooks", "event_types": ["*"]}]);
    let mut changes = settings::body(settings::settings(has_tenant), comments);
    changes["description"] = json!("Members that are not given stay as they are; null takes a setting back.");
    changes["examples"] = json!([{"rate_limit": 10}]);
    let mut pause = settings::body(PAUSING.iter(), comments);
    pause["examples"] = json!([{"keep_events": true}]);
    let mut resume = settings::body(RESUMING.iter(), comments);
    resume["examples"] = json!([{"missed": "send"}]);
    let mut rotate = settings::body(ROTATING.iter(), comments);
    rotate["examples"] = json!([{"overlap": 86_400}]);
    let secret = json!({
        "type": "object",
        "properties": {
            "secret": {"type": ["string", "null"], "description": "The signing secret; null: the request was repeated, and the first answer had it."},
            "hint": {"type": "string", "description": "What to do if the secret was lost with the first answer."},
        },
        "required": ["secret"],
    });
    let test = json!({
        "type": "object",
        "properties": {
            "status_code": {"type": ["integer", "null"], "description": "Status of the answer; null: there was none."},
            "response_body": {"type": ["string", "null"], "description": "Start of the body of the answer."},
            "response_ms": {"type": ["integer", "null"], "description": "Milliseconds that it took; null: there was no answer in time."},
            "error": {"type": ["string", "null"], "description": "What went wrong; null: success."},
        },
        "required": ["status_code", "response_body", "response_ms", "error"],
    });
    vec![
        (NEW.into(), new),
        (CHANGES.into(), changes),
        ("webhooks.pause".into(), pause),
        ("webhooks.resume".into(), resume),
        ("webhooks.rotate".into(), rotate),
        (WITH_SECRET.into(), json!({"allOf": [now(own), secret]})),
        ("webhooks.test".into(), test),
    ]
}

fn operation(own: &Own, verb: &str, summary: &str) -> Value {
    own.operation(verb, summary, &[MANAGES_WEBHOOKS])
}

fn now(own: &Own) -> Value {
    reference("schemas", own.name)
}
