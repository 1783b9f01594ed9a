//! Attempts to read what is not one's own.

use serde_json::json;

use crate::{Desk, TICKETS, request};

/// What belongs to another tenant in [`TICKETS`].
const FOREIGN: &str = "Not for acme";

#[test]
fn rows_of_another_tenant_are_found_by_no_id_filter_order_or_cursor() {
    let mut desk = Desk::new("attack_tenants");
    let globex = desk.key("'{tickets:read}', tenant_id => 'globex'");
    let cursor = |answer: crate::Answer| answer.json()["next_cursor"].as_str().map(str::to_owned);
    desk.bench.run("INSERT INTO app.tickets (id, tenant_id, subject) VALUES (10, 'globex', 'Not for acme')");
    let foreign = cursor(desk.get_as(&globex, "/api/v1/tickets?limit=1")).expect("a cursor");
    for path in [
        "/api/v1/tickets/3",
        "/api/v1/tickets/10",
        "/api/v1/tickets?id=3",
        "/api/v1/tickets?id[in]=3,10",
        "/api/v1/tickets?id[ne]=1",
        "/api/v1/tickets?tenant_id=globex",
        "/api/v1/tickets?tenant_id[ne]=acme",
        "/api/v1/tickets?tenant_id[gte]=a",
        "/api/v1/tickets?tenant_id[in]=acme,globex",
        "/api/v1/tickets?sort=-tenant_id",
        "/api/v1/tickets?amount=1",
        "/api/v1/tickets?tenant_id[null]=false&sort=-due",
        &format!("/api/v1/tickets?limit=1&cursor={foreign}"),
    ] {
        let answer = desk.get(path);
        assert!(!answer.body.contains(FOREIGN) && !answer.body.contains("globex\""), "{path}: {answer:?}");
    }
    // The same answer as for a row that does not exist.
    let shape = |answer: crate::Answer| {
        let mut body = answer.json();
        body["request_id"].take();
        (answer.status, body.to_string(), answer.headers.len())
    };
    assert_eq!(shape(desk.get("/api/v1/tickets/3")), shape(desk.get("/api/v1/tickets/77")));
    assert_eq!(desk.get_as(&globex, "/api/v1/tickets/3").status, 200);
    // An ETag does not tell whether a row exists.
    let etag = desk.get_as(&globex, "/api/v1/tickets/3").header("etag").expect("an ETag").to_owned();
    let (key, headers) = (desk.key.clone(), json!([["If-None-Match", etag]]).to_string());
    assert_eq!(request(&mut desk.gateway, Some(&key), "GET", "/api/v1/tickets/3", &headers).status, 404);
}

#[test]
fn a_key_without_a_tenant_reads_what_its_role_may_read() {
    let mut desk = Desk::new("attack_roles");
    let all = desk.key("'{tickets:read}'");
    assert_eq!(desk.get_as(&all, "/api/v1/tickets").ids(), [1, 2, 3, 4]);
    desk.bench.run(
        "ALTER TABLE app.tickets ENABLE ROW LEVEL SECURITY;
         CREATE POLICY open ON app.tickets TO clerk USING (amount > 5);
         CREATE POLICY own ON app.tickets TO hydra_api USING (tenant_id = hydra.current_tenant())",
    );
    let clerk = desk.key("'{tickets:read}', role => 'clerk'");
    assert_eq!(desk.get_as(&clerk, "/api/v1/tickets").ids(), [1, 4]);
    assert_eq!(desk.get_as(&clerk, "/api/v1/tickets/2").status, 404);
    assert_eq!(desk.get_as(&all, "/api/v1/tickets").ids(), [0i64; 0]);
    assert_eq!(desk.get("/api/v1/tickets").ids(), [1, 2, 4]);
    // Both hold: the policy of its role, and its own tenant.
    let clerk_of_globex = desk.key("'{tickets:read}', role => 'clerk', tenant_id => 'globex'");
    assert_eq!(desk.get_as(&clerk_of_globex, "/api/v1/tickets").ids(), [0i64; 0]);
}

#[test]
fn a_role_without_the_privilege_gets_403_and_no_text_of_the_database() {
    let mut desk = Desk::new("attack_privileges");
    desk.bench.run("REVOKE SELECT ON app.tickets FROM hydra_api");
    for path in ["/api/v1/tickets", "/api/v1/tickets/1"] {
        let answer = desk.get(path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("42501")), "{answer:?}");
        assert!(!answer.body.contains("app") && !answer.body.contains("permission denied"), "{answer:?}");
    }
}

#[test]
fn a_key_with_a_tenant_does_not_find_rows_that_have_none() {
    let mut desk = Desk::with(
        "attack_no_tenant",
        "CREATE TABLE prices (id int PRIMARY KEY, secret_margin int); GRANT SELECT ON prices TO hydra_api; INSERT INTO prices VALUES (1, 2)",
        "'public.prices', 'tickets'",
    );
    for path in ["/api/v1/tickets", "/api/v1/tickets/1"] {
        assert_eq!(desk.get(path).status, 404);
    }
    let all = desk.key("'{tickets:read}'");
    assert_eq!(desk.get_as(&all, "/api/v1/tickets").ids(), [1]);
}

