//! The tools that a key can call.

use ::mcp::Tool;
use serde_json::{Value, json};

use super::actions::Action;
use super::function::Function;
use super::toolsets::Toolsets;
use super::{own, registered, resources};
use crate::serve::identity::Approval;
use crate::serve::problem::Texts;
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
    Own(Action),
    /// Calls a function of the application.
    Function(Function),
}

/// The toolset of our own tools.
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

    /// Whether everything that it does can be undone.
    pub fn is_rehearsable(&self) -> bool {
        match self {
            Self::Function(function) => function.is_rehearsable,
            _ => true,
        }
    }

    /// Whose texts its errors have.
    pub fn texts(&self) -> Texts {
        match self {
            Self::Own(_) => Texts::Own,
            _ => Texts::Foreign,
        }
    }
}

/// What is said of every tool that writes, after what it does.
const NOT_AT_ONCE: &str = "Nothing is written at once: the result is a preview, which has to be confirmed.";

/// The argument with which a client confirms what it was shown, if its key permits that.
pub const CONFIRMATION: &str = "confirmation";

impl Found {
    pub fn reads(toolset: &str, name: String, title: String, description: String, input: Value, does: Does) -> Self {
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

impl Found {
    pub fn writes(toolset: &str, tool: Tool, does: Does) -> Self {
        let description = format!("{} {NOT_AT_ONCE}", tool.description);
        let tool = Tool { description, reads_only: false, ..tool };
        Self { tool, toolset: toolset.to_owned(), does }
    }

    /// Adds the argument with which the client confirms.
    fn offered(mut self, call: &Call<'_>) -> Self {
        if self.does.writes() && call.key.approval == Approval::Client {
            let description = "confirmation of the preview: writes what it has shown.";
            self.tool.input["properties"][CONFIRMATION] = json!({"type": "string", "description": description});
        }
        self
    }
}

/// Returns them by their names.
pub fn all(call: &Call<'_>) -> Vec<Tool> {
    let toolsets = Toolsets::of(call);
    let found = resources::all(call).chain(own::all(call)).chain(registered::all(call));
    let found = found.filter(|found| toolsets.have(&found.toolset));
    let mut tools: Vec<Tool> = found.map(|found| found.offered(call).tool).collect();
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    tools
}

/// Returns the tool of this name, if the key can call it.
pub fn find(call: &Call<'_>, name: &str) -> Option<Found> {
    let found = own::find(call, name).or_else(|| resources::find(call, name)).or_else(|| registered::find(call, name));
    found.filter(|found| Toolsets::of(call).have(&found.toolset)).map(|found| found.offered(call))
}

/// Whether the key has one of these scopes.
pub fn may(call: &Call<'_>, scopes: &[&str]) -> bool {
    scopes.iter().any(|scope| require(call, scope).is_ok())
}
