//! Our own resources: webhooks, their deliveries, event types, inbound events and flows.
//!
//! Each is made of a view of the extension, whose comments are the descriptions of its members. The members themselves are listed
//! here and returned by `sql/queries/api_<name>.sql`; a duration is a number of seconds.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::Named;
use crate::column::Column;
use crate::parameters;
use crate::responses::{self, answer, reference};
use crate::types::{Type, or_null};

/// Comments on columns of views, by view and column.
pub type Comments = HashMap<(String, String), String>;

/// One of our own resources.
#[derive(Debug)]
pub struct Own {
    pub name: &'static str,
    pub description: &'static str,
    /// The scopes of which one is needed to read.
    pub scopes: &'static [&'static str],
    /// The views whose comments describe the members.
    pub views: &'static [&'static str],
    pub id: Id,
    /// Members that a list can be filtered by.
    pub filters: &'static [&'static str],
    members: &'static [Member],
}

/// What an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    Number,
    Uuid,
    Name,
}

/// A member of an object: its name, its type, and whether it can be null.
#[derive(Debug)]
struct Member(&'static str, Kind, bool);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Text,
    Texts,
    Boolean,
    Instant,
    Uuid,
    /// A number of seconds.
    Duration,
    Durations,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any JSON, and only in the answer about one thing.
    Payload,
    /// The attempts of a delivery, and only in the answer about one.
    Attempts,
}

use Kind::{Attempts, Boolean, Choice, Duration, Durations, Instant, Integer, Payload, Text, Texts, Uuid};

const READS_WEBHOOKS: &[&str] = &["webhooks:read", "webhooks:manage"];
pub const MANAGES_WEBHOOKS: &str = "webhooks:manage";

pub const WEBHOOKS: Own = Own {
    name: "webhooks",
    description: "Webhooks: where events are sent, which ones, and how that went. Of a URL, only scheme, host and port are shown to \
                  keys without the scope `webhooks:manage`.",
    scopes: READS_WEBHOOKS,
    views: &["webhook_subscriptions"],
    id: Id::Number,
    filters: &["status"],
    members: &[
        Member("id", Integer, false),
        Member("name", Text, true),
        Member("url", Text, false),
        Member("status", Choice(&["active", "paused", "disabled"]), false),
        Member("disabled_reason", Choice(&["gone", "failures", "stale"]), true),
        Member("status_since", Instant, false),
        Member("event_types", Texts, false),
        Member("tenant_id", Text, true),
        Member("preset", Choice(&["hydra", "x_webhook", "standard"]), false),
        Member("signatures", Texts, false),
        Member("header_names", Texts, false),
        Member("timeout", Duration, false),
        Member("retry_schedule", Durations, false),
        Member("filter", Text, true),
        Member("max_in_flight", Integer, true),
        Member("rate_limit", Integer, true),
        Member("disable_after", Integer, true),
        Member("disable_after_time", Duration, true),
        Member("stale_after", Duration, true),
        Member("log_successes", Boolean, false),
        Member("created_at", Instant, false),
        Member("secret_prefix", Text, true),
        Member("consecutive_failures", Integer, false),
        Member("failing_since", Instant, true),
        Member("delivered", Integer, false),
        Member("pending", Integer, false),
        Member("failed", Integer, false),
        Member("missed", Integer, false),
        Member("last_error", Text, true),
        Member("last_error_at", Instant, true),
        Member("waiting_for", Text, true),
    ],
};

pub const WEBHOOK_DELIVERIES: Own = Own {
    name: "webhook_deliveries",
    description: "Deliveries that failed at least once, or wait: those that are tried again, and those that were given up. One that \
                  has succeeded is not here any more.",
    scopes: READS_WEBHOOKS,
    views: &["webhook_failed", "webhook_pending"],
    id: Id::Uuid,
    filters: &["subscription_id", "state"],
    members: &[
        Member("id", Uuid, false),
        Member("subscription_id", Integer, false),
        Member("event_id", Integer, false),
        Member("event", Text, false),
        Member("entity_type", Text, false),
        Member("entity_id", Text, true),
        Member("tenant_id", Text, true),
        Member("state", Choice(&["pending", "sending", "failed"]), false),
        Member("attempts", Integer, false),
        Member("emitted_at", Instant, false),
        Member("due_at", Instant, true),
        Member("failed_at", Instant, true),
        Member("missed", Boolean, false),
        Member("error_class", Text, true),
        Member("error", Text, true),
        Member("history", Attempts, false),
    ],
};

