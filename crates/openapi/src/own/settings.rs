//! What a request about a webhook can give: the settings of a webhook, and what an action needs to know.
//!
//! The extension reads bodies by the same list, so that what is described is what is accepted.

use serde_json::{Map, Value, json};

use super::known::{PRESETS, SIGNATURES};
use super::{Comments, WEBHOOKS};
use crate::types::or_null;
use Absence::{NotNull, Required, Unset};
use Values::{Boolean, Choice, Choices, Delays, Headers, Integer, Seconds, Text, Texts};

/// A member of a body: its name, the values that it can have, and whether it can be without one.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub values: Values,
    pub absence: Absence,
}

#[derive(Debug, Clone, Copy)]
pub enum Values {
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    /// At least one text, and at most so many.
    Texts(usize),
    /// At least one of these.
    Choices(&'static [&'static str]),
    /// From 1 to this.
    Integer(i32),
    /// A number of seconds, from the first to the second.
    Seconds(f64, f64),
    /// At most so many numbers of seconds, each from 0 to this.
    Delays(usize, f64),
    Boolean,
    /// Names of headers, and their values.
    Headers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// A new webhook must be given a value.
    Required,
    /// It has a value, if only a default.
    NotNull,
    /// It can have none, or that of its preset. Null takes a value back.
    Unset,
}

const fn setting(name: &'static str, values: Values, absence: Absence) -> Setting {
    Setting { name, values, absence }
}

const DAY: f64 = 86_400.0;

pub static SETTINGS: [Setting; 16] = [
    setting("url", Text, Required),
    setting("event_types", Texts(10_000), Required),
    setting("name", Text, Unset),
    setting(TENANT, Text, Unset),
    setting("preset", Choice(PRESETS), NotNull),
    setting("signatures", Choices(SIGNATURES), Unset),
    setting("headers", Headers, NotNull),
    setting("timeout", Seconds(0.1, 60.0), Unset),
    setting("retry_schedule", Delays(50, 7.0 * DAY), Unset),
    setting("filter", Text, Unset),
    setting("max_in_flight", Integer(10_000), Unset),
    setting("rate_limit", Integer(10_000), Unset),
    setting("disable_after", Integer(i32::MAX), Unset),
    setting("disable_after_time", Seconds(0.0, 30.0 * DAY), Unset),
    setting("log_successes", Boolean, NotNull),
    setting("keep_bodies", Seconds(1.0, 366.0 * DAY), Unset),
];

/// A key with a tenant does not choose it.
const TENANT: &str = "tenant_id";

/// What can be said when a webhook is resumed, and when its secret is rotated.
pub static PAUSING: [Setting; 1] = [setting("keep_events", Boolean, NotNull)];
pub static RESUMING: [Setting; 1] = [setting("missed", Choice(&["send", "drop"]), NotNull)];
pub static ROTATING: [Setting; 1] = [setting("overlap", Seconds(0.0, 30.0 * DAY), NotNull)];

/// Returns the settings that a key can give.
pub fn settings(has_tenant: bool) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| !(has_tenant && setting.name == TENANT))
}

/// Whether a body can have a member of this name in some request, or an answer.
pub fn is_known(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
        || WEBHOOKS.members.iter().any(|member| member.0 == name)
        || name == "secret"
}

impl Values {
    /// Says what they are, in words for people: it must be …
    pub fn described(self) -> String {
        match self {
            Text => "a string".into(),
            Choice(choices) => format!("one of {}", choices.join(", ")),
            Texts(_) => "an array of strings".into(),
            Choices(choices) => format!("an array of one or more of {}", choices.join(", ")),
            Integer(most) => format!("a whole number from 1 to {most}"),
            Seconds(least, most) => format!("a number of seconds from {least} to {most}"),
            Delays(_, most) => format!("an array of numbers of seconds from 0 to {most}"),
            Boolean => "true or false".into(),
            Headers => "an object of names and values, which are strings".into(),
        }
    }

    fn schema(self) -> Value {
        match self {
            Text => json!({"type": "string", "minLength": 1}),
            Choice(choices) => json!({"type": "string", "enum": choices}),
            Texts(most) => json!({"type": "array", "minItems": 1, "maxItems": most, "items": {"type": "string"}}),
            Choices(choices) => {
                json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string", "enum": choices}})
            }
            Integer(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
            Seconds(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
            Delays(count, most) => {
                json!({"type": "array", "maxItems": count, "items": {"type": "number", "minimum": 0, "maximum": most}})
            }
            Boolean => json!({"type": "boolean"}),
            Headers => {
                json!({"type": "object", "maxProperties": 20, "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 2048}})
            }
        }
    }
}

impl Setting {
    pub fn schema(&self, comments: &Comments) -> Value {
        let schema = self.values.schema();
        let mut schema = if self.absence == Unset { or_null(schema) } else { schema };
        if let Some(description) = self.description(comments) {
            schema["description"] = json!(description);
        }
        schema
    }

    fn description(&self, comments: &Comments) -> Option<String> {
        let of_member = || WEBHOOKS.members.iter().find(|member| member.0 == self.name)?.described(&WEBHOOKS, comments);
        match self.name {
            "headers" => Some(
                "Headers that are added to each request, by name. They replace those that there are. Their values are not shown again"
                    .into(),
            ),
            "keep_events" => {
                Some("Whether events of this time are kept as missed, until it is resumed. Without it, they are not".into())
            }
            "missed" => Some("What becomes of the events that it missed; needed if there are any".into()),
            "overlap" => Some("How long the former secret signs too, in seconds. Without it, the new one signs alone at once".into()),
            _ => of_member(),
        }
    }
}

/// Returns the schema of a body with these members.
pub fn body<'a>(settings: impl Iterator<Item = &'a Setting>, comments: &Comments) -> Value {
    let properties: Map<_, _> = settings.map(|setting| (setting.name.to_owned(), setting.schema(comments))).collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}
