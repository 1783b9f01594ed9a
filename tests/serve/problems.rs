//! What a request gets when it fails.

use serde_json::{Value, json};
use testkit::{ask, run};

use crate::{Request, Seam, cluster};

#[test]
fn a_gateway_of_another_version_is_told_so() {
    let mut seam = Seam::new("versions");
    for protocol in ["0", "2", "NULL"] {
        let call = format!("hydra.serve({protocol}, 'rest', NULL, 'GET', '/api/v1/me', '', '[]', NULL, NULL)");
        let status: i32 = ask(&mut seam.bench.client, &format!("SELECT status FROM {call}"));
        assert_eq!(status, 503, "{protocol}");
    }
}

#[test]
fn every_argument_of_serve_may_be_null_or_wrong() {
    let mut seam = Seam::new("wrong");
    for arguments in [
        "1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "1, 'unknown', NULL, 'GET', '/', '', '[]', NULL, NULL",
        "1, 'rest', '', 'GET', '/', '', '{}', NULL, NULL",
        "1, 'rest', '\\x00', '', '', '', '[1, [], [\"a\"], [1, 2]]', NULL, NULL",
        "1, 'console', NULL, 'BREW', '/settings/webhooks', '%', '[]', '\\xff', NULL",
        "1, 'console', NULL, 'POST', '/login', '', '[]', '\\xff', NULL",
        "1, 'gateway', NULL, 'POST', '/heartbeat', '', '[]', '\\xff', NULL",
        "1, 'gateway', NULL, 'POST', '/heartbeat', '', '[]', '{}', NULL",
        "1, 'gateway', NULL, 'POST', '/heartbeat', '', '[]', '[]', NULL",
        "1, 'gateway', NULL, 'POST', '/heartbeat', '', '[]', '{\"gateway\": \"x\"}', NULL",
        "1, 'gateway', NULL, 'GET', '/heartbeat', '', '[]', '{}', NULL",
        "1, 'rest', NULL, 'GET', repeat('/', 10000), '', '[]', NULL, NULL",
    ] {
        let row = seam
            .bench
            .client
            .query_one(&format!("SELECT status, convert_from(body, 'UTF8') FROM hydra.serve({arguments})"), &[]);
        let row = row.unwrap_or_else(|error| panic!("{arguments}: {error:?}"));
        let (status, body): (i32, String) = (row.get(0), row.get(1));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(
            (400..500).contains(&status) && body["status"] == status && body["type"].is_string(),
            "{arguments}: {status} {body}"
        );
    }
}

#[test]
fn headers_that_cannot_be_read_are_refused_and_not_left_out() {
    let mut seam = Seam::new("headers");
    let call = "(1, 'gateway', NULL, 'POST', '/heartbeat', '',";
    for headers in ["{}", "[1]", "[[]]", "[[\"a\"]]", "[[\"a\", 1]]"] {
        let status: i32 =
            ask(&mut seam.bench.client, &format!("SELECT status FROM hydra.serve{call} '{headers}', '{{}}', NULL)"));
        assert_eq!(status, 400, "{headers}");
    }
    for headers in ["", "\\x00", "\\x00000001", "\\x0000000000", "\\xffffffff"] {
        let packed: Vec<u8> =
            ask(&mut seam.bench.client, &format!("SELECT hydra.serve_packed{call} '{headers}', '{{}}', NULL)"));
        assert_eq!(packed[..4], 400_i32.to_be_bytes(), "{headers}");
    }
}

