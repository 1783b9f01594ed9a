//! One webhook: how it is doing, what failed, and its buttons.

use maud::{Markup, html};
use serde::Deserialize;

use crate::chart;
use crate::delivered::{self, Delivered};
use crate::failures::{self, Attempt, Waiting};
use crate::figures::{grouped, milliseconds, percentage};
use crate::layout::{Content, Visit, button, head};
use crate::model::{Hour, Webhook, Worker};
use crate::moment::{count, interval};
use crate::state::{self, badge};
use crate::visible::visible;
use crate::webhooks::worker_warning;

#[derive(Deserialize)]
pub struct Data {
    webhook: Webhook,
    settings: Option<Settings>,
    recent: Option<Vec<Attempt>>,
    waiting: Option<Vec<Waiting>>,
    delivered: Option<Vec<Delivered>>,
    worker: Option<Worker>,
    test: Option<Test>,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    signatures: Vec<String>,
    #[serde(default)]
    header_names: Vec<String>,
    timeout: Option<String>,
    #[serde(default)]
    retry_schedule: Vec<String>,
    filter: Option<String>,
    max_in_flight: Option<i64>,
    rate_limit: Option<i64>,
    disable_after: Option<i64>,
    stale_after: Option<String>,
    #[serde(default)]
    log_successes: bool,
    disable_after_time: Option<String>,
    keep_bodies: Option<String>,
}

#[derive(Deserialize)]
struct Test {
    status_code: Option<i64>,
    response_body: Option<String>,
    response_ms: Option<f64>,
    error: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let webhook = &data.webhook;
    let (weight, status) = state::of_webhook(webhook);
    let main = html! {
        (head(
            Some(("/settings/webhooks", "Webhooks")),
            html! { (webhook.title()) " " (badge(weight, status)) },
            html! { @if visit.may_manage() { (actions(webhook)) } },
        ))
        p.url.large { (webhook.url) }
        (worker_warning(data.worker.as_ref()))
        @if let Some(test) = &data.test { (tested(test)) }
        (trouble(visit, webhook))
        (tiles(webhook))
        @if let Some(hours) = &webhook.hours {
            section.card aria-labelledby="day" { h2 #day { "The last 24 hours" } (chart::large(&Hour::CHART, &Hour::bars(hours))) }
        }
        @if let Some(waiting) = &data.waiting { (failures::queue(visit, webhook, waiting)) }
        @if let Some(recent) = &data.recent { (failures::recent(visit, webhook, recent)) }
        @if let Some(delivered) = &data.delivered { (delivered::list(visit, webhook, delivered)) }
        (settings(visit, webhook, data.settings.as_ref()))
        @if visit.may_manage() { (others(visit, webhook)) }
    };
    Content { title: webhook.title().to_owned(), section: "webhooks", main }
}

fn actions(webhook: &Webhook) -> Markup {
    let path = webhook.path();
    html! {
        (button(&format!("{path}/test"), "primary", html! { "Send test" }))
        a.button href=(format!("{path}/preview")) { "Preview" }
        a.button href=(format!("{path}/edit")) { "Edit" }
        @match webhook.status.as_str() {
            "active" => (button(&format!("{path}/pause"), "", html! { "Pause" })),
            // What it missed has to be decided on, below.
            _ if missed(webhook) > 0 => a.button href="#resume" { "Resume" },
            _ => (button(&format!("{path}/resume"), "", html! { "Resume" })),
        }
    }
}

fn missed(webhook: &Webhook) -> i64 {
    webhook.missed.unwrap_or(0)
}

fn tested(test: &Test) -> Markup {
    let is_good = test.error.is_none() && test.status_code.is_some_and(|code| (200..300).contains(&code));
    html! {
        div class={ "alert " (if is_good { "good" } else { "bad" }) } role="status" {
            h2 {
                @match test.status_code {
                    Some(code) if is_good => { "The test was accepted with status " (code) },
                    Some(code) => { "The test was answered with status " (code) },
                    None => "The test got no answer",
                }
            }
            @if let Some(ms) = test.response_ms { p { "After " (milliseconds(ms)) "." } }
            @for text in [&test.error, &test.detail, &test.hint].into_iter().flatten() { p { (text) } }
            @if let Some(body) = test.response_body.as_ref().filter(|body| !body.is_empty()) {
                p.label { "Body of the answer" }
                pre.excerpt { (visible(body)) }
            }
        }
    }
}

/// Why nothing is sent, and what to do about it.
fn trouble(visit: &Visit, webhook: &Webhook) -> Markup {
    let may_resume = visit.may_manage();
    html! {
        @if webhook.status == "disabled" {
            div.alert.bad #resume {
                h2 { "Disabled" @if let Some(since) = &webhook.status_since { " " (visit.now.tell(since)) } }
                p { (reason(webhook)) }
                @if missed(webhook) > 0 {
                    p { "It has missed " (count(missed(webhook), "event")) " since then." }
                } @else if may_resume {
                    p { "Mend the endpoint, send a test, and then resume." }
                }
                @if may_resume && missed(webhook) > 0 { (resume(webhook)) }
            }
        }
        @if webhook.status == "paused" {
            div.alert.quiet #resume {
                h2 { "Paused" @if let Some(since) = &webhook.status_since { " " (visit.now.tell(since)) } }
                @if webhook.keeps_events {
                    p { "Nothing is sent. What it misses is kept, so far " (count(missed(webhook), "event")) "." }
                } @else {
                    p {
                        "Nothing is sent, and new events are not kept for this webhook. Waiting deliveries are sent when it is resumed."
                    }
                }
                @if may_resume && missed(webhook) > 0 { (resume(webhook)) }
            }
        }
        @if let Some(cause) = &webhook.waiting_for {
            div.alert.warning { h2 { "Deliveries are held up" } p { (cause) } }
        }
        @if webhook.status == "active" && webhook.consecutive_failures > 0 {
            div.alert.warning {
                h2 {
                    (count(webhook.consecutive_failures, "failure")) " in a row"
                    @if let Some(since) = &webhook.failing_since { ", the first " (visit.now.tell(since)) }
                }
                @if let Some(error) = &webhook.last_error { p { (error) } }
                p { "Deliveries are tried again by themselves." }
            }
        }
    }
}

