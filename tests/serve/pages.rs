//! The settings pages beside those of webhooks: previews, API keys, event types, status; and paths that do not exist.

use serde_json::{Value, json};
use testkit::{Bench, PATIENCE, wait_until};

use crate::visitor::Visitor;
use crate::{Request, cluster};

#[test]
fn a_preview_shows_the_body_and_sends_nothing() {
    let mut bench = Bench::new(cluster(), "previews");
    let (id, _) = bench.subscribe("/", "ticket.created", &["filter => '$.vip'"]);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let path = format!("/settings/webhooks/{id}/preview");
    assert_eq!(admin.data(&path)["event_types"], json!(["ticket.created"]));
    let mut preview = |entity: &str| admin.post(&path, &format!("event=ticket.created&entity={entity}"));
    let shown = preview("%7B%22id%22%3A%227%22%2C%22vip%22%3Atrue%7D").json()["data"].take();
    assert_eq!(shown["would_send"], true, "{shown}");
    let body: Value = serde_json::from_str(shown["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["event"], &body["data"]["entity_id"]), (&json!("ticket.created"), &json!("7")));
    let unwanted = preview("%7B%22id%22%3A%227%22%7D").json()["data"].take();
    assert_eq!((&unwanted["would_send"], unwanted["reason"].is_string()), (&json!(false), true));
    assert_eq!(preview("nonsense").status, 422);
    bench.emit("ticket.created", r#"{"id": "8", "vip": true}"#);
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received("/"), 1, "only the event that was emitted for real");
}

#[test]
fn api_keys_are_made_rotated_and_revoked_on_their_pages() {
    let mut bench = Bench::new(cluster(), "key_pages");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    assert_eq!(admin.data("/settings/api-keys")["api_keys"], json!([]));
    let once = admin.data("/settings/api-keys/new")["form"]["once"].as_str().unwrap().to_owned();
    let form = format!("name=CI&scopes=tickets%3Aread&scopes=mcp&expires_at=2099-01-01&once={once}");
    let made = admin.post("/settings/api-keys", &form);
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json()["data"].take();
    let first = made["key"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["api_key"]["state"], &made["api_key"]["scopes"]),
        (&json!("active"), &json!(["tickets:read", "mcp"]))
    );
    assert_eq!(admin.post("/settings/api-keys", &form).status, 409);
    let id = made["api_key"]["id"].as_i64().unwrap();
    let me = |key: &str| {
        Request::new("rest", Some(key), "GET", "/api/v1/me")
            .make(&mut cluster().connect_as("key_pages", "far_gateway"))
            .status
    };
    assert_eq!(me(&first), 200);
    assert_eq!(admin.get("/settings/api-keys").body.matches(&first).count(), 0);
    let rotated =
        admin.post(&format!("/settings/api-keys/{id}/rotate"), "").json()["data"]["key"].as_str().unwrap().to_owned();
    assert_eq!((me(&first), me(&rotated)), (401, 200));
    assert_eq!(admin.data(&format!("/settings/api-keys/{id}/revoke"))["api_key"]["id"], id);
    assert_eq!(
        admin.post(&format!("/settings/api-keys/{id}/revoke"), "").header("location"),
        Some("/settings/api-keys?done=revoked")
    );
    assert_eq!(me(&rotated), 401);
    for (form, field) in [
        ("scopes=mcp", "name"),
        ("name=x", "scopes"),
        ("name=x&scopes=all", "scopes"),
        ("name=x&scopes=mcp&expires_at=yesterday", "expires_at"),
        ("name=x&scopes=mcp&expires_at=never", "expires_at"),
        ("name=x&scopes=mcp&role=postgres", "role"),
        ("name=x&scopes=mcp&role=absent", "role"),
        ("name=x&scopes=mcp&approval=nobody", "approval"),
        ("name=x&scopes=mcp&requests_per_minute=0", "requests_per_minute"),
        ("name=x&scopes=mcp&requests_per_minute=many", "requests_per_minute"),
    ] {
        assert_eq!(admin.wrong("/settings/api-keys", form), (422, vec![field.into()]), "{form}");
    }
}

#[test]
fn event_types_are_registered_and_the_status_is_shown() {
    let mut bench = Bench::new(cluster(), "other_pages");
    bench.subscribe("/", "ticket.*", &[]);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    assert_eq!(admin.post("/settings/event-types", "name=order.paid&description=When+it+was+paid").status, 303);
    let types = admin.data("/settings/event-types")["event_types"].take();
    let named = |name: &str| types.as_array().unwrap().iter().find(|t| t["name"] == name).unwrap();
    assert_eq!(
        (&named("order.paid")["origin"], &named("ticket.created")["webhooks"]),
        (&json!("application"), &json!(1))
    );
    for (form, field) in [("name=x", "name"), ("name=webhook.x", "name"), ("", "name")] {
        assert_eq!(admin.wrong("/settings/event-types", form), (422, vec![field.into()]), "{form}");
    }
    wait_until("the worker runs", PATIENCE, || admin.data("/settings/status")["worker"]["state"] == "running");
    assert_eq!(admin.data("/settings/status")["gateways"], json!([]));
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let mut bench = Bench::new(cluster(), "paths");
    bench.subscribe("/", "ticket.*", &[]);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    for path in [
        "/",
        "/settings/other",
        "/settings/webhooks/",
        "/settings/webhooks/x",
        "/settings/webhooks/-1",
        "/settings/webhooks/99999999999999999999",
        "/settings/webhooks/1/other",
        "/settings/webhooks/%31",
        "/x/webhooks",
        "/settings/inbound-adapters/x",
        "/settings/inbound-adapters/1",
        "/settings/inbound-adapters/1/events",
        "/settings/inbound-adapters/1/events/x",
        "/settings/flows/x",
        "/settings/flows/1/runs",
    ] {
        assert_eq!(admin.get(path).status, 404, "{path}");
    }
    assert_eq!(admin.post("/settings/webhooks/1/explode", "").status, 404);
    assert_eq!(
        Request::new("console", Some(&admin.session), "DELETE", "/settings/webhooks/1").make(&mut admin.gateway).status,
        405
    );
    let json = Request {
        headers: r#"[["Content-Type", "application/json"]]"#,
        ..Request::new("console", Some(&admin.session), "POST", "/settings/webhooks")
    };
    assert_eq!(json.make(&mut admin.gateway).status, 415);
}

#[test]
fn a_webhook_that_missed_events_is_resumed_when_the_form_says_what_becomes_of_them() {
    let mut bench = Bench::new(cluster(), "missed_pages");
    bench.receiver.answer_first("/", 1, testkit::receiver::Answer::gone());
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{0 s}'"]);
    bench.emit_ticket(1);
    bench.wait_for_column(id, "status", "disabled");
    bench.emit_ticket(2);
    bench.wait_for_column(id, "missed", "1");
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let page = format!("/settings/webhooks/{id}");
    assert_eq!(admin.get(&page).json()["data"]["webhook"]["missed"], 1);
    assert_eq!(admin.post(&format!("{page}/resume"), "").status, 409);
    assert_eq!(admin.post(&format!("{page}/resume"), "missed=send").status, 303);
    let webhook = admin.get(&page).json()["data"]["webhook"].clone();
    assert_eq!((&webhook["status"], &webhook["missed"]), (&"active".into(), &0.into()));
}
