//! The tools that write: which a key sees, what their previews show, and what a yes does.

use serde_json::{Value, json};
use testkit::receiver::Answer;

use crate::Office;
use crate::desk::{PATH, SCOPES, open};

const BEFORE: &str = "1 Mara free, 2 Ben free, 3 Eve free";

#[test]
fn a_key_sees_the_tools_that_write_what_its_scopes_permit() {
    let (mut office, _) = open("writing_scopes", "console");
    let key = office.key("mcp,accounts:write", "tenant_id => 'acme'");
    let expected = ["approval_status", "create_accounts", "delete_accounts", "update_accounts", "what_would_happen"];
    assert_eq!(office.names(&key), expected);
    // Nothing of a ticket may be written.
    let of_tickets = office.key("mcp,tickets:write", "tenant_id => 'acme'");
    assert_eq!(office.names(&of_tickets), ["approval_status", "what_would_happen"]);
    let reads = office.key("mcp,accounts:read,webhooks:read", "tenant_id => 'acme'");
    for name in ["delete_accounts", "webhook_pause", "update_tickets", "delete_nothing"] {
        let answer = office.request(&reads, "tools/call", json!({"name": name, "arguments": {"id": 1}}));
        assert_eq!(answer.json()["error"]["code"], -32602, "{name}: {answer:?}");
    }
    let manages = office.key("mcp,webhooks:manage", "tenant_id => 'acme'");
    let names = office.names(&manages);
    let actions = ["webhook_cancel", "webhook_pause", "webhook_replay", "webhook_resume", "webhook_retry"];
    assert!(actions.iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
    // Nothing that decides where events are sent, or what may be done.
    let never = ["create_webhook", "rotate", "secret", "api_key", "adapter", "approve", "adopt", "park", "sql"];
    assert!(!names.iter().any(|name| never.iter().any(|word| name.contains(word))), "{names:?}");
}

#[test]
fn a_tool_that_writes_describes_what_it_needs_and_what_it_may_do() {
    let (office, key) = open("writing_described", "console");
    let tools = office.request(&key, "tools/list", json!({})).json()["result"]["tools"].take();
    let tool = |name: &str| tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap().clone();
    let create = tool("create_accounts");
    assert_eq!(create["inputSchema"]["required"], json!(["name"]));
    let properties = &create["inputSchema"]["properties"];
    let mut names: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["credit", "name", "plan"]);
    assert_eq!(
        (&properties["plan"]["enum"], &properties["plan"]["description"]),
        (&json!(["free", "paid"]), &json!("What is paid for"))
    );
    assert_eq!(properties["credit"]["type"], json!(["number", "null"]));
    assert!(create["description"].as_str().unwrap().contains("Nothing is written at once"), "{create}");
    let hints = |name: &str| {
        let hints = tool(name)["annotations"].take();
        ["readOnlyHint", "destructiveHint", "idempotentHint"].map(|hint| hints[hint] == true)
    };
    assert_eq!(hints("create_accounts"), [false, false, false]);
    assert_eq!(hints("update_accounts"), [false, true, true]);
    assert_eq!(hints("delete_accounts"), [false, true, true]);
    assert_eq!(hints("webhook_retry"), [false, false, false]);
    assert!(hints("what_would_happen")[0] && hints("approval_status")[0]);
}

#[test]
fn a_row_is_created_changed_and_deleted_after_a_yes_and_not_before() {
    let (mut office, key) = open("writing_rows", "console");
    let created = office.asked(&key, "create_accounts", json!({"name": "Ada", "plan": "paid"}));
    let changed = office.asked(&key, "update_accounts", json!({"id": 1, "plan": "paid"}));
    let deleted = office.asked(&key, "delete_accounts", json!({"id": "2"}));
    assert_eq!(office.accounts(), BEFORE);
    office.assert_nothing_sent();
    for id in [created, changed, deleted] {
        assert_eq!(office.data(&key, "approval_status", json!({"approval_id": id}))["state"], "pending");
        // The number of the new row, its uuid and its times are others than in the preview.
        assert_eq!(office.approve(id), "done");
    }
    assert!(office.accounts().starts_with("1 Mara paid, 3 Eve free, 10"), "{}", office.accounts());
    let status = office.data(&key, "approval_status", json!({"approval_id": created}));
    assert_eq!((&status["state"], &status["result"]["name"]), (&json!("done"), &json!("Ada")), "{status}");
    assert_eq!(
        office.data(&key, "approval_status", json!({"approval_id": deleted}))["result"],
        json!({"deleted": true})
    );
    assert_eq!(office.bench.wait_for(PATH, 3).len(), 3);
    let by: String = office.bench.ask("SELECT string_agg(DISTINCT decided_by, ',') FROM hydra.approvals");
    assert_eq!(by, "postgres");
    // Not to another key.
    let other = office.key(SCOPES, "tenant_id => 'acme'");
    assert_eq!(
        office.explanation(&other, "approval_status", json!({"approval_id": created})),
        "This key has no such approval."
    );
}