fn reason(webhook: &Webhook) -> &str {
    match webhook.disabled_reason.as_deref() {
        Some("gone") => "The endpoint answered with status 410, which means that it is gone.",
        Some("failures") => "Too many attempts in a row have failed.",
        Some("stale") => "No attempt has succeeded for too long.",
        Some(other) => other,
        None => "It was disabled by the extension.",
    }
}

fn resume(webhook: &Webhook) -> Markup {
    html! {
        form method="post" action=(format!("{}/resume", webhook.path())) {
            fieldset {
                legend { "What becomes of the events that it has missed?" }
                label.option { input type="radio" name="missed" value="send" required; span { "Send them" } }
                label.option { input type="radio" name="missed" value="drop"; span { "Drop them: they are lost" } }
            }
            button.primary type="submit" { "Resume" }
        }
    }
}

fn tiles(webhook: &Webhook) -> Markup {
    let tile = |name: &str, value: Option<String>| {
        html! { @if let Some(value) = value { div { dt { (name) } dd { (value) } } } }
    };
    let of_day = webhook.hours.is_some();
    html! {
        dl.tiles {
            @if of_day { (tile("Success rate", Some(webhook.success_rate.map_or("–".into(), percentage)))) }
            (tile("Delivered", webhook.delivered.map(grouped)))
            (tile("Waiting", webhook.pending.map(grouped)))
            (tile("Given up", webhook.failed.map(grouped)))
            (tile("Missed", webhook.missed.filter(|number| *number > 0).map(grouped)))
            (tile("Median answer", webhook.p50_ms.map(milliseconds)))
            (tile("95 % within", webhook.p95_ms.map(milliseconds)))
        }
    }
}

