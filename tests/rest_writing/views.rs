//! Resources that are views.

use serde_json::json;

use crate::Shop;

#[test]
fn a_simple_view_is_written_like_its_table() {
    let mut shop = Shop::new("simple_view");
    shop.bench.run(
        "CREATE VIEW public.brief AS SELECT id, tenant_id, subject AS title, status FROM public.ticket;
         GRANT ALL ON public.brief TO shop",
    );
    shop.expose("views", "public.brief", "id,tenant_id,title,status", "title,status", "title,status");
    let created = shop.post("/api/v1/views", r#"{"title": "x"}"#);
    assert_eq!(
        (created.status, created.json()),
        (201, json!({"id": 1, "tenant_id": "acme", "title": "x", "status": "open"}))
    );
    let etag = created.header("etag").unwrap().to_owned();
    let call = shop.call("PATCH", "/api/v1/views/1").header("If-Match", &etag).body(r#"{"title": "y"}"#);
    assert_eq!(call.make(&mut shop.gateway).json()["title"], "y");
    assert_eq!(shop.delete("/api/v1/views/1").status, 204);
}

#[test]
fn a_row_does_not_leave_its_view() {
    let mut shop = Shop::new("leaving");
    shop.bench.run(
        "CREATE VIEW public.opened AS SELECT * FROM public.ticket WHERE status = 'open'; GRANT ALL ON public.opened TO shop",
    );
    shop.expose("views", "public.opened", "id,tenant_id,subject,status", "subject,status", "subject,status");
    assert_eq!(shop.post("/api/v1/views", r#"{"subject": "x", "status": "closed"}"#).status, 422);
    assert_eq!(shop.post("/api/v1/views", r#"{"subject": "x"}"#).status, 201);
    let id: i64 = shop.bench.ask("SELECT id FROM public.ticket");
    assert_eq!(shop.patch(&format!("/api/v1/views/{id}"), r#"{"status": "closed"}"#).status, 422);
    assert_eq!(shop.bench.ask::<String>("SELECT string_agg(status, ',') FROM public.ticket"), "open");
}

const JOINED: &str = "
    CREATE VIEW public.joined AS
    SELECT t.id, t.tenant_id, t.subject, max(a.name) AS account, count(*) AS n
    FROM public.ticket AS t LEFT JOIN public.account AS a ON a.id = t.account_id GROUP BY t.id;
    CREATE FUNCTION public.write_joined() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        CASE TG_OP
            WHEN 'INSERT' THEN
                INSERT INTO public.ticket (tenant_id, subject, account_id)
                VALUES (NEW.tenant_id, NEW.subject,
                        (SELECT a.id FROM public.account AS a WHERE a.tenant_id = NEW.tenant_id AND a.name = NEW.account))
                RETURNING id INTO NEW.id;
            WHEN 'UPDATE' THEN
                UPDATE public.ticket SET subject = NEW.subject WHERE id = OLD.id;
            ELSE
                DELETE FROM public.ticket WHERE id = OLD.id;
                RETURN OLD;
        END CASE;
        RETURN NEW;
    END $$;
    CREATE TRIGGER write INSTEAD OF INSERT OR UPDATE OR DELETE ON public.joined
    FOR EACH ROW EXECUTE FUNCTION public.write_joined();
    GRANT ALL ON public.joined TO shop";

#[test]
fn a_view_is_written_by_its_instead_of_triggers() {
    let mut shop = Shop::new("instead");
    shop.bench.run(JOINED);
    shop.expose("views", "public.joined", "id,tenant_id,subject,account,n", "subject,account", "subject");
    let created = shop.post("/api/v1/views", r#"{"subject": "x", "account": "Anvils"}"#);
    assert_eq!(
        (created.status, created.json()),
        (201, json!({"id": 1, "tenant_id": "acme", "subject": "x", "account": "Anvils", "n": 1}))
    );
    assert_eq!(created.header("location"), Some("/api/v1/views/1"));
    let changed = shop.patch("/api/v1/views/1", r#"{"subject": "y"}"#);
    assert_eq!((changed.status, &changed.json()["subject"]), (200, &json!("y")));
    // Rows of a view with groups cannot be locked. The ETag counts all the same.
    for (etag, status) in [(created.header("etag").unwrap(), 412), (changed.header("etag").unwrap(), 200)] {
        let call = shop.call("PATCH", "/api/v1/views/1").header("If-Match", etag).body(r#"{"subject": "z"}"#);
        let answer = call.make(&mut shop.gateway);
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(shop.delete("/api/v1/views/1").status, 204);
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn an_instead_of_trigger_that_does_not_return_the_id_is_told() {
    let mut shop = Shop::new("no_id");
    shop.bench.run(&JOINED.replace("RETURNING id INTO NEW.id", ""));
    shop.expose("views", "public.joined", "id,tenant_id,subject", "subject", "");
    let refused = shop.post("/api/v1/views", r#"{"subject": "x"}"#);
    assert_eq!(refused.status, 422);
    assert!(refused.json()["hint"].as_str().unwrap().contains("INSTEAD OF"), "{refused:?}");
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn a_view_with_a_check_option_refuses_rows_that_it_would_not_show() {
    let mut shop = Shop::new("check_option");
    shop.bench.run(
        "CREATE VIEW public.opened AS SELECT id, tenant_id, subject, status FROM public.ticket WHERE status = 'open'
         WITH CHECK OPTION; GRANT ALL ON public.opened TO shop",
    );
    shop.expose("views", "public.opened", "id,tenant_id,subject,status", "subject,status", "status");
    assert_eq!(shop.post("/api/v1/views", r#"{"subject": "x", "status": "closed"}"#).status, 403);
}

#[test]
fn a_column_that_has_become_computed_is_named_and_the_view_of_resources_says_so() {
    let mut shop = Shop::new("computed");
    let view = |amount: &str| {
        format!(
            "CREATE OR REPLACE VIEW public.sums AS SELECT id, tenant_id, subject, {amount} AS amount FROM public.ticket"
        )
    };
    shop.bench.run(&format!("{}; GRANT ALL ON public.sums TO shop", view("amount")));
    shop.expose("views", "public.sums", "id,tenant_id,subject,amount", "subject,amount", "amount");
    assert_eq!(shop.post("/api/v1/views", r#"{"subject": "x", "amount": 1}"#).status, 201);
    let problem = "SELECT coalesce(problem, 'none') FROM hydra.api_resources WHERE name = 'views'";
    assert_eq!(shop.bench.ask::<String>(problem), "none");
    shop.bench.run(&view("amount * 2"));
    for answer in [
        shop.post("/api/v1/views", r#"{"subject": "x", "amount": 1}"#),
        shop.patch("/api/v1/views/1", r#"{"amount": 1}"#),
    ] {
        assert_eq!((answer.status, answer.errors()), (422, vec![("amount".into(), "read_only".into())]), "{answer:?}");
    }
    assert_eq!(shop.bench.ask::<String>(problem), "Column amount is always computed now, and cannot be given.");
    assert_eq!(shop.post("/api/v1/views", r#"{"subject": "y"}"#).status, 201);
}

#[test]
fn where_the_tenant_has_become_computed_a_key_with_a_tenant_creates_nothing_and_learns_why() {
    let mut shop = Shop::new("computed_tenant");
    shop.bench.run(
        "CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text, org text);
         GRANT ALL ON public.thing TO shop",
    );
    shop.expose("things", "public.thing", "id,tenant_id,org", "org", "");
    shop.bench
        .run("ALTER TABLE public.thing DROP tenant_id, ADD tenant_id text GENERATED ALWAYS AS (lower(org)) STORED");
    let refused = shop.post("/api/v1/things", r#"{"org": "ACME"}"#);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("tenant of a row is computed"), "{refused:?}");
    let operator = shop.operator.clone();
    let created = shop.call("POST", "/api/v1/things").key(&operator).body(r#"{"org": "ACME"}"#);
    assert_eq!(created.make(&mut shop.gateway).json()["tenant_id"], "acme");
    assert_eq!(
        shop.bench.ask::<String>("SELECT problem FROM hydra.api_resources WHERE name = 'things'"),
        "Column tenant_id is always computed now; no key with a tenant can create a row."
    );
}
