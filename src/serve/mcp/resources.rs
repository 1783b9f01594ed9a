//! The tools of the application's resources: `list_tickets`, `get_tickets`, `create_tickets`, `update_tickets`, `delete_tickets`.
//!
//! Arguments of a list are the columns that it can be filtered by. Where the REST API writes `created_at[gte]`, the argument is
//! `created_at.gte`: models are not given names with brackets. Of the operators, only those are there that a question needs; each one
//! more would be read by the model with every list of tools.

use ::mcp::Tool;
use openapi::{Type, or_null};
use serde_json::{Map, Value, json};

use super::arguments::{LIMIT, MOST};
use super::tools::{CONFIRMATION, Does, Found, may};
use crate::serve::rest::resource::{self, Column, Resource};
use crate::serve::rest::{self, Call, schema};

pub fn all(call: &Call<'_>) -> impl Iterator<Item = Found> {
    let is_seen = move |resource: &Resource| call.key.tenant.is_none() || resource.tenant_column.is_some();
    let tools = move |resource: Resource| VERBS.into_iter().filter_map(move |verb| tool(call, verb, &resource));
    resource::all().into_iter().filter(is_seen).flat_map(tools)
}

pub fn find(call: &Call<'_>, name: &str) -> Option<Found> {
    let (verb, name) = name.split_once('_')?;
    let verb = VERBS.into_iter().find(|known| *known == verb)?;
    tool(call, verb, &*rest::found(call, name).ok()?)
}

const VERBS: [&str; 5] = ["list", "get", "create", "update", "delete"];

/// Returns what a key can do with a resource, if it can do this.
fn tool(call: &Call<'_>, verb: &str, resource: &Resource) -> Option<Found> {
    let scope = if matches!(verb, "list" | "get") { "read" } else { "write" };
    if !may(call, &[&format!("{}:{scope}", resource.name)]) {
        return None;
    }
    match verb {
        "list" => Some(list(resource)),
        "get" => Some(get(resource)),
        "create" => (!resource.creatable.is_empty()).then(|| create(call, resource)),
        "update" => (!resource.updatable.is_empty()).then(|| update(call, resource)),
        _ => resource.deletable.then(|| delete(resource)),
    }
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
    Found::reads(&resource.toolset, format!("list_{name}"), format!("List {}", words(name)), description, input, does)
}

fn get(resource: &Resource) -> Found {
    let name = &resource.name;
    let input = json!({"type": "object", "properties": {"id": id(resource)}, "required": ["id"], "additionalProperties": false});
    let description = format!("Returns the row of {} with this id.", described(resource));
    Found::reads(
        &resource.toolset,
        format!("get_{name}"),
        format!("Get one of {}", words(name)),
        description,
        input,
        Does::Get { name: name.clone() },
    )
}

fn id(resource: &Resource) -> Value {
    let mut id = value(&resource.id_column);
    id["description"] = json!(format!("Value of {}.", resource.id_column.name));
    id
}

fn create(call: &Call<'_>, resource: &Resource) -> Found {
    let name = &resource.name;
    let columns = written(call, resource, &resource.creatable);
    let needed = columns.iter().filter(|column| column.not_null && !column.has_default);
    let needed: Vec<&str> = needed.map(|column| column.name.as_str()).collect();
    let tool = Tool {
        name: format!("create_{name}"),
        title: format!("Create one of {}", words(name)),
        description: format!("Creates a row of {}.", described(resource)),
        input: json!({"type": "object", "properties": members(&columns), "required": needed, "additionalProperties": false}),
        output: None,
        reads_only: false,
        is_destructive: false,
        is_idempotent: false,
    };
    Found::writes(&resource.toolset, tool, Does::Create { name: name.clone() })
}

fn update(call: &Call<'_>, resource: &Resource) -> Found {
    let name = &resource.name;
    let columns = written(call, resource, &resource.updatable);
    let mut members = members(&columns.into_iter().filter(|column| column.name != "id").collect::<Vec<_>>());
    members.insert("id".into(), id(resource));
    let tool = Tool {
        name: format!("update_{name}"),
        title: format!("Change one of {}", words(name)),
        description: format!(
            "Changes the row of {} with this id. What is not given stays as it is.",
            described(resource)
        ),
        input: json!({"type": "object", "properties": members, "required": ["id"], "additionalProperties": false}),
        output: None,
        reads_only: false,
        is_destructive: true,
        is_idempotent: true,
    };
    Found::writes(&resource.toolset, tool, Does::Update { name: name.clone() })
}

fn delete(resource: &Resource) -> Found {
    let name = &resource.name;
    let tool = Tool {
        name: format!("delete_{name}"),
        title: format!("Delete one of {}", words(name)),
        description: format!("Deletes the row of {} with this id.", described(resource)),
        input: json!({"type": "object", "properties": {"id": id(resource)}, "required": ["id"], "additionalProperties": false}),
        output: None,
        reads_only: false,
        is_destructive: true,
        is_idempotent: true,
    };
    Found::writes(&resource.toolset, tool, Does::Delete { name: name.clone() })
}

/// Returns the columns that are arguments of a tool that writes. A key with a tenant does not choose the tenant of a row.
fn written<'a>(call: &Call<'_>, resource: &'a Resource, names: &[String]) -> Vec<&'a Column> {
    let is_tenant = |column: &Column| resource.tenant_column.as_ref().is_some_and(|tenant| tenant.name == column.name);
    let columns = names.iter().filter_map(|name| resource.column(name));
    let columns = columns.filter(|column| !(column.is_generated || call.key.tenant.is_some() && is_tenant(column)));
    columns.filter(|column| can_be_written(&column.name)).collect()
}

fn members(columns: &[&Column]) -> Map<String, Value> {
    let member = |column: &&Column| {
        let mut schema = if column.not_null { value(column) } else { or_null(value(column)) };
        if let Some(comment) = &column.comment {
            schema["description"] = json!(comment);
        }
        (column.name.clone(), schema)
    };
    columns.iter().map(member).collect()
}

/// Returns the arguments of every list.
pub fn paging() -> [(String, Value); 2] {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT});
    let cursor =
        json!({"type": "string", "description": "next_cursor of the page before, with the same other arguments."});
    [("limit".into(), limit), ("cursor".into(), cursor)]
}

fn filters(column: &Column, members: &mut Map<String, Value>) {
    let (name, schema) = (&column.name, compared(column));
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
    schema_of(column, Type::schema)
}

/// Returns the schema of a value that a filter compares with.
fn compared(column: &Column) -> Value {
    schema_of(column, Type::compared)
}

fn schema_of(column: &Column, of: fn(&Type) -> Value) -> Value {
    let mut schema = match kind(column) {
        // Some models refuse tools whose arguments have several types, and none asks for NaN.
        Type::Number(_) => json!({"type": "number"}),
        kind => of(&kind),
    };
    if let Some(choices) = column.choices.as_ref().filter(|_| schema["type"] == "string") {
        schema["enum"] = json!(choices);
    }
    schema
}

fn kind(column: &Column) -> Type {
    schema::of_column(column)
}

/// Some models refuse tools with other names of arguments.
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn can_be_argument(name: &str) -> bool {
    // With the longest operator it has 64 characters.
    name.len() <= 59 && is_name(name) && !matches!(name, "limit" | "cursor" | "sort")
}

fn can_be_written(name: &str) -> bool {
    is_name(name) && name != CONFIRMATION
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
