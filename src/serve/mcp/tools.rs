//! The tools that a key can call.

use ::mcp::Tool;
use serde_json::Value;

use super::{own, resources};
use crate::serve::rest::{Call, require};

/// A tool, and what it does.
pub struct Found {
    pub tool: Tool,
    pub does: Does,
}

pub enum Does {
    /// Returns a page of a list of the REST API, of which some parameters are fixed.
    List { name: String, fixed: &'static [(&'static str, &'static str)] },
    /// Returns one row of such a list.
    Get { name: String },
    /// Returns runs of flows.
    ListFlowRuns,
    /// Returns whether events are sent.
    ShowStatus,
}

impl Found {
    pub fn reads(name: String, title: String, description: String, input: Value, does: Does) -> Self {
        let tool = Tool {
            name,
            title,
            description,
            input,
            // It would be as long as all the rest, and a model reads the result without it.
            output: None,
            reads_only: true,
            is_destructive: false,
            is_idempotent: true,
        };
        Self { tool, does }
    }
}

/// Returns them by their names.
pub fn all(call: &Call<'_>) -> Vec<Tool> {
    let mut tools: Vec<Tool> = resources::all(call).chain(own::all(call)).map(|found| found.tool).collect();
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    tools
}

/// Returns the tool of this name, if the key can call it.
pub fn find(call: &Call<'_>, name: &str) -> Option<Found> {
    own::find(call, name).or_else(|| resources::find(call, name))
}

/// Whether the key has one of these scopes.
pub fn may(call: &Call<'_>, scopes: &[&str]) -> bool {
    scopes.iter().any(|scope| require(call, scope).is_ok())
}
