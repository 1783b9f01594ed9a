//! Flows that fail or take too long. The event is kept, and their effects are not.

use std::time::Instant;

use serde_json::json;
use testkit::{PATIENCE, wait_until};

use crate::{Site, TICKET, cluster, issue};

#[test]
fn a_failed_flow_keeps_the_event_and_is_tried_again_until_it_succeeds() {
    let mut site = Site::new(cluster(), "failing");
    site.bench.subscribe("/crm", "ticket.created", &[]);
    site.deploy("make_ticket", &format!("PERFORM 1 / (event #>> '{{entity,id}}')::int; {TICKET}"), "");
    site.deploy(
        "broken",
        "INSERT INTO public.ticket VALUES (100); RAISE EXCEPTION 'no such customer' USING ERRCODE = 'CRM01';",
        "",
    );
    let answer = site.post(issue(7));
    assert_eq!(answer.status, 202);
    let (event, state) = (answer.event().0, answer.event().1.to_owned());
    assert_eq!(state, "failed");
    let row = "state || ' ' || error || ' ' || sqlstate || ' ' || attempts || ' ' || (due_at > now())";
    assert_eq!(site.event(event, row), "failed no such customer CRM01 1 true");
    assert_eq!((site.tickets(), site.runs()), (0, vec!["broken: deployed failed".to_owned()]));
    assert_eq!(site.latest_run("sqlstate"), json!("CRM01"));

    // Nobody has mended it.
    site.hurry(event);
    site.wait_for_event(event, "attempts", "2");
    site.wait_for_runs(2);
    assert_eq!(site.event(event, row), "failed no such customer CRM01 2 true");
    // The first pause was ten seconds, and the second is a minute, of which a tenth may be added.
    let pause = "extract(epoch FROM due_at - now()) BETWEEN 50 AND 67";
    assert_eq!(site.event(event, pause), "true", "{}", site.event(event, "due_at - now()"));

    site.create_function("broken", "RETURN NULL;");
    site.hurry(event);
    site.wait_for_event(event, "state", "done");
    assert_eq!(site.event(event, "attempts || error || sqlstate || due_at"), "");
    assert_eq!(site.event(event, "attempts"), "3");
    assert_eq!(site.tickets(), 1);
    site.bench.wait_for("/crm", 1);
    site.bench.wait_for_empty_queue();
    assert_eq!(site.bench.receiver.received("/crm"), 1);
}

#[test]
fn an_event_is_given_up_after_eight_attempts_and_can_be_replayed() {
    let mut site = Site::new(cluster(), "given_up");
    site.deploy("broken", "RAISE EXCEPTION 'never';", "");
    let (event, _) = site.post(issue(1)).event();
    for attempt in 2..=8 {
        site.hurry(event);
        site.wait_for_event(event, "attempts", &attempt.to_string());
        site.wait_for_runs(attempt);
    }
    site.wait_for_event(event, "due_at", "");
    assert_eq!(site.event(event, "state || ' ' || error"), "failed never");
    site.create_function("broken", TICKET);
    let (adapter, replay) = (site.adapter, "SELECT hydra.inbound_replay");
    assert_eq!(
        site.bench.ask::<i64>(&format!("{replay}({adapter}, now() - interval '1 h', now() + interval '1 h')")),
        1
    );
    site.wait_for_event(event, "state", "done");
    assert_eq!(site.tickets(), 1);
}

#[test]
fn a_flow_that_does_not_end_is_ended_at_its_time_limit() {
    let mut site = Site::new(cluster(), "endless");
    site.deploy(
        "sleeps",
        "INSERT INTO public.ticket VALUES (1); PERFORM pg_sleep(100); RETURN NULL;",
        ", timeout => '0.3 s'",
    );
    let begun = Instant::now();
    let (event, _) = site.post(issue(1)).event();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert_eq!(
        site.event(event, "state || ' ' || error || ' ' || sqlstate"),
        "failed flow sleeps took longer than 0.3 s 57014"
    );
    assert_eq!(site.tickets(), 0);

    // Also in the runner, where events after it are not delayed by more than that.
    site.bench.run("SELECT hydra.flow_pause(id) FROM hydra.flows");
    site.deploy(
        "sometimes",
        "IF event #>> '{entity,id}' = '1' THEN PERFORM pg_sleep(100); END IF; RETURN NULL;",
        ", timeout => '3 s'",
    );
    let (other, _) = site.post(issue(1)).event();
    site.bench.run(
        "UPDATE hydra.inbound_event SET payload = '{\"id\": 2}' WHERE id = (SELECT max(id) FROM hydra.inbound_event)",
    );
    site.bench.run("UPDATE hydra.inbound_event SET due_at = now() - interval '1 s'");
    site.hurry(other);
    site.wait_for_event(other, "state", "done");
    site.wait_for_event(event, "attempts > 1", "true");
    site.wait_for_event(event, "error", "flow sometimes took longer than 3 s");
}

