//! Asks before a URL or a secret is replaced.

use maud::{Markup, html};
use serde::Deserialize;

use super::Adapter;
use crate::field::{self, Kind, SHORT};
use crate::layout::{Content, Visit, head};
use crate::model::Form;

#[derive(Deserialize)]
pub struct Data {
    adapter: Adapter,
    form: Form,
}

pub fn of_url(_: &Visit, data: &Data) -> Content {
    page(
        data,
        "Rotate the URL",
        "rotate-url",
        "Make a new URL",
        html! {
            p { "A new URL replaces " code { (data.adapter.address()) } ". It is shown once, on the next page." }
            (field::input(&data.form, "overlap", SHORT, html! {
                "For this time both URLs work, such as " code { "1 day" } ". Empty: the old one ends at once."
            }))
        },
    )
}

pub fn of_secret(_: &Visit, data: &Data) -> Content {
    page(
        data,
        "Replace the signing secret",
        "rotate-secret",
        "Save the secret",
        html! {
            (field::input(&data.form, "secret", Kind::Line { of_type: "password", narrow: false }, html! {
                "What the provider signs with from now on. It is not shown again."
            }))
            (field::input(&data.form, "overlap", SHORT, html! {
                "For this time signatures with the old secret are accepted, too, such as " code { "1 day" } ". Empty: no longer."
            }))
        },
    )
}

fn page(data: &Data, title: &str, action: &str, button: &str, content: Markup) -> Content {
    let path = data.adapter.path();
    let main = html! {
        (head(data.adapter.back(&path), html! { (title) }, html! {}))
        (field::summary(&data.form))
        form.card method="post" action=(format!("{path}/{action}")) novalidate {
            (field::hidden(&data.form))
            (content)
            div.submit { button.primary type="submit" { (button) } a.button href=(path) { "Cancel" } }
        }
    };
    let title = if data.form.errors.is_empty() { title.to_owned() } else { format!("Error: {title}") };
    Content { title, section: "inbound-adapters", main }
}
