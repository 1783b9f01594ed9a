//! The format of schemes.

use serde_json::{Value, json};

use super::*;

/// Like GitHub's, with one change.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Scheme, wire::refusal::Refusal> {
    let mut scheme = json!({
        "signature": {"header": "S", "signs": "{timestamp}.{body}", "algorithm": "hmac-sha256", "encoding": "hex"},
        "timestamp": {"header": "T", "format": "s"},
        "id": [{"header": "I"}],
    });
    change(&mut scheme);
    Scheme::parse(&scheme)
}

#[track_caller]
fn assert_refused(change: impl FnOnce(&mut Value), detail: &str) {
    let refusal = changed(change).expect_err("it is refused");
    assert_eq!(refusal.message, "the scheme is not valid");
    let given = refusal.detail.expect("a detail");
    assert!(given.contains(detail), "{given}");
    assert!(refusal.hint.is_some());
}

#[test]
fn every_scheme_of_a_provider_is_read_as_it_is_written() {
    assert_eq!(Scheme::provider_names().len(), 22);
    for name in Scheme::provider_names() {
        let scheme = provider(name);
        assert_eq!(Scheme::parse(&scheme.to_json()).expect(name), scheme);
    }
    assert_eq!(Scheme::of_provider("GitHub"), None);
}

#[test]
fn a_part_that_is_not_known_is_refused_by_its_name() {
    assert_refused(|scheme| scheme["signatures"] = json!({}), "\"signatures\" is not known");
    assert_refused(|scheme| scheme["signature"]["hash"] = json!("sha256"), "In \"signature\": unknown field `hash`");
    assert_refused(|scheme| scheme["timestamp"]["tolerence"] = json!(1), "unknown field `tolerence`");
    assert_refused(|scheme| scheme["id"] = json!([{"head": "I"}]), "In \"id\": unknown variant `head`");
    assert_refused(|scheme| scheme["signature"] = json!("aws"), "unknown variant `aws`");
    assert_refused(|scheme| scheme["handshake"] = json!("sns"), "unknown variant `sns`");
    assert_refused(|scheme| scheme["signature"]["signs"] = json!("{bodi}"), "`{bodi}` is not known");
    assert_refused(|scheme| scheme["signature"]["signs"] = json!("{body"), "no `}`");
    assert_refused(|scheme| scheme["signature"]["algorithm"] = json!("hmac-md5"), "unknown variant `hmac-md5`");
    assert!(Scheme::parse(&json!([])).is_err());
}

#[test]
fn a_scheme_that_proves_nothing_is_refused() {
    assert_refused(|scheme| scheme["signature"]["signs"] = json!("{timestamp}"), "nobody vouches for the body");
    assert_refused(|scheme| scheme["signature"]["signs"] = json!("{body}"), "nobody vouches for it");
    assert_refused(|scheme| scheme["signature"] = Value::Null, "without a declared signature");
    assert_refused(|scheme| scheme["token"] = json!({"header": "X"}), "both a signature and a token");
    assert_refused(|scheme| scheme["timestamp"] = Value::Null, "there is no \"timestamp\"");
    assert_refused(|scheme| scheme["timestamp"]["tolerance"] = json!(86_401), "from 1 to 86400");
    assert_refused(|scheme| scheme["timestamp"]["tolerance"] = json!(0), "from 1 to 86400");
    assert!(Scheme::parse(&json!({"handshake": "zoom"})).is_err(), "its answer would sign anything");
    assert!(Scheme::parse(&json!({"token": "digest"})).is_err());
}