#[test]
fn a_preview_shows_the_row_before_and_after_and_the_webhooks() {
    let (mut office, key) = open("writing_preview", "console");
    let data = office.data(&key, "update_accounts", json!({"id": 1, "name": "Mara B."}));
    let preview = &data["preview"];
    assert_eq!((&preview["before"]["name"], &preview["result"]["name"]), (&json!("Mara"), &json!("Mara B.")), "{data}");
    assert_eq!(preview["tables"], json!([{"table": "app.accounts", "inserted": 0, "updated": 1, "deleted": 0}]));
    assert_eq!((&preview["webhook_count"], &preview["webhooks"][0]["event"]), (&json!(1), &json!("account.changed")));
    assert!(preview["webhooks"][0]["body"].as_str().unwrap().contains("Mara B."), "{preview}");
    assert!(data["url"].as_str().unwrap().ends_with(&format!("/settings/approvals/{}", data["approval_id"])), "{data}");
    // A key that may not read webhooks learns only which events there would be.
    let blind = office.key("mcp,accounts:write", "tenant_id => 'acme'");
    let data = office.data(&blind, "update_accounts", json!({"id": 1, "name": "Mara B."}));
    assert_eq!(data["preview"]["webhooks"], json!([{"event": "account.changed"}]));
    assert_eq!(office.accounts(), BEFORE);
}

