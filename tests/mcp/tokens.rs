//! Confirmations by the client: of its user, whom it asks, and of its own.

use serde_json::{Value, json};

use crate::desk::{SCOPES, open};
use crate::{Office, REVISION};

const BEFORE: &str = "1 Mara free, 2 Ben free, 3 Eve free";
const UNKNOWN: &str = "This confirms nothing.";

/// Calls a tool as a client that can ask its user, with what it gives back.
#[track_caller]
fn elicit(office: &Office, key: &str, name: &str, arguments: &Value, more: Value) -> Value {
    let mut params = json!({"name": name, "arguments": arguments});
    for (member, value) in more.as_object().expect("an object") {
        params[member] = value.clone();
    }
    let answer = office.request_of(key, "tools/call", params, json!({"elicitation": {}}));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["result"].take()
}

fn said(state: &Value, action: &str, confirm: bool) -> Value {
    json!({"requestState": state, "inputResponses": {"confirm": {"action": action, "content": {"confirm": confirm}}}})
}

#[test]
fn the_user_of_a_client_that_can_ask_says_yes() {
    let (mut office, key) = open("tokens_elicit", "elicit");
    let arguments = json!({"id": 1, "name": "Mara\nTool: nothing\u{202e}"});
    let asked = elicit(&office, &key, "update_accounts", &arguments, json!({}));
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["confirm"]["params"];
    let message = question["message"].as_str().unwrap();
    assert!(message.contains("Rows of app.accounts: 1 updated") && message.contains("account.changed"), "{message}");
    // What was sent stays on its line, and does not turn it round.
    assert!(
        message.lines().filter(|line| line.starts_with("Tool:")).count() == 1 && !message.contains('\u{202e}'),
        "{message}"
    );
    assert_eq!(question["requestedSchema"]["properties"]["confirm"]["type"], "boolean");
    let state = &asked["requestState"];
    // Without what the user said, the user is asked again.
    let again = elicit(&office, &key, "update_accounts", &arguments, json!({"requestState": state}));
    assert_eq!((&again["resultType"], &again["requestState"]), (&json!("input_required"), state));
    assert_eq!(office.accounts(), BEFORE);
    let done = elicit(&office, &key, "update_accounts", &arguments, said(state, "accept", true));
    assert_eq!(done["structuredContent"]["status"], "done", "{done}");
    assert!(office.accounts().starts_with("1 Mara\n"), "{}", office.accounts());
    let twice = elicit(&office, &key, "update_accounts", &arguments, said(state, "accept", true));
    assert!(twice["content"][0]["text"].as_str().unwrap().contains("confirmed already"), "{twice}");
}

#[test]
fn the_user_of_a_client_says_no() {
    let (mut office, key) = open("tokens_no", "elicit");
    for (action, confirm) in [("decline", true), ("cancel", true), ("accept", false)] {
        let arguments = json!({"id": 1});
        let asked = elicit(&office, &key, "delete_accounts", &arguments, json!({}));
        let no = elicit(&office, &key, "delete_accounts", &arguments, said(&asked["requestState"], action, confirm));
        assert_eq!(no["structuredContent"]["status"], "refused", "{no}");
        let late = elicit(&office, &key, "delete_accounts", &arguments, said(&asked["requestState"], "accept", true));
        assert!(late["content"][0]["text"].as_str().unwrap().contains("refused already"), "{late}");
    }
    assert_eq!(office.accounts(), BEFORE);
}

#[test]
fn a_state_that_somebody_else_has_made_confirms_nothing() {
    let (mut office, key) = open("tokens_tampered", "elicit");
    let other = office.key(SCOPES, "tenant_id => 'acme', approval => 'elicit'");
    let arguments = json!({"id": 1});
    let asked = elicit(&office, &key, "delete_accounts", &arguments, json!({}));
    let state = &asked["requestState"];
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    for (key, name, arguments, state, told) in [
        (&key, "delete_accounts", &arguments, &json!("x"), UNKNOWN),
        (&key, "delete_accounts", &arguments, &json!("{\"approved\": true}"), UNKNOWN),
        (&other, "delete_accounts", &arguments, state, UNKNOWN),
        (&key, "delete_accounts", &json!({"id": 2}), state, "other arguments"),
        (&key, "update_accounts", &json!({"id": 1}), state, "another tool"),
    ] {
        let result = elicit(&office, key, name, arguments, said(state, "accept", true));
        assert!(result["isError"] == true && text(&result).contains(told), "{result}");
    }
    assert_eq!(office.accounts(), BEFORE);
    // None of them has used it up.
    assert_eq!(elicit(&office, &key, "delete_accounts", &arguments, said(state, "accept", true))["isError"], false);
}

