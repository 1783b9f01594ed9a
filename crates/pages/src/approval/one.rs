//! One approval: who asks for what, what it would do, and the two buttons.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Approval, Preview, fields};
use crate::effects::{Effects, Tense};
use crate::field::{explained, sentence};
use crate::json::indented;
use crate::layout::{Content, Visit, head};
use crate::model::Refusal;
use crate::state::{self, badge};
use crate::visible::{block, visible};

#[derive(Deserialize)]
pub struct Data {
    approval: Approval,
    /// Whether it would do something else now than what the visitor has seen.
    #[serde(default)]
    changed: bool,
    /// Why it could not be decided.
    refusal: Option<Refusal>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let approval = &data.approval;
    let (weight, words) = state::of_approval(&approval.state);
    let main = html! {
        (head(
            Some(("/settings/approvals", "Approvals")),
            html! { (approval.tool) " " (badge(weight, words)) },
            html! {},
        ))
        @if data.changed { (changed()) }
        @if let Some(refusal) = &data.refusal { (refused(refusal)) }
        (outcome(visit, approval))
        section.card aria-labelledby="asked" {
            h2 #asked { "Who asks" }
            (facts(visit, approval))
        }
        section.card aria-labelledby="arguments" {
            h2 #arguments { "What was asked" }
            p.hint { "The arguments of the tool. Whoever asks wrote them: they are data, not advice." }
            (fields::show(&approval.arguments))
        }
        @if let Some(preview) = &approval.preview { (effects(approval, preview)) }
        @if approval.is_pending() && visit.may_manage() { (buttons(approval)) }
    };
    Content { title: approval.tool.clone(), section: "approvals", main }
}

fn changed() -> Markup {
    html! {
        div.alert.warning role="alert" {
            h2 { "It has changed since you looked" }
            p { "It would do something else now, so nothing was written. Look at it again, and decide again." }
        }
    }
}

fn refused(refusal: &Refusal) -> Markup {
    html! { div.alert.bad role="alert" { h2 { "This was not decided" } p { (explained(refusal)) } } }
}

fn outcome(visit: &Visit, approval: &Approval) -> Markup {
    let by = html! {
        @if let Some(who) = &approval.decided_by { " by " bdi { (visible(who)) } }
        @if let Some(at) = &approval.decided_at { ", " (visit.now.tell(at)) }
    };
    html! {
        @match approval.state.as_str() {
            "pending" => p.lead {
                "Nothing is written yet. If you approve, exactly what is shown here is done; if it would be something else by then, you are asked again."
            },
            "done" => div.alert.good {
                h2 { "Approved" (by) }
                @if let Some(result) = &approval.result {
                    (unfolded("Result", result))
                }
            },
            "refused" => div.alert.quiet { h2 { "Refused" (by) } p { "Nothing was written." } },
            "failed" => div.alert.bad {
                h2 { "Approved" (by) ", and failed" }
                p { "Nothing was written." }
                @if let Some(error) = &approval.error { p { bdi { (visible(error)) } } }
            },
            "expired" => div.alert.quiet {
                h2 { "Nobody decided in time" }
                p { "Nothing was written. If it is still wanted, the client has to ask again." }
            },
            _ => {}
        }
    }
}

fn facts(visit: &Visit, approval: &Approval) -> Markup {
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    html! {
        dl.facts {
            (fact("Key", html! { bdi { (visible(&approval.key_name)) } }))
            (fact("Tenant", html! {
                @match &approval.tenant_id {
                    Some(tenant) => bdi { (visible(tenant)) },
                    None => span.minor { "none: the key reaches all" },
                }
            }))
            (fact("Asked", visit.now.tell(&approval.created_at)))
            @if approval.is_pending() { (fact("Ends", visit.now.tell(&approval.expires_at))) }
            (fact("Who may confirm", html! {
                (match approval.mode.as_str() {
                    "elicit" => "A person in the assistant, or on this page",
                    "client" => "The client itself, or a person on this page",
                    _ => "A person on this page",
                })
            }))
        }
    }
}

fn effects(approval: &Approval, preview: &Preview) -> Markup {
    let (heading, tense) = match approval.state.as_str() {
        "done" => ("What it did", Tense::Past),
        _ => ("What it would do", Tense::Conditional),
    };
    let own = own_effect(&approval.tool);
    let changes = preview.before.as_ref().zip(preview.result.as_ref());
    let changes = changes.filter(|(before, after)| own.is_none() || before != after);
    let changes = changes.and_then(|(before, after)| fields::changes(before, after));
    html! {
        section.card aria-labelledby="effects" {
            h2 #effects { (heading) }
            @if let Some(changes) = &changes { (changes) }
            (Effects::new(&preview.effects).show(tense, own))
            @if let Some(note) = &preview.note { p.hint { (sentence(note)) } }
            (varying(&preview.varying))
            @if let Some(before) = &preview.before { (unfolded("The row before", before)) }
            @if let Some(result) = &preview.result { (unfolded("What the tool answers", result)) }
        }
    }
}

/// What the tools of the extension do to its own tables, which are not among the effects that are shown.
fn own_effect(tool: &str) -> Option<&'static str> {
    Some(match tool {
        "webhook_pause" => "Nothing is sent to this webhook until it is resumed. Its deliveries wait.",
        "webhook_resume" => {
            "Deliveries that wait for this webhook are sent again. If it is asked to drop what was missed, that is lost."
        }
        "webhook_replay" => "Deliveries of this webhook that failed are sent again.",
        "webhook_retry" => "This delivery is sent again.",
        "webhook_cancel" => "This delivery is removed, and is not sent any more.",
        _ => return None,
    })
}

/// What cannot be known before, such as numbers of a sequence.
fn varying(places: &[String]) -> Markup {
    const SHOWN: usize = 10;
    html! {
        @if !places.is_empty() {
            div {
                p.hint { "Numbers and times that are given only when it is written will be others:" }
                ul.chips {
                    @for place in places.iter().take(SHOWN) { li { (visible(place)) } }
                    @if places.len() > SHOWN { li.more { "and " (places.len() - SHOWN) " more" } }
                }
            }
        }
    }
}

fn unfolded(name: &str, json: &str) -> Markup {
    html! { details { summary { (name) } (block(&indented(json))) } }
}

fn buttons(approval: &Approval) -> Markup {
    let button = |action: &str, class: &str, text: &str| {
        html! {
            form method="post" action=(format!("{}/{action}", approval.path())) {
                @if let Some(previews) = approval.previews { input type="hidden" name="previews" value=(previews); }
                button class=(class) type="submit" { (text) }
            }
        }
    };
    html! {
        section.card aria-labelledby="decide" {
            h2 #decide { "Your decision" }
            div.submit { (button("approve", "primary", "Approve")) (button("refuse", "danger", "Refuse")) }
        }
    }
}
