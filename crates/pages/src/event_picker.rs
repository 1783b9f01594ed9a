//! Chooses event types: each by itself, all of a group with those to come, or all.

use maud::{Markup, html};
use serde::Deserialize;

use crate::field::{described_by, errors, tick};
use crate::model::{EventType, Form};

#[derive(Deserialize)]
pub struct Group {
    group: String,
    pub types: Vec<EventType>,
}

impl Group {
    pub fn title(&self) -> String {
        title(&self.group)
    }
}

pub fn picker(form: &Form, groups: &[Group]) -> Markup {
    let chosen = form.list("event_types");
    let box_of = |value: &str, text: Markup| tick("event_types", value, chosen.contains(&value), text);
    html! {
        fieldset.field #field-event_types aria-describedby=[described_by(form, "event_types", true)] {
            legend.hidden { "Event types" }
            p.hint #hint-event_types {
                "One request is sent for each event. A pattern also has the types that are added later."
            }
            (errors(form, "event_types"))
            div.all {
                (box_of("*", html! {
                    b { "All events" } " " code { "*" } " " span.minor { "except those about webhooks themselves" }
                }))
            }
            div.groups {
                @for group in groups { (group_of(group, &box_of)) }
                @let others = others(&chosen, groups);
                @if !others.is_empty() {
                    fieldset.group {
                        legend { "Other" }
                        @for value in others { (box_of(value, html! { code { (value) } })) }
                    }
                }
            }
        }
    }
}

fn group_of(group: &Group, box_of: &dyn Fn(&str, Markup) -> Markup) -> Markup {
    let pattern = pattern(group);
    html! {
        fieldset.group {
            legend { (group.title()) }
            div.pattern { (box_of(&pattern, html! { b { "All of these" } " " code { (pattern) } })) }
            div.single {
                @for event in &group.types {
                    (box_of(&event.name, html! {
                        code { (event.name) }
                        @if let Some(text) = &event.description { span.minor { (text) } }
                    }))
                }
            }
        }
    }
}

fn pattern(group: &Group) -> String {
    format!("{}.*", group.group)
}

fn title(group: &str) -> String {
    let mut letters = group.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}", letters.as_str().replace('_', " "))
}

/// What is chosen and no box stands for: patterns of longer prefixes, and what was sent in error.
fn others<'a>(chosen: &[&'a str], groups: &[Group]) -> Vec<&'a str> {
    let has_box = |value: &str| {
        value == "*"
            || groups.iter().any(|group| value == pattern(group) || group.types.iter().any(|event| event.name == value))
    };
    chosen.iter().filter(|value| !has_box(value)).copied().collect()
}
