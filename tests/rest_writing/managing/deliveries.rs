//! Deliveries: what a request to send one again, or to cancel it, must be.

use serde_json::json;
use testkit::receiver::Answer as Reply;

use super::Desk;
use crate::Answer;

/// A delivery that was given up, and its path.
fn failed(database: &str) -> (Desk, String) {
    let mut desk = Desk::new(database);
    desk.shop.bench.receiver.answer("/", Reply::status(503));
    desk.create("/", json!({"retry_schedule": []}));
    desk.emit(1);
    desk.shop.bench.wait_for_count("webhook_failed", 1);
    let id: String = desk.shop.bench.ask("SELECT delivery_id::text FROM hydra.webhook_failed");
    (desk, format!("/api/v1/webhook_deliveries/{id}"))
}

#[track_caller]
fn ask(desk: &mut Desk, method: &'static str, path: &str, header: (&str, &str), body: &str) -> Answer {
    let call = desk.shop.call(method, path).key(&desk.manager).header(header.0, header.1).body(body);
    desk.make(&call)
}

#[test]
fn a_delivery_that_has_changed_since_it_was_read_is_neither_sent_again_nor_cancelled() {
    let (mut desk, path) = failed("deliveries_changed");
    let none = ("X-None", "");
    let read = ask(&mut desk, "GET", &path, none, "");
    let etag = read.header("etag").expect("an ETag").to_owned();
    let (retry, cancel) = (format!("{path}/retry"), format!("{path}/cancel"));
    for action in [&retry, &cancel] {
        assert_eq!(ask(&mut desk, "POST", action, ("If-Match", "\"x\""), "").status, 412, "{action}");
    }
    assert_eq!(desk.shop.bench.count("webhook_failed"), 1, "nothing was done");
    let again = ask(&mut desk, "POST", &retry, ("If-Match", &etag), "");
    assert_eq!(again.status, 200, "{again:?}");
    assert_ne!(again.header("etag").expect("an ETag"), etag);
    desk.shop.bench.wait_for_count("webhook_failed WHERE attempts = 2", 1);
    assert_eq!(ask(&mut desk, "POST", &cancel, ("If-Match", &etag), "").status, 412, "it has failed again");
    let etag = ask(&mut desk, "GET", &path, none, "").header("etag").expect("an ETag").to_owned();
    assert_eq!(ask(&mut desk, "POST", &cancel, ("If-Match", &etag), "").status, 204);
    assert_eq!(ask(&mut desk, "POST", &cancel, ("If-Match", "*"), "").status, 404);
}

#[test]
fn an_action_on_a_delivery_has_no_members_and_others_are_refused() {
    let (mut desk, path) = failed("deliveries_bodies");
    let (none, plain) = (("X-None", ""), ("Content-Type", "text/plain"));
    for action in ["retry", "cancel"] {
        let path = format!("{path}/{action}");
        let refused = ask(&mut desk, "POST", &path, none, r#"{"x": 1}"#);
        assert_eq!((refused.status, refused.errors()), (422, vec![("x".into(), "unknown".into())]), "{refused:?}");
        for (header, body, status) in [(none, "[]", 422), (none, "{", 400), (plain, "x", 415)] {
            assert_eq!(ask(&mut desk, "POST", &path, header, body).status, status, "{action} {body}");
        }
    }
    assert_eq!(desk.shop.bench.count("webhook_failed"), 1, "nothing was done");
    assert_eq!(ask(&mut desk, "POST", &format!("{path}/retry"), none, "{}").status, 200);
}

#[test]
fn whoever_has_an_answer_about_our_own_resources_does_not_get_it_again() {
    let (mut desk, path) = failed("deliveries_etags");
    let paths = [path.as_str(), "/api/v1/webhook_deliveries?limit=1", "/api/v1/event_types"];
    let scopes = "webhooks:read,webhooks:manage";
    let key = crate::create_key_for(&mut desk.shop.bench.client, scopes, "tenant_id => 'acme'");
    for path in paths {
        let get = desk.shop.call("GET", path).key(&key);
        let etag = desk.make(&get).header("etag").unwrap_or_else(|| panic!("no ETag: {path}")).to_owned();
        let again = desk.make(&get.clone().header("If-None-Match", &etag));
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(etag.as_str())), "{path}");
        assert_eq!(desk.make(&get.header("If-None-Match", "\"x\"")).status, 200, "{path}");
    }
    // The counts of a webhook change without its ETag, so it is always shown.
    let get = desk.call("GET", "/1");
    let etag = desk.make(&get).header("etag").expect("an ETag").to_owned();
    assert_eq!(desk.make(&get.header("If-None-Match", &etag)).status, 200);
}
