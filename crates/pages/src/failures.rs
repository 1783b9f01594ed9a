//! What could not be delivered: the latest failed attempts, and the deliveries that wait or were given up.

use std::collections::HashSet;

use maud::{Markup, html};
use serde::Deserialize;

use crate::figures::{grouped, milliseconds};
use crate::layout::{Visit, button};
use crate::model::Webhook;
use crate::moment::count;
use crate::state::{self, badge};
use crate::visible::visible;

#[derive(Deserialize)]
pub struct Attempt {
    delivery_id: String,
    event: String,
    attempt: i64,
    status_code: Option<i64>,
    error_class: Option<String>,
    error: Option<String>,
    response_excerpt: Option<String>,
    response_ms: Option<f64>,
    attempted_at: String,
    next_attempt_at: Option<String>,
    state: String,
}

#[derive(Deserialize)]
pub struct Waiting {
    delivery_id: String,
    event: String,
    emitted_at: Option<String>,
    #[serde(default)]
    attempts: i64,
    due_at: Option<String>,
    state: String,
    failed_at: Option<String>,
    error: Option<String>,
}

/// Rows of a list that are seen at once. The others are behind a line that opens.
const SEEN: usize = 8;

pub fn folded(rows: Vec<Markup>) -> Markup {
    let (seen, others) = rows.split_at(rows.len().min(SEEN));
    html! {
        ul.rows.plain { @for row in seen { (row) } }
        @if !others.is_empty() {
            details.others {
                summary { "Show " (others.len()) " more" }
                ul.rows.plain { @for row in others { (row) } }
            }
        }
    }
}

pub fn recent(visit: &Visit, webhook: &Webhook, attempts: &[Attempt]) -> Markup {
    let mut seen = HashSet::new();
    html! {
        section.card aria-labelledby="recent" {
            h2 #recent { "Recent failures" }
            @if attempts.is_empty() {
                p.none { "No attempt has failed. Failures appear here, with what the endpoint answered." }
            } @else {
                p.hint { "The latest " (count(attempts.len() as i64, "failed attempt")) ", newest first." }
                (folded(attempts.iter().map(|attempt| {
                    failure(visit, webhook, attempt, seen.insert(attempt.delivery_id.as_str()))
                }).collect()))
            }
        }
    }
}

fn failure(visit: &Visit, webhook: &Webhook, attempt: &Attempt, is_latest: bool) -> Markup {
    html! {
        li.row.failure {
            div.what {
                p.event { (attempt.event) span.minor { " attempt " (attempt.attempt) } }
                p.minor { (visit.now.tell(&attempt.attempted_at)) }
            }
            div.why {
                p {
                    span.status { (answered(attempt)) }
                    @if let Some(ms) = attempt.response_ms { span.minor { " after " (milliseconds(ms)) } }
                }
                // That of a status says the status once more.
                @if let Some(error) = attempt.error.as_ref().filter(|_| attempt.error_class.as_deref() != Some("status")) {
                    p.text { (error) }
                }
                @if let Some(excerpt) = attempt.response_excerpt.as_ref().filter(|excerpt| !excerpt.is_empty()) {
                    details {
                        summary { "What the endpoint answered" }
                        pre.excerpt { (visible(excerpt)) }
                    }
                }
            }
            div.next { (next(visit, webhook, attempt, is_latest)) }
        }
    }
}

fn answered(attempt: &Attempt) -> String {
    if let Some(code) = attempt.status_code {
        return format!("Status {code}");
    }
    let words = match attempt.error_class.as_deref() {
        Some("destination") => "Address not allowed",
        Some("dns") => "Name not found",
        Some("connection") => "No connection",
        Some("tls") => "No secure connection",
        Some("timeout") => "No answer in time",
        Some("protocol") => "Answer not understood",
        Some("expired") => "Too late",
        Some("internal") => "Not sent",
        Some(other) => other,
        None => "No answer",
    };
    words.into()
}

/// What comes after an attempt. An attempt that is not the latest of its delivery was followed by another one.
fn next(visit: &Visit, webhook: &Webhook, attempt: &Attempt, is_latest: bool) -> Markup {
    let (weight, words) = state::of_delivery(&attempt.state);
    html! {
        @if !is_latest {
            p.minor { "Tried again since" }
        } @else {
            p { (badge(weight, words)) }
            @if let Some(next) = attempt.next_attempt_at.as_ref().filter(|_| attempt.state == "pending") {
                p.minor { "Next attempt " (when(visit, webhook, next)) }
            } @else if attempt.state == "done" {
                p.minor { "Delivered later, or cancelled" }
            }
        }
    }
}

pub fn queue(visit: &Visit, webhook: &Webhook, waiting: &[Waiting]) -> Markup {
    let failed = webhook.failed.unwrap_or(0);
    html! {
        @if !waiting.is_empty() {
            section.card aria-labelledby="waiting" {
                div.head {
                    h2 #waiting { "Waiting and given up" }
                    @if visit.may_manage() && failed > 0 {
                        (button(&format!("{}/retry", webhook.path()), "", html! {
                            "Send " (grouped(failed)) " given up again"
                        }))
                    }
                }
                (folded(waiting.iter().map(|delivery| entry(visit, webhook, delivery)).collect()))
                @let all = webhook.pending.unwrap_or(0) + failed;
                @if all > waiting.len() as i64 { p.hint { "And " (grouped(all - waiting.len() as i64)) " more." } }
            }
        }
    }
}

fn entry(visit: &Visit, webhook: &Webhook, delivery: &Waiting) -> Markup {
    let (weight, words) = state::of_delivery(&delivery.state);
    let path = format!("{}/deliveries/{}", webhook.path(), delivery.delivery_id);
    let of = html! { span.hidden { " " (delivery.event) " " (delivery.delivery_id) } };
    html! {
        li.row.failure {
            div.what {
                p.event { (delivery.event) }
                @if let Some(at) = &delivery.emitted_at { p.minor { "Emitted " (visit.now.tell(at)) } }
            }
            div.why {
                p { (badge(weight, words)) " " span.minor { (due(visit, webhook, delivery)) } }
                @if let Some(error) = &delivery.error { p.text { (error) } }
            }
            @if visit.may_manage() && delivery.state != "sending" {
                div.next.buttons {
                    (button(&format!("{path}/retry"), "small", html! { "Send now" (of) }))
                    (button(&format!("{path}/cancel"), "small", html! { "Cancel" (of) }))
                }
            }
        }
    }
}

fn due(visit: &Visit, webhook: &Webhook, delivery: &Waiting) -> Markup {
    let attempts = count(delivery.attempts, "attempt");
    html! {
        @match (delivery.state.as_str(), &delivery.failed_at, &delivery.due_at) {
            ("failed", Some(at), _) => { "after " (attempts) ", " (visit.now.tell(at)) },
            ("pending", _, Some(at)) => { (attempts) ", next " (when(visit, webhook, at)) },
            _ => (attempts),
        }
    }
}

/// When the next attempt is made.
fn when(visit: &Visit, webhook: &Webhook, due: &str) -> Markup {
    html! {
        @if webhook.status != "active" {
            "when the webhook is resumed"
        } @else if visit.now.is_before(due) {
            (visit.now.tell(due))
        } @else {
            "now"
        }
    }
}
