//! Bodies that cannot be read.

use crate::Shop;

#[test]
fn a_body_of_another_type_is_refused() {
    let mut shop = Shop::new("types");
    shop.ticket(r#"{"subject": "x"}"#);
    for (method, path, kind, status) in [
        ("POST", "/api/v1/tickets", "text/plain", 415),
        ("POST", "/api/v1/tickets", "application/x-www-form-urlencoded", 415),
        ("POST", "/api/v1/tickets", "application/jsonx", 415),
        ("POST", "/api/v1/tickets", "application/merge-patch+json", 415),
        ("POST", "/api/v1/tickets", "application/json; charset=latin1", 415),
        ("POST", "/api/v1/tickets", "", 415),
        ("POST", "/api/v1/tickets", "Application/JSON; charset=\"UTF-8\"", 201),
        ("PATCH", "/api/v1/tickets/1", "application/json-patch+json", 415),
        ("PATCH", "/api/v1/tickets/1", "application/merge-patch+json", 200),
        ("PATCH", "/api/v1/tickets/1", "application/json", 200),
    ] {
        let call = shop.call(method, path).header("Content-Type", kind).body(r#"{"subject": "x"}"#);
        assert_eq!(call.make(&mut shop.gateway).status, status, "{method} {kind}");
    }
    let call = shop.call("POST", "/api/v1/tickets").body(r#"{"subject": "x"}"#);
    assert_eq!(call.clone().without("Content-Type").make(&mut shop.gateway).status, 415);
    assert_eq!(call.header("Content-Encoding", "gzip").make(&mut shop.gateway).status, 415);
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let mut shop = Shop::new("malformed");
    for body in
        ["", "{", "{\"subject\": }", "{\"subject\": \"x\"} x", "{'subject': 'x'}", "\u{feff}{}", "{\"a\": \"\\ud800"]
    {
        assert_eq!(shop.post("/api/v1/tickets", body).status, 400, "{body}");
    }
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    let mut shop = Shop::new("no_object");
    for body in ["[]", "[{\"subject\": \"x\"}]", "\"x\"", "7", "null", "true"] {
        let refused = shop.post("/api/v1/tickets", body);
        assert_eq!((refused.status, refused.errors().len()), (422, 0), "{body}");
    }
}

#[test]
fn a_field_that_is_given_twice_is_refused() {
    let mut shop = Shop::new("twice");
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "a", "subject": "b"}"#);
    assert_eq!((refused.status, refused.errors()), (422, vec![("subject".into(), "repeated".into())]));
}

/// Neither parser may run out of stack.
#[test]
fn a_body_that_is_nested_very_deeply_is_refused() {
    let mut shop = Shop::new("deep");
    for field in ["details", "tags", "subject"] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let value = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let refused = shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "{field}": {value}}}"#));
            assert_eq!(refused.status, 422, "{field} {open}");
        }
    }
    shop.ticket(r#"{"subject": "x"}"#);
}
