//! The tools of the application's resources: `list_tickets`, `get_tickets`.
//!
//! Arguments of a list are the columns that it can be filtered by. Where the REST API writes `created_at[gte]`, the argument is
//! `created_at.gte`: models are not given names with brackets. Of the operators, only those are there that a question needs; each one
//! more would be read by the model with every list of tools.

use openapi::Type;
use serde_json::{Map, Value, json};

use super::arguments::{LIMIT, MOST};
use super::tools::{Does, Found, may};
use crate::serve::rest::resource::{self, Column, Resource};
use crate::serve::rest::{self, Call};

pub fn all(call: &Call<'_>) -> impl Iterator<Item = Found> {
    let is_seen = move |resource: &Resource| {
        may_read(call, &resource.name) && (call.key.tenant.is_none() || resource.tenant_column.is_some())
    };
    resource::all().into_iter().filter(is_seen).flat_map(|resource| [list(&resource), get(&resource)])
}

pub fn find(call: &Call<'_>, name: &str) -> Option<Found> {
    let (verb, name) = name.split_once('_')?;
    if !matches!(verb, "list" | "get") || !may_read(call, name) {
        return None;
    }
    let resource = rest::found(call, name).ok()?;
    Some(if verb == "list" { list(&resource) } else { get(&resource) })
}

fn may_read(call: &Call<'_>, name: &str) -> bool {
    may(call, &[&format!("{name}:read")])
}

fn list(resource: &Resource) -> Found {
    let name = &resource.name;
    let mut members = Map::new();
    let columns = resource.filterable.iter().filter_map(|name| resource.column(name));
    for column in columns.filter(|column| can_be_argument(&column.name)) {
        filters(column, &mut members);
    }
    if !resource.sortable.is_empty() {
        let columns = resource.sortable.join(", ");
        let description =
            format!("Columns to sort by, of {columns}, with commas between. A - before a column: the greatest first.");
        members.insert("sort".into(), json!({"type": "string", "description": description}));
    }
    members.extend(paging());
    let input = json!({"type": "object", "properties": members, "additionalProperties": false});
    let description = format!("Returns rows of {}, at most {MOST} at a time.", described(resource));
    let does = Does::List { name: name.clone(), fixed: &[] };
    Found::reads(format!("list_{name}"), format!("List {}", words(name)), description, input, does)
}

fn get(resource: &Resource) -> Found {
    let name = &resource.name;
    let mut id = value(&resource.id_column);
    id["description"] = json!(format!("Value of {}.", resource.id_column.name));
    let input = json!({"type": "object", "properties": {"id": id}, "required": ["id"], "additionalProperties": false});
    let description = format!("Returns the row of {} with this id.", described(resource));
    Found::reads(
        format!("get_{name}"),
        format!("Get one of {}", words(name)),
        description,
        input,
        Does::Get { name: name.clone() },
    )
}

/// Returns the arguments of every list.
pub fn paging() -> [(String, Value); 2] {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT});
    let cursor =
        json!({"type": "string", "description": "next_cursor of the page before, with the same other arguments."});
    [("limit".into(), limit), ("cursor".into(), cursor)]
}

fn filters(column: &Column, members: &mut Map<String, Value>) {
    let (name, schema) = (&column.name, value(column));
    let is_measured = matches!(kind(column), Type::Integer(_) | Type::Number(_) | Type::Date | Type::Instant);
    if column.choices.is_some() {
        members.insert(format!("{name}.in"), json!({"type": "array", "items": schema, "description": "One of these."}));
    } else if is_measured {
        for (operator, description) in [("gte", "Not less or earlier than this."), ("lt", "Less or earlier than this.")]
        {
            let mut schema = schema.clone();
            schema["description"] = json!(description);
            members.insert(format!("{name}.{operator}"), schema);
        }
    }
    if !column.not_null {
        members.insert(format!("{name}.null"), json!({"type": "boolean", "description": "Whether it has no value."}));
    }
    let mut schema = schema;
    if let Some(comment) = &column.comment {
        schema["description"] = json!(comment);
    }
    members.insert(name.clone(), schema);
}

fn value(column: &Column) -> Value {
    let mut schema = match kind(column) {
        // Some models refuse tools whose arguments have several types, and none asks for NaN.
        Type::Number(_) => json!({"type": "number"}),
        kind => kind.schema(),
    };
    if let Some(choices) = column.choices.as_ref().filter(|_| schema["type"] == "string") {
        schema["enum"] = json!(choices);
    }
    schema
}

fn kind(column: &Column) -> Type {
    Type::parse(&column.declared, false)
}

/// Some models refuse tools with other names of arguments.
fn can_be_argument(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    // With the longest operator it has 64 characters.
    name.len() <= 59 && name.bytes().all(is_fine) && !matches!(name, "limit" | "cursor" | "sort")
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn described(resource: &Resource) -> String {
    match &resource.description {
        Some(description) => format!("{} ({})", resource.name, description.trim_end_matches('.')),
        None => resource.name.clone(),
    }
}