#[test]
fn a_number_arrives_with_the_digits_that_were_sent() {
    let (mut office, key) = open("writing_digits", "console");
    let params = r#"{"name": "update_accounts", "arguments": {"id": 1, "credit": 12345678901234567890.123456789}}"#;
    let body = format!(r#"{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}"#);
    let answer = office.post(&key, &[], &body);
    assert!(answer.body.contains(r#""credit":12345678901234567890.123456789"#), "{answer:?}");
    let id = answer.json()["result"]["structuredContent"]["approval_id"].as_i64().unwrap();
    assert_eq!(office.approve(id), "done");
    let credit: String = office.bench.ask("SELECT credit::text FROM app.accounts WHERE id = 1");
    assert_eq!(credit, "12345678901234567890.123456789");
}

#[test]
fn what_cannot_be_written_is_said_at_once_and_waits_for_nobody() {
    let (mut office, key) = open("writing_refused", "console");
    for (tool, arguments, told) in [
        ("create_accounts", json!({}), "name: It is required."),
        ("create_accounts", json!({"name": "Mara"}), "contradicts what is there already"),
        ("create_accounts", json!({"name": "Ada", "plan": "golden"}), "plan: It must be one of: free, paid."),
        ("create_accounts", json!({"name": "Ada", "tenant_id": "other"}), "no argument tenant_id"),
        ("create_accounts", json!({"name": 7}), "name: It must be a string."),
        ("update_accounts", json!({"plan": "paid"}), "The argument id is missing."),
        ("update_accounts", json!({"id": 3, "plan": "paid"}), "There is no row of accounts with this id."),
        ("update_accounts", json!({"id": [1], "plan": "paid"}), "The argument id is not one value."),
        ("delete_accounts", json!({"id": 3}), "There is no row of accounts with this id."),
        ("delete_accounts", json!({"id": "1/../2"}), "There is no row of accounts with this id."),
        ("delete_accounts", json!({"id": 1, "confirmation": "yes"}), "no argument confirmation"),
        ("webhook_pause", json!({"id": 99}), "There is no such webhook."),
        ("webhook_retry", json!({"delivery_id": "x"}), "is not a uuid"),
    ] {
        let explanation = office.explanation(&key, tool, arguments.clone());
        assert!(explanation.contains(told), "{tool} {arguments}: {explanation}");
    }
    assert_eq!(office.bench.count("approval"), 0);
    assert_eq!(office.accounts(), BEFORE);
}

#[test]
fn a_model_can_ask_what_would_happen_without_asking_anybody() {
    let (mut office, key) = open("writing_what", "console");
    let ask = |office: &crate::Office, tool: &str, arguments: Value| {
        office.call(&key, "what_would_happen", json!({"tool": tool, "arguments": arguments}))
    };
    let result = ask(&office, "delete_accounts", json!({"id": 1}));
    assert_eq!(result["structuredContent"]["before"]["name"], "Mara", "{result}");
    assert_eq!(result["structuredContent"]["tables"][0]["deleted"], 1);
    assert_eq!(ask(&office, "delete_accounts", json!({"id": 3}))["isError"], true);
    assert_eq!(ask(&office, "list_accounts", json!({}))["content"][0]["text"], "This tool writes nothing: call it.");
    assert_eq!(ask(&office, "drop_everything", json!({}))["content"][0]["text"], "There is no such tool.");
    // Not what the key may not do.
    let reads = office.key("mcp,tickets:write,accounts:read", "tenant_id => 'acme'");
    let arguments = json!({"tool": "delete_accounts", "arguments": {"id": 1}});
    assert_eq!(office.explanation(&reads, "what_would_happen", arguments), "There is no such tool.");
    assert_eq!(office.bench.count("approval"), 0);
    assert_eq!(office.accounts(), BEFORE);
    office.assert_nothing_sent();
}

#[test]
fn a_webhook_of_the_tenant_is_paused_and_resumed() {
    let (mut office, key) = open("writing_pause", "console");
    office
        .bench
        .run("SELECT hydra.webhook_create('https://hooks.example.com/', '{account.changed}', tenant_id => 'other')");
    assert_eq!(office.explanation(&key, "webhook_pause", json!({"id": 2})), "There is no such webhook.");
    let data = office.data(&key, "webhook_pause", json!({"id": 1}));
    assert_eq!(
        (&data["preview"]["before"]["status"], &data["preview"]["result"]["status"]),
        (&json!("active"), &json!("paused"))
    );
    assert_eq!(office.bench.column(1, "status"), "active");
    assert_eq!(office.approve(data["approval_id"].as_i64().unwrap()), "done");
    assert_eq!(office.bench.column(1, "status"), "paused");
    let id = office.asked(&key, "webhook_resume", json!({"id": 1}));
    assert_eq!(office.approve(id), "done");
    assert_eq!(office.bench.column(1, "status"), "active");
}

#[test]
fn a_resume_that_drops_events_shows_how_many_and_asks_anew_if_there_are_more() {
    let (mut office, key) = open("writing_drop", "console");
    office.bench.run("SELECT hydra.webhook_pause(1, keep_events => true)");
    let change = |office: &mut Office| {
        office
            .bench
            .run("UPDATE app.accounts SET plan = CASE plan WHEN 'paid' THEN 'free' ELSE 'paid' END WHERE id = 1")
    };
    change(&mut office);
    office.bench.wait_for_column(1, "missed", "1");
    let data = office.data(&key, "webhook_resume", json!({"id": 1, "missed": "drop"}));
    let shown = |part: &str| (&data["preview"][part]["missed"], &data["preview"][part]["keeps_events"]);
    assert_eq!((shown("before"), shown("result")), ((&json!(1), &json!(true)), (&json!(0), &json!(false))));
    change(&mut office);
    office.bench.wait_for_column(1, "missed", "2");
    let id = data["approval_id"].as_i64().unwrap();
    assert_eq!(office.approve(id), "changed");
    assert_eq!(office.bench.column(1, "missed"), "2");
    assert_eq!(office.approve(id), "done");
    assert_eq!((office.bench.column(1, "missed"), office.bench.column(1, "status")), ("0".into(), "active".into()));
    // What is sent may be more than was shown: nothing is lost.
    office.bench.run("SELECT hydra.webhook_pause(1, keep_events => true)");
    let id = office.asked(&key, "webhook_resume", json!({"id": 1, "missed": "send"}));
    change(&mut office);
    assert_eq!(office.approve(id), "done");
    assert_eq!(office.bench.wait_for(PATH, 1).len(), 1);
}

#[test]
fn a_delivery_that_failed_is_sent_again() {
    let (mut office, key) = open("writing_retry", "console");
    office.bench.run("SELECT hydra.webhook_update(1, retry_schedule => '{}')");
    office.bench.receiver.answer(PATH, Answer::status(500));
    office.bench.run("UPDATE app.accounts SET plan = 'paid' WHERE id = 1");
    let delivery = office.bench.wait_for_failed_delivery();
    office.bench.receiver.answer(PATH, Answer::status(200));
    let id = office.asked(&key, "webhook_retry", json!({"delivery_id": delivery}));
    let replay = json!({"id": 1, "since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"});
    let preview = office.data(&key, "what_would_happen", json!({"tool": "webhook_replay", "arguments": replay}));
    assert_eq!(preview["result"], json!({"deliveries": 1}));
    assert_eq!(office.approve(id), "done");
    office.bench.wait_for_empty_queue();
    assert_eq!(office.bench.wait_for(PATH, 2).len(), 2);
}