#[test]
fn no_error_that_a_flow_raises_loses_the_event() {
    let mut site = Site::new(cluster(), "raising");
    site.deploy("raises", "RETURN NULL;", "");
    let codes = ["query_canceled", "admin_shutdown", "crash_shutdown", "serialization_failure", "internal_error"];
    for (place, code) in codes.into_iter().enumerate() {
        site.create_function("raises", &format!("RAISE EXCEPTION 'mine' USING ERRCODE = '{code}';"));
        let (event, _) = site.post(issue(place as i64)).event();
        assert_eq!(site.event(event, "state || ' ' || error"), "failed mine", "{code}");
        site.hurry(event);
        site.wait_for_event(event, "attempts", "2");
        site.wait_for_runs(2 * place + 2);
        assert_eq!(site.event(event, "state || ' ' || error"), "failed mine", "{code}");
    }
}

#[test]
fn a_flow_that_catches_its_cancel_is_ended_with_its_process() {
    let mut site = Site::new(cluster(), "stubborn");
    let stubborn = "LOOP BEGIN PERFORM pg_sleep(100); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;";
    site.deploy("stubborn", stubborn, ", timeout => '0.2 s'");
    let flow: i64 = site.bench.ask("SELECT id FROM hydra.flows");
    site.bench.run(&format!("SELECT hydra.flow_pause({flow})"));
    let (event, _) = site.post(issue(1)).event();
    site.bench.run(&format!("SELECT hydra.flow_deploy({flow}), hydra.inbound_replay({}, NULL, NULL)", site.adapter));
    let ended = site.wait_for_runner().to_string();
    site.wait_for_event(event, "state || ' ' || attempts", "received 1");
    // The runner holds the row until it ends. So this comes before the next attempt, which is due in ten seconds.
    site.bench.run("UPDATE hydra.inbound_event SET due_at = now() + interval '1 h'");
    wait_until("the runner was ended", PATIENCE, || site.runner("pid") != ended);
    assert_eq!(site.event(event, "state || ' ' || attempts"), "received 1");
    site.bench.run(&format!("SELECT hydra.flow_pause({flow})"));
    site.hurry(event);
    site.wait_for_event(event, "state", "unmatched");
    assert_eq!(site.event(event, "attempts"), "2");
}

#[test]
fn flows_that_are_slower_than_the_request_may_be_are_run_later() {
    let mut site = Site::new(cluster(), "late");
    (site.adapter, site.secret) = site.create_adapter("hasty", "'\"ticket.created\"', budget => '0.3 s'");
    site.deploy("slow", &format!("PERFORM pg_sleep(0.6); {TICKET}"), "");
    let answer = site.post(issue(1));
    let (event, state) = answer.event();
    assert_eq!((answer.status, state), (202, "received"));
    site.wait_for_event(event, "state", "done");
    assert_eq!((site.tickets(), site.runs()), (1, vec!["slow: deployed done".to_owned()]));
}

#[test]
fn a_flow_whose_result_cannot_be_read_has_failed_and_the_event_is_kept() {
    let mut site = Site::new(cluster(), "too_deep");
    for (id, result) in [
        "(repeat('[', 3000) || repeat(']', 3000))::jsonb",
        "(repeat('[', 120) || repeat(']', 120))::jsonb",
        r#"'{"$serde_json::private::Number": "x"}'::jsonb"#,
    ]
    .into_iter()
    .enumerate()
    {
        site.bench.run(&format!(
            "CREATE OR REPLACE FUNCTION public.odd(event jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT {result} $$;
             ALTER FUNCTION public.odd(jsonb) OWNER TO app"
        ));
        if id == 0 {
            site.bench.run("SELECT hydra.flow_deploy(hydra.flow_create('odd', 'ticket.created', 'public.odd'))");
        }
        let answer = site.post(issue(id as i64));
        let (event, state) = answer.event();
        assert_eq!((state, site.event(event, "sqlstate")), ("failed", "54000".into()), "{result}");
    }
}

#[test]
fn a_result_with_a_character_that_jsonb_cannot_hold_is_kept_without_it() {
    let mut site = Site::new(cluster(), "nul");
    for (name, kind, body) in [
        ("one", "json", r#"SELECT '{"a\u0000": "\u0000b\\u0000\\\u0000\u0000"}'::json"#),
        ("several", "SETOF json", r#"SELECT '"\u0000c"'::json"#),
        ("row", "TABLE (d json, e text)", r#"SELECT '["\u0000"]'::json, '\u0000'"#),
        (
            "half",
            "json",
            r#"SELECT '["\ud83d", "\ude00x\ud83d", "\ud83d\ude00\uD83D\\ude00", "\\ud83d\n\u00e9"]'::json"#,
        ),
    ] {
        site.bench.run(&format!(
            "CREATE FUNCTION public.{name}(event jsonb) RETURNS {kind} LANGUAGE sql AS $flow$ {body} $flow$;
             ALTER FUNCTION public.{name}(jsonb) OWNER TO app;
             SELECT hydra.flow_deploy(hydra.flow_create('{name}', 'ticket.created', 'public.{name}'))"
        ));
    }
    assert_eq!(site.post(issue(1)).event().1, "done");
    let results: String = site.bench.ask("SELECT string_agg(result::text, ' ' ORDER BY id) FROM hydra.flow_runs");
    assert_eq!(
        results,
        r#"{"a": "b\\u0000\\"} ["c"] [{"d": [""], "e": "\\u0000"}] ["", "x", "😀\\ude00", "\\ud83d\né"]"#
    );
}
