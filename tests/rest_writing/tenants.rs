//! A key reaches no row of another tenant, and learns nothing of one.

use serde_json::json;

use crate::Shop;

const POLICIES: &str = "
    ALTER TABLE public.ticket ENABLE ROW LEVEL SECURITY;
    CREATE POLICY seen ON public.ticket FOR SELECT USING (true);
    CREATE POLICY written ON public.ticket FOR INSERT WITH CHECK (status = 'open');
    CREATE POLICY changed ON public.ticket FOR UPDATE USING (subject <> 'frozen') WITH CHECK (status <> 'closed');
    CREATE POLICY removed ON public.ticket FOR DELETE USING (subject <> 'frozen')";

#[test]
fn a_row_that_is_created_gets_the_tenant_of_the_key() {
    let mut shop = Shop::new("own_tenant");
    shop.bench.run("UPDATE hydra.api_resource SET creatable = creatable || '{tenant_id}'::name[], updatable = updatable || '{tenant_id}'::name[]");
    assert_eq!(shop.ticket(r#"{"subject": "x"}"#).json()["tenant_id"], "acme");
    // Not even its own: there is nothing to choose.
    for tenant in ["globex", "acme"] {
        for (method, path) in [("POST", ""), ("PATCH", "/1")] {
            let body = format!(r#"{{"subject": "x", "tenant_id": "{tenant}"}}"#);
            let refused = shop.call(method, &format!("/api/v1/tickets{path}")).body(&body).make(&mut shop.gateway);
            assert_eq!((refused.status, refused.errors()), (422, vec![("tenant_id".into(), "read_only".into())]));
        }
    }
    let call = shop.call("POST", "/api/v1/tickets").key(&shop.operator);
    let created = call.body(r#"{"subject": "x", "tenant_id": "globex"}"#).make(&mut shop.gateway);
    assert_eq!((created.status, &created.json()["tenant_id"]), (201, &json!("globex")));
}

#[test]
fn a_key_without_a_tenant_cannot_create_a_row_that_needs_one() {
    let mut shop = Shop::new("tenantless");
    let call = shop.call("POST", "/api/v1/tickets").key(&shop.operator).body(r#"{"subject": "x"}"#);
    let refused = call.make(&mut shop.gateway);
    assert_eq!((refused.status, refused.errors()), (422, vec![("tenant_id".into(), "required".into())]));
}

#[test]
fn a_row_of_another_tenant_is_not_there() {
    let mut shop = Shop::new("others");
    shop.bench.run("INSERT INTO public.ticket (tenant_id, subject) VALUES ('globex', 'theirs')");
    let absent = shop.patch("/api/v1/tickets/999", r#"{"subject": "x"}"#).said();
    for (method, etag) in [("PATCH", None), ("PATCH", Some("*")), ("DELETE", None), ("DELETE", Some("\"x\""))] {
        let mut call = shop.call(method, "/api/v1/tickets/1").body(r#"{"subject": "x"}"#);
        if let Some(etag) = etag {
            call = call.header("If-Match", etag);
        }
        assert_eq!(call.make(&mut shop.gateway).said(), absent, "{method} {etag:?}");
    }
    assert_eq!(shop.bench.ask::<String>("SELECT subject FROM public.ticket"), "theirs");
    let call = shop.call("PATCH", "/api/v1/tickets/1").key(&shop.operator).body(r#"{"slug": "x"}"#);
    assert_eq!(call.make(&mut shop.gateway).status, 200);
}

#[test]
fn a_resource_without_tenants_is_none_to_a_key_with_a_tenant() {
    let mut shop = Shop::new("no_tenants");
    shop.bench.run(
        "CREATE TABLE public.thing (id int PRIMARY KEY, name text); GRANT ALL ON public.thing TO shop;
         SELECT hydra.api_expose('public.thing', 'things', NULL, '{id,name}', '{name}', '{}', '{}', true)",
    );
    let body = r#"{"id": 1, "name": "x"}"#;
    assert_eq!(shop.post("/api/v1/things", body).status, 404);
    let call = shop.call("POST", "/api/v1/things").key(&shop.operator).body(body);
    assert_eq!(call.make(&mut shop.gateway).status, 201);
    assert_eq!(shop.patch("/api/v1/things/1", r#"{"name": "y"}"#).status, 404);
    assert_eq!(shop.delete("/api/v1/things/1").status, 404);
}

/// A key that does not begin with the tenant cannot be kept to it. The answer says that there is a conflict, and not which.
#[test]
fn a_unique_value_of_another_tenant_is_a_conflict_without_a_reason() {
    let mut shop = Shop::new("unique_values");
    shop.bench
        .run("INSERT INTO public.ticket (tenant_id, subject, slug, number) VALUES ('globex', 'theirs', 'taken', 7)");
    shop.ticket(r#"{"subject": "mine", "slug": "mine", "number": 8}"#);
    for call in [
        shop.call("POST", "/api/v1/tickets").body(r#"{"subject": "x", "slug": "taken"}"#),
        shop.call("POST", "/api/v1/tickets").body(r#"{"subject": "x", "slug": "mine"}"#),
        shop.call("PATCH", "/api/v1/tickets/2").body(r#"{"slug": "taken"}"#),
    ] {
        let refused = call.make(&mut shop.gateway);
        assert_eq!((refused.status, refused.errors().len()), (409, 0), "{refused:?}");
        for leaked in ["taken", "slug", "key", "globex"] {
            assert!(!refused.body.contains(leaked), "{refused:?}");
        }
    }
    // A number is unique within a tenant: that of another is free, and one of its own is named.
    assert_eq!(shop.ticket(r#"{"subject": "x", "number": 7}"#).status, 201);
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x", "number": 8}"#);
    assert_eq!((refused.status, refused.errors()), (409, vec![("number".into(), "taken".into())]));
}

#[test]
fn a_unique_value_that_was_not_sent_is_a_conflict_without_a_reason() {
    let mut shop = Shop::new("unique_elsewhere");
    shop.bench.run(
        "CREATE TABLE public.log (subject text UNIQUE); INSERT INTO public.log VALUES ('secret');
         CREATE FUNCTION public.log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
         $$ BEGIN INSERT INTO public.log VALUES ('secret'); RETURN NEW; END $$;
         CREATE TRIGGER log AFTER INSERT ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.log()",
    );
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x"}"#);
    assert_eq!((refused.status, refused.errors().len()), (409, 0));
    assert!(!refused.body.contains("secret") && !refused.body.contains("log"), "{refused:?}");
}

#[test]
fn row_security_decides_what_is_written() {
    let mut shop = Shop::new("policies");
    shop.bench.run(POLICIES);
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x", "status": "closed"}"#);
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("42501")));
    let row = shop.ticket(r#"{"subject": "x"}"#).header("location").unwrap().to_owned();
    let refused = shop.patch(&row, r#"{"status": "closed"}"#);
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("42501")));
    assert_eq!(shop.patch(&row, r#"{"subject": "frozen"}"#).status, 200);
    // The key sees the row, and the policies keep it from being changed.
    assert_eq!(shop.patch(&row, r#"{"subject": "y"}"#).status, 403);
    assert_eq!(shop.delete(&row).status, 403);
    assert_eq!(shop.tickets(), 1);
}

#[test]
fn row_security_by_the_tenant_of_the_request_works() {
    let mut shop = Shop::new("policies_of_tenants");
    shop.bench.run(
        "GRANT USAGE ON SCHEMA hydra TO shop; GRANT EXECUTE ON FUNCTION hydra.current_tenant() TO shop;
         ALTER TABLE public.ticket ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON public.ticket USING (tenant_id = hydra.current_tenant());
         INSERT INTO public.ticket (tenant_id, subject) VALUES ('globex', 'theirs')",
    );
    shop.ticket(r#"{"subject": "x"}"#);
    assert_eq!(shop.patch("/api/v1/tickets/2", r#"{"subject": "y"}"#).status, 200);
    assert_eq!(shop.patch("/api/v1/tickets/1", r#"{"subject": "y"}"#).status, 404);
    // Without a tenant, the policy lets nothing pass.
    for (method, path, status) in [("POST", "", 403), ("PATCH", "/2", 404)] {
        let call = shop.call(method, &format!("/api/v1/tickets{path}")).key(&shop.operator);
        let call = call.body(r#"{"subject": "z"}"#);
        let answer = call.make(&mut shop.gateway);
        assert!(answer.status == status || method == "POST" && answer.status == 422, "{method}: {answer:?}");
    }
}

/// A trigger that moves the row would make it unreachable for the key that has written it.
#[test]
fn a_row_does_not_leave_its_tenant() {
    let mut shop = Shop::new("moved");
    shop.bench.run(
        "CREATE FUNCTION public.move() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF NEW.subject = 'move' THEN NEW.tenant_id := 'globex'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER move BEFORE INSERT OR UPDATE ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.move()",
    );
    shop.ticket(r#"{"subject": "x"}"#);
    assert_eq!(shop.post("/api/v1/tickets", r#"{"subject": "move"}"#).status, 422);
    assert_eq!(shop.patch("/api/v1/tickets/1", r#"{"subject": "move"}"#).status, 422);
    assert_eq!(shop.bench.ask::<i64>("SELECT count(*) FROM public.ticket WHERE tenant_id = 'globex'"), 0);
}
