//! Errors, views, prepared statements and triggers that could give a session more rights.

use postgres::Client;
use testkit::receiver::Answer;
use testkit::{Bench, PATIENCE, ask, refusal, run, subscribe, wait_for_empty_queue, wait_until};

use crate::{PATH, assert_delivers, bench, cluster, loot};

/// A lock makes the extension fail while it acts as the owner of its tables.
#[test]
fn an_error_in_the_extension_leaves_no_rights_behind() {
    let Bench { client: mut superuser, .. } = bench("interrupted");
    let mut blocker = cluster().connect("interrupted");
    run(&mut blocker, "BEGIN; LOCK TABLE hydra.subscription");
    for (role, call) in [
        ("emitter", "hydra.webhook_emit('ticket.created', '{}')"),
        ("admin", "hydra.webhook_send_test(1)"),
        ("admin", "hydra.webhook_pause(1)"),
        ("admin", "hydra.webhook_would_match(1, 'ticket.created', '{}')"),
    ] {
        let mut person = cluster().connect_as("interrupted", role);
        run(&mut person, "SET lock_timeout = '50ms'");
        run(
            &mut person,
            &format!(
                "DO $$ BEGIN PERFORM {call}; EXCEPTION WHEN lock_not_available THEN PERFORM public.loot('handler'); END $$"
            ),
        );
        assert_eq!(refusal(&mut person, &format!("SELECT {call}")).code, "55P03");
        run(&mut person, "SELECT public.loot('next statement')");
        assert_eq!(refusal(&mut person, "TABLE hydra.signing_secret").code, "42501");
    }
    let as_themselves =
        ["handler as admin", "handler as emitter", "next statement as admin", "next statement as emitter"];
    assert_eq!(loot(&mut superuser), as_themselves.map(|what| format!("{what} in client backend")));
}

