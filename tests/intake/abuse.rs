//! Flows whose functions do what no flow should do. The gateway and this session go on, and the event is kept.

use testkit::{Bench, Gateway, wait_until};

use crate::http::{Answer, post};
use crate::{cluster, create_adapter, deploy};

/// A database with one adapter and one flow, in which things are tried.
struct Site<'a> {
    bench: Bench<'a>,
    gateway: Gateway,
    path: String,
}

impl Site<'_> {
    fn open(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.run(
            "CREATE TABLE public.effect (id text, by text DEFAULT current_user);
             GRANT INSERT, SELECT ON public.effect TO flow_owner",
        );
        deploy(&mut bench, "f", "ticket.created", "NULL;");
        let (_, path) = create_adapter(
            &mut bench,
            r#"'abused', '"ticket.created"', budget => '9 s', requests_per_second => 10000"#,
        );
        // One connection: what a request leaves in its session would be found by the next.
        let gateway = Gateway::start(&bench);
        Self { bench, gateway, path }
    }

    /// Gives the function of the flow another body.
    #[track_caller]
    fn becomes(&mut self, body: &str) {
        self.bench.run(&format!(
            "CREATE OR REPLACE FUNCTION public.f(event jsonb) RETURNS void LANGUAGE plpgsql AS $flow$ {body} $flow$"
        ));
    }

    #[track_caller]
    fn post(&self) -> Answer {
        post(&self.gateway.url(), &self.path, &[], br#"{"id": 1}"#).expect("an answer")
    }

    #[track_caller]
    fn newest(&mut self, columns: &str) -> String {
        self.bench.ask(&format!("SELECT concat_ws('|', {columns}) FROM hydra.inbound_events ORDER BY id DESC LIMIT 1"))
    }
}

#[test]
fn what_a_flow_may_not_do_fails_it_and_nothing_of_the_error_is_answered() {
    let mut site = Site::open("forbidden");
    for (body, code) in [
        ("SET ROLE postgres", "42501"),
        ("RESET ROLE", "42501"),
        ("SET SESSION AUTHORIZATION postgres", "42501"),
        ("PERFORM set_config('role', 'hydra_admin', false)", "42501"),
        ("PERFORM set_config('session_authorization', 'postgres', false)", "42501"),
        ("SET hydra_webhooks.allow_http = on", "55P02"),
        ("PERFORM count(*) FROM hydra.inbound_secret", "42501"),
        ("PERFORM count(*) FROM hydra.inbound_path", "42501"),
        ("PERFORM hydra.flow_deploy(1)", "42501"),
        ("PERFORM hydra.inbound_create('mine', '\"ticket.created\"')", "42501"),
        ("PERFORM * FROM hydra.serve(1, 'gateway', NULL, 'POST', '/', NULL, NULL, NULL, NULL)", "42501"),
        ("PERFORM pg_read_file('/etc/passwd')", "42501"),
        ("COPY public.effect TO PROGRAM 'true'", "42501"),
        ("PERFORM pg_terminate_backend(pg_backend_pid())", "42501"),
        ("COMMIT", "2D000"),
        ("ROLLBACK", "2D000"),
        ("EXECUTE 'SAVEPOINT s'", "0A000"),
        ("EXECUTE 'PREPARE TRANSACTION ''x'''", "0A000"),
        ("EXECUTE 'DISCARD ALL'", "25001"),
        ("CREATE TABLE public.mine ()", "42501"),
        ("ALTER FUNCTION public.f(jsonb) OWNER TO postgres", "42501"),
        ("RAISE EXCEPTION 'the password is tr0ub4dor' USING ERRCODE = '28000'", "28000"),
        ("RAISE EXCEPTION '%', repeat('x', 10000000)", "P0001"),
        ("PERFORM 1 / 0", "22012"),
        ("ASSERT false, 'never'", "P0004"),
        ("PERFORM public.f(event)", "54001"),
    ] {
        site.becomes(&format!("BEGIN INSERT INTO public.effect VALUES ('{}'); {body}; END", code));
        let answer = site.post();
        let found = site.newest("state, sqlstate, length(error) <= 2000");
        assert_eq!(found, format!("failed|{code}|t"), "{body}: {}", site.newest("error"));
        assert_eq!(answer.status, 202, "{body}: {answer:?}");
        assert!(!answer.body.contains("tr0ub4dor"), "{answer:?}");
        // So that the runner does not try it again when the function is a good one.
        site.bench.run("UPDATE hydra.inbound_event SET due_at = NULL WHERE due_at IS NOT NULL");
    }
    assert_eq!(site.bench.ask::<i64>("SELECT count(*) FROM public.effect"), 0);
    // Everything still works.
    site.becomes("BEGIN INSERT INTO public.effect VALUES ('good'); END");
    assert_eq!(site.post().state(), "done");
    assert_eq!(site.bench.ask::<String>("SELECT by FROM public.effect"), "flow_owner");
    assert!(!cluster().log().contains("tr0ub4dor"), "what a flow raises is for those who may see the event");
}

