//! The form of a new or changed webhook. What most people need comes first; the rest has defaults and can be opened.

use maud::{Markup, html};
use serde::Deserialize;

use crate::event_picker::{Group, picker};
use crate::field::{self, Kind, LINE, NUMBER, SHORT};
use crate::layout::{Content, Visit, head};
use crate::model::{Form, Webhook};
use crate::moment::{count, interval};

#[derive(Deserialize)]
pub struct Data {
    webhook: Option<Webhook>,
    form: Form,
    #[serde(default)]
    presets: Vec<Preset>,
    #[serde(default)]
    event_types: Vec<Group>,
}

#[derive(Deserialize)]
struct Preset {
    name: String,
    timeout: Option<String>,
    #[serde(default)]
    retry_schedule: Vec<String>,
    disable_after: Option<i64>,
    stale_after: Option<String>,
}

/// Fields of the part that can be opened.
const MORE: &[&str] = &[
    "tenant_id",
    "signatures",
    "headers",
    "timeout",
    "retry_schedule",
    "filter",
    "max_in_flight",
    "rate_limit",
    "disable_after",
    "disable_after_time",
    "keep_bodies",
];

const SIGNATURES: &[(&str, &str)] = &[
    ("hydra", "X-Hydra-Signature"),
    ("x_webhook", "X-Webhook-Signature"),
    ("standard", "webhook-signature"),
    ("github", "X-Hub-Signature-256, which signs no time"),
];

pub fn page(visit: &Visit, data: &Data) -> Content {
    let form = &data.form;
    let old = data.webhook.as_ref();
    let heading = if old.is_some() { "Edit webhook" } else { "New webhook" };
    let action = old.map_or_else(|| "/settings/webhooks".into(), Webhook::path);
    let back = match old {
        Some(webhook) => (action.as_str(), webhook.title()),
        None => ("/settings/webhooks", "Webhooks"),
    };
    let main = html! {
        (head(Some(back), html! { (heading) }, html! {}))
        (field::summary(form))
        form.sheet method="post" action=(action) novalidate {
            (field::hidden(form))
            section.card aria-labelledby="endpoint" {
                h2 #endpoint { "Endpoint" }
                (field::input(form, "url", Kind::Line { of_type: "url", narrow: false }, html! {
                    "Where requests are sent, such as " code { "https://example.com/webhooks" } ". They are POST requests with JSON."
                }))
                (field::input(form, "name", LINE, html! { "For people, such as the name of the system. Optional." }))
            }
            section.card aria-labelledby="events" {
                h2 #events { "Events" }
                (picker(form, &data.event_types))
            }
            section.card aria-labelledby="format" {
                h2 #format { "Format" }
                (presets(form, &data.presets))
            }
            (more(visit, form, old.is_some()))
            div.submit {
                button.primary type="submit" { (if old.is_some() { "Save changes" } else { "Create webhook" }) }
                a.button href=(back.0) { "Cancel" }
            }
        }
    };
    let title = if form.errors.is_empty() { heading.to_owned() } else { format!("Error: {heading}") };
    Content { title, section: "webhooks", main }
}

fn presets(form: &Form, presets: &[Preset]) -> Markup {
    let choices: Vec<(&str, Markup)> = presets.iter().map(|preset| (preset.name.as_str(), described(preset))).collect();
    field::choice(
        form,
        "preset",
        true,
        html! { "Body, headers and signature of the requests, and defaults of the settings below." },
        &choices,
    )
}

fn described(preset: &Preset) -> Markup {
    let format = match preset.name.as_str() {
        "hydra" => "Event, tenant and entity; signed in X-Hydra-Signature",
        "x_webhook" => "Event and entity; signed in X-Webhook-Signature",
        "standard" => "Standard Webhooks; signed in webhook-signature",
        _ => "",
    };
    let delays: Vec<String> = preset.retry_schedule.iter().map(|delay| interval(delay)).collect();
    html! {
        b { (preset.name) } " " span.minor {
            (format) "."
            @if let Some(timeout) = &preset.timeout { " Time limit " (interval(timeout)) "." }
            @if !delays.is_empty() { " Retries after " (delays.join(", ")) "." }
            @if let Some(number) = preset.disable_after { " Disabled after " (count(number, "failure")) " in a row." }
            @if let Some(stale) = &preset.stale_after { " Disabled after " (interval(stale)) " without a success." }
        }
    }
}

fn more(visit: &Visit, form: &Form, is_edit: bool) -> Markup {
    let is_refused = MORE.iter().any(|name| form.refusals(name).next().is_some());
    let empty = "Empty: that of the format.";
    html! {
        details.card open[is_refused] {
            summary { h2 { "More settings" } span.hint { "Signatures, headers, retries, filter, limits" } }
            (signatures(form))
            (field::input(form, "headers", Kind::Lines(3), html! {
                "Additional headers, one in a line, such as " code { "Authorization: Bearer …" } ". "
                @if is_edit { "The values are not shown. Empty: as they are now. " code { "-" } ": none." }
            }))
            (field::input(form, "timeout", SHORT, html! { "Of a whole request, such as " code { "8 s" } ". " (empty) }))
            (field::input(form, "retry_schedule", LINE, html! { "Such as " code { "30 s, 2 min, 1 h" } ", or " code { "none" } ". " (empty) }))
            (field::input(form, "filter", LINE, html! {
                "A JSON path. Only events whose entity it matches are sent, such as " code { "$.priority == \"high\"" } ". "
                "Empty: all."
            }))
            (field::input(form, "max_in_flight", NUMBER, html! {
                "With 1, the events of one session keep their order. Empty: that of the server."
            }))
            (field::input(form, "rate_limit", NUMBER, html! { "Empty: no limit." }))
            (field::input(form, "disable_after", NUMBER, html! { "Failed attempts in a row. " (empty) }))
            (field::input(form, "disable_after_time", SHORT, html! {
                "A webhook is disabled only after these failures have lasted for this time, such as " code { "15 min" } ". Empty: at once."
            }))
            (field::input(form, "keep_bodies", SHORT, html! {
                "For how long deliveries that have succeeded are kept with body and answer, such as " code { "7 days" } ". They can be sent again. "
                "Empty: not at all."
            }))
            @match &visit.visitor.tenant_id {
                Some(tenant) => p.field { "It gets the events of tenant " b { (tenant) } "." },
                None => (field::input(form, "tenant_id", LINE, html! {
                    "Only events of this tenant. " (if is_edit { "Empty: as it is now." } else {
                        "Empty: events of all tenants."
                    })
                })),
            }
            div.field {
                (field::tick("log_successes", "on", form.is_on("log_successes"), html! {
                    "Keep a history of first attempts that succeed, too"
                }))
            }
        }
    }
}

fn signatures(form: &Form) -> Markup {
    let chosen = form.list("signatures");
    html! {
        fieldset.field #field-signatures aria-describedby=[field::described_by(form, "signatures", true)] {
            legend { "Signatures" }
            p.hint #hint-signatures { "None: that of the format." }
            (field::errors(form, "signatures"))
            @for (value, header) in SIGNATURES {
                (field::tick("signatures", value, chosen.contains(value), html! {
                    b { (value) } " " span.minor { (header) }
                }))
            }
        }
    }
}