/// An error of the application's own is meant for the caller. One of Postgres may quote rows of others.
#[test]
fn an_error_shows_no_value_of_a_row_that_the_caller_may_not_read() {
    let mut seam = Seam::new("quoted");
    seam.bench.run(
        "CREATE TABLE public.customer (id int PRIMARY KEY, email text UNIQUE, tenant_id text, secret text DEFAULT 'hidden',
                                       CHECK (email <> 'bad'));
         CREATE TABLE public.card (id int REFERENCES public.customer);
         INSERT INTO public.customer VALUES (1, 'a@example.com', 'other', 'hidden'); INSERT INTO public.card VALUES (1);
         GRANT INSERT, DELETE ON public.customer TO app; GRANT SELECT (id) ON public.customer TO app",
    );
    for (statement, status, code) in [
        ("INSERT INTO public.customer VALUES (2, 'a@example.com', 'acme')", 409, "23505"),
        ("INSERT INTO public.customer VALUES (2, 'bad', 'acme')", 422, "23514"),
        ("DELETE FROM public.customer WHERE id = 1", 409, "23503"),
        ("DO $$ BEGIN PERFORM 'hidden'::int; END $$", 422, "22P02"),
        ("TABLE public.card", 403, "42501"),
        ("TABLE public.absent", 500, "42P01"),
    ] {
        let answer = seam.direct("POST", statement);
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{statement}: {body}");
        for leaked in ["hidden", "a@example.com", "Failing row", "customer", "card"] {
            assert!(!answer.body.contains(leaked), "{statement}: {body}");
        }
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let raised = seam.direct(
        "POST",
        "DO $$ BEGIN RAISE EXCEPTION 'too late' USING DETAIL = 'The shop is closed.', HINT = 'Come tomorrow.'; END $$",
    );
    assert_eq!(raised.status, 422);
    assert_eq!(raised.json()["detail"], "too late: The shop is closed.");
    assert_eq!(raised.json()["hint"], "Come tomorrow.");
    let own = seam.direct("POST", "DO $$ BEGIN RAISE EXCEPTION 'closed' USING ERRCODE = 'SHOP1'; END $$");
    assert_eq!((own.status, &own.json()["code"], &own.json()["detail"]), (422, &json!("SHOP1"), &json!("closed")));
}

#[test]
fn a_request_that_fails_leaves_nothing_behind() {
    let mut seam = Seam::new("undone");
    assert_eq!(
        seam.refused("POST", "DO $$ BEGIN PERFORM public.loot('x'); PERFORM 1 / 0; END $$"),
        (422, "22012".into())
    );
    assert_eq!(seam.loot(), [""; 0]);
}

#[test]
fn a_request_waits_for_a_lock_for_two_seconds() {
    let mut seam = Seam::new("locked");
    let mut blocker = seam.bench.session();
    run(&mut blocker, "BEGIN; LOCK TABLE public.loot");
    let answer = seam.direct("POST", "DO $$ BEGIN PERFORM public.loot('x'); END $$");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    run(&mut blocker, "ROLLBACK");
    seam.deed("DO $$ BEGIN PERFORM public.loot('x'); END $$");
}

#[test]
fn a_request_takes_ten_seconds_at_most() {
    let mut seam = Seam::new("slow");
    let answer = seam.direct("GET", "SELECT pg_sleep(3600)");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("57014")));
    // The session is as before.
    assert_eq!(seam.rows("SELECT 1 AS n")[0]["n"], 1);
}

#[test]
fn a_cancel_by_a_person_ends_the_statement_of_the_gateway() {
    let mut seam = Seam::new("cancelled");
    let mut canceller = seam.bench.session();
    let pid: i32 = ask(&mut seam.bench.client, "SELECT pg_backend_pid()");
    std::thread::scope(|scope| {
        let request = Request { body: b"SELECT pg_sleep(3600)", ..Request::new("direct", Some(&seam.key), "GET", "/") };
        let client = &mut seam.bench.client;
        let call = scope.spawn(move || request.call(client));
        testkit::wait_until("the request sleeps", testkit::PATIENCE, || {
            ask(
                &mut canceller,
                &format!("SELECT coalesce(wait_event, '') = 'PgSleep' FROM pg_stat_activity WHERE pid = {pid}"),
            )
        });
        run(&mut canceller, &format!("SELECT pg_cancel_backend({pid})"));
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error.code().unwrap().code(), "57014");
    });
}

#[test]
fn the_id_of_a_request_comes_back() {
    let seam = Seam::new("request_ids");
    let mut gateway = cluster().connect_as("request_ids", "far_gateway");
    let request = |headers| Request { headers, ..Request::new("rest", Some(&seam.key), "GET", "/api/v1/me") };
    assert_eq!(request(r#"[["X-Request-Id", "abc-1"]]"#).make(&mut gateway).header("x-request-id"), Some("abc-1"));
    let made = request(r#"[["X-Request-Id", "a b"]]"#).make(&mut gateway);
    assert_eq!(made.header("x-request-id").unwrap().len(), 32);
}
