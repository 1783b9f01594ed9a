//! The list of flows. What needs attention comes first.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Flow, runs_in_figures};
use crate::layout::{Content, Visit, head, snippet};
use crate::moment::count;
use crate::state::{self, Weight, badge};

#[derive(Deserialize)]
pub struct Data {
    flows: Vec<Flow>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let mut flows: Vec<&Flow> = data.flows.iter().collect();
    flows.sort_by_key(|flow| match state::of_flow(flow).0 {
        weight @ (Weight::Bad | Weight::Warning) => weight,
        _ => Weight::Good,
    });
    let main = html! {
        (head(None, html! { "Flows" }, html! {}))
        @if flows.is_empty() {
            div.empty {
                h2 { "No flows yet" }
                p { "A flow is a function in the database that runs when an event comes in, in the transaction that takes the event." }
                @if visit.may_manage() { (statements()) } @else { p { "An admin can create one." } }
            }
        } @else {
            p.lead { (totals(&flows)) }
            ul.rows { @for flow in flows { (row(visit, flow)) } }
            @if visit.may_manage() {
                details.card {
                    summary { h2 { "Create a flow" } span.hint { "With SQL: it needs a function" } }
                    (statements())
                }
            }
        }
    };
    Content { title: "Flows".into(), section: "flows", main }
}

const FUNCTION: &str = "\
CREATE FUNCTION public.open_ticket(event jsonb) RETURNS jsonb LANGUAGE sql AS $$
  INSERT INTO tickets (subject) VALUES (event -> 'entity' ->> 'title')
  RETURNING to_jsonb(tickets)
$$;";

const CREATE: &str = "SELECT hydra.flow_create('Open a ticket', 'ticket.created', 'public.open_ticket(jsonb)');";

/// What to run in psql.
fn statements() -> Markup {
    html! {
        p.hint { "Write a function that takes the event as JSON, and make a flow of it:" }
        (snippet(&format!("{FUNCTION}\n\n{CREATE}")))
        p.hint { "It is in testing at first: rehearsed with real events, without effect, until you deploy it here." }
    }
}

fn totals(flows: &[&Flow]) -> String {
    let mut text = count(flows.len() as i64, "flow");
    for state in ["deployed", "testing", "paused"] {
        let number = flows.iter().filter(|flow| flow.state == state).count();
        if number > 0 {
            text.push_str(&format!(", {number} {}", if state == "testing" { "in testing" } else { state }));
        }
    }
    text
}

fn row(visit: &Visit, flow: &Flow) -> Markup {
    let (weight, words) = state::of_flow(flow);
    html! {
        li.row.webhook {
            div.what {
                h2 { a href=(flow.path()) { (flow.name) } }
                @if let Some(function) = &flow.function { p.url { (function) } }
                ul.chips aria-label="Event" { li { (flow.event) } }
            }
            div.how {
                p { (badge(weight, words)) }
                @if let Some(tenant) = &flow.tenant_id { p.minor { "Tenant " (tenant) } }
            }
            div.day {
                p.minor {
                    b { (runs_in_figures(flow.runs)) } (if flow.runs == 1 { " run" } else { " runs" })
                    @if flow.failures > 0 { " · " b { (runs_in_figures(flow.failures)) } " failed" }
                }
                p.minor { @match &flow.last_run_at { Some(at) => { "Last run " (visit.now.tell(at)) }, None => "No run so far" } }
            }
            @if let Some(error) = &flow.last_error {
                p.last { span.label { "Last error" } " " span.text { (error) } }
            }
        }
    }
}
