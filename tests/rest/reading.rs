//! One row over HTTP.

use serde_json::json;

use crate::{Desk, TICKETS, request};

#[test]
fn a_row_is_what_its_webhook_sends_byte_for_byte() {
    let mut desk = Desk::with("reading_entity", TICKETS, "");
    desk.bench.run(
        "ALTER TABLE app.tickets ADD raw json, ADD tags text[], ADD price numeric(30, 4), ADD ratio float8, ADD big bigint,
             ADD at timestamptz, ADD span interval, ADD data bytea, ADD password_hash text;
         SELECT hydra.webhook_watch('app.tickets', 'ticket.created', 'insert',
             only => '{id,tenant_id,subject,amount,due,raw,tags,price,ratio,big,at,span,data}')",
    );
    desk.bench.subscribe("/hook", "ticket.created", &[]);
    desk.bench.run("SELECT hydra.api_expose('app.tickets')");
    desk.bench.run(
        r#"SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 0;
        INSERT INTO app.tickets (id, tenant_id, subject, amount, due, raw, tags, price, ratio, big, at, span, data, password_hash)
        VALUES (9007199254740993, 'acme', E'quote " and \\ and \t', 1.50, '2026-02-03', '{"b": 1,  "a": [1.0, "\u0000"]}',
                '{x,NULL,"y z"}', 12345678901234567890.1234, 0.1, 9223372036854775807, '2026-10-25 02:30:00+02', '1 mon 2 days', '\x00ff', 'secret')"#,
    );
    let sent = desk.bench.wait_for("/hook", 1);
    let sent = String::from_utf8(sent[0].body.clone()).expect("text");
    let answer = desk.get("/api/v1/tickets/9007199254740993");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(sent.contains(&format!("\"entity\":{}}},", answer.body)), "{sent}\n{}", answer.body);
    assert!(answer.body.contains("\"big\":9223372036854775807,") && !answer.body.contains("secret"), "{}", answer.body);
    // A list has the same bytes.
    let list = desk.get("/api/v1/tickets?sort=-id&limit=1");
    assert!(list.body.starts_with(&format!("{{\"data\":[{}],\"has_more\":true,", answer.body)), "{list:?}");
}

