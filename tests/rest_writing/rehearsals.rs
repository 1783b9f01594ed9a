//! `Prefer: tx=rollback`: what a request would do, without doing it.

use serde_json::{Value, json};

use crate::{Call, Shop, create_key_for};

fn rehearsed(shop: &Shop, method: &'static str, path: &str, body: &str) -> Call {
    shop.call(method, path).header("Prefer", "tx=rollback").body(body)
}

#[test]
fn a_rehearsal_shows_the_result_and_the_effects_and_leaves_none() {
    let mut shop = Shop::new("rehearsed");
    shop.bench.run("SELECT hydra.webhook_watch('public.ticket', 'ticket.created', 'insert')");
    shop.bench.subscribe("/own", "ticket.created", &["tenant_id => 'acme'", "name => 'own'"]);
    shop.bench.subscribe("/all", "ticket.created", &["name => 'all'"]);
    let key = create_key_for(&mut shop.bench.client, "tickets:write,webhooks:read", "tenant_id => 'acme'");
    let call = rehearsed(&shop, "POST", "/api/v1/tickets", r#"{"subject": "x", "counted": 9007199254740993}"#);
    let answer = call.clone().key(&key).make(&mut shop.gateway);
    assert_eq!((answer.status, answer.header("preference-applied")), (200, Some("tx=rollback")));
    assert!(answer.body.contains("9007199254740993"), "{answer:?}");
    let effects = answer.json();
    assert_eq!((&effects["result"]["subject"], &effects["result"]["tenant_id"]), (&json!("x"), &json!("acme")));
    let tables = effects["tables"].as_array().unwrap();
    assert!(
        tables.contains(&json!({"table": "public.ticket", "inserted": 1, "updated": 0, "deleted": 0})),
        "{tables:?}"
    );
    // The request of its own subscription in full; of another one, that there is one.
    let webhooks = effects["webhooks"].as_array().unwrap();
    let own = webhooks.iter().find(|webhook| webhook["name"] == "own").unwrap();
    let sent: Value = serde_json::from_str(own["body"].as_str().unwrap()).unwrap();
    assert_eq!(sent["data"]["entity"]["subject"], "x");
    assert!(webhooks.contains(&json!({"event": "ticket.created"})) && webhooks.len() == 2, "{webhooks:?}");
    // A key that may not read webhooks learns nothing of columns that it does not see.
    let answer = call.make(&mut shop.gateway);
    assert!(!answer.body.contains("hidden"), "{answer:?}");
    assert_eq!(answer.json()["webhooks"], json!([{"event": "ticket.created"}, {"event": "ticket.created"}]));
    assert_eq!((shop.tickets(), shop.bench.count("event")), (0, 0));
}

#[test]
fn changes_and_removals_can_be_rehearsed() {
    let mut shop = Shop::new("rehearsed_changes");
    let created = shop.ticket(r#"{"subject": "x"}"#);
    let changed = rehearsed(&shop, "PATCH", "/api/v1/tickets/1", r#"{"subject": "y"}"#).make(&mut shop.gateway);
    assert_eq!((changed.status, &changed.json()["result"]["subject"]), (200, &json!("y")));
    let removed = rehearsed(&shop, "DELETE", "/api/v1/tickets/1", "").make(&mut shop.gateway);
    assert_eq!((removed.status, &removed.json()["result"]), (200, &json!(null)));
    assert_eq!(shop.call("GET", "/api/v1/tickets/1").make(&mut shop.gateway).body, created.body);
}

#[test]
fn a_rehearsal_fails_as_the_request_would() {
    let mut shop = Shop::new("rehearsed_failures");
    for body in [r#"{"subject": 7}"#, "{}", "[]", r#"{"subject": "x", "account_id": 7}"#] {
        let real = shop.post("/api/v1/tickets", body).said();
        assert_eq!(rehearsed(&shop, "POST", "/api/v1/tickets", body).make(&mut shop.gateway).said(), real, "{body}");
    }
    let call = rehearsed(&shop, "PATCH", "/api/v1/tickets/9", "{}").header("If-Match", "*");
    assert_eq!(call.make(&mut shop.gateway).status, 404);
}

#[test]
fn a_rehearsal_uses_no_idempotency_key() {
    let mut shop = Shop::new("rehearsed_keys");
    let call = rehearsed(&shop, "POST", "/api/v1/tickets", r#"{"subject": "x"}"#).header("Idempotency-Key", "k");
    assert_eq!(call.make(&mut shop.gateway).status, 200);
    assert_eq!(call.without("Prefer").make(&mut shop.gateway).status, 201);
    assert_eq!(shop.tickets(), 1);
}

#[test]
fn the_preference_is_found_among_others_and_no_other_one_is_taken_for_it() {
    let mut shop = Shop::new("preferences");
    for (prefer, status) in [
        ("return=minimal, TX=rollback; x=1", 200),
        ("tx = \"rollback\"", 200),
        ("tx=commit", 201),
        ("respond-async", 201),
    ] {
        let call = shop.call("POST", "/api/v1/tickets").header("Prefer", prefer).body(r#"{"subject": "x"}"#);
        assert_eq!(call.make(&mut shop.gateway).status, status, "{prefer}");
    }
}
