//! The tools of the application's resources: which a key sees, what they return, and what a model is told that asks wrongly.

use serde_json::json;

use crate::{Office, ids};

#[test]
fn a_key_sees_the_tools_that_its_scopes_permit_and_no_other_exists_for_it() {
    let mut office = Office::open("tools_scopes");
    let all = [
        "event_types",
        "flow_runs",
        "get_tickets",
        "inbound_events",
        "list_tickets",
        "webhook_failures",
        "webhook_subscriptions",
    ];
    assert_eq!(office.names(&office.key), all);
    let of_tickets = office.key("mcp,tickets:read", "tenant_id => 'acme'");
    assert_eq!(office.names(&of_tickets), ["get_tickets", "list_tickets"]);
    for name in ["webhook_failures", "system_status", "get_nothing", "tickets", "list_", ""] {
        let answer = office.request(&of_tickets, "tools/call", json!({"name": name}));
        assert_eq!(answer.json()["error"]["code"], -32602, "{name}: {answer:?}");
    }
    // A table without a tenant column has rows of all tenants.
    office.bench.run(
        "CREATE TABLE app.plans (id int PRIMARY KEY); GRANT SELECT ON app.plans TO app; SELECT hydra.api_expose('app.plans')",
    );
    let of_tenant = office.key("mcp,plans:read", "tenant_id => 'acme'");
    assert_eq!(office.names(&of_tenant), [""; 0]);
    let of_all = office.key("mcp,plans:read", "tenant_id => NULL");
    assert_eq!(office.names(&of_all), ["get_plans", "list_plans"]);
}

#[test]
fn a_tool_describes_itself_by_the_comments_of_the_table() {
    let office = Office::open("tools_described");
    let answer = office.request(&office.key, "tools/list", json!({}));
    let tools = answer.json()["result"]["tools"].take();
    let list = tools.as_array().unwrap().iter().find(|tool| tool["name"] == "list_tickets").unwrap();
    assert_eq!(list["description"], "Returns rows of tickets (Questions of customers), at most 50 at a time.");
    assert_eq!(list["annotations"], json!({"readOnlyHint": true, "openWorldHint": false}));
    let (schema, properties) = (&list["inputSchema"], &list["inputSchema"]["properties"]);
    assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
    assert_eq!(properties["status"], json!({"type": "string", "enum": ["open", "closed"]}));
    assert_eq!(properties["status.in"]["items"]["enum"], json!(["open", "closed"]));
    assert_eq!(properties["priority"]["description"], "1 is the most urgent");
    assert_eq!(properties["created_at.gte"]["format"], "date-time");
    // Names that every model accepts.
    let is_fine = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    assert!(properties.as_object().unwrap().keys().all(is_fine), "{properties}");
    let expected = [
        "created_at",
        "created_at.gte",
        "created_at.lt",
        "cursor",
        "limit",
        "priority",
        "priority.gte",
        "priority.lt",
        "priority.null",
        "sort",
        "status",
        "status.in",
    ];
    let mut names: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, expected);
}

#[test]
fn a_tool_returns_what_the_rest_api_returns_to_the_byte() {
    let office = Office::open("tools_bytes");
    let bearer = format!("Bearer {}", office.key);
    for (tool, arguments, path) in [
        ("get_tickets", json!({"id": 7}), "/api/v1/tickets/7"),
        ("list_tickets", json!({"limit": 3}), "/api/v1/tickets?limit=3"),
        (
            "list_tickets",
            json!({"limit": 3, "status": "open", "priority.gte": 2, "sort": "-created_at"}),
            "/api/v1/tickets?limit=3&status=open&priority%5Bgte%5D=2&sort=-created_at",
        ),
        (
            "list_tickets",
            json!({"status.in": ["closed"], "priority.null": true, "created_at.lt": "2026-01-03T00:00:00Z", "limit": "50"}),
            "/api/v1/tickets?limit=50&status=closed&priority[null]=true&created_at[lt]=2026-01-03T00:00:00Z",
        ),
    ] {
        let rest = office.gateway.get(path, &[("authorization", &bearer)]);
        assert_eq!(rest.status, 200, "{rest:?}");
        let answer = office.request(&office.key, "tools/call", json!({"name": tool, "arguments": arguments}));
        let result = answer.json()["result"].take();
        // The cursor of a list is of its filters in their order, so it may differ.
        let (rest_rows, rows) = (rest.json()["data"].take(), result["structuredContent"]["data"].clone());
        assert_eq!(rest_rows, rows, "{path}");
        assert!(
            tool == "list_tickets" || answer.body.contains(&format!("\"structuredContent\":{}", rest.body)),
            "{answer:?}"
        );
        let text = result["content"][1]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(text).unwrap(), result["structuredContent"]);
        assert!(!answer.body.contains("hidden"), "{answer:?}");
    }
    // The digits of a number are those of the database.
    assert!(
        office
            .request(&office.key, "tools/call", json!({"name": "get_tickets", "arguments": {"id": 7}}))
            .body
            .contains("8.10")
    );
}

