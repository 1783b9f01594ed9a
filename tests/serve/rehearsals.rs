//! Rehearsals: what something would do, without doing it.

use serde_json::{Value, json};
use testkit::{Bench, refusal, refused, run};

use crate::cluster;

const TICKETS: &str = "
    CREATE TABLE public.ticket (id int PRIMARY KEY, status text);
    CREATE TABLE public.note (id int GENERATED ALWAYS AS IDENTITY, ticket int REFERENCES public.ticket DEFERRABLE INITIALLY DEFERRED);
    CREATE FUNCTION public.close_ticket(arguments jsonb) RETURNS public.ticket LANGUAGE plpgsql AS $$
    DECLARE
        closed public.ticket;
    BEGIN
        UPDATE public.ticket SET status = 'closed' WHERE id = (arguments ->> 'id')::int RETURNING * INTO closed;
        INSERT INTO public.note (ticket) VALUES (closed.id), (closed.id + (arguments ->> 'off')::int);
        RAISE NOTICE 'closed %', closed.id USING HINT = 'Open it again.';
        RAISE WARNING 'it was open';
        RETURN closed;
    END $$;
    SELECT hydra.webhook_watch('public.ticket', 'ticket.status_changed', 'update');
    INSERT INTO public.ticket VALUES (7, 'open')";

