//! Our own resources: webhooks, their deliveries, event types, inbound events and flows.
//!
//! Each is made of a view of the extension, whose comments are the descriptions of its members. The members themselves are listed
//! here and returned by `sql/queries/api_<name>.sql`; a duration is a number of seconds.
//!
//! | file | what it describes |
//! |---|---|
//! | `known` | which resources there are, and their members |
//! | `settings` | what a request about a webhook can give |
//! | `webhooks`, `deliveries` | how they are changed |
//! | `of_all` | what every key has |

mod deliveries;
mod known;
mod of_all;
pub mod settings;
mod webhooks;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::Named;
use crate::column::Column;
use crate::parameters;
use crate::responses::{self, answer, reference};
use crate::types::{Type, or_null};

pub use known::{COUNTED, EVENT_TYPES, FLOWS, INBOUND_EVENTS, WEBHOOK_DELIVERIES, WEBHOOKS};
pub use of_all::{paths_of_all, schemas_of_all};

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
        if let Some(description) = self.described(own, comments) {
            schema["description"] = json!(description);
        }
        schema
    }

    fn described(&self, own: &Own, comments: &Comments) -> Option<String> {
        Some(self.description(own, comments)? + self.1.remark())
    }

    fn description(&self, own: &Own, comments: &Comments) -> Option<String> {
        let name = match (own.name, self.0) {
            ("webhook_deliveries", "id") => "delivery_id",
            ("webhook_deliveries", "state") => {
                return Some(
                    "pending: it will be tried again; sending: it is being tried; failed: it was given up; delivered: it has \
                     succeeded and is kept"
                        .into(),
                );
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
            "webhooks" if may(MANAGES_WEBHOOKS) => vec!["GET", "POST", "PATCH", "DELETE"],
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
        let mut list = json!({"get": self.list()});
        let mut one = json!({"get": self.get(), "parameters": id});
        let actions = match self.name {
            "webhooks" if may(MANAGES_WEBHOOKS) => {
                list["post"] = webhooks::create(self);
                one["patch"] = webhooks::update(self);
                one["delete"] = webhooks::delete(self);
                webhooks::actions(self)
            }
            "webhook_deliveries" if may(MANAGES_WEBHOOKS) => deliveries::actions(self),
            _ => Vec::new(),
        };
        let action = |(name, operation): (&str, Value)| {
            (format!("/{}/{{id}}/{name}", self.name), json!({"post": operation, "parameters": id}))
        };
        let both = [(format!("/{}", self.name), list), (format!("/{}/{{id}}", self.name), one)];
        both.into_iter().chain(actions.into_iter().map(action)).collect()
    }

    pub fn schemas(&self, comments: &Comments, has_tenant: bool) -> Vec<Named> {
        let properties: Map<_, _> =
            self.members.iter().map(|member| (member.0.to_owned(), member.schema(self, comments))).collect();
        let required: Vec<_> =
            self.members.iter().filter(|member| !member.1.is_of_one()).map(|member| member.0).collect();
        let one = json!({
            "type": "object", "description": self.description, "properties": properties, "required": required,
        });
        let mut schemas = vec![(self.name.into(), one), (format!("{}.page", self.name), responses::page(self.name))];
        if self.name == WEBHOOKS.name {
            schemas.extend(webhooks::schemas(self, comments, has_tenant));
        }
        schemas
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
        operation["responses"]["304"] = responses::not_modified();
        operation["responses"]["200"]["headers"]["ETag"] = reference("headers", "ETag");
        operation
    }

    fn get(&self) -> Value {
        let mut operation = self.operation("get", "Get one by its id", self.scopes);
        let one = answer("What is known of it", reference("schemas", self.name), &["ETag"]);
        operation["responses"] = responses::with_problems(json!({"200": one}), &[400, 404]);
        // The ETag of a webhook is for changes: its counts change without it.
        if self.name != WEBHOOKS.name {
            operation["parameters"] = json!([reference("parameters", "If-None-Match")]);
            operation["responses"]["304"] = responses::not_modified();
        }
        operation
    }
}
