//! SQL that runs in a request, as the role of an API key, and tries to get more.

use serde_json::json;
use testkit::{ask, run};

use crate::{Request, Seam, cluster, create_key};

/// Ways to become another role, or to change what decides about a request.
const OUT: &[&str] = &[
    "RESET ROLE",
    "SET ROLE postgres",
    "SET ROLE NONE",
    "SET LOCAL ROLE hydra_admin",
    "SET SESSION AUTHORIZATION postgres",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET SESSION AUTHORIZATION",
    "PERFORM set_config('role', 'postgres', false)",
    "PERFORM set_config('role', 'none', true)",
    "PERFORM set_config('session_authorization', 'postgres', false)",
    "ALTER ROLE app SUPERUSER",
    "GRANT postgres TO app",
    "GRANT hydra_admin TO app",
    "PERFORM hydra.api_key_create('mine', '{mcp}')",
    "PERFORM hydra.console_link('hydra_admin')",
    "PERFORM hydra.serve(1, 'gateway', NULL, 'POST', '/heartbeat', '', '[]', '{}', NULL)",
    "PERFORM hydra._role_for_requests('postgres'::regrole, 'hydra_member')",
    "PERFORM hydra._set_gateway_verifier('SCRAM-SHA-256$4096:a$b:c')",
    "PERFORM * FROM hydra.api_key_hash",
    "UPDATE hydra.api_key SET role = 'postgres'",
    "PERFORM pg_read_file('postgresql.conf')",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "PERFORM lo_import('/etc/passwd')",
    "SET session_replication_role = replica",
];

#[test]
fn sql_in_a_request_cannot_become_another_role() {
    let mut seam = Seam::new("roles");
    for attack in OUT {
        // A superuser may do all of it, so the role is the only reason for the refusal.
        assert_eq!(seam.refused("POST", &format!("DO $$ BEGIN {attack}; END $$")), (403, "42501".into()), "{attack}");
        // What is caught goes on as the role of the key.
        seam.deed(&format!(
            "DO $$ BEGIN
                 BEGIN {attack}; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
                 PERFORM public.loot('later');
             END $$"
        ));
    }
    assert_eq!(seam.loot(), ["later as app"]);
    assert_eq!(ask::<String>(&mut seam.bench.client, "SELECT current_user::text"), "postgres");
}

#[test]
fn a_definer_function_of_another_role_leads_to_that_role_only() {
    let mut seam = Seam::new("definers");
    seam.bench.run(
        "CREATE FUNCTION public.out() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN
             PERFORM public.loot('definer');
             BEGIN RESET ROLE; EXCEPTION WHEN insufficient_privilege THEN PERFORM public.loot('refused'); END;
             PERFORM set_config('hydra.tenant', 'other', false), set_config('hydra.current_tenant', 'other', false);
         END $$;
         ALTER FUNCTION public.out() OWNER TO stranger",
    );
    seam.deed("DO $$ BEGIN PERFORM public.out(); PERFORM public.loot(hydra.current_tenant()); END $$");
    assert_eq!(seam.loot(), ["acme as app", "definer as stranger", "refused as stranger"]);
}