#[test]
fn pages_follow_each_other_to_the_last_row() {
    let office = Office::open("tools_pages");
    let (mut seen, mut cursor) = (Vec::new(), json!(null));
    loop {
        let page = office.data(&office.key, "list_tickets", json!({"limit": 25, "status": "open", "cursor": cursor}));
        seen.extend(ids(&page));
        cursor = page["next_cursor"].clone();
        assert_eq!(page["has_more"], cursor.is_string(), "{page}");
        if cursor.is_null() {
            break;
        }
    }
    let expected: Vec<i64> = (1..=120).filter(|id| id % 3 != 0 && id % 10 != 9).collect();
    assert_eq!(seen, expected);
    // A page is shorter than one of the REST API, because a model has to read it.
    assert_eq!(ids(&office.data(&office.key, "list_tickets", json!({}))).len(), 20);
}

#[test]
fn rows_of_other_tenants_do_not_exist() {
    let mut office = Office::open("tools_tenants");
    assert_eq!(office.explanation(&office.key, "get_tickets", json!({"id": 9})), "There is no such thing here.");
    let all = office.data(&office.key, "list_tickets", json!({"limit": 50, "status": "closed"}));
    assert!(ids(&all).iter().all(|id| id % 10 != 9), "{all}");
    let page = office.data(&office.key, "list_tickets", json!({"limit": 5}));
    let other = office.key(crate::ALL, "tenant_id => 'other'");
    let next = office.data(&other, "list_tickets", json!({"limit": 5, "cursor": page["next_cursor"]}));
    assert!(ids(&next).iter().all(|id| id % 10 == 9), "{next}");
    assert_eq!(ids(&office.data(&other, "list_tickets", json!({"limit": 3}))), [9, 19, 29]);
}

#[test]
fn a_model_that_asks_wrongly_is_told_how_to_ask() {
    let office = Office::open("tools_wrong");
    for (tool, arguments, told) in [
        ("list_tickets", json!({"colour": "red"}), "no argument colour. It has created_at"),
        ("list_tickets", json!({"secret": "hidden"}), "no argument secret"),
        ("list_tickets", json!({"secret[gt]": "a"}), "no argument secret[gt]"),
        ("list_tickets", json!({"priority": "urgent"}), "priority: invalid input syntax for type integer: \"urgent\""),
        ("list_tickets", json!({"created_at.gte": "soon"}), "created_at[gte]: invalid input syntax"),
        ("list_tickets", json!({"limit": 51}), "a number from 1 to 50"),
        ("list_tickets", json!({"limit": -1}), "a number from 1 to 50"),
        ("list_tickets", json!({"cursor": "x"}), "cursor"),
        ("list_tickets", json!({"sort": "secret"}), "sort"),
        ("list_tickets", json!({"status": {"a": 1}}), "status is an object"),
        ("list_tickets", json!({"status.in": []}), "status.in is an empty list"),
        ("list_tickets", json!({"status.in": ["open,closed"]}), "status.in has a value that cannot be in a list"),
        ("get_tickets", json!({}), "The argument id is missing."),
        ("get_tickets", json!({"id": "x"}), "There is no such thing here."),
        ("get_tickets", json!({"id": "../webhooks"}), "There is no such thing here."),
        ("get_tickets", json!({"id": "7\u{0}"}), "has a character that no text of the database has"),
    ] {
        let explanation = office.explanation(&office.key, tool, arguments.clone());
        assert!(explanation.contains(told), "{arguments}: {explanation}");
    }
}

#[test]
fn no_tool_writes_whatever_the_application_does() {
    let mut office = Office::open("tools_read_only");
    office.bench.run(
        "CREATE TABLE app.loot (what text); GRANT INSERT ON app.loot TO app;
         CREATE FUNCTION app.steal() RETURNS int LANGUAGE plpgsql VOLATILE AS $$
         BEGIN INSERT INTO app.loot VALUES ('x'); RETURN 1; END $$;
         CREATE VIEW app.trap AS SELECT 1 AS id, 'acme' AS tenant_id, app.steal() AS n;
         GRANT SELECT ON app.trap TO app;
         INSERT INTO hydra.api_resource (name, relation, id_column, tenant_column, readable, created_by)
         VALUES ('trap', 'app.trap', 'id', 'tenant_id', '{id,n}', 'postgres')",
    );
    let key = office.key("mcp,trap:read", "tenant_id => 'acme'");
    let explanation = office.explanation(&key, "list_trap", json!({}));
    assert!(explanation.contains("method is not allowed"), "{explanation}");
    assert_eq!(office.bench.ask::<i64>("SELECT count(*) FROM app.loot"), 0);
    // A privilege that the role does not have is not explained by what is in the way.
    office.bench.run("REVOKE SELECT ON app.tickets FROM app");
    assert_eq!(office.explanation(&office.key, "list_tickets", json!({})), "This is not permitted.");
}
