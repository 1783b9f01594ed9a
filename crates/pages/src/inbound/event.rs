//! One event that came in: what it had, and what became of it.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Adapter, Event, entries};
use crate::field::sentence;
use crate::flow::{Run, runs};
use crate::json::indented;
use crate::layout::{Content, Visit, button, head};
use crate::moment::count;
use crate::state::{self, badge};
use crate::visible::visible;

#[derive(Deserialize)]
pub struct Data {
    adapter: Adapter,
    event: Event,
    /// Of the flows that this visitor may see.
    #[serde(default)]
    runs: Vec<Run>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let (adapter, event) = (&data.adapter, &data.event);
    let (weight, words) = state::of_event(&event.state);
    let again = html! {
        @if visit.may_manage() && ["failed", "unmatched"].contains(&event.state.as_str()) {
            (button(&format!("{}/replay", event.path()), "primary", html! { "Process again" }))
        }
    };
    let main = html! {
        (head(
            adapter.back(&adapter.path()),
            html! { (event.title()) " " (badge(weight, words)) },
            again,
        ))
        (outcome(visit, event))
        section.card aria-labelledby="facts" { h2 #facts { "The event" } (facts(visit, event)) }
        (runs::section(visit, &data.runs, runs::Beside::Flow))
        section.card aria-labelledby="payload" {
            h2 #payload { "Payload" }
            @match &event.payload {
                Some(payload) => pre.excerpt { (visible(&indented(payload))) },
                None => p.none { "You may not see what was sent." },
            }
        }
    };
    Content { title: event.title().to_owned(), section: "inbound-adapters", main }
}

fn outcome(visit: &Visit, event: &Event) -> Markup {
    let (class, heading) = match event.state.as_str() {
        "failed" => ("bad", "A flow failed, and what it did was undone"),
        "unmatched" => ("warning", "No flow has run"),
        "received" => ("quiet", "It is processed in a moment"),
        _ => return html! {},
    };
    html! {
        div class={ "alert " (class) } {
            h2 { (heading) }
            @if let Some(reason) = &event.reason { p { (sentence(reason)) } }
            @if let Some(error) = &event.error {
                p { (sentence(error)) @if let Some(code) = &event.sqlstate { " SQLSTATE " code { (code) } "." } }
            }
            @if event.state == "failed" {
                p {
                    (count(event.attempts, "attempt")) " so far. "
                    @match &event.due_at {
                        Some(_) => { "It is tried " (entries::beside(visit, event)) "." },
                        None => "It is not tried again by itself.",
                    }
                }
            }
        }
    }
}

fn facts(visit: &Visit, event: &Event) -> Markup {
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    let code = |text: &Option<String>| {
        html! {
            @match text { Some(text) => code { (visible(text)) }, None => span.minor { "none" } }
        }
    };
    html! {
        dl.facts {
            (fact("Received", html! {
                (visit.now.tell(&event.received_at))
                @if event.duplicates > 0 { ", and again " (count(event.duplicates, "time")) ", without effect" }
            }))
            (fact("Type at the provider", code(&event.external_type)))
            (fact("Id at the provider", code(&event.external_id)))
            (fact("Event of yours", code(&event.event_type)))
            @if event.entity_type.is_some() || event.entity_id.is_some() {
                (fact("Entity", html! {
                    (event.entity_type.as_deref().unwrap_or_default()) " " code { (event.entity_id.as_deref().unwrap_or("without id")) }
                }))
            }
            @if let Some(tenant) = &event.tenant_id { (fact("Tenant", html! { (tenant) })) }
            @if event.hops > 0 {
                (fact("Hops", html! { (event.hops) span.minor { " systems that passed it on. After five it would be a loop." } }))
            }
            @if let Some(at) = &event.finished_at { (fact("Finished", visit.now.tell(at))) }
        }
    }
}