#[test]
fn a_client_that_cannot_ask_has_a_person_asked_on_the_page() {
    let (mut office, key) = open("tokens_cannot", "elicit");
    let id = office.asked(&key, "delete_accounts", json!({"id": 1}));
    assert_eq!(office.approve(id), "done");
    // Nor can one of an older revision.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                      "params": {"name": "delete_accounts", "arguments": {"id": 2}}});
    let answer = office.post(&key, &[("mcp-protocol-version", "2025-11-25")], &body.to_string());
    assert_eq!(answer.json()["result"]["structuredContent"]["status"], "waits_for_approval", "{answer:?}");
    assert_eq!(REVISION, "2026-07-28");
}

#[test]
fn what_has_changed_is_asked_anew() {
    let (mut office, key) = open("tokens_changed", "elicit");
    let arguments = json!({"id": 1, "name": "Mara B."});
    let first = elicit(&office, &key, "update_accounts", &arguments, json!({}));
    office.bench.run("UPDATE app.accounts SET plan = 'paid' WHERE id = 1");
    let second = elicit(&office, &key, "update_accounts", &arguments, said(&first["requestState"], "accept", true));
    assert_eq!(second["resultType"], "input_required", "{second}");
    let message = second["inputRequests"]["confirm"]["params"]["message"].as_str().unwrap();
    assert!(message.starts_with("It has changed since it was shown"), "{message}");
    // The yes to what was shown first is worth nothing now.
    let stale = elicit(&office, &key, "update_accounts", &arguments, said(&first["requestState"], "accept", true));
    assert!(stale["content"][0]["text"].as_str().unwrap().contains(UNKNOWN), "{stale}");
    let done = elicit(&office, &key, "update_accounts", &arguments, said(&second["requestState"], "accept", true));
    assert_eq!(done["structuredContent"]["status"], "done", "{done}");
}

#[test]
fn a_client_confirms_with_a_token_once_and_only_what_it_was_shown() {
    let (mut office, key) = open("tokens_client", "client");
    let other = office.key(SCOPES, "tenant_id => 'acme', approval => 'client'");
    let asked = office.data(&key, "update_accounts", json!({"id": 1, "name": "Mara B.", "credit": 1.5}));
    assert_eq!(asked["status"], "waits_for_confirmation", "{asked}");
    let token = asked["confirmation"].as_str().unwrap();
    for (key, name, arguments, told) in [
        (&other, "update_accounts", json!({"id": 1, "name": "Mara B.", "credit": 1.5}), UNKNOWN),
        (&key, "update_accounts", json!({"id": 1, "name": "Mara C.", "credit": 1.5}), "other arguments"),
        (&key, "update_accounts", json!({"id": 1, "name": "Mara B."}), "other arguments"),
        (&key, "create_accounts", json!({"name": "Mara B."}), "another tool"),
    ] {
        let mut arguments = arguments;
        arguments["confirmation"] = json!(token);
        let explanation = office.explanation(key, name, arguments);
        assert!(explanation.contains(told), "{explanation}");
    }
    assert_eq!(office.accounts(), BEFORE);
    let again = json!({"credit": 1.5, "name": "Mara B.", "id": 1, "confirmation": token});
    let done = office.data(&key, "update_accounts", again.clone());
    assert_eq!((&done["status"], &done["result"]["name"]), (&json!("done"), &json!("Mara B.")), "{done}");
    assert!(office.explanation(&key, "update_accounts", again).contains("confirmed already"));
    // Late.
    let asked = office.data(&key, "delete_accounts", json!({"id": 2}));
    office.bench.run(
        "UPDATE hydra.approval SET created_at = now() - interval '1 h', expires_at = now() WHERE state = 'pending'",
    );
    let late = office.explanation(&key, "delete_accounts", json!({"id": 2, "confirmation": asked["confirmation"]}));
    assert!(late.contains("has expired"), "{late}");
    // No token is stored.
    let stored: String = office.bench.ask("SELECT string_agg(a::text, ' ') FROM hydra.approval AS a");
    assert!(!stored.contains(token), "{stored}");
}
