//! Flows that fail or take too long.

use std::time::Duration;

use serde_json::json;
use testkit::{PATIENCE, let_pass, wait_until};

use crate::{Door, github, issue, pairs, states};

#[test]
fn a_failed_flow_loses_its_effects_and_not_the_event_which_the_provider_sends_again() {
    let mut door = Door::with_flow("provider_retries");
    door.bench.subscribe("/out", "ticket.created", &[]);
    // Our own preset is sent again after an error.
    let scheme = r#"{"id": [{"header": "x-id"}], "retries": true}"#;
    let adapter = door.adapter(&format!(r#"'"ticket.created"', scheme => '{scheme}'"#));
    let send = |door: &Door, body: &str| door.post(&adapter, &[("x-id", "1")], body);
    let answer = send(&door, r#"{"id": 1, "fail": true}"#);
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(!answer.body.contains("no place"), "the error is not for strangers: {answer:?}");
    assert!(door.effects().is_empty());
    assert_eq!(door.events(&adapter, "concat_ws(' ', state, sqlstate, attempts, due_at)"), "failed P0001 1");
    assert_eq!(door.events(&adapter, "error"), "no place for this");
    assert_eq!(door.column(&adapter, "failed"), "1");
    assert_eq!(door.bench.count("flow_runs WHERE state = 'failed'"), 1);

    door.bench.run(
        "CREATE OR REPLACE FUNCTION public.take(argument jsonb) RETURNS text LANGUAGE sql
         AS 'INSERT INTO public.effect (entity) VALUES (argument -> ''entity''); SELECT ''mended'''",
    );
    assert_eq!(send(&door, r#"{"id": 1, "fail": true}"#).status, 200);
    assert_eq!(send(&door, r#"{"id": 1, "fail": true}"#).status, 200);
    assert_eq!(door.effects().len(), 1);
    assert_eq!(door.events(&adapter, "concat_ws(' ', state, error, attempts, duplicates)"), "done 2 2");
    assert_eq!(door.column(&adapter, "concat_ws(' ', received, matched, failed, duplicates)"), "1 1 0 2");
    door.bench.wait_for("/out", 1);
    door.bench.wait_for_empty_queue();
    assert_eq!(door.bench.receiver.received("/out"), 1);
}

#[test]
fn what_a_provider_does_not_send_again_is_accepted_and_tried_again_here() {
    let mut door = Door::with_flow("own_retries");
    let adapter =
        door.adapter(r#"'{"*": {"event": "ticket.created", "entity": "$.issue"}}', 'github', 'It is secret'"#);
    let mut body = issue(7);
    body["issue"]["fail"] = json!(true);
    let body = body.to_string();
    let answer = door.post(&adapter, &pairs(&github("It is secret", "1", &body)), &body);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(door.events(&adapter, "concat_ws(' ', state, due_at > now())"), "failed t");
    door.bench
        .run("CREATE OR REPLACE FUNCTION public.take(argument jsonb) RETURNS text LANGUAGE sql AS 'SELECT 1::text'");
    // The schedule begins with ten seconds; a replay makes it due now.
    assert_eq!(door.bench.ask::<i64>(&format!("SELECT hydra.inbound_replay({})", adapter.id)), 1);
    door.wait_for_events(&adapter, "state", "done");
}

#[test]
fn a_flow_that_takes_longer_than_the_budget_is_undone_and_done_after_the_answer() {
    let mut door = Door::with_flow("budgets");
    door.bench.subscribe("/out", "ticket.created", &[]);
    let adapter = door.adapter("'\"ticket.created\"', budget => '300 ms'");
    assert_eq!(door.send(&adapter, 202, &json!({"id": 1, "sleep": 1})), ["received"]);
    door.wait_for_events(&adapter, "state", "done");
    assert_eq!(door.effects().len(), 1);
    assert_eq!(door.bench.wait_for("/out", 1).len(), 1);
    // A fast one is not late, unless the machine is busy.
    wait_until("a fast one is done in time", PATIENCE, || {
        let answer = door.post(&adapter, &[], r#"{"id": 2}"#);
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        states(&answer) == ["done"]
    });
}

#[test]
fn an_event_that_no_flow_matched_can_be_replayed_when_there_is_one_and_is_not_emitted_twice() {
    let mut door = Door::open("replays");
    door.bench.subscribe("/out", "ticket.created", &[]);
    let adapter = door.adapter("'\"ticket.created\"'");
    assert_eq!(door.send(&adapter, 200, &json!({"id": 1})), ["unmatched"]);
    door.bench.wait_for("/out", 1);
    door.flow("take", "ticket.created");
    let replay = format!("SELECT hydra.inbound_replay({}, now() - interval '1 h', now() + interval '1 h')", adapter.id);
    assert_eq!(door.bench.ask::<i64>(&replay), 1);
    door.wait_for_events(&adapter, "state", "done");
    assert_eq!((door.effects().len(), door.bench.ask::<i64>(&replay)), (1, 0));
    let counts = "SELECT concat_ws(' ', received, matched, unmatched) FROM hydra.inbound_adapters";
    assert_eq!(door.bench.ask::<String>(counts), "1 1 0", "each event counts once");
    door.bench.wait_for_empty_queue();
    let_pass(Duration::from_millis(100));
    assert_eq!(door.bench.receiver.received("/out"), 1);
}

#[test]
fn what_the_database_refuses_is_to_come_again_whatever_its_error_is() {
    let mut door = Door::with_flow("refusing");
    let adapter = door.adapter("'\"ticket.created\"'");
    for code in ["23514", "P0001", "HY001", "22003", "23505", "42501", "25006", "54000", "0A000", "XX000"] {
        door.bench.run(&format!(
            "CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'not this' USING ERRCODE = '{code}'; END $$;
             DROP TRIGGER IF EXISTS refuse ON hydra.inbound_event;
             CREATE TRIGGER refuse BEFORE INSERT ON hydra.inbound_event FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        ));
        let answer = door.post(&adapter, &[], r#"{"id": 1}"#);
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!(code)), "{answer:?}");
    }
    door.bench.run("DROP TRIGGER refuse ON hydra.inbound_event");
    assert_eq!(door.send(&adapter, 200, &json!({"id": 1})), ["done"]);
}

#[test]
fn an_event_whose_adapter_was_deleted_is_kept_and_never_done() {
    let mut door = Door::with_flow("deleted");
    let adapter = door.adapter("'\"ticket.created\"'");
    assert_eq!(door.send(&adapter, 202, &json!({"id": 1, "fail": true})), ["failed"]);
    door.bench.run(&format!("SELECT hydra.inbound_delete({})", adapter.id));
    assert_eq!(door.events(&adapter, "concat_ws(' ', state, reason)"), "unmatched the adapter was deleted");
    assert_eq!(door.post(&adapter, &[], "{}").status, 404);
}
