//! What came in lately, and what was refused.

use maud::{Markup, html};
use serde_json::Value;

use super::{Adapter, Event, Refused};
use crate::failures::folded;
use crate::layout::{Visit, button};
use crate::moment::count;
use crate::state::{self, badge};
use crate::visible::visible;

pub fn events(visit: &Visit, adapter: &Adapter, events: &[Event]) -> Markup {
    html! {
        section.card aria-labelledby="events" {
            div.head {
                h2 #events { "Recent events" }
                @if visit.may_manage() && events.iter().any(|event| ["failed", "unmatched"].contains(&event.state.as_str())) {
                    (button(&format!("{}/replay", adapter.path()), "", html! { "Process unmatched and failed again" }))
                }
            }
            @if events.is_empty() {
                p.none { "No event has come in. Events appear here, with what became of them." }
            } @else {
                p.hint { "The latest " (count(events.len() as i64, "event")) ", newest first." }
                (folded(events.iter().map(|event| entry(visit, event)).collect()))
            }
        }
    }
}

fn entry(visit: &Visit, event: &Event) -> Markup {
    let (weight, words) = state::of_event(&event.state);
    html! {
        li.row.failure {
            div.what {
                p.event { a href=(event.path()) { (event.title()) } }
                p.minor { (visit.now.tell(&event.received_at)) }
            }
            div.why {
                @match &event.event_type {
                    Some(name) => p { "→ " code { (name) } @if let Some(id) = &event.entity_id { span.minor { " " (id) } } },
                    None => p.minor { "no event of yours" },
                }
                (why(event))
            }
            div.next {
                p { (badge(weight, words)) }
                p.minor { (beside(visit, event)) }
            }
        }
    }
}

/// Why an event had no effect.
pub fn why(event: &Event) -> Markup {
    html! {
        @if let Some(reason) = &event.reason { p.minor { (crate::field::sentence(reason)) } }
        @if let Some(error) = &event.error { p.text { (error) } }
    }
}

/// What else there is to say about the state of an event.
pub fn beside(visit: &Visit, event: &Event) -> Markup {
    html! {
        @match (event.state.as_str(), &event.due_at) {
            ("failed" | "received", Some(due)) if visit.now.is_before(due) => { "again " (visit.now.tell(due)) },
            ("failed" | "received", Some(_)) => "again now",
            _ => {},
        }
        @if event.duplicates > 0 { " sent " (count(event.duplicates + 1, "time")) }
    }
}

pub fn refused(visit: &Visit, adapter: &Adapter, requests: &[Refused]) -> Markup {
    html! {
        section.card aria-labelledby="refused-requests" {
            h2 #refused-requests { "Refused requests" }
            @if requests.is_empty() {
                p.none { "No request was refused. The last 20 appear here, with what they had and where they failed." }
            } @else {
                p.hint { "The last 20 at most. What looks like a credential is masked." }
                (folded(requests.iter().map(|request| refusal(visit, adapter, request)).collect()))
            }
        }
    }
}

fn refusal(visit: &Visit, adapter: &Adapter, request: &Refused) -> Markup {
    html! {
        li.row.failure {
            div.what {
                p.event { (stage(request.stage.as_deref().unwrap_or("request"))) }
                p.minor {
                    (visit.now.tell(&request.refused_at)) @if let Some(peer) = &request.peer { " from " (peer) }
                }
            }
            div.why {
                @if let Some(reason) = &request.reason { p.text { (crate::field::sentence(reason)) } }
                details {
                    summary { "What was sent" }
                    pre.excerpt { (visible(&sent(request))) }
                }
            }
            @if visit.may_manage() {
                div.next.buttons {
                    a.button.small href=(format!("{}/try?refused={}", adapter.path(), request.id)) {
                        "Try again" span.hidden { " request " (request.id) }
                    }
                }
            }
        }
    }
}

/// The name of a stage for people.
pub fn stage(stage: &str) -> String {
    crate::field::sentence(stage).trim_end_matches('.').replace('_', " ")
}

fn sent(request: &Refused) -> String {
    let mut text = request.method.clone().unwrap_or_else(|| "POST".into());
    if let Some(query) = request.query.as_ref().filter(|query| !query.is_empty()) {
        text.push_str(&format!(" ?{query}"));
    }
    for (name, value) in pairs(&request.headers) {
        text.push_str(&format!("\n{name}: {value}"));
    }
    if let Some(body) = request.body.as_ref().filter(|body| !body.is_empty()) {
        text.push_str("\n\n");
        text.push_str(body);
        if request.size.is_some_and(|size| size > 4096) {
            text.push('…');
        }
    }
    text
}

/// Headers are an array of pairs, or an object.
fn pairs(headers: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match headers {
        Value::Array(list) => list.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        _ => Vec::new(),
    }
}
