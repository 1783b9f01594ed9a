//! The list of webhooks. What needs attention comes first.

use maud::{Markup, html};
use serde::Deserialize;

use crate::chart;
use crate::field::sentence;
use crate::figures::{grouped, percentage};
use crate::layout::{Content, Visit, head, snippet};
use crate::model::{Hour, Webhook, Worker};
use crate::moment::count;
use crate::state::{self, Weight, badge};

#[derive(Deserialize)]
pub struct Data {
    webhooks: Vec<Webhook>,
    worker: Option<Worker>,
}

/// Event types that the list shows of one webhook.
const SHOWN: usize = 4;

pub fn page(visit: &Visit, data: &Data) -> Content {
    let mut webhooks: Vec<&Webhook> = data.webhooks.iter().collect();
    webhooks.sort_by_key(|webhook| match state::of_webhook(webhook).0 {
        weight @ (Weight::Bad | Weight::Warning) => weight,
        _ => Weight::Good,
    });
    let new = html! { a.button.primary href="/settings/webhooks/new" { "New webhook" } };
    let main = html! {
        (head(None, html! { "Webhooks" }, html! { @if visit.may_manage() && !webhooks.is_empty() { (new) } }))
        (worker_warning(data.worker.as_ref()))
        @if webhooks.is_empty() {
            (empty(visit, &new))
        } @else {
            p.lead { (totals(&webhooks)) }
            ul.rows { @for webhook in webhooks { (row(visit, webhook)) } }
        }
    };
    Content { title: "Webhooks".into(), section: "webhooks", main }
}

fn totals(webhooks: &[&Webhook]) -> String {
    let mut text = count(webhooks.len() as i64, "webhook");
    let names = ["Disabled", "Held up", "Failing", "Paused"];
    for name in names {
        let number = webhooks.iter().filter(|webhook| state::of_webhook(webhook).1 == name).count();
        if number > 0 {
            text.push_str(&format!(", {number} {}", name.to_lowercase()));
        }
    }
    text
}

fn empty(visit: &Visit, new: &Markup) -> Markup {
    html! {
        div.empty {
            h2 { "No webhooks yet" }
            p {
                "A webhook sends a signed HTTP request to a URL of yours when something happens, such as a new ticket."
            }
            @if visit.may_manage() {
                p { (new) }
                p.hint { "Or in SQL:" }
                (snippet("SELECT * FROM hydra.webhook_create('https://example.com/webhooks', '{ticket.*}');"))
            } @else {
                p { "An admin can create one." }
            }
        }
    }
}

/// Says that nothing is sent, if so. Who may not see why gets no reason.
pub fn worker_warning(worker: Option<&Worker>) -> Markup {
    html! {
        @if let Some(worker) = worker && worker.state != "running" {
            div.alert.warning role="status" {
                h2 { "Nothing is being sent: " (state::of_worker(&worker.state).1.to_lowercase()) }
                p { (sentence(worker.detail.as_deref().unwrap_or("Events are kept until sending starts again."))) }
            }
        }
    }
}

fn row(visit: &Visit, webhook: &Webhook) -> Markup {
    let (weight, status) = state::of_webhook(webhook);
    html! {
        li.row.webhook {
            div.what {
                h2 { a href=(webhook.path()) { (webhook.title()) } }
                p.url { (webhook.url) }
                (events(&webhook.event_types))
            }
            div.how {
                p { (badge(weight, status)) }
                (since(visit, webhook))
                @if let Some(tenant) = &webhook.tenant_id { p.minor { "Tenant " (tenant) } }
            }
            div.day {
                @if let Some(hours) = &webhook.hours {
                    (chart::small(&Hour::CHART, &Hour::bars(hours), &format!("day-{}", webhook.id)))
                }
                p.minor { (figures(webhook)) }
            }
            @if weight != Weight::Good && let Some(error) = &webhook.last_error {
                p.last {
                    span.label { "Last error" }
                    @if let Some(at) = &webhook.last_error_at { " " (visit.now.tell(at)) }
                    " " span.text { (error) }
                }
            }
        }
    }
}

fn events(types: &[String]) -> Markup {
    html! {
        ul.chips aria-label="Event types" {
            @for name in types.iter().take(SHOWN) { li { (name) } }
            @if types.len() > SHOWN { li.more { "and " (types.len() - SHOWN) " more" } }
        }
    }
}

fn since(visit: &Visit, webhook: &Webhook) -> Markup {
    let failing = webhook.failing_since.as_ref().filter(|_| webhook.status == "active");
    html! {
        @if let Some(since) = failing {
            p.minor { (count(webhook.consecutive_failures, "failure")) " in a row, the first " (visit.now.tell(since)) }
        } @else if let Some(since) = webhook.status_since.as_ref().filter(|_| webhook.status != "active") {
            p.minor { (visit.now.tell(since)) }
        }
    }
}

/// How many of its attempts succeeded, and what has not arrived. Both are counted apart: that of the attempts is up to a
/// minute behind.
fn figures(webhook: &Webhook) -> Markup {
    let number = |number: Option<i64>| number.filter(|number| *number > 0);
    let rate = match (webhook.success_rate, &webhook.hours) {
        (Some(share), _) => Some((percentage(share), "successful in 24 hours")),
        (None, Some(_)) => None,
        (None, None) => Some((grouped(webhook.delivered.unwrap_or(0)), "delivered")),
    };
    let open = [(number(webhook.pending), "waiting"), (number(webhook.failed), "given up")];
    let open = open.into_iter().filter_map(|(number, what)| Some((grouped(number?), what)));
    let all: Vec<_> = rate.into_iter().chain(open).collect();
    html! {
        @if all.is_empty() { "Nothing sent in 24 hours" }
        @for (place, (number, what)) in all.iter().enumerate() { @if place > 0 { " · " } b { (number) } " " (what) }
    }
}