fn settings(visit: &Visit, webhook: &Webhook, settings: Option<&Settings>) -> Markup {
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    html! {
        section.card aria-labelledby="settings" {
            h2 #settings { "Settings" }
            dl.facts {
                (fact("Event types", html! { ul.chips { @for name in &webhook.event_types { li { (name) } } } }))
                (fact("Tenant", html! { (webhook.tenant_id.as_deref().unwrap_or("all")) }))
                (fact("Format", html! { (webhook.preset) }))
                @if let Some(prefix) = &webhook.secret_prefix {
                    (fact("Signing secret", html! { code { (prefix) "…" } }))
                }
                @if let Some(until) = &webhook.overlap_until {
                    (fact("Signs too", html! { (old_secrets(webhook)) ", ends " (visit.now.tell(until)) }))
                }
                @if let Some(settings) = settings { (more(settings, &fact)) }
                @if let Some(created) = &webhook.created_at { (fact("Created", visit.now.tell(created))) }
            }
        }
    }
}

/// The former secrets that sign too.
fn old_secrets(webhook: &Webhook) -> Markup {
    let prefixes = webhook.old_secret_prefixes.as_deref().unwrap_or_default();
    html! {
        @for (place, prefix) in prefixes.iter().enumerate() {
            @if place > 0 { ", " }
            code { (prefix) "…" }
        }
    }
}

fn more(settings: &Settings, fact: &dyn Fn(&str, Markup) -> Markup) -> Markup {
    let or_none = |text: Option<String>, none: &str| html! { (text.unwrap_or_else(|| none.into())) };
    let delays: Vec<String> = settings.retry_schedule.iter().map(|delay| interval(delay)).collect();
    html! {
        (fact("Signatures", html! { (settings.signatures.join(", ")) }))
        (fact("Additional headers", or_none(some(settings.header_names.join(", ")), "none")))
        @if let Some(timeout) = &settings.timeout { (fact("Time limit of a request", html! { (interval(timeout)) })) }
        (fact("Delays before retries", or_none(some(delays.join(", ")), "no retries")))
        (fact("Filter", match &settings.filter {
            Some(filter) => html! { code { (filter) } }, None => html! { "none" }
        }))
        (fact("Requests at a time", or_none(settings.max_in_flight.map(grouped), "no limit")))
        (fact("Requests per second", or_none(settings.rate_limit.map(grouped), "no limit")))
        (fact("Disabled after", or_none(disabling(settings), "never")))
        @if let Some(stale) = &settings.stale_after {
            (fact("Disabled without a success for", html! { (interval(stale)) }))
        }
        (fact("History of successes", html! {
            (if settings.log_successes { "kept" } else { "only failures and their retries" })
        }))
        (fact("Deliveries that succeed", html! {
            @match &settings.keep_bodies { Some(time) => { "kept for " (interval(time)) }, None => "not kept" }
        }))
    }
}

fn disabling(settings: &Settings) -> Option<String> {
    let failures = count(settings.disable_after?, "failure") + " in a row";
    Some(match &settings.disable_after_time {
        Some(time) => format!("{failures} that last at least {}", interval(time)),
        None => failures,
    })
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn others(visit: &Visit, webhook: &Webhook) -> Markup {
    let path = webhook.path();
    html! {
        section.card aria-labelledby="others" {
            h2 #others { "Secret, pause and removal" }
            div.choices {
                div {
                    h3 { "Rotate the signing secret" }
                    p.hint { "Makes a new secret, if the old one is lost or known to others." }
                    a.button href=(format!("{path}/rotate")) { "Rotate secret" }
                }
                @if let Some(until) = &webhook.overlap_until {
                    div {
                        h3 { "End the overlap" }
                        p.hint {
                            "Requests are also signed with " (old_secrets(webhook)) ". This ends " (visit.now.tell(until))
                            ", or now, if your endpoint has the new secret."
                        }
                        (button(&format!("{path}/end-overlap"), "", html! { "End overlap" }))
                    }
                }
                @if webhook.status == "active" {
                    div {
                        h3 { "Pause, and keep events" }
                        p.hint { "Nothing is sent. When you resume, you decide about the events of this time." }
                        form.one method="post" action=(format!("{path}/pause")) {
                            button type="submit" name="keep_events" value="true" { "Pause and keep" }
                        }
                    }
                }
                div {
                    h3 { "Delete the webhook" }
                    p.hint { "Nothing more is sent. You are asked first." }
                    a.button.danger href=(format!("{path}/delete")) { "Delete" }
                }
            }
        }
    }
}
