//! Operations of the OpenAPI document: a line for each, and curl for those that people try first.

use maud::{Markup, html};
use serde_json::Value;

const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

pub struct Operation<'a> {
    method: &'static str,
    path: &'a str,
    value: &'a Value,
}

/// Returns the operations of a part of the API.
pub fn of_tag<'a>(openapi: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    let paths = openapi["paths"].as_object();
    let all = paths.into_iter().flatten().flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(move |method| Some(Operation { method, path: path.as_str(), value: item.get(method)? }))
    });
    all.filter(|operation| operation.value["tags"][0] == tag).collect()
}

impl Operation<'_> {
    pub fn row(&self) -> Markup {
        let summary = self.value["summary"].as_str().unwrap_or_default();
        let needed: Vec<&str> =
            self.value["security"].as_array().into_iter().flatten().filter_map(|one| one["bearer"][0].as_str()).collect();
        html! {
            li {
                span.method.(self.method) { (self.method.to_uppercase()) }
                code { (self.path) }
                span.what { (summary) }
                span.minor { (needed.join(" or ")) }
            }
        }
    }

    /// Returns how to make it with curl, if it is a list or a new row.
    pub fn curl(&self, server: &str, openapi: &Value) -> Option<String> {
        let is_of_all = !self.path.contains('{');
        let url = format!("{server}{}", self.path);
        match self.method {
            "get" if is_of_all => Some(format!("curl -H \"Authorization: Bearer $KEY\" '{url}?limit=2'")),
            "post" if is_of_all => {
                let schema = resolved(&self.value["requestBody"]["content"]["application/json"]["schema"], openapi);
                let example = &schema["examples"][0];
                let body = if example.is_null() { "{}".to_owned() } else { example.to_string() };
                // A quote would end the argument of the shell.
                let body = body.replace('\'', "'\\''");
                Some(format!("curl -H \"Authorization: Bearer $KEY\" '{url}' \\\n  --json '{body}'"))
            }
            _ => None,
        }
    }
}

fn resolved<'a>(schema: &'a Value, openapi: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| openapi.pointer(pointer)).unwrap_or(schema)
}

/// Says by what a list can be filtered and sorted.
pub fn asked(operations: &[Operation<'_>]) -> Markup {
    let list = operations.iter().find(|operation| operation.method == "get" && !operation.path.contains('{'));
    let parameters = list.and_then(|list| list.value["parameters"].as_array());
    let named = |place: &str| {
        let names = parameters.into_iter().flatten().filter(|parameter| parameter["in"] == place);
        names.filter_map(|parameter| parameter["name"].as_str()).collect::<Vec<_>>()
    };
    let names = named("query");
    let filters: Vec<_> = names.iter().filter(|name| !name.contains('[') && **name != "sort").collect();
    let sort = parameters.into_iter().flatten().find(|parameter| parameter["name"] == "sort");
    let orders = sort.and_then(|sort| sort["schema"]["items"]["enum"].as_array());
    let orders: Vec<_> =
        orders.into_iter().flatten().filter_map(Value::as_str).filter(|order| !order.starts_with('-')).collect();
    html! {
        @if !filters.is_empty() {
            p.asked { "Filter by" @for name in &filters { " " code { (name) } } }
        }
        @if !orders.is_empty() {
            p.asked { "Sort by" @for name in &orders { " " code { (name) } } }
        }
    }
}