#[test]
fn a_scheme_that_contradicts_itself_is_refused() {
    assert_refused(|scheme| scheme["timestamp"]["path"] = json!("$.t"), "exactly one of");
    assert_refused(|scheme| scheme["timestamp"] = json!({"path": "$.t", "format": "s"}), "a second time");
    assert_refused(|scheme| scheme["timestamp"] = json!({"part": "t", "format": "s"}), "has no \"parts\"");
    assert_refused(|scheme| scheme["timestamp"] = json!({"format": "s"}), "exactly one of");
    assert_refused(|scheme| scheme["signature"]["signs"] = json!("{id}{timestamp}{body}{id}{x}"), "`{x}`");
    let with_id = |scheme: &mut Value| {
        scheme["signature"]["signs"] = json!("{id}.{timestamp}.{body}");
        scheme["id"] = json!([{"path": "$.id"}]);
    };
    assert_refused(with_id, "exactly one header");
    let parts =
        |separator: &str, assign: &str, name: &str| json!({"separator": separator, "assign": assign, "name": name});
    assert_refused(|scheme| scheme["signature"]["parts"] = parts(",", ",", "v1"), "has the separator in it");
    assert_refused(|scheme| scheme["signature"]["parts"] = parts("==", ",", "v1"), "could be a part of a signature");
    assert_refused(|scheme| scheme["signature"]["parts"] = parts("", "=", "v1"), "1 to 255 bytes");
    assert_refused(|scheme| scheme["signature"]["parts"] = parts(",", "=", "v=1"), "space or a separator in it");
    let same_name = |scheme: &mut Value| {
        scheme["signature"]["parts"] = parts(",", "=", "v1");
        scheme["timestamp"] = json!({"part": "v1", "format": "s"});
    };
    assert_refused(same_name, "parts of the same name");
    assert_refused(|scheme| scheme["signature"]["prefix"] = json!(" v0="), "begins with space");
    let prefixed = |scheme: &mut Value| {
        scheme["signature"]["parts"] = parts(",", "=", "v1");
        scheme["signature"]["prefix"] = json!("v1=");
    };
    assert_refused(prefixed, "both \"prefix\" and \"parts\"");
}

#[test]
fn headers_that_do_not_reach_the_database_cannot_be_named() {
    assert_refused(|scheme| scheme["signature"]["header"] = json!("Authorization"), "does not reach the database");
    assert_refused(|scheme| scheme["id"] = json!([{"header": "cookie"}]), "does not reach the database");
    assert_refused(|scheme| scheme["id"] = json!([{"header": "X Y"}]), "not the name of a header");
}

#[test]
fn everything_in_a_scheme_is_bounded() {
    assert_refused(|scheme| scheme["id"] = json!(vec![json!("digest"); 9]), "at most 8 sources");
    assert_refused(|scheme| scheme["type"] = json!([{"joined": []}]), "1 to 8 sources");
    assert_refused(|scheme| scheme["type"] = json!([{"joined": [{"joined": ["digest"]}]}]), "none of them joined");
    assert_refused(|scheme| scheme["budget_ms"] = json!(10_001), "from 100 to 10000");
    assert_refused(|scheme| scheme["each"] = json!(""), "1 to 255 bytes");
    assert_refused(|scheme| scheme["each"] = json!("x".repeat(9000)), "longer than 8192 bytes");
    assert_refused(|scheme| scheme["signature"]["signs"] = json!("x".repeat(256)), "at most 255 bytes");
}

