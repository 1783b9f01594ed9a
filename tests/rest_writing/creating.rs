//! POST creates a row.

use serde_json::json;

use crate::{Shop, create_key_for};

#[test]
fn a_row_that_is_created_is_answered_with_its_place_and_its_etag() {
    let mut shop = Shop::new("created");
    let created = shop.ticket(r#"{"subject": "Printer on fire", "urgent": true}"#);
    let body = created.json();
    assert_eq!(
        (&body["subject"], &body["status"], &body["urgent"], &body["tenant_id"], &body["length"]),
        (&json!("Printer on fire"), &json!("open"), &json!(true), &json!("acme"), &json!(15))
    );
    let place = created.header("location").unwrap().to_owned();
    assert_eq!(place, format!("/api/v1/tickets/{}", body["id"]));
    let read = shop.call("GET", &place).make(&mut shop.gateway);
    assert_eq!((read.status, &read.body, read.header("etag")), (200, &created.body, created.header("etag")));
    assert_eq!(created.header("content-type"), Some("application/json"));
}

#[test]
fn what_is_not_given_gets_the_default_of_the_table() {
    let mut shop = Shop::new("defaults");
    let body = shop.ticket(r#"{"subject": "x"}"#).json();
    assert_eq!((&body["status"], &body["slug"]), (&json!("open"), &json!(null)));
    // Null is a value, and not the default.
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x", "status": null}"#);
    assert_eq!((refused.status, refused.errors()), (422, vec![("status".into(), "required".into())]));
    let note: String = shop.bench.ask("SELECT note FROM public.ticket");
    assert_eq!(note, "hidden");
}

#[test]
fn a_row_can_be_created_of_defaults_alone() {
    let mut shop = Shop::new("nothing");
    shop.bench.run(
        "CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text, name text DEFAULT 'n');
         GRANT ALL ON public.thing TO shop",
    );
    shop.expose("things", "public.thing", "id,tenant_id,name", "name", "name");
    let own = shop.post("/api/v1/things", "{}");
    assert_eq!((own.status, own.json()), (201, json!({"id": 1, "tenant_id": "acme", "name": "n"})));
    let call = shop.call("POST", "/api/v1/things").key(&shop.operator).body("{}");
    assert_eq!(call.make(&mut shop.gateway).json(), json!({"id": 2, "tenant_id": null, "name": "n"}));
}

#[test]
fn a_field_without_a_value_is_named() {
    let mut shop = Shop::new("required");
    for body in ["{}", r#"{"subject": null}"#] {
        let refused = shop.post("/api/v1/tickets", body);
        assert_eq!((refused.status, refused.errors()), (422, vec![("subject".into(), "required".into())]), "{body}");
    }
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn a_trigger_may_give_a_required_value() {
    let mut shop = Shop::new("filled");
    shop.bench.run(
        "CREATE FUNCTION public.fill() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN NEW.subject := coalesce(NEW.subject, 'none'); RETURN NEW; END $$;
         CREATE TRIGGER fill BEFORE INSERT ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.fill()",
    );
    assert_eq!(shop.ticket("{}").json()["subject"], "none");
}

/// Mass assignment.
#[test]
fn only_the_columns_that_were_exposed_for_it_are_written() {
    let mut shop = Shop::new("assigned");
    for (field, value, code) in [
        ("id", "7", "read_only"),
        ("tenant_id", "\"globex\"", "read_only"),
        ("length", "7", "read_only"),
        // The column exists, and its existence is not shown.
        ("note", "\"x\"", "unknown"),
        ("absent", "\"x\"", "unknown"),
        ("ctid", "\"(0,1)\"", "unknown"),
        ("Subject", "\"x\"", "unknown"),
        ("subject\\u0000", "\"x\"", "unknown"),
        ("subject\\\", note", "\"x\"", "unknown"),
        ("", "1", "unknown"),
    ] {
        let name: String = serde_json::from_str(&format!("\"{field}\"")).unwrap();
        for method in ["POST", "PATCH"] {
            let path = if method == "POST" { "/api/v1/tickets" } else { "/api/v1/tickets/1" };
            let call = shop.call(method, path).body(&format!("{{\"status\": \"open\", \"{field}\": {value}}}"));
            let refused = call.make(&mut shop.gateway);
            assert_eq!(
                (refused.status, refused.errors()),
                (422, vec![(name.clone(), code.into())]),
                "{method} {field}"
            );
        }
    }
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn all_fields_that_are_refused_are_named_at_once() {
    let mut shop = Shop::new("several");
    let refused = shop.post("/api/v1/tickets", r#"{"subject": 7, "absent": 1, "id": 1, "urgent": "yes"}"#);
    let fields: Vec<String> = refused.errors().into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["subject", "absent", "id", "urgent"]);
    let refused =
        shop.post("/api/v1/tickets", r#"{"subject": "x", "number": 1.5, "due_at": "soon", "code": "123456"}"#);
    assert_eq!(
        refused.errors(),
        [("number", "22P02"), ("due_at", "22007"), ("code", "22001")].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
}

#[test]
fn an_identity_or_generated_column_is_never_written_even_if_it_was_exposed() {
    let mut shop = Shop::new("generated");
    shop.bench.run("UPDATE hydra.api_resource SET creatable = creatable || '{id,length}'::name[]");
    for field in ["id", "length"] {
        let refused = shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "{field}": 7}}"#));
        assert_eq!((refused.status, refused.errors()), (422, vec![(field.into(), "read_only".into())]));
    }
}

#[test]
fn a_key_needs_the_scope_to_write() {
    let mut shop = Shop::new("scopes");
    let reader = create_key_for(&mut shop.bench.client, "tickets:read", "tenant_id => 'acme'");
    shop.ticket(r#"{"subject": "x"}"#);
    for (method, path) in [("POST", ""), ("PATCH", "/1"), ("DELETE", "/1")] {
        let call = shop.call(method, &format!("/api/v1/tickets{path}")).key(&reader).body("{}");
        let refused = call.make(&mut shop.gateway);
        assert_eq!(refused.status, 403, "{method}: {refused:?}");
        assert!(refused.header("www-authenticate").unwrap().contains("tickets:write"), "{refused:?}");
    }
    // A scope to write is none to read.
    let writer = create_key_for(&mut shop.bench.client, "tickets:write", "tenant_id => 'acme'");
    assert_eq!(shop.call("GET", "/api/v1/tickets/1").key(&writer).make(&mut shop.gateway).status, 403);
}

#[test]
fn a_method_that_the_resource_does_not_have_is_refused_with_those_that_it_has() {
    let mut shop = Shop::new("methods");
    for (method, path, allowed) in [
        ("PUT", "/api/v1/tickets/1", "GET, HEAD, PATCH, DELETE"),
        ("POST", "/api/v1/tickets/1", "GET, HEAD, PATCH, DELETE"),
        ("PATCH", "/api/v1/tickets", "GET, HEAD, POST"),
        ("DELETE", "/api/v1/tickets", "GET, HEAD, POST"),
    ] {
        let refused = shop.call(method, path).body("{}").make(&mut shop.gateway);
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    shop.bench.run("UPDATE hydra.api_resource SET creatable = '{}', updatable = '{}', deletable = false");
    for (method, path) in [("POST", ""), ("PATCH", "/1"), ("DELETE", "/1")] {
        let refused = shop.call(method, &format!("/api/v1/tickets{path}")).body("{}").make(&mut shop.gateway);
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[test]
fn a_request_that_writes_has_no_parameters() {
    let mut shop = Shop::new("parameters");
    assert_eq!(shop.post("/api/v1/tickets?dry_run=true", r#"{"subject": "x"}"#).status, 400);
    assert_eq!(shop.tickets(), 0);
}
