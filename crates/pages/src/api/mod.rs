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
            "Everything that this key can do. Programs get the same as OpenAPI, and a list of links, at the same address."
        }
        (facts(&key, &openapi))
        (guide::start(server(&openapi)))
        @for part in parts.iter().filter(|part| !part.operations.is_empty()) { (section(part, &openapi)) }
        @if let Some(events) = events { (event_types(events)) }
        (guide::concepts())
    };
    let mut links = vec![("start", "Start")];
    links.extend(names.iter().map(|name| (*name, *name)));
    links.extend(events.map(|_| ("events", "events")));
    links.push(("guide", "How it works"));
    Ok(layout::reference(title, &links, main).into_string())
}

fn server(openapi: &Value) -> &str {
    openapi["servers"][0]["url"].as_str().unwrap_or_default()
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
                div { dt { "Address" } dd { code { (server(openapi)) } } }
                div { dt { "Acts as" } dd { (key.role) @if let Some(tenant) = &key.tenant_id { ", in tenant " (tenant) } } }
                div { dt { "Scopes" } dd { ul.chips { @for scope in &key.scopes { li { (scope) } } } } }
                @if let Some(requests) = key.requests_per_minute {
                    div { dt { "Limit" } dd { (requests) " requests a minute" } }
                }
            }
        }
    }
}

fn section(part: &Part<'_>, openapi: &Value) -> Markup {
    let id = format!("of-{}", part.name);
    html! {
        section.card.part id=(part.name) aria-labelledby=(id) {
            h2 id=(id) { code { (part.name) } }
            p.lead { (part.description) }
            ul.operations { @for operation in &part.operations { (operation.row()) } }
            @for operation in &part.operations {
                @if let Some(example) = operation.curl(server(openapi), openapi) { (snippet(&example)) }
            }
            (members::table(&openapi["components"]["schemas"][part.name]))
            (operation::asked(&part.operations))
        }
    }
}

fn event_types(events: &serde_json::Map<String, Value>) -> Markup {
    html! {
        section.card.part #events aria-labelledby="of-events" {
            h2 #of-events { "Events" }
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
