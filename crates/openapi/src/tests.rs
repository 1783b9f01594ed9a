//! The document as programs that read it need it.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{Api, Column, EventType, Resource, Type, document, links};

fn column(name: &str, of: &str) -> Column {
    Column { name: name.into(), of: Type::parse(of), nullable: false, has_default: false, comment: None, choices: None }
}

fn tickets() -> Resource {
    let id = Column { has_default: true, ..column("id", "bigint") };
    let subject = Column { comment: Some("What it is about".into()), ..column("subject", "text") };
    let status =
        Column { choices: Some(vec!["open".into(), "closed".into()]), has_default: true, ..column("status", "text") };
    let closed_at = Column { nullable: true, ..column("closed_at", "timestamp with time zone") };
    Resource {
        name: "tickets".into(),
        description: Some("Questions of customers".into()),
        id: id.clone(),
        columns: vec![id.clone(), subject.clone(), status.clone(), closed_at.clone()],
        creatable: vec![subject.clone(), status.clone()],
        updatable: vec![status.clone()],
        filterable: vec![status, closed_at],
        sortable: vec!["id".into(), "closed_at".into()],
        deletable: true,
    }
}

fn api(scopes: &[&str]) -> Api {
    Api {
        title: "API of helpdesk".into(),
        public_url: "https://desk.example".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        has_tenant: false,
        resources: vec![tickets()],
        event_types: vec![
            EventType {
                name: "ticket.created".into(),
                description: Some("A new ticket is opened".into()),
                resource: Some("tickets".into()),
            },
            EventType { name: "invoice.paid".into(), description: None, resource: None },
        ],
        comments: Default::default(),
    }
}

const ALL: &[&str] =
    &["tickets:read", "tickets:write", "webhooks:read", "webhooks:manage", "inbound:read", "flows:read", "mcp"];

/// Calls `look` with each object of a value.
fn walk(value: &Value, look: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            look(members);
            members.values().for_each(|member| walk(member, look));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, look)),
        _ => {}
    }
}

fn paths(document: &Value) -> Vec<String> {
    document["paths"].as_object().expect("paths").keys().cloned().collect()
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    for scopes in [ALL, &["tickets:read"], &["tickets:write"], &["mcp"]] {
        let document = document(&api(scopes));
        let mut references = HashSet::new();
        walk(&document, &mut |members| {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
                references.insert(reference.to_owned());
            }
        });
        for part in ["schemas", "responses", "headers", "parameters"] {
            for name in document["components"][part].as_object().expect(part).keys() {
                assert!(references.contains(&format!("#/components/{part}/{name}")), "nothing uses {part}/{name}");
            }
        }
    }
}

#[test]
fn operations_have_ids_of_their_own_a_summary_and_a_tag() {
    let document = document(&api(ALL));
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone()).collect();
    let mut ids = HashSet::new();
    let mut operations = 0;
    walk(&document, &mut |members| {
        let Some(id) = members.get("operationId").and_then(Value::as_str) else { return };
        // A link names an operation, too.
        if !members.contains_key("responses") {
            return;
        }
        operations += 1;
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert!(members["summary"].is_string() && tags.contains(&members["tags"][0]), "{id}");
    });
    assert_eq!(operations, 27 + 2, "{ids:?}");
}

#[test]
fn a_key_sees_only_what_its_scopes_let_it_do() {
    let read = document(&api(&["tickets:read"]));
    assert_eq!(paths(&read), ["/", "/me", "/openapi.json", "/tickets", "/tickets/{id}"]);
    assert!(read["paths"]["/tickets"]["get"].is_object() && read["paths"]["/tickets"]["post"].is_null());
    assert!(read["webhooks"].is_null() && read["components"]["schemas"]["tickets.new"].is_null());

    let write = document(&api(&["tickets:write"]));
    assert!(write["paths"]["/tickets"]["get"].is_null() && write["paths"]["/tickets"]["post"].is_object());
    assert!(
        write["paths"]["/tickets/{id}"]["patch"].is_object() && write["paths"]["/tickets/{id}"]["delete"].is_object()
    );

    let none = document(&api(&["mcp"]));
    assert_eq!(paths(&none), ["/", "/me", "/openapi.json"]);
    assert_eq!(links(&api(&["mcp"]))["resources"], json!([]));

    let watching = document(&api(&["webhooks:read"]));
    assert!(watching["paths"]["/webhook_deliveries/{id}/retry"].is_null());
    assert!(document(&api(&["webhooks:manage"]))["paths"]["/webhook_deliveries/{id}/retry"]["post"].is_object());
}

