//! Shows what would be sent for an event.

use maud::{Markup, html};
use serde::Deserialize;

use crate::field::{self, Kind};
use crate::layout::{Content, Visit, head};
use crate::model::{Form, Webhook};

#[derive(Deserialize)]
pub struct Data {
    webhook: Webhook,
    form: Form,
    #[serde(default)]
    event_types: Vec<String>,
    would_send: Option<bool>,
    reason: Option<String>,
    body: Option<String>,
}

pub fn page(_: &Visit, data: &Data) -> Content {
    let path = data.webhook.path();
    let form = &data.form;
    let main = html! {
        (head(Some((&path, data.webhook.title())), html! { "Preview" }, html! {}))
        p.lead { "What this webhook would get for an event. Nothing is sent and nothing is kept." }
        (field::summary(form))
        @if data.event_types.is_empty() {
            div.empty {
                h2 { "Nothing to preview" }
                p { "This webhook wants no event type that an application can emit." }
                p { a.button href=(format!("{path}/edit")) { "Choose event types" } }
            }
        } @else {
            (outcome(data))
            form.card method="post" action=(format!("{path}/preview")) novalidate {
                (event(form, &data.event_types))
                (field::input(form, "entity", Kind::Lines(8), html! { "What the event is about, as JSON." }))
                div.submit { button.primary type="submit" { "Show preview" } a.button href=(path) { "Back" } }
            }
        }
    };
    Content { title: "Preview".into(), section: "webhooks", main }
}

fn event(form: &Form, event_types: &[String]) -> Markup {
    let chosen = form.value("event");
    let described = field::described_by(form, "event", false);
    let invalid = form.refusals("event").next().map(|_| "true");
    html! {
        div.field {
            label for="field-event" { "Event type" }
            (field::errors(form, "event"))
            select #field-event name="event" aria-describedby=[described] aria-invalid=[invalid] {
                @if !event_types.iter().any(|name| name == chosen) { option value=(chosen) selected { (chosen) } }
                @for name in event_types { option value=(name) selected[name == chosen] { (name) } }
            }
        }
    }
}

fn outcome(data: &Data) -> Markup {
    html! {
        @match data.would_send {
            Some(true) => {
                section.card role="status" aria-labelledby="body" {
                    h2 #body { "This would be sent" }
                    p.hint { "The body, byte for byte." }
                    pre.excerpt { (data.body.as_deref().unwrap_or_default()) }
                }
            }
            Some(false) => {
                div.alert.warning role="status" {
                    h2 { "Nothing would be sent" }
                    @if let Some(reason) = &data.reason { p { "Because " (reason) "." } }
                }
            }
            None => {}
        }
    }
}
