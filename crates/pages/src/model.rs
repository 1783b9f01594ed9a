//! What several pages read from the models of `hydra.serve`. The gateway may be older than the extension, so fields that
//! are not known are ignored. What a visitor may not see is null or absent.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::chart;

/// What all pages have.
#[derive(Deserialize)]
pub struct Page<D> {
    pub visitor: Visitor,
    #[serde(default)]
    pub sections: Vec<String>,
    /// So many approvals wait for the visitor.
    #[serde(default)]
    pub waiting: i64,
    pub notice: Option<String>,
    pub now: String,
    pub data: D,
}

#[derive(Deserialize)]
pub struct Visitor {
    pub role: String,
    pub may_manage: bool,
    pub tenant_id: Option<String>,
    pub expires_at: Option<String>,
}

#[derive(Deserialize)]
pub struct Webhook {
    pub id: i64,
    pub name: Option<String>,
    pub url: String,
    pub status: String,
    pub disabled_reason: Option<String>,
    pub status_since: Option<String>,
    #[serde(default)]
    pub event_types: Vec<String>,
    pub tenant_id: Option<String>,
    pub preset: String,
    pub created_at: Option<String>,
    pub secret_prefix: Option<String>,
    /// The former secrets that sign too; none if there is no overlap.
    pub old_secret_prefixes: Option<Vec<String>>,
    pub overlap_until: Option<String>,
    #[serde(default)]
    pub consecutive_failures: i64,
    pub failing_since: Option<String>,
    pub waiting_for: Option<String>,
    pub delivered: Option<i64>,
    pub pending: Option<i64>,
    pub missed: Option<i64>,
    /// Whether what it misses is kept while it is paused.
    #[serde(default)]
    pub keeps_events: bool,
    pub failed: Option<i64>,
    pub last_error: Option<String>,
    pub last_error_at: Option<String>,
    pub success_rate: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub hours: Option<Vec<Hour>>,
}

impl Webhook {
    /// Returns what people call it: its name, or where it leads.
    pub fn title(&self) -> &str {
        match self.name.as_deref() {
            Some(name) if !name.trim().is_empty() => name,
            _ => self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest.trim_end_matches('/')),
        }
    }

    pub fn path(&self) -> String {
        format!("/settings/webhooks/{}", self.id)
    }
}

/// Deliveries and attempts during an hour.
#[derive(Deserialize)]
pub struct Hour {
    hour: String,
    #[serde(default)]
    delivered: u64,
    #[serde(default)]
    failed_attempts: u64,
    #[serde(default)]
    failed: u64,
}

impl Hour {
    pub const CHART: chart::Words = chart::Words {
        title: "Deliveries and failed attempts by hour",
        up: "Delivered",
        down: "Failed attempts",
        part: "Given up",
        nothing: "No attempt has been counted in this time. Attempts are counted within a minute.",
    };

    pub fn bars(hours: &[Self]) -> Vec<chart::Hour> {
        let bar = |hour: &Self| chart::Hour {
            hour: hour.hour.clone(),
            up: hour.delivered,
            down: hour.failed_attempts,
            part: hour.failed,
        };
        hours.iter().map(bar).collect()
    }
}

/// Whether events are being sent.
#[derive(Deserialize)]
pub struct Worker {
    pub state: String,
    pub detail: Option<String>,
    pub pid: Option<i64>,
    pub since: Option<String>,
    pub in_flight: Option<i64>,
    pub queued: Option<i64>,
    pub dropped: Option<i64>,
}

#[derive(Deserialize)]
pub struct EventType {
    pub name: String,
    pub description: Option<String>,
    pub entity_type: Option<String>,
    pub id_key: Option<String>,
    #[serde(default)]
    pub origin: String,
    pub webhooks: Option<i64>,
}

/// A form as it was sent, or as it is at first, and what was refused.
#[derive(Deserialize)]
pub struct Form {
    pub values: Map<String, Value>,
    #[serde(default)]
    pub errors: Vec<Refusal>,
    pub once: Option<String>,
    pub version: Option<String>,
}

#[derive(Deserialize)]
pub struct Refusal {
    pub field: Option<String>,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl Form {
    pub fn value(&self, field: &str) -> &str {
        self.values.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the values of a field that is a list.
    pub fn list(&self, field: &str) -> Vec<&str> {
        let values = self.values.get(field).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub fn is_on(&self, field: &str) -> bool {
        self.values.get(field) == Some(&Value::Bool(true))
    }

    pub fn refusals(&self, field: &str) -> impl Iterator<Item = &Refusal> {
        self.errors.iter().filter(move |refusal| refusal.field.as_deref() == Some(field))
    }
}
