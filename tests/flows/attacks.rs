//! SQL in a flow that tries to get more than its owner has, or to leave something behind.

use serde_json::json;
use testkit::ask;

use crate::{Site, cluster, issue};

/// Ways to become another role, or to change what decides about flows.
const OUT: &[&str] = &[
    "RESET ROLE",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION DEFAULT",
    "PERFORM set_config('role', 'none', true)",
    "PERFORM set_config('session_authorization', 'postgres', false)",
    "ALTER ROLE app SUPERUSER",
    "UPDATE hydra.flow SET owner = 'postgres'::regrole",
    "PERFORM * FROM hydra.inbound_secret",
    "DELETE FROM hydra.flow_run",
    "PERFORM hydra.flow_deploy(1)",
    "PERFORM hydra._note_for_runner(now())",
    "PERFORM pg_read_file('postgresql.conf')",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
];

#[test]
fn sql_in_a_flow_cannot_become_another_role() {
    let mut site = Site::new(cluster(), "out");
    site.deploy("attack", "RETURN NULL;", "");
    for (place, attack) in OUT.iter().enumerate() {
        site.create_function("attack", &format!("{attack}; RETURN NULL;"));
        let (event, _) = site.post(issue(place as i64)).event();
        assert_eq!(
            (site.event(event, "state"), site.event(event, "sqlstate")),
            ("failed".into(), "42501".into()),
            "{attack}"
        );
        // In the runner as well, whose session belongs to another role.
        site.hurry(event);
        site.wait_for_event(event, "attempts", "2");
        site.wait_for_runs(2 * place + 2);
        assert_eq!(site.event(event, "sqlstate"), "42501", "{attack}");
        site.bench.run(&format!("DELETE FROM hydra.inbound_event WHERE id = {event}"));
    }
    let caught =
        format!("BEGIN {}; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN to_jsonb(current_user::text);", OUT[0]);
    site.create_function("attack", &caught);
    site.post(issue(100));
    assert_eq!(site.latest_run("result"), json!("app"));
}

/// What a flow does to the session, and what the next flow sees of it.
const LEFT: &[(&str, &str)] = &[
    (
        "SET statement_timeout = '1 h'; SET search_path = 'evil'",
        "current_setting('statement_timeout') || current_setting('search_path')",
    ),
    ("CREATE TEMP TABLE planted (id int)", "to_regclass('pg_temp.planted')"),
    (
        "PERFORM pg_advisory_lock(42)",
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
    ),
    ("EXECUTE 'PREPARE planted AS SELECT 1'", "(SELECT count(*) FROM pg_prepared_statements WHERE name = 'planted')"),
    (
        "EXECUTE 'DECLARE planted CURSOR WITH HOLD FOR SELECT 1'",
        "(SELECT count(*) FROM pg_cursors WHERE name = 'planted')",
    ),
    ("PERFORM set_config('app.planted', 'yes', false)", "coalesce(current_setting('app.planted', true), '')"),
    ("SET session_replication_role = origin", "1"),
];

#[test]
fn a_flow_leaves_nothing_to_the_next_flow() {
    let mut site = Site::new(cluster(), "left_over");
    site.deploy("dirty", "RETURN NULL;", "");
    site.deploy("probe", "RETURN NULL;", "");
    for (place, (deed, question)) in LEFT.iter().enumerate() {
        let probe = format!("RETURN to_jsonb(({question})::text);");
        site.create_function("probe", &probe);
        site.create_function("dirty", "RETURN NULL;");
        site.post(issue(place as i64));
        let clean = site.latest_run("result");
        site.create_function("dirty", &format!("{deed}; RETURN NULL;"));
        let (event, _) = site.post(issue(place as i64)).event();
        if site.event(event, "state") == "failed" {
            // It may not do this at all.
            assert_eq!(site.event(event, "sqlstate"), "42501", "{deed}: {}", site.event(event, "error"));
            continue;
        }
        assert_eq!(site.latest_run("result"), clean, "{deed}");
    }
    let mine = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    assert_eq!(ask::<i64>(&mut site.bench.client, mine), 0);
}

#[test]
fn what_a_flow_defers_runs_as_its_owner_and_before_the_commit() {
    let mut site = Site::new(cluster(), "deferred");
    site.bench.run(
        "CREATE TABLE public.loot (who text); GRANT INSERT ON public.loot TO PUBLIC;
         SET ROLE app;
         CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO public.loot VALUES (current_user); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER planted AFTER INSERT ON public.ticket DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.planted();
         RESET ROLE",
    );
    site.deploy("make_ticket", crate::TICKET, "");
    assert_eq!(site.post(issue(1)).event().1, "done");
    assert_eq!(site.bench.ask::<String>("SELECT string_agg(who, ',') FROM public.loot"), "app");
    // And in a rehearsal it is undone.
    site.bench.run("SELECT hydra.flow_test(id) FROM hydra.flows");
    site.post(issue(2));
    site.wait_for_runs(2);
    assert_eq!(site.bench.ask::<String>("SELECT string_agg(who, ',') FROM public.loot"), "app");
}
