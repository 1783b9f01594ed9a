//! Flows: functions of the application that run when an event comes in, and what their runs did.

use serde::Deserialize;
use serde_json::Value;

use crate::figures::grouped;

pub mod list;
pub mod one;
pub mod removal;
pub mod runs;

#[derive(Deserialize)]
pub struct Flow {
    pub id: i64,
    pub name: String,
    pub event: String,
    pub function: Option<String>,
    pub owner: Option<String>,
    pub filter: Option<String>,
    pub state: String,
    pub timeout: Option<String>,
    pub tenant_id: Option<String>,
    #[serde(default)]
    pub runs: i64,
    #[serde(default)]
    pub failures: i64,
    pub last_run_at: Option<String>,
    pub last_error: Option<String>,
    pub created_at: Option<String>,
    pub created_by: Option<String>,
}

/// So many runs of a flow are counted at most.
const COUNTED: i64 = 10_000;

/// Shows a number of runs.
fn runs_in_figures(number: i64) -> String {
    format!("{}{}", grouped(number), if number < COUNTED { "" } else { " or more" })
}

impl Flow {
    pub fn path(&self) -> String {
        format!("/settings/flows/{}", self.id)
    }
}

#[derive(Deserialize)]
pub struct Run {
    pub flow_id: i64,
    pub flow: Option<String>,
    pub inbound_event_id: Option<i64>,
    /// Of the event, if the visitor may go there.
    pub adapter_id: Option<i64>,
    pub mode: String,
    pub state: String,
    pub started_at: String,
    pub duration_ms: Option<f64>,
    pub result: Option<Value>,
    /// Of a rehearsal.
    pub effects: Option<Value>,
    pub error: Option<String>,
    pub sqlstate: Option<String>,
}