#[test]
fn a_tenant_that_is_no_value_of_the_column_has_no_rows() {
    let mut desk = Desk::with(
        "attack_typed_tenant",
        "CREATE TABLE notes (id int PRIMARY KEY, workspace uuid); GRANT SELECT ON notes TO hydra_api;
         INSERT INTO notes VALUES (1, '00000000-0000-0000-0000-000000000001'), (2, NULL)",
        "'public.notes', 'tickets', tenant_column => 'workspace'",
    );
    assert_eq!(desk.get("/api/v1/tickets").ids(), [0i64; 0]);
    assert_eq!(desk.get("/api/v1/tickets/1").status, 404);
    let own = desk.key("'{tickets:read}', tenant_id => '00000000-0000-0000-0000-000000000001'");
    assert_eq!(desk.get_as(&own, "/api/v1/tickets").ids(), [1]);
    assert_eq!(desk.get_as(&own, "/api/v1/tickets/2").status, 404);
}

#[test]
fn columns_that_are_not_shown_cannot_be_guessed() {
    let mut desk = Desk::with(
        "attack_hidden",
        TICKETS,
        "'app.tickets', readable => '{id,subject}', filterable => '{id}', sortable => '{}'",
    );
    desk.bench.run("CREATE INDEX ON app.tickets (note); UPDATE app.tickets SET note = 'hunter2'");
    for query in ["note=hunter2", "note[gte]=h", "sort=note", "status=open", "tenant_id=acme", "amount[gt]=1"] {
        assert_eq!(desk.get(&format!("/api/v1/tickets?{query}")).status, 400, "{query}");
    }
    for path in ["/api/v1/tickets/1", "/api/v1/tickets", "/api/v1/tickets?limit=1"] {
        let answer = desk.get(path);
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("hunter2") && !answer.body.contains("open"), "{answer:?}");
    }
    assert_eq!(desk.get("/api/v1/tickets/1").body, "{\"id\":1,\"subject\":\"Printer on fire\"}");
}

#[test]
fn no_text_of_a_request_becomes_sql() {
    let mut desk = Desk::with(
        "attack_injection",
        "CREATE TABLE \"odd \"\" table\" (\"id\" int PRIMARY KEY, tenant_id text, \"a\"\"b]; --\" text, \"hydra_key\" int, \"limit\" int);
         CREATE INDEX ON \"odd \"\" table\" (\"a\"\"b]; --\"); CREATE INDEX ON \"odd \"\" table\" (\"limit\");
         GRANT SELECT ON \"odd \"\" table\" TO hydra_api;
         INSERT INTO \"odd \"\" table\" VALUES (1, 'acme', 'x', 5, 7), (2, 'acme', '''; DROP TABLE x; --', 5, 8)",
        "'public.\"odd \"\" table\"', 'tickets'",
    );
    let escaped = "a%22b%5D%3B%20--";
    assert_eq!(desk.get(&format!("/api/v1/tickets?{escaped}=x&sort=-{escaped}")).ids(), [1]);
    assert_eq!(desk.get(&format!("/api/v1/tickets?{escaped}[in]=%27%3B%20DROP%20TABLE%20x%3B%20--")).ids(), [2]);
    // A column that is named as a parameter of lists is filtered with an operator.
    assert_eq!(desk.get("/api/v1/tickets?limit[eq]=8&limit=1").ids(), [2]);
    for path in
        ["/api/v1/tickets?sort=id%20DESC", "/api/v1/tickets?id%20OR%201=1", "/api/v1/tickets?id[%3D%201%20OR]=1"]
    {
        assert_eq!(desk.get(path).status, 400, "{path}");
    }
}

#[test]
fn a_column_with_the_tenant_that_was_renamed_shows_no_row_at_all() {
    let mut desk = Desk::new("attack_renamed");
    let all = desk.key("'{tickets:read}'");
    desk.bench.run("ALTER TABLE app.tickets RENAME tenant_id TO workspace");
    for key in [desk.key.clone(), all] {
        assert_eq!(desk.get_as(&key, "/api/v1/tickets").status, 404);
        assert_eq!(desk.get_as(&key, "/api/v1/tickets/3").status, 404);
    }
}

#[test]
fn a_filter_that_takes_too_long_is_cancelled() {
    let mut desk = Desk::with(
        "attack_slow",
        "CREATE TABLE notes (id int PRIMARY KEY, tenant_id text); GRANT SELECT ON notes TO hydra_api;
         INSERT INTO notes VALUES (1, 'acme'), (2, 'acme');
         CREATE FUNCTION slow(id int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN id; END';
         CREATE VIEW slow_notes WITH (security_invoker) AS SELECT id, tenant_id, slow(id) AS slow FROM notes; GRANT SELECT ON slow_notes TO hydra_api",
        "'public.slow_notes', 'tickets', id_column => 'id', filterable => '{slow}'",
    );
    let answer = desk.get("/api/v1/tickets?slow=1");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    // The session goes on.
    assert_eq!(desk.get("/api/v1/me").status, 200);
}

#[test]
fn functions_and_operators_that_others_have_made_are_not_used() {
    let mut desk = Desk::new("attack_operators");
    desk.bench.run(
        "GRANT CREATE ON SCHEMA public TO clerk;
         SET ROLE clerk;
         CREATE FUNCTION public.always(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.always);
         CREATE FUNCTION public.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.always);
         RESET ROLE;
         ALTER ROLE far_gateway IN DATABASE attack_operators SET search_path = public, pg_catalog",
    );
    let mut gateway = crate::cluster().connect_as("attack_operators", "far_gateway");
    let key = desk.key.clone();
    assert_eq!(request(&mut gateway, Some(&key), "GET", "/api/v1/tickets/3", "[]").status, 404);
    assert_eq!(request(&mut gateway, Some(&key), "GET", "/api/v1/tickets", "[]").ids(), [1, 2, 4]);
}
