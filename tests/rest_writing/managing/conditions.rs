//! If-Match, and `Prefer: tx=rollback`.

use serde_json::json;
use testkit::receiver::Answer as Reply;

use super::Desk;

#[test]
fn a_webhook_that_somebody_has_changed_is_not_changed_and_what_is_sent_is_no_change() {
    let mut desk = Desk::new("hooks_conditions");
    desk.shop.bench.receiver.answer("/", Reply::status(503));
    let (path, created) = desk.create("/", json!({"retry_schedule": []}));
    let etag = created.header("etag").expect("an ETag").to_owned();
    desk.emit(1);
    desk.shop.bench.wait_for_count("webhook_failed", 1);
    let failing = desk.ask("GET", &path, "");
    assert_eq!((&failing.json()["failed"], failing.header("etag")), (&json!(1), Some(etag.as_str())), "{failing:?}");

    let first = desk.call("PATCH", &path).header("If-Match", &etag).body(r#"{"name": "first"}"#);
    let first = desk.make(&first);
    assert_eq!(first.status, 200, "{first:?}");
    for (method, path) in [
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/pause")),
        ("POST", format!("{path}/resume")),
        ("POST", format!("{path}/rotate")),
    ] {
        let body = if method == "PATCH" { r#"{"name": "second"}"# } else { "" };
        let late = desk.call(method, &path).header("If-Match", &etag).body(body);
        assert_eq!(desk.make(&late).status, 412, "{method} {path}");
    }
    assert_eq!(desk.ask("GET", &path, "").header("etag"), first.header("etag"), "nothing was changed");
    let etag = first.header("etag").unwrap().to_owned();
    let last = desk.call("DELETE", &path).header("If-Match", &etag);
    assert_eq!(desk.make(&last).status, 204);
    let gone = desk.call("PATCH", &path).header("If-Match", "*").body("{}");
    assert_eq!(desk.make(&gone).status, 404);
}

#[test]
fn a_rehearsal_shows_what_would_be_has_no_secret_and_leaves_nothing() {
    let mut desk = Desk::new("hooks_rehearsed");
    let (path, created) = desk.create("/", json!({"name": "CRM"}));
    let body = desk.body("/", json!({"name": "other"}));
    let count = desk.shop.bench.count("signing_secret");
    for (method, path, body, member, value) in [
        ("POST", String::new(), body.as_str(), "name", json!("other")),
        ("PATCH", path.clone(), r#"{"name": "changed"}"#, "name", json!("changed")),
        ("POST", format!("{path}/pause"), "", "status", json!("paused")),
        ("POST", format!("{path}/rotate"), "", "name", json!("CRM")),
    ] {
        let call = desk.call(method, &path).header("Prefer", "tx=rollback").body(body);
        let rehearsed = desk.make(&call);
        assert_eq!(
            (rehearsed.status, rehearsed.header("preference-applied")),
            (200, Some("tx=rollback")),
            "{rehearsed:?}"
        );
        assert_eq!(rehearsed.json()["result"][member], value, "{method} {path}");
        assert!(!rehearsed.body.contains("\"secret\""), "{rehearsed:?}");
    }
    let removed = desk.call("DELETE", &path).header("Prefer", "tx=rollback");
    assert_eq!(desk.make(&removed).json()["result"], json!(null));
    assert_eq!(desk.ask("GET", &path, "").header("etag"), created.header("etag"));
    assert_eq!((desk.webhooks(), desk.shop.bench.count("signing_secret")), (1, count));
    desk.emit(1);
    desk.shop.bench.wait_for("/", 1);
}