#[test]
fn no_sql_sets_the_tenant_the_key_or_the_scopes() {
    let mut seam = Seam::new("forged");
    let names: Vec<String> = {
        let sql = "SELECT name FROM pg_settings WHERE name ^@ 'hydra_webhooks.'";
        seam.bench.client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let (status, code) =
            seam.refused("POST", &format!("DO $$ BEGIN PERFORM set_config('{name}', '1', false); END $$"));
        assert!(status >= 400 && ["42501", "55P02", "22023"].contains(&code.as_str()), "{name}: {status} {code}");
    }
    let id: i64 = ask(&mut seam.bench.client, "SELECT id FROM hydra.api_keys");
    let context =
        "SELECT hydra.current_tenant() AS tenant, hydra.current_key() AS key, hydra.current_scopes() AS scopes";
    let mine = json!([{"tenant": "acme", "key": id, "scopes": ["tickets:read"]}]);
    assert_eq!(seam.rows(context), mine);
    for forged in ["hydra.tenant", "hydra.current_tenant", "hydra.tenant_id", "request.jwt.claims"] {
        seam.deed(&format!("DO $$ BEGIN PERFORM set_config('{forged}', 'other', false); END $$"));
        assert_eq!(seam.rows(context), mine, "{forged}");
    }
    // A savepoint and an error in it change nothing.
    seam.deed(
        "DO $$ BEGIN
             BEGIN PERFORM public.loot(hydra.current_tenant()); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
             PERFORM public.loot(hydra.current_tenant());
         END $$",
    );
    assert_eq!(seam.loot(), ["acme as app"]);
    // And nothing of it is left after the request, after an error, and in the transaction of the caller.
    let nothing =
        "SELECT hydra.current_tenant() IS NULL AND hydra.current_key() IS NULL AND hydra.current_scopes() IS NULL";
    let client = &mut seam.bench.client;
    run(client, "BEGIN; SAVEPOINT a");
    let request = Request::new("direct", Some(&seam.key), "GET", "/");
    Request { body: b"SELECT 1", ..request }.call(client).unwrap();
    assert!(ask::<bool>(client, nothing));
    run(client, "ROLLBACK TO a");
    assert!(ask::<bool>(client, nothing));
    run(client, "COMMIT");
    assert_eq!(seam.refused("GET", "SELECT 1 / 0").0, 422);
    assert!(ask::<bool>(&mut seam.bench.client, nothing));
}

#[test]
fn what_a_request_puts_off_until_its_end_runs_as_the_role_of_the_key() {
    let mut seam = Seam::new("deferred");
    seam.bench.run(
        "CREATE TABLE public.note (id int);
         CREATE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM public.loot(coalesce(hydra.current_tenant(), 'nobody')); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER spy AFTER INSERT ON public.note DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.spy();
         GRANT INSERT ON public.note TO app",
    );
    seam.deed("INSERT INTO public.note VALUES (1)");
    assert_eq!(seam.loot(), ["acme as app"]);
    seam.bench.run("TRUNCATE public.loot");

    // A trigger that defers again what it does.
    seam.bench.run(
        "CREATE OR REPLACE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM public.loot('deferred');
             SET CONSTRAINTS ALL DEFERRED;
             IF (SELECT count(*) FROM public.note) < 20 THEN INSERT INTO public.note VALUES (NEW.id + 1); END IF;
             RETURN NULL;
         END $$;
         GRANT SELECT ON public.note TO app",
    );
    assert_eq!(seam.refused("POST", "INSERT INTO public.note VALUES (2)"), (403, "42501".into()));
    // The query of a cursor WITH HOLD is executed at the end of the transaction.
    seam.deed("DO $$ BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT public.loot(''held'')'; END $$");
    seam.deed("DO $$ BEGIN EXECUTE 'CREATE TEMPORARY TABLE t (a int) ON COMMIT DELETE ROWS'; END $$");
    assert_eq!(seam.loot(), [""; 0]);
}

#[test]
fn a_request_cannot_end_its_transaction() {
    let mut seam = Seam::new("ended");
    for statement in ["DO $$ BEGIN COMMIT; END $$", "DO $$ BEGIN ROLLBACK; END $$", "COMMIT", "ROLLBACK", "SAVEPOINT a"]
    {
        let (_, code) = seam.refused("POST", statement);
        assert!(["2D000", "0A000"].contains(&code.as_str()), "{statement}: {code}");
    }
}

/// Ways to write in a request that reads.
const WRITES: &[&str] = &[
    "PERFORM public.loot('written')",
    "SET TRANSACTION READ WRITE; PERFORM public.loot('written')",
    "SET transaction_read_only = off; PERFORM public.loot('written')",
    "SET LOCAL transaction_read_only = off; PERFORM public.loot('written')",
    "RESET transaction_read_only; PERFORM public.loot('written')",
    "RESET ALL; PERFORM public.loot('written')",
    "PERFORM set_config('transaction_read_only', 'off', false), public.loot('written')",
    "BEGIN PERFORM public.loot('x'); EXCEPTION WHEN read_only_sql_transaction THEN PERFORM public.loot('written'); END",
    "CREATE TEMPORARY TABLE loot (a int)",
    "PERFORM nextval('public.counter')",
    "PERFORM lo_create(0)",
    "PERFORM lo_put(1, 0, 'x')",
    "PERFORM 1 FROM public.loot FOR UPDATE",
    "PERFORM pg_current_xact_id()",
];

