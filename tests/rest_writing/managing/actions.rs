//! Pausing, resuming, rotating the secret, and test requests.

use serde_json::json;
use testkit::receiver::{Answer as Reply, Signature};

use super::Desk;

#[test]
fn a_webhook_is_paused_and_resumed() {
    let mut desk = Desk::new("hooks_paused");
    let (path, _) = desk.create("/", json!({}));
    let paused = desk.ask("POST", &format!("{path}/pause"), "");
    assert_eq!((paused.status, &paused.json()["status"]), (200, &json!("paused")), "{paused:?}");
    assert_eq!(paused.header("etag"), desk.ask("GET", &path, "").header("etag"));
    desk.emit(1);
    let resumed = desk.ask("POST", &format!("{path}/resume"), "");
    assert_eq!((resumed.status, &resumed.json()["status"]), (200, &json!("active")), "{resumed:?}");
    desk.emit(2);
    let sent = desk.shop.bench.wait_for("/", 1);
    assert_eq!((sent[0].entity_id(), sent[0].signature), ("2".into(), Signature::Verified));
}

#[test]
fn a_webhook_is_paused_so_that_its_events_are_kept() {
    let mut desk = Desk::new("hooks_kept");
    let (path, created) = desk.create("/", json!({}));
    let id = created.json()["id"].as_i64().expect("a number");
    let refused = desk.ask("POST", &format!("{path}/pause"), r#"{"keep_events": "yes"}"#);
    assert_eq!((refused.status, refused.errors()), (422, vec![("keep_events".into(), "type".into())]), "{refused:?}");
    let paused = desk.ask("POST", &format!("{path}/pause"), r#"{"keep_events": true}"#);
    assert_eq!(
        (&paused.json()["status"], &paused.json()["keeps_events"]),
        (&json!("paused"), &json!(true)),
        "{paused:?}"
    );
    desk.emit(1);
    desk.shop.bench.wait_for_column(id, "missed", "1");
    desk.ask("POST", &format!("{path}/resume"), r#"{"missed": "send"}"#);
    assert_eq!(desk.shop.bench.wait_for("/", 1)[0].entity_id(), "1");
}

#[test]
fn whoever_resumes_a_webhook_that_has_missed_events_says_what_becomes_of_them() {
    let mut desk = Desk::new("hooks_missed");
    desk.shop.bench.receiver.answer_first("/", 1, Reply::gone());
    let (path, created) = desk.create("/", json!({}));
    let id = created.json()["id"].as_i64().expect("a number");
    desk.emit(1);
    desk.shop.bench.wait_for_column(id, "status", "disabled");
    desk.emit(2);
    desk.shop.bench.wait_for_column(id, "missed", "1");
    let resume = format!("{path}/resume");
    for (body, status, code) in [
        ("", 409, "required"),
        ("{}", 409, "required"),
        (r#"{"missed": "later"}"#, 422, "check"),
        (r#"{"missed": null}"#, 422, "required"),
    ] {
        let refused = desk.ask("POST", &resume, body);
        assert_eq!(
            (refused.status, refused.errors()),
            (status, vec![("missed".into(), code.into())]),
            "{body}: {refused:?}"
        );
    }
    assert_eq!(desk.ask("POST", &resume, r#"{"missed": "send"}"#).json()["status"], "active");
    let sent = desk.shop.bench.wait_for("/", 2);
    assert_eq!(sent[1].entity_id(), "2");
}

#[test]
fn a_new_secret_is_shown_once_and_the_old_one_signs_during_the_overlap() {
    let mut desk = Desk::new("hooks_rotated");
    let (path, created) = desk.create("/", json!({}));
    let old = created.json()["secret"].as_str().unwrap().to_owned();
    let rotate = format!("{path}/rotate");
    let rotated = desk.ask("POST", &rotate, r#"{"overlap": 3600}"#);
    let webhook = rotated.json();
    let new = webhook["secret"].as_str().expect("a secret").to_owned();
    assert_eq!((rotated.status, new == old), (200, false), "{rotated:?}");
    assert_eq!(webhook["secret_prefix"].as_str(), Some(&new[..12]));
    let shown = desk.ask("GET", &path, "");
    assert!(!shown.body.contains(&new) && shown.header("etag") == rotated.header("etag"), "{shown:?}");
    // The receiver knows the former one.
    desk.emit(1);
    assert_eq!(desk.shop.bench.wait_for("/", 1)[0].signature, Signature::Verified);

    for (body, code) in
        [(r#"{"overlap": -1}"#, "check"), (r#"{"overlap": 2592001}"#, "check"), (r#"{"overlap": "1 day"}"#, "type")]
    {
        let refused = desk.ask("POST", &rotate, body);
        assert_eq!((refused.status, refused.errors()), (422, vec![("overlap".into(), code.into())]), "{body}");
    }
    let last = desk.ask("POST", &rotate, "").json()["secret"].as_str().expect("a secret").to_owned();
    desk.shop.bench.receiver.secret("/", &last);
    desk.emit(2);
    assert_eq!(desk.shop.bench.wait_for("/", 2)[1].signature, Signature::Verified);
    assert_eq!(desk.shop.bench.count("signing_secret"), 1, "without an overlap, the others end");

    let (github, _) = desk.create("/github", json!({"signatures": ["github"]}));
    let refused = desk.ask("POST", &format!("{github}/rotate"), r#"{"overlap": 60}"#);
    assert_eq!((refused.status, refused.errors()), (422, vec![("overlap".into(), "check".into())]), "{refused:?}");
}

#[test]
fn a_test_request_is_sent_at_once_and_its_answer_is_shown() {
    let mut desk = Desk::new("hooks_tested");
    desk.shop.bench.receiver.answer("/", Reply::status(418).with_body("short and stout"));
    let (path, _) = desk.create("/", json!({}));
    let test = format!("{path}/test");
    let made = desk.ask("POST", &test, "");
    let answer = made.json();
    assert_eq!(
        (made.status, &answer["status_code"], &answer["response_body"]),
        (200, &json!(418), &json!("short and stout"))
    );
    assert_eq!(desk.shop.bench.receiver.requests("/")[0].signature, Signature::Verified);

    // A rollback would not take it back.
    let rehearsed = desk.call("POST", &test).header("Prefer", "tx=rollback");
    assert_eq!(desk.make(&rehearsed).status, 400);
    let once = desk.call("POST", &test).header("Idempotency-Key", "t");
    let (first, again) = (desk.make(&once), desk.make(&once));
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&first.body, Some("true")));
    assert_eq!(desk.shop.bench.receiver.received("/"), 2);

    desk.shop.bench.receiver.answer("/", Reply::hang());
    assert_eq!(desk.ask("PATCH", &path, r#"{"timeout": 0.2}"#).status, 200);
    let late = desk.ask("POST", &test, "").json();
    assert!(late["status_code"].is_null() && late["error"].is_string(), "{late}");
    desk.shop.bench.run("SELECT hydra.webhook_park()");
    let refused = desk.ask("POST", &test, "");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("parked"), "{refused:?}");
}
