//! One flow: its state, its runs, and its buttons.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Flow, Run, runs, runs_in_figures};
use crate::layout::{Content, Visit, button, head};
use crate::moment::interval;
use crate::state::{self, badge};

#[derive(Deserialize)]
pub struct Data {
    flow: Flow,
    #[serde(default)]
    runs: Vec<Run>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let flow = &data.flow;
    let (weight, words) = state::of_flow(flow);
    let main = html! {
        (head(
            Some(("/settings/flows", "Flows")),
            html! { (flow.name) " " (badge(weight, words)) },
            html! { @if visit.may_manage() { (actions(flow)) } },
        ))
        @if let Some(function) = &flow.function { p.url.large { (function) } }
        (meaning(flow))
        dl.tiles {
            div { dt { "Runs" } dd { (runs_in_figures(flow.runs)) } }
            div { dt { "Failed" } dd { (runs_in_figures(flow.failures)) } }
        }
        (runs::section(visit, &data.runs, runs::Beside::Event))
        (settings(visit, flow))
        @if visit.may_manage() { (removal(flow)) }
    };
    Content { title: flow.name.clone(), section: "flows", main }
}

fn actions(flow: &Flow) -> Markup {
    let action = |name: &str, class: &str, text: &str| {
        html! { (button(&format!("{}/{name}", flow.path()), class, html! { (text) })) }
    };
    html! {
        @if flow.state != "deployed" { (action("deploy", "primary", "Deploy")) }
        @if flow.state != "testing" { (action("test", "", "Back to testing")) }
        @if flow.state != "paused" { (action("pause", "", "Pause")) }
    }
}

fn meaning(flow: &Flow) -> Markup {
    let event = html! { code { (flow.event) } };
    html! {
        @match flow.state.as_str() {
            "testing" => {
                div.alert.warning {
                    h2 { "Only in testing" }
                    p {
                        "With each event of " (event) " it is rehearsed: it runs for real, its effects are shown below, and all is undone. Nothing changes until it is deployed."
                    }
                }
            }
            "paused" => div.alert.quiet { h2 { "Paused" } p { "It does not run for events of " (event) "." } },
            _ => {},
        }
    }
}

fn settings(visit: &Visit, flow: &Flow) -> Markup {
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    html! {
        section.card aria-labelledby="settings" {
            h2 #settings { "Settings" }
            dl.facts {
                (fact("Event", html! { ul.chips { li { (flow.event) } } }))
                @if let Some(function) = &flow.function { (fact("Function", html! { code { (function) } })) }
                @if let Some(owner) = &flow.owner { (fact("Acts as", html! { (owner) })) }
                (fact("Filter", match &flow.filter { Some(filter) => html! { code { (filter) } }, None => html! { "none" } }))
                @if let Some(timeout) = &flow.timeout { (fact("Time limit of a run", html! { (interval(timeout)) })) }
                (fact("Tenant", html! { (flow.tenant_id.as_deref().unwrap_or("all")) }))
                @if let Some(created) = &flow.created_at {
                    (fact("Created", html! {
                        (visit.now.tell(created)) @if let Some(role) = &flow.created_by { " by " (role) }
                    }))
                }
            }
        }
    }
}

fn removal(flow: &Flow) -> Markup {
    html! {
        section.card aria-labelledby="removal" {
            h2 #removal { "Removal" }
            p.hint { "It no longer runs. Its function stays. You are asked first." }
            a.button.danger href=(format!("{}/delete", flow.path())) { "Delete" }
        }
    }
}