/// The gateway has several sessions, so each is done several times.
#[test]
fn what_a_flow_leaves_in_the_session_is_gone_before_the_next_request() {
    let mut site = Site::open("left_behind");
    for body in [
        "CREATE TEMP TABLE t (id int)",
        "CREATE TEMP TABLE pg_class (id int) ON COMMIT PRESERVE ROWS",
        "CREATE TEMP TABLE effect (id text, by text)",
        "LISTEN something",
        "NOTIFY something, 'x'",
        "PERFORM pg_advisory_lock(7)",
        "PERFORM pg_advisory_xact_lock(8)",
        "EXECUTE 'PREPARE p AS SELECT 1'",
        "EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'",
        "SET search_path = nowhere",
        "SET statement_timeout = 1",
        "SET lock_timeout = 1",
        "SET synchronous_commit = off",
        "SET default_transaction_read_only = on",
        "PERFORM set_config('transaction_read_only', 'on', false)",
        "SET LOCAL transaction_read_only = on",
        "SET session_replication_role = origin",
        "SET CONSTRAINTS ALL DEFERRED",
        "SET TIME ZONE 'Asia/Tokyo'",
        "SET work_mem = '64kB'",
        "PERFORM lo_create(0)",
        "PERFORM setseed(0.5)",
    ] {
        site.becomes(&format!("BEGIN {body}; END"));
        for _ in 0..4 {
            let answer = site.post();
            let found = site.newest("state, error");
            let may_fail = body.contains("session_replication_role");
            assert!(
                answer.status == 200 && found == "done" || may_fail && found.starts_with("failed|permission"),
                "{body}: {found} {answer:?}"
            );
        }
        site.becomes("BEGIN INSERT INTO public.effect VALUES (current_setting('search_path')); END");
        for _ in 0..4 {
            assert_eq!(site.post().state(), "done", "{body}: {}", site.newest("error"));
        }
        let settings: i64 = site.bench.ask("SELECT count(DISTINCT (id, by)) FROM public.effect");
        assert_eq!(settings, 1, "{body}");
    }
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid IN (7, 8)";
    wait_until("no lock is left", testkit::PATIENCE, || site.bench.ask::<i64>(locks) == 0);
}

#[test]
fn an_event_whose_type_function_or_owner_has_changed_says_so() {
    let mut site = Site::open("changed");
    assert_eq!(site.post().state(), "done");
    // Replaced: the new one runs, from the next event on.
    site.becomes("BEGIN INSERT INTO public.effect VALUES ('new'); END");
    assert_eq!(site.post().state(), "done");
    assert_eq!(site.bench.ask::<i64>("SELECT count(*) FROM public.effect"), 1);

    site.bench.run("CREATE ROLE changed_owner; GRANT INSERT ON public.effect TO changed_owner");
    for (change, error) in [
        ("ALTER FUNCTION public.f(jsonb) OWNER TO changed_owner", "belongs to another role than before"),
        ("ALTER FUNCTION public.f(jsonb) OWNER TO postgres", "belongs to another role than before"),
        (
            "ALTER FUNCTION public.f(jsonb) OWNER TO changed_owner; SELECT hydra.flow_deploy(1); ALTER ROLE changed_owner SUPERUSER",
            "superuser",
        ),
        ("ALTER ROLE changed_owner NOSUPERUSER BYPASSRLS", "row"),
        ("ALTER ROLE changed_owner NOBYPASSRLS; GRANT pg_read_server_files TO changed_owner", ""),
        (
            "REVOKE pg_read_server_files FROM changed_owner; ALTER FUNCTION public.f(jsonb) RENAME TO g",
            "does not exist",
        ),
        ("DROP FUNCTION public.g(jsonb)", "does not exist"),
    ] {
        site.bench.run(change);
        let answer = site.post();
        let found = site.newest("state, error");
        println!("{change}: {found}");
        if !error.is_empty() {
            assert!(found.starts_with("failed|flow f cannot run: ") && found.contains(error), "{change}: {found}");
            assert!(!answer.body.contains("changed_owner"), "{answer:?}");
        }
    }
}

/// The runner has eight attempts.
#[test]
fn an_event_that_is_sent_again_and_again_keeps_the_attempts_of_the_runner() {
    let mut site = Site::open("again_and_again");
    // How many attempts the runner makes meanwhile is chance.
    site.bench.run("SELECT hydra.webhook_park()");
    for body in ["RAISE EXCEPTION 'never'", "PERFORM pg_sleep(9)"] {
        site.becomes(&format!("BEGIN {body}; END"));
        site.bench.run("SELECT hydra.inbound_update(1, budget => '0.1 s')");
        for _ in 0..10 {
            let answer = post(&site.gateway.url(), &site.path, &[("webhook-id", body)], b"{}").expect("an answer");
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        assert_eq!(site.newest("attempts, duplicates"), "1|9");
    }
    site.bench.run("SELECT hydra.webhook_unpark()");
    wait_until("the runner tries it", testkit::PATIENCE, || site.newest("attempts > 1") == "t");
}

/// It holds its locks until the commit, so others wait: with a limit, and their events are kept.
#[test]
fn a_flow_that_waits_for_a_lock_or_sleeps_delays_nobody_for_long() {
    let mut site = Site::open("slow_flows");
    site.bench.run("SELECT hydra.inbound_update(1, budget => '2 s')");
    site.becomes("BEGIN PERFORM pg_sleep(60); END");
    let began = std::time::Instant::now();
    let answer = site.post();
    assert_eq!((answer.status, answer.state()), (202, "received".to_owned()));
    assert_eq!(site.newest("attempts > 0"), "t");
    assert!(began.elapsed() < testkit::PATIENCE, "{:?}", began.elapsed());

    let mut holder = site.bench.session();
    holder.batch_execute("BEGIN; LOCK TABLE public.effect").expect("the lock is free");
    site.becomes("BEGIN INSERT INTO public.effect VALUES ('waited'); END");
    let answer = site.post();
    assert_eq!(answer.status, 202, "{answer:?}");
    holder.batch_execute("COMMIT").expect("it ends");
    // The runner does what was left.
    let open = "SELECT count(*) FROM hydra.inbound_events WHERE state <> 'done'";
    wait_until("the runner has done it", 3 * testkit::PATIENCE, || site.bench.ask::<i64>(open) == 0);
    assert_eq!(site.bench.ask::<i64>("SELECT count(*) FROM public.effect"), 2);
}
