//! The tools that a key can call.

use ::mcp::Tool;
use serde_json::Value;

use super::{own, registered, resources};
use crate::serve::rest::{Call, require};

/// A tool, and what it does.
pub struct Found {
    pub tool: Tool,
    /// The group that it is in. A client can ask for some groups only.
    pub toolset: String,
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
    /// Returns what another tool would write.
    Rehearse,
    /// Returns what became of an approval.
    ShowApproval,
    /// Creates a row of a resource.
    Create { name: String },
    /// Changes one.
    Update { name: String },
    /// Removes one.
    Delete { name: String },
    /// Does something with a webhook or a delivery.
    Own(own::Action),
    /// Calls a function of the application.
    Function(registered::Function),
}

/// The toolset of resources of which nothing else is said, and that of our own tools.
pub const DATA: &str = "data";
pub const AUTOMATION: &str = "automation";

impl Does {
    /// Whether it writes. Then a call is previewed, and written when it is confirmed. What does not write runs in a read-only
    /// transaction.
    pub fn writes(&self) -> bool {
        match self {
            Self::List { .. } | Self::Get { .. } | Self::ListFlowRuns | Self::ShowStatus => false,
            Self::Rehearse | Self::ShowApproval => false,
            Self::Create { .. } | Self::Update { .. } | Self::Delete { .. } | Self::Own(_) => true,
            Self::Function(function) => function.writes,
        }
    }
}

impl Found {
    pub fn reads(
        toolset: &str,
        name: String,
        title: String,
        description: String,
        input: Value,
        does: Does,
    ) -> Self {
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
        Self { tool, toolset: toolset.to_owned(), does }
    }
}

/// Returns them by their names.
pub fn all(call: &Call<'_>) -> Vec<Tool> {
    let found = resources::all(call).chain(own::all(call)).chain(registered::all(call));
    let mut tools: Vec<Tool> = found.map(|found| found.tool).collect();
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    tools
}

/// Returns the tool of this name, if the key can call it.
pub fn find(call: &Call<'_>, name: &str) -> Option<Found> {
    own::find(call, name).or_else(|| resources::find(call, name)).or_else(|| registered::find(call, name))
}

/// Whether the key has one of these scopes.
pub fn may(call: &Call<'_>, scopes: &[&str]) -> bool {
    scopes.iter().any(|scope| require(call, scope).is_ok())
}