#[test]
fn a_cheap_function_in_a_condition_sees_only_the_rows_of_the_view() {
    let Bench { client: mut superuser, receiver, .. } = bench("peeped");
    receiver.answer("/failing", Answer::status(500));
    let url = receiver.url("/failing");
    let header = r#"headers => '{"X-Key": "bait"}'"#;
    let (_, secret) = subscribe(&mut superuser, &url, "part.created", &["retry_schedule => '{1 h}'", header]);
    subscribe(&mut superuser, &url, "part.deleted", &["retry_schedule => '{}'"]);
    run(
        &mut superuser,
        "SELECT hydra.webhook_emit('part.created', '{\"note\": \"bait\"}'), hydra.webhook_emit('part.deleted', '{}')",
    );
    wait_until("one waits and one is given up", PATIENCE, || {
        ask(&mut superuser, "SELECT count(*) = 2 FROM hydra.webhook_history")
    });
    let mut analyst = cluster().connect_as("peeped", "analyst");
    // So cheap that the planner calls it before the conditions of the view, for all rows. What the planner may not choose seems expensive.
    run(
        &mut analyst,
        "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SET jit = off;
         CREATE TABLE public.seen (what text);
         CREATE FUNCTION public.peep(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
             $$ BEGIN INSERT INTO public.seen VALUES ($1); RETURN true; END $$",
    );
    let columns = "SELECT attrelid::regclass || ' WHERE public.peep(' || quote_ident(attname) || '::text)'
                   FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
                   WHERE relnamespace = 'hydra'::regnamespace AND relkind = 'v' AND attnum > 0
                     AND has_table_privilege('analyst', c.oid, 'SELECT')";
    let columns = superuser.query(columns, &[]).expect("a query");
    assert!(columns.len() > 50, "{} columns", columns.len());
    let mut peep = |superuser: &mut Client| -> (bool, bool) {
        for column in &columns {
            run(&mut analyst, &format!("SELECT FROM {}", column.get::<_, String>(0)));
        }
        let seen = |what: &str| format!("SELECT count(*) > 0 FROM public.seen WHERE what ~ '{what}'");
        assert!(!ask::<bool>(superuser, &seen(&secret[12..40].replace('+', "."))));
        (ask(superuser, &seen("part.deleted")), ask(superuser, &seen("bait")))
    };
    assert_eq!(peep(&mut superuser), (true, false));
    // The security barrier prevents it.
    run(&mut superuser, "ALTER VIEW hydra.webhook_failed RESET (security_barrier)");
    assert_eq!(peep(&mut superuser), (true, true));
    // The statistics of the planner are not readable either.
    run(&mut superuser, "ANALYZE");
    assert_eq!(ask::<i64>(&mut analyst, "SELECT count(*) FROM pg_stats WHERE schemaname = 'hydra'"), 0);
}

#[test]
fn no_error_shows_a_row_that_its_role_may_not_read() {
    let Bench { client: mut superuser, receiver, .. } = bench("shown");
    run(&mut superuser, r#"SELECT hydra.webhook_update(1, headers => '{"X-Key": "bait"}')"#);
    let mut admin = cluster().connect_as("shown", "admin");
    for argument in [
        "url => 'ftp://x'",
        "url => 'http://127.0.0.1/' || repeat('x', 3000)",
        "event_types => '{}'",
        "event_types => '{nothing.at_all}'",
        "name => repeat('x', 201)",
        "tenant_id => ''",
        "preset => 'none'",
        "signatures => '{none}'",
        "headers => '[]'",
        "timeout => '1 year'",
        "retry_schedule => '{-1 s}'",
        "retry_schedule => '{{1 s},{2 s}}'",
        "max_in_flight => 0",
        "rate_limit => 0",
        "disable_after => 0",
    ] {
        for strings in ["on", "off"] {
            run(&mut admin, &format!("SET standard_conforming_strings = {strings}"));
            let refusal = refusal(&mut admin, &format!("SELECT hydra.webhook_update(1, {argument})"));
            assert!(!format!("{refusal:?}").contains("bait"), "{refusal:?}");
        }
    }
    assert_delivers(&mut superuser, &receiver);
}

#[test]
fn prepared_statements_and_functions_have_the_current_rights_of_their_role() {
    let Bench { client: mut superuser, receiver, .. } = bench("prepared");
    run(
        &mut superuser,
        "CREATE ROLE leaver LOGIN IN ROLE hydra_emitter, hydra_member; GRANT CREATE ON SCHEMA public TO leaver",
    );
    let mut leaver = cluster().connect_as("prepared", "leaver");
    run(
        &mut leaver,
        "PREPARE emit AS SELECT hydra.webhook_emit('ticket.created', '{}'); EXECUTE emit;
         CREATE VIEW public.report AS SELECT secret FROM hydra.signing_secret;
         CREATE FUNCTION public.emit() RETURNS bigint LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC
             SELECT hydra.webhook_emit('ticket.created', '{}');
         END",
    );
    receiver.wait_for(PATH, 1, PATIENCE);
    run(&mut superuser, "SELECT public.emit(); REVOKE hydra_emitter FROM leaver");
    for attack in ["EXECUTE emit", "SELECT public.emit()"] {
        assert_eq!(refusal(&mut leaver, attack).code, "42501", "{attack}");
    }
    // The view has the rights of its owner, also for other readers.
    assert_eq!(refusal(&mut superuser, "TABLE public.report").code, "42501");
    assert_eq!(refusal(&mut superuser, "SELECT public.emit()").code, "42501");
}

#[test]
fn code_on_a_watched_table_runs_as_the_role_that_changes_it_and_never_as_the_worker() {
    let Bench { client: mut superuser, receiver, .. } = bench("watched");
    let mut owner = cluster().connect_as("watched", "emitter");
    run(
        &mut owner,
        "CREATE FUNCTION act(what text) RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN RESET ROLE; RESET SESSION AUTHORIZATION; PERFORM public.loot(what); RETURN what; END $$;
         CREATE FUNCTION index_it(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN act('index'); END $$;
         CREATE TYPE mood AS ENUM ('fine');
         CREATE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE sql AS $$ SELECT to_json(act('cast')) $$;
         CREATE CAST (mood AS json) WITH FUNCTION mood_to_json(mood);
         CREATE DOMAIN label AS text CHECK (act('domain') <> '');
         CREATE TABLE ticket (id text DEFAULT act('default') CHECK (act('check') <> ''), mood mood DEFAULT 'fine', label label,
                              copy text GENERATED ALWAYS AS (index_it('')) STORED);
         CREATE INDEX ON ticket (index_it(id));
         CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM act('trigger'); RETURN NEW; END $$;
         CREATE TRIGGER before BEFORE INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION on_insert();
         CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON ticket DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION on_insert();
         CREATE RULE also AS ON INSERT TO ticket DO ALSO SELECT act('rule');
         CREATE POLICY own ON ticket WITH CHECK (act('policy') <> ''); ALTER TABLE ticket ENABLE ROW LEVEL SECURITY;
         SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert', $$act('condition') <> ''$$,
                                    $$to_jsonb(new) || to_jsonb(act('entity'))$$, tenant => $$act('tenant')$$);
         SELECT hydra.webhook_watch('ticket', 'ticket.resolved', 'insert', level => 'statement');
         GRANT INSERT ON ticket TO member",
    );
    // With room for both failures, in case the second attempt at one event comes before the first at the other.
    let update = "event_types => '{ticket.*}', retry_schedule => '{0.1 s,0.1 s}'";
    run(&mut superuser, &format!("TRUNCATE loot; SELECT hydra.webhook_update(1, {update})"));
    let mut member = cluster().connect_as("watched", "member");
    receiver.answer_first(PATH, 2, Answer::status(500));
    run(&mut member, "INSERT INTO ticket (label) VALUES ('x')");
    receiver.wait_for(PATH, 4, PATIENCE);
    wait_for_empty_queue(&mut superuser);
    let ran =
        ["cast", "check", "condition", "default", "domain", "entity", "index", "policy", "rule", "tenant", "trigger"];
    assert_eq!(loot(&mut superuser), ran.map(|what| format!("{what} as member in client backend")));
}
