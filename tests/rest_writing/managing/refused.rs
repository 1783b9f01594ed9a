//! What a webhook cannot have: each field that is refused is named.

use serde_json::{Value, json};

use super::Desk;

/// The fields of an error, with the code of each.
fn named(errors: &[(&str, &str)]) -> Vec<(String, String)> {
    errors.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn each_value_that_a_webhook_cannot_have_is_named() {
    let mut desk = Desk::new("hooks_values");
    let (path, _) = desk.create("/", json!({}));
    let before = desk.ask("GET", &path, "").json();
    for (field, value, code) in [
        ("url", "7", "type"),
        ("url", "\"\"", "check"),
        ("url", "\"ftp://127.0.0.1/\"", "check"),
        ("url", "\"http://10.0.0.1/\"", "check"),
        ("url", "\"http://169.254.169.254/latest/meta-data\"", "check"),
        ("url", "\"http://[::1]/\"", "check"),
        ("url", "\"http://2130706433/\"", "check"),
        ("url", "\"http://me:pw@127.0.0.1/\"", "check"),
        ("url", "\"http://127.0.0.1/\\r\\nX-A: b\"", "check"),
        ("event_types", "[]", "check"),
        ("event_types", "[\"nothing.here\"]", "check"),
        ("event_types", "[\"nothing.*\"]", "check"),
        ("event_types", "\"ticket.created\"", "type"),
        ("event_types", "[[\"ticket.created\"]]", "type"),
        ("event_types", "[null]", "type"),
        ("name", "\"\"", "check"),
        ("name", "\"a\\u0000b\"", "check"),
        ("name", "\"\\ud800\"", "type"),
        ("name", "{\"a\": 1}", "type"),
        ("preset", "\"other\"", "check"),
        ("signatures", "[\"rsa\"]", "check"),
        ("signatures", "[\"hydra\", \"hydra\"]", "check"),
        ("signatures", "[]", "check"),
        ("headers", "[]", "type"),
        ("headers", "{\"A\": 1}", "type"),
        ("headers", "{\"A\": \"b\\r\\nC: d\"}", "check"),
        ("headers", "{\"A\\r\\nB\": \"c\"}", "check"),
        ("headers", "{\"Host\": \"example.com\"}", "check"),
        ("headers", "{\"X-Hydra-Signature\": \"x\"}", "check"),
        ("headers", "{\"A\": \"b\", \"a\": \"c\"}", "check"),
        ("timeout", "\"8 s\"", "type"),
        ("timeout", "0.0999999999", "check"),
        ("timeout", "61", "check"),
        ("timeout", "1e400", "type"),
        ("retry_schedule", "[-1e-9]", "check"),
        ("retry_schedule", "[604801]", "check"),
        ("retry_schedule", "30", "type"),
        ("filter", "\"\"", "check"),
        ("filter", "\"$.(\"", "check"),
        ("filter", "\"$x == 1\"", "check"),
        ("max_in_flight", "0", "check"),
        ("max_in_flight", "1.5", "type"),
        ("max_in_flight", "4294967297", "type"),
        ("rate_limit", "\"9\"", "type"),
        ("rate_limit", "10001", "check"),
        ("disable_after", "0", "check"),
        ("disable_after_time", "-1", "check"),
        ("disable_after_time", "1e300", "check"),
        ("log_successes", "\"true\"", "type"),
        ("tenant_id", "\"acme\"", "read_only"),
    ] {
        let body = format!("{{\"{field}\": {value}}}");
        let refused = desk.ask("PATCH", &path, &body);
        assert_eq!((refused.status, refused.errors()), (422, named(&[(field, code)])), "{body}: {refused:?}");
        let mut whole = json!({"url": desk.url("/"), "event_types": ["ticket.created"]});
        whole.as_object_mut().unwrap().remove(field);
        let rest = whole.to_string();
        let body = format!("{}, {}", &body[..body.len() - 1], &rest[1..]);
        let refused = desk.ask("POST", "", &body);
        assert_eq!((refused.status, refused.errors()), (422, named(&[(field, code)])), "{body}: {refused:?}");
    }
    assert_eq!((desk.ask("GET", &path, "").json(), desk.webhooks()), (before, 1), "nothing was changed");
}

#[test]
fn all_that_is_missing_or_has_the_wrong_type_is_named_at_once() {
    let mut desk = Desk::new("hooks_errors");
    let refused = desk.ask("POST", "", "{}");
    assert_eq!((refused.status, refused.errors()), (422, named(&[("url", "required"), ("event_types", "required")])));
    let body = r#"{"url": null, "event_types": 7, "timeout": "x", "timeout": 8, "nonsense": 1}"#;
    let expected = [
        ("url", "required"),
        ("event_types", "type"),
        ("timeout", "type"),
        ("timeout", "repeated"),
        ("nonsense", "unknown"),
    ];
    let refused = desk.ask("POST", "", body);
    assert_eq!((refused.status, refused.errors()), (422, named(&expected)));
    let (path, _) = desk.create("/", json!({}));
    for field in ["url", "event_types", "preset", "headers", "log_successes"] {
        let refused = desk.ask("PATCH", &path, &json!({field: null}).to_string());
        assert_eq!((refused.status, refused.errors()), (422, named(&[(field, "required")])), "{refused:?}");
    }
    let not_json = desk.ask("PATCH", &path, "{\"url\": }");
    assert_eq!(not_json.status, 400);
}

#[test]
fn what_is_computed_or_secret_cannot_be_given() {
    let mut desk = Desk::new("hooks_assigned");
    let (path, created) = desk.create("/", json!({}));
    let shown = created.json();
    let accepted = [
        "url",
        "name",
        "event_types",
        "preset",
        "signatures",
        "timeout",
        "retry_schedule",
        "filter",
        "max_in_flight",
        "rate_limit",
        "disable_after",
        "disable_after_time",
        "log_successes",
        "keep_bodies",
    ];
    let computed: Vec<&String> =
        shown.as_object().unwrap().keys().filter(|name| !accepted.contains(&name.as_str())).collect();
    assert!(
        computed.iter().any(|name| *name == "secret") && computed.iter().any(|name| *name == "status"),
        "{computed:?}"
    );
    for name in computed {
        let value =
            if name == "secret" { json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") } else { shown[name].clone() };
        let refused = desk.ask("PATCH", &path, &json!({name: value}).to_string());
        let expected = named(&[(name.as_str(), "read_only")]);
        assert_eq!((refused.status, refused.errors()), (422, expected.clone()), "{refused:?}");
        let body = desk.body("/", json!({name: value}));
        assert_eq!(desk.ask("POST", "", &body).errors(), expected);
    }
    for action in ["pause", "resume", "rotate", "test"] {
        let refused = desk.ask("POST", &format!("{path}/{action}"), r#"{"status": "active", "secret": "x"}"#);
        assert_eq!((refused.status, refused.errors().len()), (422, 2), "{action}: {refused:?}");
    }
    assert_eq!((desk.webhooks(), desk.shop.bench.receiver.received("/")), (1, 0));
}

#[test]
fn an_answer_to_what_is_refused_has_no_value_of_a_header() {
    let mut desk = Desk::new("hooks_quiet");
    let secret: Value = json!({"headers": {"Authorization": "Bearer hunter2"}, "name": "CRM"});
    let (path, _) = desk.create("/", secret.clone());
    for body in [
        desk.body("/", secret),
        r#"{"headers": {"Authorization": "Bearer hunter2\r\n"}}"#.into(),
        r#"{"headers": {"Authorization": "Bearer hunter2", "Host": "hunter2"}}"#.into(),
        r#"{"url": "http://127.0.0.1:9/"}"#.into(),
    ] {
        let method = if body.contains("event_types") { "POST" } else { "PATCH" };
        let refused = desk.ask(method, if method == "POST" { "" } else { &path }, &body);
        assert!(matches!(refused.status, 409 | 422) && !refused.body.contains("hunter2"), "{body}: {refused:?}");
    }
}
