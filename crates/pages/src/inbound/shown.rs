//! URLs that were just made. Each is on one page, once.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Adapter, provider};
use crate::layout::{Content, Visit, head};
use crate::moment::interval;

#[derive(Deserialize)]
pub struct NewAdapter {
    id: i64,
    name: String,
    url: String,
    provider: String,
}

#[derive(Deserialize)]
pub struct NewUrl {
    adapter: Adapter,
    url: String,
    overlap: Option<String>,
}

/// A click on the URL selects all of it.
fn address(url: &str) -> Markup {
    html! {
        div.secret {
            p.label #secret { "URL" }
            code aria-labelledby="secret" { (url) }
            p.warn {
                b { "Copy it now, and keep it private." }
                " It is shown only here and cannot be read again. Who has it can send events."
            }
        }
    }
}

pub fn created(_: &Visit, data: &NewAdapter) -> Content {
    let path = format!("/settings/inbound-adapters/{}", data.id);
    let main = html! {
        (head(Some(("/settings/inbound-adapters", "Inbound adapters")), html! { "Adapter created" }, html! {}))
        section.card {
            (address(&data.url))
            h2 { "What to do next" }
            ol.steps {
                li { b { (provider::name(&data.provider)) ": " } (provider::steps(&data.provider)) }
                li { "Let the provider send a test, and see on the page of “" (data.name) "” what came of it." }
                li { "Deploy the flows that are to run. In testing they are only rehearsed." }
            }
            div.submit {
                a.button.primary href=(path) { "Go to the adapter" }
                a.button href="/settings/flows" { "Go to the flows" }
            }
        }
    };
    Content { title: "Adapter created".into(), section: "inbound-adapters", main }
}

pub fn new_url(_: &Visit, data: &NewUrl) -> Content {
    let path = data.adapter.path();
    let overlap = data.overlap.as_deref().map(interval).filter(|words| words != "0 s");
    let main = html! {
        (head(data.adapter.back(&path), html! { "New URL" }, html! {}))
        section.card {
            (address(&data.url))
            @match overlap {
                Some(words) => p { "The old URL works for another " b { (words) } "." },
                None => p { "The old URL no longer works." },
            }
            p { "Enter the new one at the provider." }
            div.submit { a.button.primary href=(path) { "Go to the adapter" } }
        }
    };
    Content { title: "New URL".into(), section: "inbound-adapters", main }
}
