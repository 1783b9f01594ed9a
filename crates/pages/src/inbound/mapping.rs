//! Rows of a form in which external types become events of ours. Without scripts: a button posts the form, which comes
//! back with more rows.

use maud::{Markup, html};
use serde_json::Value;

use crate::event_picker::Group;
use crate::field::{described_by, errors, explained};
use crate::model::{EventType, Form};

/// Fields of a row that are seldom needed, with what they mean when they are empty.
const PATHS: &[(&str, &str, &str)] = &[
    ("entity", "Path of the entity", "$, the whole payload"),
    ("entity_type", "Entity type", "that of the event type"),
    ("entity_id", "Path of its id", "the key of the event type"),
    ("tenant_id", "Path of the tenant", "that of the adapter"),
];

pub fn rows(form: &Form, event_types: &[Group]) -> Markup {
    let rows = form.values.get("mapping").and_then(Value::as_array);
    if let Some(types) = form.values.get("mapping_types").and_then(Value::as_u64) {
        return html! {
            p.hint {
                "The mapping has " (types) " types, more than this form can show. It stays as it is; change it in SQL with " code { "hydra.inbound_update" } "."
            }
        };
    }
    html! {
        fieldset.field #field-mapping aria-describedby=[described_by(form, "mapping", true)] {
            legend.hidden { "Mapping" }
            p.hint #hint-mapping {
                "The type of an event as the provider names it, such as " code { "issues.opened" } ". A type that ends with "
                code { ".*" } " stands for all that begin so, and " code { "*" } ", or nothing, for all others. What no row names does nothing."
            }
            (errors(form, "mapping"))
            @for (place, row) in rows.into_iter().flatten().enumerate() { (pair(form, event_types, place + 1, row)) }
            button.small type="submit" name="more" value="rows" { "Add rows" }
        }
    }
}

fn pair(form: &Form, event_types: &[Group], number: usize, row: &Value) -> Markup {
    let value = |name: &str| row[name].as_str().unwrap_or_default();
    let name = |field: &str| format!("{field}_{number}");
    let id = |field: &str| format!("field-{field}_{number}");
    let (error, is_wrong) = refused(form, &name("row"));
    let described = is_wrong.then(|| format!("error-row_{number}"));
    let invalid = is_wrong.then_some("true");
    html! {
        div.pair id=(id("row")) {
            (error)
            div.from {
                label for=(id("external")) { "External event " span.hidden { (number) } }
                input id=(id("external")) type="text" name=(name("external")) value=(value("external")) autocomplete="off"
                    spellcheck="false" placeholder="*" aria-describedby=[described.as_deref()] aria-invalid=[invalid];
            }
            div.to {
                label for=(id("event")) { "Becomes " span.hidden { "event " (number) } }
                (events(event_types, &id("event"), &name("event"), value("event"), described.as_deref()))
            }
            details open[PATHS.iter().any(|(field, _, _)| !value(field).is_empty())] {
                summary { "Entity and tenant" span.hidden { " of row " (number) } }
                div.paths {
                    @for (field, label, empty) in PATHS {
                        div {
                            label for=(id(field)) { (label) span.hidden { " of row " (number) } }
                            input id=(id(field)) type="text" name=(name(field)) value=(value(field)) autocomplete="off"
                                spellcheck="false" placeholder=(empty);
                        }
                    }
                }
            }
        }
    }
}

/// Why a row is refused.
fn refused(form: &Form, name: &str) -> (Markup, bool) {
    let is_wrong = form.refusals(name).next().is_some();
    let error = html! {
        @if is_wrong {
            div.error id=(format!("error-{name}")) { @for refusal in form.refusals(name) { p { (explained(refusal)) } } }
        }
    };
    (error, is_wrong)
}

/// Event types that can be emitted, and what was chosen if it is none of them.
fn events(groups: &[Group], id: &str, name: &str, chosen: &str, described: Option<&str>) -> Markup {
    let mut all = groups.iter().flat_map(|group| &group.types);
    let is_offered = chosen.is_empty() || all.any(|event| event.name == chosen);
    html! {
        select id=(id) name=(name) aria-describedby=[described] {
            option value="" selected[chosen.is_empty()] { "Choose an event" }
            @if !is_offered { option value=(chosen) selected { (chosen) } }
            @for group in groups {
                optgroup label=(group.title()) {
                    @for event in &group.types { (option(event, chosen)) }
                }
            }
        }
    }
}

fn option(event: &EventType, chosen: &str) -> Markup {
    html! { option value=(event.name) selected[event.name == chosen] { (event.name) } }
}
