//! Runs and rehearsals of flows.

use maud::{Markup, html};

use super::Run;
use crate::effects::{Effects, Tense};
use crate::failures::folded;
use crate::figures::milliseconds;
use crate::layout::Visit;
use crate::moment::count;
use crate::state::{self, badge};

/// What each run is named by: on the page of an event its flow, on that of a flow its event.
#[derive(Clone, Copy)]
pub enum Beside {
    Flow,
    Event,
}

pub fn section(visit: &Visit, runs: &[Run], beside: Beside) -> Markup {
    html! {
        section.card aria-labelledby="runs" {
            h2 #runs { (match beside { Beside::Flow => "Flows that ran", Beside::Event => "Recent runs" }) }
            @if runs.is_empty() {
                p.none {
                    (match beside {
                        Beside::Flow => "No run of a flow is recorded.",
                        Beside::Event => "It has not run. Runs appear here with the next event that it listens to.",
                    })
                }
            } @else {
                @if let Beside::Event = beside { p.hint { "The latest " (count(runs.len() as i64, "run")) ", newest first." } }
                (folded(runs.iter().map(|run| entry(visit, run, beside)).collect()))
            }
        }
    }
}

fn entry(visit: &Visit, run: &Run, beside: Beside) -> Markup {
    let (weight, words) = state::of_run(run);
    html! {
        li.row.failure {
            div.what {
                p.event { (name(run, beside)) }
                p.minor {
                    (visit.now.tell(&run.started_at))
                    @if let Some(ms) = run.duration_ms { ", " (milliseconds(ms)) }
                }
            }
            div.why {
                @if let Some(error) = &run.error {
                    p.text { (error) @if let Some(code) = &run.sqlstate { " (" (code) ")" } }
                }
                @if let Some(effects) = &run.effects { (Effects::new(effects).show(Tense::Conditional, None)) }
                @if let Some(result) = run.result.as_ref().filter(|result| !result.is_null()) {
                    details { summary { "Result" } pre.excerpt { (format!("{result:#}")) } }
                }
            }
            div.next {
                p { (badge(weight, words)) }
                @if run.mode == "rehearsal" { p.minor { "Nothing was changed" } }
            }
        }
    }
}

fn name(run: &Run, beside: Beside) -> Markup {
    html! {
        @match (beside, run.adapter_id, run.inbound_event_id) {
            (Beside::Flow, _, _) => {
                a href=(format!("/settings/flows/{}", run.flow_id)) { (run.flow.as_deref().unwrap_or("a flow")) }
            },
            (Beside::Event, Some(adapter), Some(event)) => {
                a href=(format!("/settings/inbound-adapters/{adapter}/events/{event}")) { "Event " (event) }
            },
            (Beside::Event, _, Some(event)) => { "Event " (event) },
            (Beside::Event, _, None) => "An event that is gone",
        }
    }
}
