//! Inbound adapters: where events of other systems come in, and what became of them.
//!
//! The pages answer one question first: why did an event that was expected do nothing? Its request was refused, its type
//! has no mapping, its adapter is paused, or its flow is paused or only in testing. Each of these is said in words where
//! it is looked for, with the button that mends it.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::chart;

pub mod adapter;
mod entries;
pub mod event;
pub mod form;
pub mod list;
mod mapping;
pub mod provider;
mod reasons;
pub mod removal;
pub mod rotation;
pub mod shown;
#[cfg(test)]
mod tests;
pub mod trial;

#[derive(Deserialize)]
pub struct Adapter {
    pub id: i64,
    pub name: String,
    pub provider: String,
    pub tenant_id: Option<String>,
    pub prefix: Option<String>,
    pub state: String,
    pub mapping: Option<Value>,
    #[serde(default)]
    pub received: i64,
    #[serde(default)]
    pub matched: i64,
    #[serde(default)]
    pub unmatched: i64,
    #[serde(default)]
    pub failed: i64,
    #[serde(default)]
    pub duplicates: i64,
    #[serde(default)]
    pub refused: i64,
    pub last_received_at: Option<String>,
    pub last_refused_at: Option<String>,
    pub last_refusal: Option<String>,
    pub budget: Option<String>,
    pub requests_per_second: Option<i64>,
    pub created_at: Option<String>,
    pub created_by: Option<String>,
    pub hours: Option<Vec<Hour>>,
}

impl Adapter {
    pub fn path(&self) -> String {
        format!("/settings/inbound-adapters/{}", self.id)
    }

    /// The way back to it.
    pub fn back<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a str)> {
        Some((path, &self.name))
    }

    /// Its address as far as it may be shown: the rest is what lets events in.
    pub fn address(&self) -> Markup {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        html! { "/in/" (prefix) "…" }
    }

    /// Whether the latest request was refused.
    pub fn refuses(&self) -> bool {
        match (&self.last_refused_at, &self.last_received_at) {
            (Some(refused), Some(received)) => crate::moment::is_later(refused, received),
            (refused, _) => refused.is_some(),
        }
    }

    /// Its mapping as pairs of an external type, or a pattern, and what it becomes.
    fn pairs(&self) -> Vec<(&str, Target<'_>)> {
        match &self.mapping {
            Some(Value::String(event)) => vec![("*", Target { event, paths: None })],
            Some(Value::Object(pairs)) => {
                pairs.iter().filter_map(|(external, value)| Some((external.as_str(), target(value)?))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Our event that an external one becomes.
struct Target<'a> {
    event: &'a str,
    paths: Option<&'a Map<String, Value>>,
}

fn target(value: &Value) -> Option<Target<'_>> {
    match value {
        Value::String(event) => Some(Target { event, paths: None }),
        Value::Object(paths) => Some(Target { event: paths.get("event")?.as_str()?, paths: Some(paths) }),
        _ => None,
    }
}

/// Events that came in during an hour.
#[derive(Deserialize)]
pub struct Hour {
    hour: String,
    #[serde(default)]
    matched: u64,
    #[serde(default)]
    unmatched: u64,
    #[serde(default)]
    failed: u64,
}

impl Hour {
    fn bars(hours: &[Self]) -> Vec<chart::Hour> {
        let bar = |hour: &Self| chart::Hour {
            hour: hour.hour.clone(),
            up: hour.matched,
            down: hour.unmatched + hour.failed,
            part: hour.failed,
        };
        hours.iter().map(bar).collect()
    }
}

const CHART: chart::Words = chart::Words {
    title: "Events by hour",
    up: "Matched",
    down: "Unmatched or failed",
    part: "Failed",
    nothing: "No event has come in during this time.",
};

/// An event that came in.
#[derive(Deserialize)]
pub struct Event {
    pub id: i64,
    pub adapter_id: i64,
    pub external_id: Option<String>,
    pub external_type: Option<String>,
    pub event_type: Option<String>,
    pub entity_type: Option<String>,
    pub entity_id: Option<String>,
    pub tenant_id: Option<String>,
    pub state: String,
    pub reason: Option<String>,
    pub error: Option<String>,
    pub sqlstate: Option<String>,
    #[serde(default)]
    pub attempts: i64,
    pub due_at: Option<String>,
    #[serde(default)]
    pub duplicates: i64,
    #[serde(default)]
    pub hops: i64,
    pub received_at: String,
    pub finished_at: Option<String>,
    /// As text, and cut off if it is very long.
    pub payload: Option<String>,
}

impl Event {
    pub fn path(&self) -> String {
        format!("/settings/inbound-adapters/{}/events/{}", self.adapter_id, self.id)
    }

    pub fn title(&self) -> &str {
        let names = [&self.external_type, &self.event_type, &self.external_id];
        names.into_iter().flatten().map(String::as_str).find(|name| !name.is_empty()).unwrap_or("Event")
    }
}

/// A request that was refused.
#[derive(Deserialize)]
pub struct Refused {
    pub id: i64,
    pub refused_at: String,
    pub stage: Option<String>,
    pub reason: Option<String>,
    pub method: Option<String>,
    /// As pairs of name and value. Credentials in it are masked.
    #[serde(default)]
    pub headers: Value,
    pub body: Option<String>,
    pub peer: Option<String>,
    pub query: Option<String>,
    /// Bytes of the whole body.
    pub size: Option<i64>,
}