#[test]
fn columns_are_members_with_their_types_comments_and_choices() {
    let document = document(&api(ALL));
    let schemas = &document["components"]["schemas"];
    let row = &schemas["tickets"];
    assert_eq!(row["required"], json!(["id", "subject", "status", "closed_at"]), "in the order of the table");
    assert_eq!(row["properties"]["id"], json!({"type": "integer", "format": "int64"}));
    assert_eq!(row["properties"]["subject"], json!({"type": "string", "description": "What it is about"}));
    assert_eq!(row["properties"]["status"], json!({"type": "string", "enum": ["open", "closed"]}));
    assert_eq!(row["properties"]["closed_at"], json!({"type": ["string", "null"], "format": "date-time"}));
    let new = &schemas["tickets.new"];
    assert_eq!((&new["required"], &new["additionalProperties"]), (&json!(["subject"]), &json!(false)));
    assert_eq!(new["examples"], json!([{"subject": "Subject"}]));
    assert_eq!(schemas["tickets.changes"]["examples"], json!([{"status": "open"}]));
}

#[test]
fn a_filter_by_a_column_that_is_called_like_another_parameter_has_a_name_of_its_own() {
    let mut api = api(ALL);
    api.resources[0].filterable.push(column("limit", "integer"));
    let document = document(&api);
    let parameters = document["paths"]["/tickets"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    assert!(names.contains(&"limit[eq]") && !names.contains(&"limit"), "{names:?}");
}

#[test]
fn a_list_can_be_asked_for_what_its_columns_can_be_compared_with() {
    let document = document(&api(ALL));
    let parameters = document["paths"]["/tickets"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    let expected = [
        "sort",
        "status",
        "status[ne]",
        "status[in]",
        "closed_at",
        "closed_at[ne]",
        "closed_at[gt]",
        "closed_at[gte]",
        "closed_at[lt]",
        "closed_at[lte]",
        "closed_at[in]",
        "closed_at[null]",
    ];
    assert_eq!(names, expected);
}

#[test]
fn types_of_postgres_are_what_their_values_are_as_json() {
    for (name, expected) in [
        ("smallint", json!({"type": "integer", "minimum": -32768, "maximum": 32767})),
        ("numeric(12,2)", json!({"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN"]}]})),
        (
            "double precision",
            json!({"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}),
        ),
        (
            "numeric[]",
            json!({"type": "array", "items": {"anyOf": [
                {"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}, {"type": "null"},
            ]}}),
        ),
        ("character varying(20)", json!({"type": "string", "maxLength": 20})),
        ("timestamp(3) with time zone", json!({"type": "string", "format": "date-time"})),
        ("timestamp without time zone", json!({"type": "string"})),
        ("jsonb", json!({})),
        ("bigint[]", json!({"type": "array", "items": {"type": ["integer", "null"], "format": "int64"}})),
        // As text, like the names of tables that it stands for.
        ("oid", json!({"type": "string"})),
        ("inet", json!({"type": "string"})),
        ("public.\"bigint\"", json!({"type": "string"})),
    ] {
        let of = match name.strip_suffix("[]") {
            Some(element) => Type::List(Box::new(Type::parse(element))),
            None => Type::parse(name),
        };
        assert_eq!(of.schema(), expected, "{name}");
    }
    let list = |of: Type| Type::List(Box::new(of));
    let matrix = json!({"type": "array", "items": {"type": "array", "items": {"type": ["boolean", "null"]}}});
    assert_eq!(list(list(Type::Boolean)).schema(), matrix, "a null cannot be instead of an array");
    let address = Type::Record(vec![("street".into(), Type::Text(None)), ("floors".into(), list(Type::Boolean))]);
    let floors = json!({"type": ["array", "null"], "items": {"type": ["boolean", "null"]}});
    assert_eq!(
        address.schema(),
        json!({"type": "object", "properties": {"street": {"type": ["string", "null"]}, "floors": floors}, "additionalProperties": false})
    );
    assert_eq!(address.schema_without_nulls()["properties"]["street"], json!({"type": "string"}));
    assert_eq!((address.compared(), list(address).compared()), (json!({"type": "string"}), json!({"type": "string"})));
}

#[test]
fn the_requests_of_webhooks_have_the_rows_that_the_api_has() {
    let document = document(&api(ALL));
    let body = |event: &str| {
        let request = &document["webhooks"][event]["post"]["requestBody"];
        request["content"]["application/json"]["schema"]["properties"].clone()
    };
    assert_eq!(body("ticket.created")["type"]["const"], "ticket.created");
    assert_eq!(body("ticket.created")["data"]["anyOf"][0]["$ref"], "#/components/schemas/tickets");
    assert!(body("invoice.paid")["data"]["anyOf"][0]["$ref"].is_null());
}

#[test]
fn links_are_whole_addresses() {
    let links = links(&api(&["tickets:read", "flows:read"]));
    assert_eq!(links["openapi"], "https://desk.example/api/v1/openapi.json");
    let tickets = json!({"name": "tickets", "url": "https://desk.example/api/v1/tickets",
                         "description": "Questions of customers", "methods": ["GET"]});
    assert_eq!(links["resources"][0], tickets);
    assert_eq!(links["resources"][1]["name"], "flows");
}
