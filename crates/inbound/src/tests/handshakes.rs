use serde_json::{Value, json};

use super::*;
use crate::signer::sign;
use crate::verify::Reply;

const AT: i64 = 1_777_487_580_000;

fn ask(scheme: &Scheme, secret: &str, draft: &Draft) -> Result<Verdict, Denied> {
    verify(scheme, &[secret.as_bytes().to_vec()], &draft.arriving(), AT)
}

fn reply(scheme: &Scheme, secret: &str, draft: &Draft) -> Reply {
    match ask(scheme, secret, draft) {
        Ok(Verdict::Handshake(reply)) => reply,
        other => panic!("no handshake: {other:?}"),
    }
}

fn without_handshake(name: &str) -> Scheme {
    Scheme { handshake: None, ..provider(name) }
}

fn get(query: &str) -> Draft {
    Draft { method: "GET".to_owned(), headers: Vec::new(), ..Draft::json(&format!("{URL}?{query}"), "") }
}

#[test]
fn slack_gets_its_challenge_back_if_it_signed_the_request() {
    let body = json!({"type": "url_verification", "token": "x", "challenge": "3eZbrw1a"}).to_string();
    let draft = sign(&provider("slack"), &[b"k".to_vec()], Draft::json(URL, &body), "", AT);
    let expected = Reply { status: 200, content_type: "text/plain; charset=utf-8", body: "3eZbrw1a".to_owned() };
    assert_eq!(reply(&provider("slack"), "k", &draft), expected);
    assert_eq!(ask(&provider("slack"), "other", &draft).unwrap_err().stage, Stage::Signature);
    assert!(matches!(ask(&without_handshake("slack"), "k", &draft), Ok(Verdict::Accepted(_))));
}

#[test]
fn zoom_gets_its_token_signed_only_if_it_signed_the_request() {
    let body = json!({"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}});
    let draft = sign(&provider("zoom"), &[b"k".to_vec()], Draft::json(URL, &body.to_string()), "", AT);
    let reply = reply(&provider("zoom"), "k", &draft);
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    let encrypted = hex::encode(crate::verify::mac::hmac_sha256(b"k", &[b"qgg8vlvZRS6UYooatFL8Aw"]));
    assert_eq!(answer, json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted}));
    assert_eq!((reply.status, reply.content_type), (200, "application/json"));

    let unsigned = Draft { headers: Vec::new(), ..draft.clone() };
    assert_eq!(ask(&provider("zoom"), "k", &unsigned).unwrap_err().stage, Stage::Signature);
    assert_eq!(ask(&provider("zoom"), "other", &draft).unwrap_err().stage, Stage::Signature);
    assert!(matches!(ask(&without_handshake("zoom"), "k", &draft), Ok(Verdict::Accepted(_))));
}

#[test]
fn meta_gets_its_challenge_back_if_it_knows_the_verify_token() {
    let draft = get("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=me%20atyha");
    assert_eq!(reply(&provider("meta"), "app:me atyha", &draft).body, "1158201444");
    for secret in ["app:other", "app", "me atyha", "app:", ":me atyha", "", "app:me atyha2"] {
        assert!(ask(&provider("meta"), secret, &draft).is_err(), "{secret}");
    }
    for query in ["hub.challenge=1&hub.verify_token=t", "hub.mode=subscribe&hub.challenge=1", "", "hub.mode=subscribe"]
    {
        assert!(ask(&provider("meta"), "app:t", &get(query)).is_err(), "{query}");
    }
    assert_eq!(ask(&without_handshake("meta"), "app:me atyha", &draft).unwrap_err().reason, "only POST is accepted");
}

#[test]
fn the_verify_token_of_meta_does_not_sign() {
    let scheme = provider("meta");
    let body = r#"{"object": "page", "entry": [{"id": 1, "changes": [{"field": "feed"}]}]}"#;
    let signed = |key: &[u8]| sign(&scheme, &[key.to_vec()], Draft::json(URL, body), "", AT);
    judge(&scheme, &["app:token"], &signed(b"app"), AT).expect("the app secret signs");
    assert_denied(judge(&scheme, &["app:token"], &signed(b"token"), AT), Stage::Signature, "does not fit");
    let payload: Value = serde_json::from_str(body).unwrap();
    assert_eq!(scheme.type_of(&payload["entry"][0]).as_deref(), Some("feed"));
    let id = scheme.id_of(&payload["entry"][0]).unwrap();
    assert_eq!(id.len(), 64, "what is sent again is recognized by its SHA-256");
}

#[test]
fn microsoft_graph_gets_its_token_back_decoded() {
    let mut draft = get("validationToken=Validation%3A+Testing+client%3A+a%20b");
    draft.method = "POST".to_owned();
    let reply = reply(&provider("microsoft_graph"), "state", &draft);
    assert_eq!((&*reply.body, reply.content_type), ("Validation: Testing client: a b", "text/plain; charset=utf-8"));
    assert!(ask(&without_handshake("microsoft_graph"), "state", &draft).is_err());
    for token in ["", "%ff", &"x".repeat(3000)] {
        let draft = Draft { method: "POST".to_owned(), ..get(&format!("validationToken={token}")) };
        assert!(ask(&provider("microsoft_graph"), "state", &draft).is_err());
    }
}

#[test]
fn every_notification_of_microsoft_graph_has_to_have_the_client_state() {
    let scheme = provider("microsoft_graph");
    let notifications = |states: &[Option<&str>]| {
        let value: Vec<Value> = states
            .iter()
            .map(|state| state.map_or_else(|| json!({"id": "1"}), |state| json!({"clientState": state, "id": "1"})))
            .collect();
        Draft::json(URL, &json!({"value": value}).to_string())
    };
    judge(&scheme, &["new", "old"], &notifications(&[Some("old"), Some("new")]), AT).expect("both are known");
    let refused: [&[Option<&str>]; 5] = [&[], &[None], &[Some("old"), None], &[Some("old"), Some("x")], &[Some("")]];
    for states in refused {
        assert!(judge(&scheme, &["new", "old", ""], &notifications(states), AT).is_err(), "{states:?}");
    }
}

#[test]
fn nothing_is_echoed_by_a_scheme_that_declares_no_handshake() {
    let body = json!({"type": "url_verification", "challenge": "<script>"}).to_string();
    for name in ["none", "postmark", "mime"] {
        let draft = Draft { url: format!("{URL}?validationToken=x&hub.mode=subscribe"), ..Draft::json(URL, &body) };
        assert!(matches!(ask(&provider(name), "", &draft), Ok(Verdict::Accepted(_))), "{name}");
        let get = Draft { method: "GET".to_owned(), ..draft };
        assert_eq!(ask(&provider(name), "", &get).unwrap_err().reason, "only POST is accepted");
    }
}
