//! The tools of webhooks, events and flows, which show whether an integration works.

use openapi::own::{EVENT_TYPES, INBOUND_EVENTS, MANAGES_WEBHOOKS, Own, WEBHOOK_DELIVERIES, WEBHOOKS};
use serde_json::{Map, Value, json};

use super::actions;
use super::resources::paging;
use super::tools::{AUTOMATION, Does, Found, may};
use crate::serve::rest::Call;

/// A tool that returns a list of the REST API.
struct Listing {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    of: &'static Own,
    fixed: &'static [(&'static str, &'static str)],
}

static LISTINGS: [Listing; 4] = [
    Listing {
        name: "event_types",
        title: "List event types",
        description: "Returns the types of events that can be sent to webhooks, and when each is sent.",
        of: &EVENT_TYPES,
        fixed: &[],
    },
    Listing {
        name: "inbound_events",
        title: "List events that came in",
        description: "Returns events that other systems have sent, the newest first: whether a flow has handled them, and if not, why.",
        of: &INBOUND_EVENTS,
        fixed: &[],
    },
    Listing {
        name: "webhook_failures",
        title: "List deliveries that failed",
        description: "Returns deliveries of webhooks that were given up after their last attempt, each with its latest error.",
        of: &WEBHOOK_DELIVERIES,
        fixed: &[("state", "failed")],
    },
    Listing {
        name: "webhook_subscriptions",
        title: "List webhooks",
        description: "Returns the webhooks: where events are sent and which, how many are delivered, pending and failed, and the latest error.",
        of: &WEBHOOKS,
        fixed: &[],
    },
];

/// Returns those that the key can call.
pub fn all(call: &Call<'_>) -> impl Iterator<Item = Found> {
    let listings = LISTINGS.iter().filter(move |listing| may(call, listing.of.scopes)).map(Listing::found);
    let runs = may(call, &["flows:read"]).then(flow_runs);
    // It is about the whole installation, and not for one tenant.
    let status = (call.key.tenant.is_none() && may(call, WEBHOOKS.scopes)).then(system_status);
    let writes = call.key.scopes.iter().any(|scope| scope.ends_with(":write") || scope == MANAGES_WEBHOOKS);
    let about_writes = [what_would_happen(), approval_status()].into_iter().filter(move |_| writes);
    listings.chain(runs).chain(status).chain(about_writes).chain(actions::all(call))
}

pub fn find(call: &Call<'_>, name: &str) -> Option<Found> {
    all(call).find(|found| found.tool.name == name)
}

impl Listing {
    fn found(&self) -> Found {
        let is_fixed = |filter: &str| self.fixed.iter().any(|(name, _)| *name == filter);
        let filters = self.of.filters.iter().filter(|filter| !is_fixed(filter));
        let members = filters.map(|filter| ((*filter).to_owned(), filter_schema(self.of, filter)));
        let input = input(members.chain(paging()).collect());
        let does = Does::List { name: self.of.name.into(), fixed: self.fixed };
        Found::reads(AUTOMATION, self.name.into(), self.title.into(), self.description.into(), input, does)
    }
}

/// A filter is one of some words, or a number.
fn filter_schema(own: &Own, filter: &str) -> Value {
    match own.choices(filter) {
        Some(choices) => json!({"type": "string", "enum": choices}),
        None => json!({"type": "integer"}),
    }
}

fn flow_runs() -> Found {
    let mut members = Map::from_iter([
        ("flow_id".to_owned(), json!({"type": "integer", "description": "Only runs of this flow."})),
        ("state".to_owned(), json!({"type": "string", "enum": ["done", "failed"]})),
    ]);
    members.extend(paging());
    let description = "Returns runs and rehearsals of flows, the newest first: what each returned, or why it failed.";
    Found::reads(
        AUTOMATION,
        "flow_runs".into(),
        "List runs of flows".into(),
        description.into(),
        input(members),
        Does::ListFlowRuns,
    )
}

fn system_status() -> Found {
    let description =
        "Returns whether events are being sent and inbound events handled, with the reason if not, and how many wait.";
    Found::reads(
        AUTOMATION,
        "system_status".into(),
        "Show the status".into(),
        description.into(),
        input(Map::new()),
        Does::ShowStatus,
    )
}

fn what_would_happen() -> Found {
    let members = [
        ("tool".to_owned(), json!({"type": "string", "description": "Name of a tool that writes."})),
        (
            "arguments".to_owned(),
            json!({"type": "object", "description": "The arguments that it would be called with."}),
        ),
    ];
    let mut input = input(members.into_iter().collect());
    input["required"] = json!(["tool"]);
    Found::reads(
        AUTOMATION,
        "what_would_happen".into(),
        "Preview a change".into(),
        "Returns what a tool that writes would do: its result, the rows and the webhooks. Nothing is kept, and nobody is asked.".into(),
        input,
        Does::Rehearse,
    )
}

fn approval_status() -> Found {
    let id = json!({"type": "integer", "description": "approval_id of the result of a tool that writes."});
    let mut input = input(Map::from_iter([("approval_id".to_owned(), id)]));
    input["required"] = json!(["approval_id"]);
    Found::reads(
        AUTOMATION,
        "approval_status".into(),
        "Show an approval".into(),
        "Returns whether a change that waited for a yes was confirmed, refused or failed, and its result.".into(),
        input,
        Does::ShowApproval,
    )
}

pub fn input(members: Map<String, Value>) -> Value {
    json!({"type": "object", "properties": members, "additionalProperties": false})
}