pub const EVENT_TYPES: Own = Own {
    name: "event_types",
    description: "Types of events, which webhooks can be sent for.",
    scopes: READS_WEBHOOKS,
    views: &["webhook_event_types"],
    id: Id::Name,
    filters: &["origin"],
    members: &[
        Member("name", Text, false),
        Member("description", Text, true),
        Member("entity_type", Text, false),
        Member("id_key", Text, false),
        Member("origin", Choice(&["catalogue", "application", "extension"]), false),
    ],
};

pub const INBOUND_EVENTS: Own = Own {
    name: "inbound_events",
    description: "Events of other systems, and what became of them, the newest first.",
    scopes: &["inbound:read"],
    views: &["inbound_events"],
    id: Id::Number,
    filters: &["adapter_id", "state"],
    members: &[
        Member("id", Integer, false),
        Member("adapter_id", Integer, false),
        Member("external_id", Text, true),
        Member("external_type", Text, true),
        Member("event_type", Text, true),
        Member("entity_type", Text, true),
        Member("entity_id", Text, true),
        Member("tenant_id", Text, true),
        Member("state", Choice(&["received", "done", "unmatched", "failed"]), false),
        Member("reason", Text, true),
        Member("error", Text, true),
        Member("sqlstate", Text, true),
        Member("attempts", Integer, false),
        Member("due_at", Instant, true),
        Member("duplicates", Integer, false),
        Member("hops", Integer, false),
        Member("received_at", Instant, false),
        Member("finished_at", Instant, true),
        Member("payload", Payload, true),
    ],
};

pub const FLOWS: Own = Own {
    name: "flows",
    description: "Flows: functions of the application that run when an event of another system has come.",
    scopes: &["flows:read"],
    views: &["flows"],
    id: Id::Number,
    filters: &["state"],
    members: &[
        Member("id", Integer, false),
        Member("name", Text, false),
        Member("event", Text, false),
        Member("function", Text, false),
        Member("filter", Text, true),
        Member("state", Choice(&["testing", "deployed", "paused"]), false),
        Member("timeout", Duration, false),
        Member("tenant_id", Text, true),
        Member("runs", Integer, false),
        Member("failures", Integer, false),
        Member("last_run_at", Instant, true),
        Member("last_error", Text, true),
        Member("created_at", Instant, false),
    ],
};

pub const ALL: [&Own; 5] = [&WEBHOOKS, &WEBHOOK_DELIVERIES, &EVENT_TYPES, &INBOUND_EVENTS, &FLOWS];

/// Whether a key may see where events are sent, and so which ones there are.
pub fn may_see_webhooks(may: impl Fn(&str) -> bool) -> bool {
    READS_WEBHOOKS.iter().any(|scope| may(scope))
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Integer => Type::Integer(64).schema(),
            Text => Type::Text(None).schema(),
            Texts => json!({"type": "array", "items": {"type": "string"}}),
            Boolean => Type::Boolean.schema(),
            Instant => Type::Instant.schema(),
            Uuid => Type::Uuid.schema(),
            Duration => json!({"type": "number"}),
            Durations => json!({"type": "array", "items": {"type": "number"}}),
            Choice(choices) => json!({"type": "string", "enum": choices}),
            Payload => json!({}),
            Attempts => json!({"type": "array", "items": reference("schemas", "webhook_deliveries.attempt")}),
        }
    }

    /// What is to be said about the values, after the comment.
    fn remark(self) -> &'static str {
        match self {
            Duration => ", in seconds",
            Durations => ", in seconds each",
            Payload => "; only in the answer about one",
            _ => "",
        }
    }

    fn is_of_one(self) -> bool {
        matches!(self, Payload | Attempts)
    }
}

impl Member {
    fn schema(&self, own: &Own, comments: &Comments) -> Value {
        let Self(_, kind, nullable) = self;
        let mut schema = if *nullable { or_null(kind.schema()) } else { kind.schema() };
        if let Some(description) = self.description(own, comments) {
            schema["description"] = json!(format!("{description}{}", kind.remark()));
        }
        schema
    }

    fn description(&self, own: &Own, comments: &Comments) -> Option<String> {
        let name = match (own.name, self.0) {
            ("webhook_deliveries", "id") => "delivery_id",
            ("webhook_deliveries", "state") => {
                return Some("pending: it will be tried again; sending: it is being tried; failed: it was given up".into());
            }
            ("webhook_deliveries", "history") => {
                return Some("Its attempts, the first one first; only in the answer about one".into());
            }
            (_, name) => name,
        };
        own.views.iter().find_map(|view| comments.get(&((*view).to_owned(), name.to_owned())).cloned())
    }
}

