//! The rules of the application: its constraints and its triggers.

use serde_json::json;

use crate::Shop;

#[test]
fn a_check_names_the_field_and_what_is_accepted() {
    let mut shop = Shop::new("checks");
    let long = "x".repeat(100);
    for (field, value, detail) in [
        ("status", "lost", "It must be one of: open, closed."),
        ("subject", long.as_str(), "A subject has fewer than 100 characters."),
    ] {
        let mut body = json!({"subject": "x"});
        body[field] = json!(value);
        let refused = shop.post("/api/v1/tickets", &body.to_string());
        assert_eq!((refused.status, refused.errors()), (422, vec![(field.into(), "check".into())]));
        assert_eq!(refused.json()["errors"][0]["detail"], detail);
    }
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn a_check_of_columns_that_were_not_sent_is_refused_without_their_names() {
    let mut shop = Shop::new("hidden_checks");
    shop.bench.run("ALTER TABLE public.ticket ADD CHECK (note <> 'hidden')");
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x"}"#);
    assert_eq!((refused.status, refused.errors().len()), (422, 0));
    assert!(!refused.body.contains("note") && !refused.body.contains("hidden"), "{refused:?}");
}

#[test]
fn a_row_that_excludes_another_is_a_conflict() {
    let mut shop = Shop::new("excluded");
    shop.bench.run(
        "CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text, span int4range,
                                    EXCLUDE USING gist (span WITH &&));
         GRANT ALL ON public.thing TO shop",
    );
    shop.expose("things", "public.thing", "id,tenant_id,span", "span", "span");
    assert_eq!(shop.post("/api/v1/things", r#"{"span": "[1,5)"}"#).status, 201);
    let refused = shop.post("/api/v1/things", r#"{"span": "[4,9)"}"#);
    assert_eq!((refused.status, refused.errors().len()), (409, 0));
    let call = shop.call("POST", "/api/v1/things").key(&shop.operator).body(r#"{"span": "[4,9)"}"#);
    assert_eq!(call.make(&mut shop.gateway).errors(), [("span".into(), "taken".into())]);
}

#[test]
fn a_trigger_of_the_application_refuses_with_its_own_words() {
    let mut shop = Shop::new("raised");
    shop.bench.run(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'tickets are closed' USING DETAIL = 'It is Sunday.', HINT = 'Come on Monday.'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT OR DELETE ON public.ticket FOR EACH ROW WHEN (false) EXECUTE FUNCTION public.refuse();
         CREATE TRIGGER refuse_later AFTER INSERT ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    );
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x"}"#);
    let body = refused.json();
    assert_eq!((refused.status, &body["code"]), (422, &json!("P0001")));
    assert_eq!(
        (&body["detail"], &body["hint"]),
        (&json!("tickets are closed: It is Sunday."), &json!("Come on Monday."))
    );
    assert_eq!(shop.tickets(), 0);
}

/// An error of Postgres in a trigger could quote any row.
#[test]
fn an_error_in_a_trigger_shows_nothing() {
    let mut shop = Shop::new("trigger_errors");
    shop.bench.run(
        "CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
         $$ BEGIN PERFORM (SELECT name FROM public.account WHERE id = 7)::integer; RETURN NEW; END $$;
         CREATE TRIGGER fail BEFORE INSERT ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.fail()",
    );
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x"}"#);
    assert_eq!((refused.status, &refused.json()["code"], refused.errors().len()), (422, &json!("22P02"), 0));
    assert!(!refused.body.contains("Cranes"), "{refused:?}");
}

#[test]
fn a_deferred_constraint_is_checked_before_the_answer() {
    let mut shop = Shop::new("deferred");
    shop.bench.run(
        "CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text, name text,
                                    account_id bigint REFERENCES public.account DEFERRABLE INITIALLY DEFERRED);
         CREATE FUNCTION public.rename() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF NEW.name = 'bad' THEN RAISE EXCEPTION 'bad name'; END IF;
            UPDATE public.thing SET name = NEW.name || '!' WHERE id = NEW.id AND name NOT LIKE '%!'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER rename AFTER INSERT ON public.thing DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION public.rename();
         GRANT ALL ON public.thing TO shop",
    );
    shop.expose("things", "public.thing", "id,tenant_id,name,account_id", "name,account_id", "name");
    // The answer shows what is committed.
    assert_eq!(shop.post("/api/v1/things", r#"{"name": "good"}"#).json()["name"], "good!");
    let refused = shop.post("/api/v1/things", r#"{"name": "bad"}"#);
    assert_eq!((refused.status, &refused.json()["detail"]), (422, &json!("bad name")));
    let call = shop.call("POST", "/api/v1/things").key(&shop.operator).body(r#"{"name": "x", "account_id": 999}"#);
    let refused = call.make(&mut shop.gateway);
    assert_eq!((refused.status, refused.errors()), (409, vec![("account_id".into(), "reference".into())]));
    assert_eq!(shop.bench.ask::<i64>("SELECT count(*) FROM public.thing"), 1);
}

#[test]
fn an_error_of_a_partition_names_the_field() {
    let mut shop = Shop::new("partitions");
    shop.bench.run(
        "CREATE TABLE public.thing (id bigint, tenant_id text, name text NOT NULL CHECK (name <> 'bad'), PRIMARY KEY (id))
         PARTITION BY RANGE (id);
         CREATE TABLE public.thing_1 PARTITION OF public.thing FOR VALUES FROM (0) TO (10);
         GRANT ALL ON public.thing TO shop",
    );
    shop.expose("things", "public.thing", "id,tenant_id,name", "id,name", "name");
    assert_eq!(shop.post("/api/v1/things", r#"{"id": 1, "name": "x"}"#).status, 201);
    for (body, status, errors) in [
        (r#"{"id": 2, "name": "bad"}"#, 422, vec![("name", "check")]),
        (r#"{"id": 2}"#, 422, vec![("name", "required")]),
        // No partition has room for it.
        (r#"{"id": 99, "name": "x"}"#, 422, vec![]),
    ] {
        let refused = shop.post("/api/v1/things", body);
        let errors: Vec<(String, String)> = errors.into_iter().map(|(a, b)| (a.into(), b.into())).collect();
        assert_eq!((refused.status, refused.errors()), (status, errors), "{body}: {refused:?}");
    }
    let call = shop.call("POST", "/api/v1/things").key(&shop.operator).body(r#"{"id": 1, "name": "x"}"#);
    assert_eq!(call.make(&mut shop.gateway).errors(), [("id".into(), "taken".into())]);
}
