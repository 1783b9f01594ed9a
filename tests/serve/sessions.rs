//! Two requests in one session: nothing of the first reaches the second.

use serde_json::json;
use testkit::{ask, run};

use crate::{Request, Seam, cluster, create_key};

/// What a request leaves in its session, a query, and what it returns in a request to whose session nothing was done.
const LEFT: &[(&str, &str, &str)] = &[
    ("SET statement_timeout = '1ms'", "SELECT current_setting('statement_timeout') AS v", "0"),
    ("SET search_path = evil", "SELECT current_setting('search_path') AS v", "pg_catalog, public, pg_temp"),
    ("SET timezone = 'Asia/Tokyo'", "SELECT current_setting('timezone') AS v", "UTC"),
    ("SET client_encoding = latin1", "SELECT current_setting('client_encoding') AS v", "UTF8"),
    (
        "PERFORM set_config('app.user', 'root', false)",
        "SELECT coalesce(current_setting('app.user', true), '') AS v",
        "",
    ),
    ("SET synchronous_commit = off", "SELECT current_setting('synchronous_commit') AS v", "on"),
    ("SET default_transaction_read_only = on", "SELECT current_setting('default_transaction_read_only') AS v", "off"),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SELECT current_setting('default_transaction_read_only') AS v",
        "off",
    ),
    (
        "SET default_transaction_isolation = serializable",
        "SELECT current_setting('transaction_isolation') AS v",
        "read committed",
    ),
    ("CREATE TEMPORARY TABLE ticket AS SELECT 'forged'::text AS v", "SELECT v FROM ticket", "real"),
    (
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT count(*)::text AS v FROM pg_proc WHERE proname = 'f'",
        "0",
    ),
    ("EXECUTE 'PREPARE s AS SELECT 1'", "SELECT count(*)::text AS v FROM pg_prepared_statements", "0"),
    (
        "EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'",
        "SELECT count(*)::text AS v FROM pg_cursors WHERE is_holdable",
        "0",
    ),
    // Of this session: tests in other databases have such locks too.
    (
        "PERFORM pg_advisory_lock(7)",
        "SELECT count(*)::text AS v FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        "0",
    ),
    ("LISTEN news", "SELECT count(*)::text AS v FROM pg_listening_channels()", "0"),
];

#[test]
fn nothing_of_a_request_reaches_the_next_one_in_its_session() {
    let mut seam = Seam::new("leftovers");
    seam.bench.run("CREATE TABLE public.ticket AS SELECT 'real'::text AS v; GRANT SELECT ON public.ticket TO app");
    let second = create_key(&mut seam.bench.client, "role => 'app', tenant_id => 'other'");
    for (left, query, expected) in LEFT {
        seam.deed(&format!("DO $$ BEGIN {left}; END $$"));
        let request = Request::new("direct", Some(&second), "GET", "/");
        let answer = Request { body: query.as_bytes(), ..request }.make(&mut seam.bench.client);
        assert_eq!((answer.status, answer.json()), (200, json!([{"v": expected}])), "{left}");
    }
}

/// What the next request cannot put right, because it has an effect before the request begins or while no request runs.
#[test]
fn what_a_request_changes_in_its_session_is_gone_when_it_has_ended() {
    let mut seam = Seam::new("ended_sessions");
    seam.deed(
        "DO $$ BEGIN
             SET default_transaction_read_only = on;
             SET statement_timeout = '1ms';
             PERFORM pg_advisory_lock(7);
             EXECUTE 'PREPARE s AS SELECT 1';
         END $$",
    );
    let state: String = ask(
        &mut seam.bench.client,
        "SELECT concat_ws(' ', current_setting('transaction_read_only'), current_setting('statement_timeout'),
                          (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
                          (SELECT count(*) FROM pg_prepared_statements WHERE name = 's'))",
    );
    assert_eq!(state, "off 0 0 0");
}

#[test]
fn what_others_left_in_a_session_does_not_reach_a_request() {
    let mut seam = Seam::new("before_requests");
    seam.bench.run("CREATE TABLE public.ticket AS SELECT 'real'::text AS v; GRANT SELECT ON public.ticket TO app");
    for (left, query, expected) in LEFT {
        // In plain SQL it has effects in the session of the superuser.
        let left = left.replace("PERFORM", "SELECT").replace("EXECUTE '", "").replace("AS SELECT 1'", "AS SELECT 1");
        let left = left.replace("FOR SELECT 1'", "FOR SELECT 1");
        // The first would cancel the call itself, the second ends with the transaction of the request.
        if left.starts_with("SET statement_timeout") || left.starts_with("LISTEN") {
            continue;
        }
        run(&mut seam.bench.client, &left);
        assert_eq!(seam.rows(query), json!([{"v": expected}]), "{left}");
    }
}

#[test]
fn no_request_chooses_the_random_numbers_of_the_next() {
    let mut seam = Seam::new("seeded");
    let mut drawn = || {
        seam.deed("DO $$ BEGIN PERFORM setseed(0.5); END $$");
        seam.rows("SELECT random() AS r")
    };
    assert_ne!(drawn(), drawn());
}

#[test]
fn a_gateway_can_use_named_statements_that_serve_drops() {
    let seam = Seam::new("named");
    let mut gateway = cluster().connect_as("named", "far_gateway");
    let statement = gateway
        .prepare("SELECT status FROM hydra.serve(1, 'rest', NULL, 'GET', '/api/v1/me', '', '[]', NULL, NULL)")
        .unwrap();
    assert_eq!(gateway.query_one(&statement, &[]).unwrap().get::<_, i32>(0), 401);
    let request = Request::new("rest", Some(&seam.key), "GET", "/api/v1/me");
    assert_eq!(request.make(&mut gateway).status, 200);
}

#[test]
fn a_commit_is_answered_when_it_is_durable_whatever_the_request_has_set() {
    let mut seam = Seam::new("durable");
    run(&mut seam.bench.client, "BEGIN");
    let request = Request::new("direct", Some(&seam.key), "POST", "/");
    let statement = b"DO $$ BEGIN SET LOCAL synchronous_commit = off; PERFORM public.loot('x'); END $$";
    assert_eq!(Request { body: statement, ..request }.call(&mut seam.bench.client).unwrap().status, 200);
    assert_eq!(ask::<String>(&mut seam.bench.client, "SHOW synchronous_commit"), "on");
    run(&mut seam.bench.client, "COMMIT");
}