#[test]
fn a_request_that_reads_cannot_write() {
    let mut seam = Seam::new("reading");
    seam.bench.run(
        "CREATE SEQUENCE public.counter; GRANT ALL ON SEQUENCE public.counter TO app; GRANT ALL ON public.loot TO app",
    );
    seam.bench.run("SELECT lo_create(1); GRANT ALL ON LARGE OBJECT 1 TO app");
    for write in WRITES {
        seam.bench.run(&format!(
            "CREATE OR REPLACE FUNCTION public.attack() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {write}; RETURN 1; END $$"
        ));
        let answer = seam.direct("GET", "SELECT public.attack()");
        assert!([403, 405, 500].contains(&answer.status), "{write}: {answer:?}");
    }
    assert_eq!(seam.loot(), [""; 0]);
    assert_eq!(ask::<i64>(&mut seam.bench.client, "SELECT count(*) FROM pg_largeobject_metadata"), 1);
    // The same function writes in a request that writes.
    seam.bench.run("CREATE OR REPLACE FUNCTION public.attack() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM public.loot('written'); RETURN 1; END $$");
    assert_eq!(seam.direct("POST", "SELECT public.attack()").status, 200);
    assert_eq!(seam.loot(), ["written as app"]);
}

/// A function that is marked PARALLEL SAFE by mistake sees no tenant in a parallel worker, and so no rows.
#[test]
fn parallel_workers_never_see_the_rows_of_another_tenant() {
    let mut seam = Seam::new("parallel");
    seam.bench.run(
        "CREATE TABLE public.ticket (id int, tenant_id text);
         INSERT INTO public.ticket SELECT n, CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'other' END FROM generate_series(1, 20000) AS n;
         ALTER TABLE public.ticket ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON public.ticket USING (tenant_id = (SELECT hydra.current_tenant()));
         GRANT SELECT ON public.ticket TO app;
         CREATE FUNCTION public.mine() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT hydra.current_tenant()';
         ALTER DATABASE parallel SET parallel_setup_cost = 0; ALTER DATABASE parallel SET parallel_tuple_cost = 0;
         ALTER DATABASE parallel SET min_parallel_table_scan_size = 0; ANALYZE public.ticket",
    );
    seam.bench.client = seam.bench.session();
    assert_eq!(seam.rows("SELECT count(*) AS n FROM public.ticket"), json!([{"n": 10000}]));
    let mislabelled = seam.rows("SELECT count(*) AS n FROM public.ticket WHERE tenant_id = public.mine()");
    assert!(mislabelled[0]["n"].as_i64().unwrap() <= 10000, "{mislabelled}");
    assert_eq!(seam.rows("SELECT count(*) AS n FROM public.ticket WHERE tenant_id <> 'acme'"), json!([{"n": 0}]));
}

#[test]
fn only_superusers_run_statements_directly() {
    let mut seam = Seam::new("direct");
    let mut gateway = cluster().connect_as("direct", "far_gateway");
    let request = || Request { body: b"SELECT 1", ..Request::new("direct", Some(&seam.key), "GET", "/") };
    assert_eq!(request().make(&mut gateway).status, 404);
    run(&mut seam.bench.client, "SET ROLE far_gateway");
    assert_eq!(request().make(&mut seam.bench.client).status, 404);
    run(&mut seam.bench.client, "RESET ROLE");
    assert_eq!(request().make(&mut seam.bench.client).status, 200);
}

#[test]
fn a_request_that_catches_its_cancel_is_ended_all_the_same() {
    let mut seam = Seam::new("endless");
    let key = create_key(&mut seam.bench.client, "role => 'app'");
    let endless =
        "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$";
    let request = Request::new("direct", Some(&key), "POST", "/");
    let error = Request { body: endless.as_bytes(), ..request }.call(&mut seam.bench.client).unwrap_err();
    assert!(error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01"), "{error:?}");
}