#[test]
fn a_row_that_is_known_already_is_not_sent_again() {
    let mut desk = Desk::new("reading_etag");
    let first = desk.get("/api/v1/tickets/1");
    let etag = first.header("etag").expect("an ETag").to_owned();
    assert!(etag.len() == 34 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let key = desk.key.clone();
    let mut conditional = |tag: &str| {
        let headers = json!([["If-None-Match", tag]]).to_string();
        request(&mut desk.gateway, Some(&key), "GET", "/api/v1/tickets/1", &headers)
    };
    for tag in [etag.as_str(), &format!("W/{etag}"), &format!("\"other\", {etag}"), "*"] {
        let answer = conditional(tag);
        assert_eq!(
            (answer.status, answer.body.as_str(), answer.header("etag")),
            (304, "", Some(etag.as_str())),
            "{tag}"
        );
    }
    assert_eq!(conditional("\"other\"").status, 200);
    // A change that is not shown changes nothing; one that is, does.
    desk.bench.run(
        "SELECT hydra.api_expose('app.tickets', readable => '{id,subject}', filterable => '{}', sortable => '{}')",
    );
    let shown = desk.get("/api/v1/tickets/1").header("etag").map(str::to_owned);
    desk.bench.run("UPDATE app.tickets SET note = 'internal' WHERE id = 1");
    assert_eq!(desk.get("/api/v1/tickets/1").header("etag").map(str::to_owned), shown);
    desk.bench.run("UPDATE app.tickets SET subject = 'Fire is out' WHERE id = 1");
    assert_ne!(desk.get("/api/v1/tickets/1").header("etag").map(str::to_owned), shown);
    // Lists have one too.
    let list = desk.get("/api/v1/tickets");
    let headers = json!([["if-none-match", list.header("etag")]]).to_string();
    assert_eq!(request(&mut desk.gateway, Some(&key), "GET", "/api/v1/tickets", &headers).status, 304);
}

#[test]
fn what_is_not_there_is_404_whatever_the_id_looks_like() {
    let mut desk = Desk::new("reading_missing");
    for id in
        ["5", "0", "-1", "abc", "1.0", "9223372036854775808", "%27", "%zz", "%00", "1%20OR%201=1", "", "me", "NULL"]
    {
        let answer = desk.get(&format!("/api/v1/tickets/{id}"));
        assert_eq!(answer.status, 404, "{id}: {answer:?}");
    }
    for path in ["/api/v1/ticket", "/api/v1/Tickets", "/api/v1/tickets/1/notes", "/api/v1/api_key", "/api/v1/a;b"] {
        assert_eq!(desk.get(path).status, 404, "{path}");
    }
    // An id is found as Postgres reads it.
    assert_eq!(desk.get("/api/v1/tickets/%31").status, 200);
}

#[test]
fn an_id_may_be_any_text() {
    let mut desk = Desk::with(
        "reading_text_id",
        "CREATE TABLE notes (slug text PRIMARY KEY, tenant_id text); GRANT SELECT ON notes TO hydra_api;
         INSERT INTO notes VALUES ('a/b c+d', 'acme'), ('ü''', 'acme'), ('50%', 'acme')",
        "'public.notes', 'tickets'",
    );
    for (path, slug) in [("a%2Fb%20c+d", "a/b c+d"), ("%C3%BC'", "ü'"), ("50%25", "50%")] {
        let answer = desk.get(&format!("/api/v1/tickets/{path}"));
        assert_eq!((answer.status, &answer.json()["slug"]), (200, &json!(slug)), "{path}");
    }
}

#[test]
fn a_key_needs_the_scope_of_the_resource_and_is_told_which() {
    let mut desk = Desk::new("reading_scopes");
    let other = desk.key("'{accounts:read,mcp,tickets:write}', tenant_id => 'acme'");
    for path in ["/api/v1/tickets", "/api/v1/tickets/1", "/api/v1/tickets/99"] {
        let answer = desk.get_as(&other, path);
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.body.contains("tickets:read"), "{answer:?}");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer error=\"insufficient_scope\", scope=\"tickets:read\"")
        );
        // The gateway counts it.
        assert!(answer.header("hydra-key").is_some() && answer.header("hydra-quota").is_some(), "{answer:?}");
    }
    assert_eq!(request(&mut desk.gateway, None, "GET", "/api/v1/tickets", "[]").status, 401);
}

#[test]
fn a_request_that_reads_writes_nothing() {
    let mut desk = Desk::with(
        "reading_only",
        "CREATE TABLE notes (id int PRIMARY KEY, tenant_id text); CREATE TABLE seen (id int);
         GRANT INSERT ON seen TO hydra_api; GRANT SELECT ON notes TO hydra_api;
         CREATE FUNCTION see(id int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen VALUES (id); RETURN id; END';
         INSERT INTO notes VALUES (1, 'acme');
         CREATE VIEW watched WITH (security_invoker) AS SELECT see(id) AS id, tenant_id FROM notes; GRANT SELECT ON watched TO hydra_api",
        "'public.watched', 'tickets', id_column => 'id'",
    );
    let answer = desk.get("/api/v1/tickets");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (405, Some("25006")), "{answer:?}");
    assert_eq!(desk.bench.count("seen"), 0);
}

#[test]
fn head_is_get_and_other_methods_are_named() {
    let mut desk = Desk::new("reading_methods");
    let key = desk.key.clone();
    let mut make = |method: &str, path: &str| request(&mut desk.gateway, Some(&key), method, path, "[]");
    for path in ["/api/v1/tickets", "/api/v1/tickets/1"] {
        let (get, head) = (make("GET", path), make("HEAD", path));
        assert_eq!((head.status, head.header("etag")), (200, get.header("etag")));
        let answer = make("OPTIONS", path);
        assert_eq!(answer.status, 405, "{answer:?}");
        assert!(answer.header("allow").is_some_and(|allow| allow.starts_with("GET, HEAD")), "{answer:?}");
    }
}