impl Own {
    pub fn methods(&self, may: impl Fn(&str) -> bool) -> Vec<&'static str> {
        match self.name {
            "webhook_deliveries" if may(MANAGES_WEBHOOKS) => vec!["GET", "POST"],
            _ => vec!["GET"],
        }
    }

    /// Returns the values that a filter can have, if these are few.
    pub fn choices(&self, filter: &str) -> Option<&'static [&'static str]> {
        self.members.iter().find(|member| member.0 == filter).and_then(|member| match member.1 {
            Choice(choices) => Some(choices),
            _ => None,
        })
    }

    fn id_column(&self) -> Column {
        let (name, of) = match self.id {
            Id::Number => ("id", Type::Integer(64)),
            Id::Uuid => ("id", Type::Uuid),
            Id::Name => ("name", Type::Text(None)),
        };
        Column { name: name.into(), of, nullable: false, has_default: false, comment: None, choices: None }
    }

    pub fn paths(&self, may: impl Fn(&str) -> bool) -> Vec<Named> {
        let id = json!([parameters::id(&self.id_column())]);
        let list = json!({"get": self.list()});
        let one = json!({"get": self.get(), "parameters": id});
        let mut paths = vec![(format!("/{}", self.name), list), (format!("/{}/{{id}}", self.name), one)];
        if self.name == "webhook_deliveries" && may(MANAGES_WEBHOOKS) {
            let post = |operation: Value| json!({"post": operation, "parameters": id});
            paths.push((format!("/{}/{{id}}/retry", self.name), post(self.retry())));
            paths.push((format!("/{}/{{id}}/cancel", self.name), post(self.cancel())));
        }
        paths
    }

    pub fn schemas(&self, comments: &Comments) -> Vec<Named> {
        let properties: Map<_, _> =
            self.members.iter().map(|member| (member.0.to_owned(), member.schema(self, comments))).collect();
        let required: Vec<_> = self.members.iter().filter(|member| !member.1.is_of_one()).map(|member| member.0).collect();
        let one = json!({
            "type": "object", "description": self.description, "properties": properties, "required": required,
        });
        vec![(self.name.into(), one), (format!("{}.page", self.name), responses::page(self.name))]
    }

    fn operation(&self, verb: &str, summary: &str, scopes: &[&str]) -> Value {
        let quoted: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
        json!({
            "operationId": format!("{verb}_{}", self.name),
            "tags": [self.name],
            "summary": summary,
            "description": format!("Needs the scope {}.", quoted.join(" or ")),
            "security": scopes.iter().map(|scope| json!({"bearer": [scope]})).collect::<Vec<_>>(),
        })
    }

    fn list(&self) -> Value {
        let mut operation = self.operation("list", &format!("List {}", self.name.replace('_', " ")), self.scopes);
        let filter = |name: &&str| {
            let member = self.members.iter().find(|member| member.0 == *name).expect("a filter is a member");
            json!({"name": name, "in": "query", "description": format!("Only those whose `{name}` is this."), "schema": member.1.schema()})
        };
        operation["parameters"] =
            parameters::paging().into_iter().chain(self.filters.iter().map(filter)).collect::<Vec<_>>().into();
        operation["responses"] = responses::of_list(reference("schemas", &format!("{}.page", self.name)));
        operation
    }

    fn get(&self) -> Value {
        let mut operation = self.operation("get", "Get one by its id", self.scopes);
        let one = answer("What is known of it", reference("schemas", self.name), &[]);
        operation["responses"] = responses::with_problems(json!({"200": one}), &[400, 404]);
        operation
    }

    fn retry(&self) -> Value {
        let mut operation = self.operation("retry", "Send it again now", &[MANAGES_WEBHOOKS]);
        let again = answer("It is being sent, with the same id and body", reference("schemas", self.name), &[]);
        operation["responses"] = responses::with_problems(json!({"200": again}), &[400, 404, 409]);
        operation
    }

    fn cancel(&self) -> Value {
        let mut operation = self.operation("cancel", "Never send it again", &[MANAGES_WEBHOOKS]);
        let cancelled = json!({"description": "It is not sent any more", "headers": responses::headers_of(&[])});
        operation["responses"] = responses::with_problems(json!({"204": cancelled}), &[400, 404, 409]);
        operation
    }
}

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
            get("get_openapi", "Describe the API", "An OpenAPI document, with what this key can do", json!({"type": "object"})),
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