#[test]
fn other_providers_can_be_described() {
    let at = 1_777_487_580_000;
    let hubspot = json!({
        "signature": {"header": "X-HubSpot-Signature-v3", "signs": "{method}{url}{body}{timestamp}",
            "algorithm": "hmac-sha256", "encoding": "base64"},
        "timestamp": {"header": "X-HubSpot-Request-Timestamp", "format": "ms"},
    });
    let twitch = json!({
        "signature": {"header": "Twitch-Eventsub-Message-Signature", "prefix": "sha256=", "signs": "{id}{timestamp}{body}",
            "algorithm": "hmac-sha256", "encoding": "hex"},
        "timestamp": {"header": "Twitch-Eventsub-Message-Timestamp", "format": "rfc3339", "tolerance": 600},
        "id": [{"header": "Twitch-Eventsub-Message-Id"}],
    });
    let pagerduty = json!({
        "signature": {"header": "X-PagerDuty-Signature", "parts": {"separator": ",", "assign": "=", "name": "v1"},
            "signs": "{body}", "algorithm": "hmac-sha256", "encoding": "hex"},
    });
    let sha512 = json!({
        "signature": {"header": "S", "signs": "{body}", "algorithm": "hmac-sha512", "encoding": "hex", "key": "hex"},
    });
    for (json, secret) in [(hubspot, "k"), (twitch, "k"), (pagerduty, "k"), (sha512, "00ff")] {
        let scheme = Scheme::parse(&json).unwrap();
        let signed = crate::signer::sign(&scheme, &[secret.as_bytes().to_vec()], Draft::json(URL, "{}"), "m1", at);
        judge(&scheme, &[secret], &signed, at).expect("it is genuine");
        let changed = Draft { body: b"{ }".to_vec(), ..signed };
        assert_denied(judge(&scheme, &[secret], &changed, at), Stage::Signature, "does not fit");
    }
}

#[test]
fn a_request_can_bring_the_secret_in_a_header() {
    let scheme = Scheme::parse(&json!({"token": {"header": "X-Gitlab-Token"}, "id": [{"header": "Idempotency-Key"}]}));
    let scheme = scheme.unwrap();
    let draft = |token: &str| Draft::json(URL, "{}").with("X-Gitlab-Token", token).with("idempotency-key", "k1");
    assert_eq!(judge(&scheme, &["new", "old"], &draft("old"), 0).unwrap().id.as_deref(), Some("k1"));
    for token in ["", "ol", "older", "new, old"] {
        assert!(judge(&scheme, &["new", "old"], &draft(token), 0).is_err(), "{token}");
    }
    assert_denied(
        judge(&scheme, &["old"], &draft("old").with("X-Gitlab-Token", "x"), 0),
        Stage::Signature,
        "more than once",
    );
}

#[test]
fn types_and_ids_come_from_where_the_scheme_says() {
    let github = |body: &str| {
        let draft = Draft::json(URL, body).with("X-GitHub-Event", "issues");
        let signed = crate::signer::sign(&provider("github"), &[b"k".to_vec()], draft, "72d3162e", 0);
        judge(&provider("github"), &["k"], &signed, 0).unwrap().external_type
    };
    assert_eq!(github(r#"{"action": "opened"}"#).as_deref(), Some("issues.opened"));
    assert_eq!(github("{}").as_deref(), Some("issues"));
    let none =
        judge(&provider("none"), &[], &Draft::json(URL, r#"{"event": "x"}"#).with("webhook-id", "7"), 0).unwrap();
    assert_eq!((none.id.as_deref(), none.external_type.as_deref()), (Some("7"), Some("x")));
    let long = Draft::json(URL, "{}").with("webhook-id", &"x".repeat(256));
    assert_denied(judge(&provider("none"), &[], &long, 0), Stage::Id, "more than 255 bytes");
    for element in [json!({"type": "x".repeat(256)}), json!({"type": "\0"}), json!({"type": ["x"]})] {
        assert_eq!(provider("none").type_of(&element), None);
    }
    let long = Draft::json(URL, &json!({"type": "x".repeat(256)}).to_string());
    assert_denied(judge(&provider("none"), &[], &long, 0), Stage::Body, "more than 255 bytes");
}

#[test]
fn a_message_in_mime_needs_to_be_no_text() {
    let mut draft = Draft::json(URL, "");
    draft.headers[0].1 = "message/rfc822".to_owned();
    draft.body = b"Subject: \xff\r\n\r\n\0".to_vec();
    let accepted = judge(&provider("mime"), &[], &draft, 0).expect("any bytes");
    assert_eq!((accepted.id, accepted.payload), (None, None));
}
