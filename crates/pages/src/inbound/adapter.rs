//! One adapter: how it is doing, what came in, what was refused, and its buttons.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{Adapter, CHART, Event, Hour, Refused, entries, provider, reasons};
use crate::chart;
use crate::figures::grouped;
use crate::flow::Flow;
use crate::layout::{Content, Visit, button, head};
use crate::moment::interval;
use crate::state::{self, badge};

#[derive(Deserialize)]
pub struct Data {
    adapter: Adapter,
    settings: Option<Settings>,
    events: Option<Vec<Event>>,
    refused: Option<Vec<Refused>>,
    /// Those that listen to an event of the mapping.
    #[serde(default)]
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
struct Settings {
    each: Option<String>,
    id_path: Option<String>,
    type_path: Option<String>,
    scheme: Option<Value>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let adapter = &data.adapter;
    let (weight, words) = state::of_adapter(adapter);
    let main = html! {
        (head(
            Some(("/settings/inbound-adapters", "Inbound adapters")),
            html! { (adapter.name) " " (badge(weight, words)) },
            html! { @if visit.may_manage() { (actions(adapter)) } },
        ))
        p.url.large { (adapter.address()) }
        (reasons::why_nothing_happened(visit, adapter, data.events.as_deref().unwrap_or_default(), &data.flows))
        (tiles(adapter))
        @if let Some(hours) = &adapter.hours {
            section.card aria-labelledby="day" {
                h2 #day { (if hours.len() < 24 { "The latest events" } else { "The last 24 hours" }) }
                (chart::large(&CHART, &Hour::bars(hours)))
            }
        }
        @if let Some(events) = &data.events { (entries::events(visit, adapter, events)) }
        @if let Some(refused) = &data.refused { (entries::refused(visit, adapter, refused)) }
        (settings(visit, adapter, data.settings.as_ref()))
        @if visit.may_manage() { (others(adapter)) }
    };
    Content { title: adapter.name.clone(), section: "inbound-adapters", main }
}

fn actions(adapter: &Adapter) -> Markup {
    let path = adapter.path();
    html! {
        a.button.primary href=(format!("{path}/try")) { "Try a request" }
        a.button href=(format!("{path}/edit")) { "Edit" }
        @if adapter.state == "paused" {
            (button(&format!("{path}/resume"), "", html! { "Resume" }))
        } @else {
            (button(&format!("{path}/pause"), "", html! { "Pause" }))
        }
    }
}

fn tiles(adapter: &Adapter) -> Markup {
    let numbers = [
        ("Received", adapter.received),
        ("Matched", adapter.matched),
        ("Unmatched", adapter.unmatched),
        ("Failed", adapter.failed),
        ("Refused", adapter.refused),
        ("Sent twice", adapter.duplicates),
    ];
    html! { dl.tiles { @for (name, number) in numbers { div { dt { (name) } dd { (grouped(number)) } } } } }
}

fn settings(visit: &Visit, adapter: &Adapter, settings: Option<&Settings>) -> Markup {
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    html! {
        section.card aria-labelledby="settings" {
            h2 #settings { "Settings" }
            dl.facts {
                (fact("Provider", html! { (provider::name(&adapter.provider)) }))
                (fact("Mapping", mapping(adapter)))
                (fact("Tenant", html! { (adapter.tenant_id.as_deref().unwrap_or("that of the event, if it has one")) }))
                @if let Some(budget) = &adapter.budget { (fact("Time for flows before the answer", html! { (interval(budget)) })) }
                @if let Some(limit) = adapter.requests_per_second { (fact("Requests per second", html! { (grouped(limit)) })) }
                @if let Some(settings) = settings { (more(settings, &fact)) }
                @if let Some(created) = &adapter.created_at {
                    (fact("Created", html! {
                        (visit.now.tell(created)) @if let Some(role) = &adapter.created_by { " by " (role) }
                    }))
                }
            }
        }
    }
}

fn mapping(adapter: &Adapter) -> Markup {
    html! {
        ul.mapping {
            @for (external, target) in adapter.pairs() {
                li {
                    code { (external) } " → " code { (target.event) }
                    @for (name, value) in target.paths.into_iter().flatten().filter(|(name, _)| *name != "event") {
                        span.minor { " · " (name.replace('_', " ")) " " code { (value.as_str().unwrap_or_default()) } }
                    }
                }
            }
        }
    }
}

fn more(settings: &Settings, fact: &dyn Fn(&str, Markup) -> Markup) -> Markup {
    let paths = [
        ("Events of a request", &settings.each),
        ("Id of an event", &settings.id_path),
        ("Type of an event", &settings.type_path),
    ];
    html! {
        @for (name, path) in paths { @if let Some(path) = path { (fact(name, html! { code { (path) } })) } }
        @if let Some(scheme) = settings.scheme.as_ref().filter(|scheme| scheme.is_object()) {
            (fact("Own scheme", html! {
                details { summary { "Show" } pre.excerpt { (format!("{scheme:#}")) } }
            }))
        }
    }
}

fn others(adapter: &Adapter) -> Markup {
    let path = adapter.path();
    html! {
        section.card aria-labelledby="others" {
            h2 #others { "URL, secret and removal" }
            div.choices {
                div {
                    h3 { "Rotate the URL" }
                    p.hint { "Makes a new URL, if others have come to know this one." }
                    a.button href=(format!("{path}/rotate-url")) { "Rotate URL" }
                }
                div {
                    h3 { "Replace the signing secret" }
                    p.hint { "Takes the secret that the provider signs with, if it has a new one." }
                    a.button href=(format!("{path}/rotate-secret")) { "Replace secret" }
                }
                div {
                    h3 { "Delete the adapter" }
                    p.hint { "Its URL stops working. You are asked first." }
                    a.button.danger href=(format!("{path}/delete")) { "Delete" }
                }
            }
        }
    }
}
