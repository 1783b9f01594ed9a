//! Why events that were expected did nothing, with what mends it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Adapter, Event};
use crate::field::sentence;
use crate::flow::Flow;
use crate::layout::{Visit, button};
use crate::moment::count;

/// Reasons that are shown of the recent events.
const SHOWN: usize = 5;

pub fn why_nothing_happened(visit: &Visit, adapter: &Adapter, events: &[Event], flows: &[Flow]) -> Markup {
    html! {
        @if adapter.state == "paused" {
            div.alert.quiet {
                h2 { "Paused" }
                p { "Requests are answered with status 503 and are not kept. Most providers send them again later." }
            }
        }
        @if adapter.refuses() && adapter.state != "paused" { (refused(visit, adapter)) }
        @for flow in flows.iter().filter(|flow| flow.state != "deployed") { (idle(visit, adapter, flow)) }
        (without_effect(visit, adapter, events))
    }
}

fn refused(visit: &Visit, adapter: &Adapter) -> Markup {
    html! {
        div.alert.bad {
            h2 {
                "The last request was refused"
                @if let Some(at) = &adapter.last_refused_at { " " (visit.now.tell(at)) }
            }
            @if let Some(reason) = &adapter.last_refusal { p { (sentence(reason)) } }
            @if visit.may_manage() {
                p { "See below what came, and " a href=(format!("{}/try", adapter.path())) { "try it again" } " when you have changed something." }
            }
        }
    }
}

/// A flow that listens and does not run.
fn idle(visit: &Visit, adapter: &Adapter, flow: &Flow) -> Markup {
    let is_testing = flow.state == "testing";
    html! {
        div.alert.warning {
            h2 {
                "Flow “" a href=(flow.path()) { (flow.name) } "” is "
                (if is_testing { "only in testing" } else { "paused" })
            }
            p {
                @if is_testing {
                    "It is rehearsed with each event of " code { (flow.event) } ", and changes nothing until it is deployed."
                } @else {
                    "It does not run for events of " code { (flow.event) } "."
                }
            }
            @if visit.may_manage() {
                (button(&format!("{}/deploy?adapter={}", flow.path(), adapter.id), "", html! {
                    "Deploy" span.hidden { " " (flow.name) }
                }))
            }
        }
    }
}

/// The reasons of recent events, the most frequent first.
fn without_effect(visit: &Visit, adapter: &Adapter, events: &[Event]) -> Markup {
    let idle = events.iter().filter(|event| event.state == "unmatched" || event.state == "failed");
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for event in idle {
        let why = event.reason.as_ref().or(event.error.as_ref()).map_or("no reason is known", String::as_str);
        *reasons.entry((event.state.as_str(), why)).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    html! {
        @if !reasons.is_empty() {
            div.alert.warning {
                h2 { "Why recent events did nothing" }
                ul {
                    @for ((state, why), number) in reasons.iter().take(SHOWN) {
                        li { (count(*number as i64, "event")) " " (state) ": " (sentence(why)) }
                    }
                }
                @if reasons.len() > SHOWN { p { "And for other reasons, see below." } }
                @if visit.may_manage() && reasons.iter().any(|((state, _), _)| *state == "unmatched") {
                    p { "What has no mapping yet gets one when you " a href=(format!("{}/edit", adapter.path())) { "edit the mapping" } "." }
                }
            }
        }
    }
}
