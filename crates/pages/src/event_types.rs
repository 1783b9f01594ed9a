//! Event types, and the form that registers one.

use maud::{Markup, html};
use serde::Deserialize;

use crate::field::{self, LINE};
use crate::layout::{Content, Visit, head};
use crate::model::{EventType, Form};
use crate::moment::count;

#[derive(Deserialize)]
pub struct Data {
    event_types: Vec<EventType>,
    form: Form,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let may_register = visit.may_manage() && visit.visitor.tenant_id.is_none();
    let register = html! { @if may_register { a.button.primary href="#register" { "Register event type" } } };
    let main = html! {
        (head(None, html! { "Event types" }, register))
        p.lead { "What can happen, and how many webhooks want it." }
        (field::summary(&data.form))
        @if data.event_types.is_empty() {
            div.empty {
                h2 { "No event types yet" }
                p { @if may_register { "Register the first one below." } @else { "An admin can register them." } }
            }
        }
        @for (title, origin) in [("Of this application", "application"), ("Catalogue", "catalogue"), ("About webhooks", "extension")] {
            (part(data, title, origin))
        }
        @if may_register { (form(&data.form)) }
    };
    Content { title: "Event types".into(), section: "event-types", main }
}

fn part(data: &Data, title: &str, origin: &str) -> Markup {
    let mut types = data.event_types.iter().filter(|event| event.origin == origin).peekable();
    html! {
        @if types.peek().is_some() {
            section.card aria-labelledby=(origin) {
                h2 id=(origin) { (title) }
                ul.rows.plain { @for event in types { (row(event)) } }
            }
        }
    }
}

fn row(event: &EventType) -> Markup {
    html! {
        li.row.type {
            p.event { code { (event.name) } }
            div {
                @if let Some(text) = &event.description { p { (text) } }
                @if let (Some(entity), Some(key)) = (&event.entity_type, &event.id_key) {
                    p.minor { "Entity " (entity) ", id in " code { (key) } }
                }
            }
            p.minor { (count(event.webhooks.unwrap_or(0), "webhook")) }
        }
    }
}

fn form(form: &Form) -> Markup {
    html! {
        form.card #register method="post" action="/settings/event-types" novalidate {
            h2 { "Register an event type" }
            (field::input(form, "name", LINE, html! {
                "Two or more words with dots between, such as " code { "invoice.paid" } "."
            }))
            (field::input(form, "description", LINE, html! { "When it happens." }))
            (field::input(form, "entity_type", LINE, html! { "What it is about. Empty: the first part of the name." }))
            (field::input(form, "id_key", LINE, html! {
                "The key of the entity that has its id. Empty: " code { "id" } "."
            }))
            div.submit { button.primary type="submit" { "Register" } }
        }
    }
}
