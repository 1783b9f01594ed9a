//! The page about the REST API: what a key can do, for people. It is made of the OpenAPI document that programs get, so it says the
//! same, and it has curl for everything, because a browser sends no key.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::layout::{self, snippet};
use crate::{Unreadable, read};
use operation::Operation;

mod begin;
mod guide;
mod members;
mod operation;

pub use begin::problem;

#[derive(Deserialize)]
struct Model {
    key: Key,
    openapi: Value,
}

#[derive(Deserialize)]
struct Key {
    role: String,
    tenant_id: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    requests_per_minute: Option<i64>,
}

/// A part of the API, and what can be done with it.
struct Part<'a> {
    name: &'a str,
    description: &'a str,
    operations: Vec<Operation<'a>>,
}

pub fn page(model: &Value) -> Result<String, Unreadable> {
    let Model { key, openapi } = read(model)?;
    let title = openapi["info"]["title"].as_str().unwrap_or("API");
    let parts = parts(&openapi);
    let names: Vec<_> = parts.iter().filter(|part| !part.operations.is_empty()).map(|part| part.name).collect();
    let events = openapi["webhooks"].as_object().filter(|events| !events.is_empty());
    let main = html! {
        div.head { h1 { (title) } }
        p.lead {
            "Everything that this key can do. For programs, the same is in " code { "openapi.json" } "."
        }
        (facts(&key, &openapi))
        (guide::start(&server(&openapi)))
        @for part in parts.iter().filter(|part| !part.operations.is_empty()) { (section(part, &openapi)) }
        @if let Some(events) = events { (event_types(events)) }
        (guide::concepts())
    };
    let mut links = vec![("start".to_owned(), "Start")];
    links.extend(names.iter().map(|name| (anchor(name), *name)));
    links.extend(events.map(|_| ("events".to_owned(), "Events")));
    links.push(("guide".to_owned(), "How it works"));
    Ok(layout::reference(title, &links, main).into_string())
}

/// What addresses begin with where it is not known how the gateway is reached; a variable of the shell.
const HERE: &str = "$URL";

/// Returns what the addresses of the API begin with, for a shell.
fn server(openapi: &Value) -> String {
    match openapi["servers"][0]["url"].as_str().unwrap_or_default() {
        path if path.starts_with('/') => format!("{HERE}{path}"),
        url => url.to_owned(),
    }
}

fn parts(openapi: &Value) -> Vec<Part<'_>> {
    let tags = openapi["tags"].as_array();
    tags.into_iter()
        .flatten()
        .filter_map(|tag| {
            let name = tag["name"].as_str()?;
            let description = tag["description"].as_str().unwrap_or_default();
            // What every key has is in the first section.
            (name != "api").then(|| Part { name, description, operations: operation::of_tag(openapi, name) })
        })
        .collect()
}

fn facts(key: &Key, openapi: &Value) -> Markup {
    html! {
        section.card aria-label="This key" {
            dl.facts {
                div { dt { "Address" } dd {
                    @let url = server(openapi);
                    @match url.strip_prefix(HERE) {
                        Some(path) => { code { (path) } " at the address of this page" }
                        None => { code { (url) } }
                    }
                } }
                div { dt { "Acts as" } dd { (key.role) @if let Some(tenant) = &key.tenant_id { ", in tenant " (tenant) } } }
                div { dt { "Scopes" } dd { ul.chips { @for scope in &key.scopes { li { (scope) } } } } }
                @if let Some(requests) = key.requests_per_minute {
                    div { dt { "Limit" } dd { (requests) " requests a minute" } }
                }
            }
        }
    }
}

/// Returns the id of the section of a part. No other id of the page has its form.
fn anchor(name: &str) -> String {
    format!("resource-{name}")
}

fn section(part: &Part<'_>, openapi: &Value) -> Markup {
    let id = format!("of-{}", part.name);
    html! {
        section.card.part id=(anchor(part.name)) aria-labelledby=(id) {
            h2 id=(id) { code { (part.name) } }
            p.lead { (marked(part.description)) }
            ul.operations { @for operation in &part.operations { (operation.row()) } }
            @for operation in &part.operations {
                @if let Some(example) = operation.curl(&server(openapi), openapi) { (snippet(&example)) }
            }
            (members::table(&openapi["components"]["schemas"][part.name]))
            (operation::asked(&part.operations))
        }
    }
}

/// Shows what is between backticks as code.
fn marked(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn event_types(events: &serde_json::Map<String, Value>) -> Markup {
    html! {
        section.card.part #events aria-labelledby="about-events" {
            h2 #about-events { "Events" }
            p.lead {
                "What is sent to webhooks. The member " code { "data" } " of a body is what the event is about, with the members that \
                 its row has here."
            }
            dl.members {
                @for (name, event) in events {
                    div { dt { code { (name) } } dd { (event["post"]["summary"].as_str().unwrap_or_default()) } }
                }
            }
        }
    }
}