fn rehearse(bench: &mut Bench<'_>, call: &str) -> Value {
    let text: String = bench.ask(&format!("SELECT hydra.rehearse({call})::text"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_rehearsal_shows_all_effects_and_leaves_none() {
    let mut bench = Bench::new(cluster(), "rehearsed");
    let (id, _) = bench.subscribe("/crm?key=hidden", "ticket.status_changed", &["name => 'CRM'"]);
    bench.run(TICKETS);
    let effects = rehearse(&mut bench, r#"'public.close_ticket(jsonb)', '{"id": 7, "off": 0}'"#);
    assert_eq!(effects["result"], json!({"id": 7, "status": "closed"}));
    assert_eq!(
        effects["tables"],
        json!([{"table": "public.note", "inserted": 2, "updated": 0, "deleted": 0},
               {"table": "public.ticket", "inserted": 0, "updated": 1, "deleted": 0}])
    );
    let webhook = &effects["webhooks"][0];
    assert_eq!(
        (&webhook["event"], &webhook["subscription_id"], &webhook["name"]),
        (&json!("ticket.status_changed"), &json!(id), &json!("CRM"))
    );
    assert!(!webhook["url"].as_str().unwrap().contains("hidden"), "{webhook}");
    let body: Value = serde_json::from_str(webhook["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["data"]["entity"], json!({"id": 7, "status": "closed"}));
    assert_eq!(effects["notices"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&effects["notices"][0]["message"], &effects["notices"][0]["hint"]),
        (&json!("closed 7"), &json!("Open it again."))
    );
    assert_eq!(effects["notices"][1]["severity"], "warning");

    assert_eq!(bench.ask::<String>("SELECT status FROM public.ticket"), "open");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM public.note"), 0);
    // What is done for real is counted and sent, and nothing of the rehearsal is.
    bench.run(r#"SELECT public.close_ticket('{"id": 7, "off": 0}')"#);
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received("/crm?key=hidden"), 1);
}

#[test]
fn a_result_has_all_columns_whatever_they_are_called() {
    let mut bench = Bench::new(cluster(), "columns_r");
    for (returns, body, result) in [
        ("record", "SELECT 1, 2", r#"{"r": 1, "x": 2}"#),
        ("TABLE (r int, one int)", "VALUES (1, 2), (3, 4)", r#"[{"r": 1, "one": 2}, {"r": 3, "one": 4}]"#),
        ("TABLE (r text)", "VALUES ('a')", r#"["a"]"#),
        ("text", "SELECT 'a'", r#""a""#),
        ("int[]", "SELECT '{1,2}'::int[]", "[1, 2]"),
        ("jsonb", "SELECT '{\"r\": 1}'::jsonb", r#"{"r": 1}"#),
        ("json", "SELECT '{\"r\": 1}'::json", r#"{"r": 1}"#),
        ("SETOF jsonb", "SELECT '{\"r\": 1}'::jsonb", r#"[{"r": 1}]"#),
        ("void", "", "null"),
    ] {
        let out = if returns == "record" { ", OUT r int, OUT x int" } else { "" };
        bench.run(&format!(
            "DROP FUNCTION IF EXISTS public.f; CREATE FUNCTION public.f(e jsonb{out}) RETURNS {returns} LANGUAGE sql AS $$ {body} $$"
        ));
        let effects = rehearse(&mut bench, "'public.f(jsonb)', '{}'");
        assert_eq!(effects["result"], serde_json::from_str::<Value>(result).unwrap(), "{returns}");
    }
    bench.run("DROP FUNCTION public.f; CREATE FUNCTION public.f(e jsonb) RETURNS record LANGUAGE sql AS 'SELECT 1, 2'");
    refused(&mut bench.client, "SELECT hydra.flow_create('record', 'ticket.created', 'public.f')", "42883");
}

#[test]
fn a_rehearsal_does_not_count_what_its_transaction_did_before() {
    let mut bench = Bench::new(cluster(), "before");
    bench.subscribe("/", "ticket.status_changed", &[]);
    bench.run(TICKETS);
    bench.run("BEGIN; UPDATE public.ticket SET status = 'waiting'; INSERT INTO public.ticket VALUES (8, 'open')");
    let effects = rehearse(&mut bench, r#"'public.close_ticket(jsonb)', '{"id": 7, "off": 0}'"#);
    assert_eq!(effects["webhooks"].as_array().unwrap().len(), 1, "{effects}");
    assert_eq!(effects["tables"][1], json!({"table": "public.ticket", "inserted": 0, "updated": 1, "deleted": 0}));
    bench.run("COMMIT");
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received("/"), 1);
}

#[test]
fn a_rehearsal_fails_where_the_commit_would() {
    let mut bench = Bench::new(cluster(), "deferred_keys");
    bench.run(TICKETS);
    let call = r#"SELECT hydra.rehearse('public.close_ticket(jsonb)', '{"id": 7, "off": 1}')"#;
    assert_eq!(bench.refusal(call).code, "23503");
    assert_eq!(bench.ask::<String>("SELECT status FROM public.ticket"), "open");
}

#[test]
fn what_a_rollback_does_not_undo_cannot_be_rehearsed() {
    let mut bench = Bench::new(cluster(), "at_once");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    bench.run(&format!(
        "CREATE FUNCTION public.tests(jsonb) RETURNS void LANGUAGE sql AS 'SELECT hydra.webhook_send_test({id})';
         CREATE FUNCTION public.parks(jsonb) RETURNS void LANGUAGE sql AS 'SELECT hydra.webhook_park()'"
    ));
    for function in ["tests", "parks"] {
        let refusal = bench.refused(&format!("SELECT hydra.rehearse('public.{function}(jsonb)')"), "55000");
        assert!(refusal.message.contains("rehearsed"), "{refusal:?}");
    }
    assert_eq!(bench.receiver.received("/"), 0);
    bench.run(&format!("SELECT hydra.webhook_send_test({id})"));
}

#[test]
fn a_rehearsal_runs_with_the_rights_of_its_caller() {
    let mut bench = Bench::new(cluster(), "rehearsing");
    bench.run(TICKETS);
    let mut admin = cluster().connect_as("rehearsing", "admin");
    let call = r#"SELECT hydra.rehearse('public.close_ticket(jsonb)', '{"id": 7, "off": 0}')"#;
    assert_eq!(refusal(&mut admin, call).code, "42501");
    bench.run("GRANT ALL ON public.ticket, public.note TO hydra_admin");
    run(&mut admin, call);
    for wrong in ["NULL", "'public.absent(jsonb)'", "'public.close_ticket'", "'pg_catalog.now()'", "'1'"] {
        refused(&mut admin, &format!("SELECT hydra.rehearse({wrong})"), "42883");
    }
    let mut stranger = cluster().connect_as("rehearsing", "stranger");
    assert_eq!(refusal(&mut stranger, call).code, "42501");
}

#[test]
fn functions_of_all_kinds_of_results_can_be_rehearsed() {
    let mut bench = Bench::new(cluster(), "results");
    bench.run(
        "CREATE FUNCTION public.nothing(jsonb) RETURNS void LANGUAGE sql AS '';
         CREATE FUNCTION public.number(jsonb) RETURNS int LANGUAGE sql AS 'SELECT 7';
         CREATE FUNCTION public.rows(jsonb) RETURNS SETOF int LANGUAGE sql AS 'VALUES (1), (2)';
         CREATE FUNCTION public.columns(a jsonb, OUT b int, OUT c jsonb) LANGUAGE sql AS 'SELECT 1, a'",
    );
    for (call, result) in [
        ("'public.nothing(jsonb)'", json!(null)),
        ("'public.number(jsonb)'", json!(7)),
        ("'public.rows(jsonb)'", json!([1, 2])),
        ("'public.columns(jsonb)', '[1]'", json!({"b": 1, "c": [1]})),
    ] {
        assert_eq!(rehearse(&mut bench, call)["result"], result, "{call}");
    }
}
