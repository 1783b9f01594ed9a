//! Foreign keys: a row refers to rows that the key sees, and to no others. Which ids others have is not told.

use serde_json::json;

use crate::{Shop, create_key_for};

#[test]
fn a_row_of_another_tenant_cannot_be_referred_to_and_is_as_absent_as_none() {
    let mut shop = Shop::new("referring");
    shop.ticket(r#"{"subject": "x", "account_id": 1}"#);
    for (method, path) in [("POST", ""), ("PATCH", "/1")] {
        let mut refused = |account: i64| {
            let body = format!(r#"{{"subject": "x", "account_id": {account}}}"#);
            let call = shop.call(method, &format!("/api/v1/tickets{path}")).body(&body);
            let refused = call.make(&mut shop.gateway);
            assert_eq!((refused.status, refused.errors()), (409, vec![("account_id".into(), "reference".into())]));
            refused.said()
        };
        // Account 7 is that of another tenant, and there is no account 999.
        assert_eq!(refused(7), refused(999), "{method}");
    }
    let changed = shop.patch("/api/v1/tickets/1", r#"{"account_id": 2}"#);
    assert_eq!((changed.status, &changed.json()["account_id"]), (200, &json!(2)));
    assert_eq!(shop.patch("/api/v1/tickets/1", r#"{"account_id": null}"#).status, 200);
}

/// The trigger would tell by its error whether the account exists.
#[test]
fn nothing_of_the_application_runs_for_a_reference_that_is_refused() {
    let mut shop = Shop::new("untold");
    shop.bench.run(
        "CREATE FUNCTION public.greet() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
         $$ BEGIN RAISE EXCEPTION 'account %', (SELECT name FROM public.account WHERE id = NEW.account_id); END $$;
         CREATE TRIGGER greet BEFORE INSERT ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.greet()",
    );
    let mut refused =
        |account: i64| shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "account_id": {account}}}"#)).said();
    let (theirs, absent, own) = (refused(7), refused(999), refused(1));
    assert_eq!(theirs, absent);
    assert_eq!((theirs.0, own.0), (409, 422));
}

#[test]
fn row_security_of_the_referenced_table_counts() {
    let mut shop = Shop::new("referenced_policies");
    shop.bench.run(
        "ALTER TABLE public.account ENABLE ROW LEVEL SECURITY;
         CREATE POLICY open ON public.account USING (name <> 'Boxes')",
    );
    let operator = shop.operator.clone();
    for key in [shop.key.clone(), operator] {
        shop.bench.run("UPDATE hydra.api_resource SET creatable = creatable || '{tenant_id}'::name[] WHERE tenant_column <> ALL (creatable)");
        let fields = |account: i64| match key == shop.key {
            true => format!(r#"{{"subject": "x", "account_id": {account}}}"#),
            false => format!(r#"{{"subject": "x", "tenant_id": "acme", "account_id": {account}}}"#),
        };
        for (account, status) in [(1, 201), (2, 409), (999, 409)] {
            let call = shop.call("POST", "/api/v1/tickets").key(&key).body(&fields(account));
            assert_eq!(call.make(&mut shop.gateway).status, status, "{account}");
        }
    }
}

#[test]
fn a_key_without_a_tenant_may_refer_to_what_is_there() {
    let mut shop = Shop::new("operator_references");
    shop.bench.run("UPDATE hydra.api_resource SET creatable = creatable || '{tenant_id}'::name[]; REVOKE ALL ON public.account FROM shop");
    for (account, status) in [(7, 201), (999, 409)] {
        let body = format!(r#"{{"subject": "x", "tenant_id": "acme", "account_id": {account}}}"#);
        let answer = shop.call("POST", "/api/v1/tickets").key(&shop.operator).body(&body).make(&mut shop.gateway);
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // The other key would have to be able to see the account.
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x", "account_id": 1}"#);
    assert_eq!(refused.status, 403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("account_id"), "{refused:?}");
}

/// As the helpdesk of the examples has it.
#[test]
fn a_foreign_key_with_the_tenant_works() {
    let mut shop = Shop::new("composite");
    shop.bench.run(
        "ALTER TABLE public.account ADD UNIQUE (tenant_id, id);
         CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, place text DEFAULT 'x',
                                    account_id bigint, FOREIGN KEY (tenant_id, account_id) REFERENCES public.account (tenant_id, id));
         GRANT ALL ON public.thing TO shop",
    );
    shop.expose("things", "public.thing", "id,tenant_id,account_id", "account_id", "account_id");
    for (account, status) in [("1", 201), ("null", 201), ("7", 409), ("999", 409)] {
        let answer = shop.post("/api/v1/things", &format!(r#"{{"account_id": {account}}}"#));
        assert_eq!(answer.status, status, "{account}: {answer:?}");
    }
    for (account, status) in [("2", 200), ("null", 200), ("7", 409), ("999", 409)] {
        let answer = shop.patch("/api/v1/things/1", &format!(r#"{{"account_id": {account}}}"#));
        assert_eq!(answer.status, status, "{account}: {answer:?}");
    }
}

#[test]
fn a_key_of_another_tenant_reaches_its_own_rows() {
    let mut shop = Shop::new("globex");
    let theirs = create_key_for(&mut shop.bench.client, "tickets:write", "tenant_id => 'globex'");
    let call = shop.call("POST", "/api/v1/tickets").key(&theirs).body(r#"{"subject": "x", "account_id": 7}"#);
    let created = call.make(&mut shop.gateway);
    assert_eq!((created.status, &created.json()["tenant_id"]), (201, &json!("globex")));
}

/// The role of the key has no privileges on the tables. Only a view that reads as its caller would need them.
#[test]
fn behind_a_view_the_referenced_row_has_to_be_visible_to_its_owner() {
    let mut shop = Shop::new("behind_views");
    shop.bench.run(
        "CREATE ROLE view_owner; GRANT ALL ON public.account, public.ticket TO view_owner; REVOKE ALL ON public.account, public.ticket FROM shop;
         ALTER TABLE public.account ENABLE ROW LEVEL SECURITY;
         CREATE POLICY open ON public.account TO view_owner USING (name <> 'Boxes');
         CREATE VIEW public.brief AS SELECT id, tenant_id, subject AS title, account_id AS customer FROM public.ticket;
         CREATE VIEW public.seen WITH (security_invoker) AS SELECT * FROM public.brief;
         ALTER VIEW public.brief OWNER TO view_owner; GRANT ALL ON public.brief, public.seen TO shop",
    );
    for (name, view) in [("views", "public.brief"), ("things", "public.seen")] {
        shop.expose(name, view, "id,tenant_id,title,customer", "title,customer", "customer");
        // Account 7 is that of another tenant, account 2 is kept from the owner of the view, and there is no account 999.
        let mut refused = Vec::new();
        for (account, status) in [("1", 201), ("null", 201), ("2", 409), ("7", 409), ("999", 409)] {
            let answer = shop.post(&format!("/api/v1/{name}"), &format!(r#"{{"title": "x", "customer": {account}}}"#));
            assert_eq!(answer.status, status, "{name} {account}: {answer:?}");
            if status == 409 {
                refused.push(answer.said());
            }
        }
        assert!(refused.iter().all(|said| *said == refused[0]), "{refused:?}");
        assert_eq!(refused[0].1["errors"][0]["field"], "customer");
        let id: i64 = shop.bench.ask("SELECT max(id) FROM public.ticket WHERE account_id = 1");
        for (account, status) in [("1", 200), ("7", 409), ("2", 409), ("null", 200)] {
            let answer = shop.patch(&format!("/api/v1/{name}/{id}"), &format!(r#"{{"customer": {account}}}"#));
            assert_eq!(answer.status, status, "{name} {account}: {answer:?}");
        }
    }
    // Behind a view that reads as its caller, the role itself has to see the row.
    shop.bench.run("ALTER VIEW public.brief SET (security_invoker); GRANT ALL ON public.ticket TO shop");
    let refused = shop.post("/api/v1/views", r#"{"title": "x", "customer": 1}"#);
    assert_eq!(refused.status, 403, "{refused:?}");
}

/// Its columns are those of two rows of one table.
#[test]
fn each_column_of_a_view_that_is_a_foreign_key_counts() {
    let mut shop = Shop::new("joined_views");
    shop.bench.run(
        "CREATE VIEW public.pair AS SELECT a.id, a.tenant_id, a.account_id AS first, b.account_id AS second
         FROM public.ticket AS a JOIN public.ticket AS b ON b.id = a.id;
         CREATE FUNCTION public.pair() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN
             INSERT INTO public.ticket (tenant_id, subject, account_id) VALUES (NEW.tenant_id, 'x', NEW.second) RETURNING id INTO NEW.id;
             RETURN NEW;
         END $$;
         CREATE TRIGGER pair INSTEAD OF INSERT ON public.pair FOR EACH ROW EXECUTE FUNCTION public.pair();
         GRANT ALL ON public.pair TO shop; GRANT SELECT ON public.account TO shop",
    );
    shop.bench.run("SELECT hydra.api_expose('public.pair', 'views', creatable => '{first,second}', id_column => 'id', tenant_column => 'tenant_id')");
    for (first, second, status) in [(1, 2, 201), (1, 7, 409), (7, 1, 409)] {
        let answer = shop.post("/api/v1/views", &format!(r#"{{"first": {first}, "second": {second}}}"#));
        assert_eq!(answer.status, status, "{first} {second}: {answer:?}");
    }
}
