//! The form of a new or changed adapter: where events come from, and what they become.

use maud::{Markup, html};
use serde::Deserialize;

use super::provider::{self, Provider};
use super::{Adapter, mapping};
use crate::event_picker::Group;
use crate::field::{self, Kind, LINE, NUMBER, SHORT};
use crate::layout::{Content, Visit, head};
use crate::model::Form;

#[derive(Deserialize)]
pub struct Data {
    adapter: Option<Adapter>,
    form: Form,
    #[serde(default)]
    providers: Vec<Provider>,
    #[serde(default)]
    event_types: Vec<Group>,
}

/// Fields of the part that can be opened.
const MORE: &[&str] = &["tenant_id", "budget", "requests_per_second", "each", "id_path", "type_path", "scheme"];

pub fn page(visit: &Visit, data: &Data) -> Content {
    let form = &data.form;
    let old = data.adapter.as_ref();
    let heading = if old.is_some() { "Edit adapter" } else { "New adapter" };
    let action = old.map_or_else(|| "/settings/inbound-adapters".into(), Adapter::path);
    let back = match old {
        Some(adapter) => (action.as_str(), adapter.name.as_str()),
        None => ("/settings/inbound-adapters", "Inbound adapters"),
    };
    let main = html! {
        (head(Some(back), html! { (heading) }, html! {}))
        (field::summary(form))
        form.sheet method="post" action=(action) novalidate {
            // What the key Enter presses: otherwise it would be the button that adds rows.
            button.hidden type="submit" tabindex="-1" aria-hidden="true" { "Save" }
            (field::hidden(form))
            section.card aria-labelledby="source" {
                h2 #source { "Where events come from" }
                (field::input(form, "name", LINE, html! { "For people, such as the name of the system." }))
                (providers(form, &data.providers))
            }
            section.card aria-labelledby="mapped" {
                h2 #mapped { "What they become" }
                (mapping::rows(form, &data.event_types))
            }
            @if old.is_none() {
                section.card aria-labelledby="proof" { h2 #proof { "How they are verified" } (secret(form)) }
            }
            (more(visit, form, old.is_some()))
            div.submit {
                button.primary type="submit" { (if old.is_some() { "Save changes" } else { "Create adapter" }) }
                a.button href=(back.0) { "Cancel" }
            }
        }
    };
    let title = if form.errors.is_empty() { heading.to_owned() } else { format!("Error: {heading}") };
    Content { title, section: "inbound-adapters", main }
}

fn providers(form: &Form, providers: &[Provider]) -> Markup {
    let described = field::described_by(form, "provider", true);
    let invalid = form.refusals("provider").next().map(|_| "true");
    html! {
        div.field.provider {
            label for="field-provider" { "Provider" }
            (field::errors(form, "provider"))
            (provider::choice(providers, form.value("provider"), described, invalid))
        }
    }
}

/// A password field, so that it is not seen by who looks on, and never sent back.
fn secret(form: &Form) -> Markup {
    field::input(
        form,
        "secret",
        Kind::Line { of_type: "password", narrow: false },
        html! {
            "What the provider signs with. It is not shown again. A provider that shows it only when it has the URL: enter any, and replace it afterwards."
            @if form.is_on("secret_again") { " " b { "Enter it again: it is never sent back." } }
        },
    )
}

fn more(visit: &Visit, form: &Form, is_edit: bool) -> Markup {
    let is_refused = MORE.iter().any(|name| form.refusals(name).next().is_some());
    let empty = "Empty: that of the provider.";
    html! {
        details.card open[is_refused] {
            summary { h2 { "More settings" } span.hint { "Time, limits, batches, own schemes" } }
            (field::input(form, "budget", SHORT, html! {
                "How long flows may take before the answer, such as " code { "5 s" } ". What takes longer is done after it. " (empty)
            }))
            (field::input(form, "requests_per_second", NUMBER, html! {
                "At all gateways together. Empty: that of the server."
            }))
            (field::input(form, "each", LINE, html! {
                "A JSON path, if one request has several events, such as " code { "$[*]" } ". " (empty)
            }))
            (field::input(form, "id_path", LINE, html! {
                "A JSON path. An event with an id that came before has no second effect. " (empty)
            }))
            (field::input(form, "type_path", LINE, html! { "A JSON path, such as " code { "$.type" } ". " (empty) }))
            (field::input(form, "scheme", Kind::Lines(4), html! {
                "How requests are verified, as JSON, if the provider is not in the list. " (empty)
            }))
            @match &visit.visitor.tenant_id {
                Some(tenant) => p.field { "Its events belong to tenant " b { (tenant) } "." },
                None => (field::input(form, "tenant_id", LINE, html! {
                    "Its events belong to this tenant. " (if is_edit { "Empty: as it is now." } else { "Empty: to that of the event, if the mapping names one." })
                })),
            }
        }
    }
}
