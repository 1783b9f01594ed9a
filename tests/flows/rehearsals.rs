//! Flows in testing, which are rehearsed on live traffic.

use serde_json::{Value, json};

use crate::{Site, TICKET, cluster, issue};

#[test]
fn a_flow_in_testing_shows_its_effects_and_has_none() {
    let mut site = Site::new(cluster(), "testing");
    let (subscription, _) = site.bench.subscribe("/crm", "ticket.assigned", &["name => 'CRM'"]);
    let body = "INSERT INTO public.ticket (id) VALUES (1), (2);
                PERFORM hydra.webhook_emit('ticket.assigned', event -> 'entity');
                RAISE NOTICE 'assigned to %', current_user;
                RETURN '\"two\"';";
    site.bench.run("GRANT hydra_emitter TO app");
    site.create_flow("assign", body, "");
    let (event, _) = site.post(issue(7)).event();
    assert_eq!(site.wait_for_runs(1), ["assign: rehearsal done"]);
    assert_eq!(site.latest_run("result"), json!("two"));
    let effects = site.latest_run("effects");
    assert_eq!(effects["tables"], json!([{"table": "public.ticket", "inserted": 2, "updated": 0, "deleted": 0}]));
    let webhook = &effects["webhooks"][0];
    assert_eq!((&webhook["subscription_id"], &webhook["event"]), (&json!(subscription), &json!("ticket.assigned")));
    let sent: Value = serde_json::from_str(webhook["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(sent["data"]["entity"]["id"], 7);
    assert_eq!(effects["notices"][0]["message"], "assigned to app");
    assert_eq!(site.tickets(), 0);
    assert_eq!(site.event(event, "state"), "unmatched");
    site.bench.wait_for_empty_queue();
    assert_eq!(site.bench.receiver.received("/crm"), 0);
    site.bench.wait_for_count("flow_rehearsal", 0);
}

#[test]
fn a_rehearsal_sees_what_the_deployed_flows_have_committed() {
    let mut site = Site::new(cluster(), "after");
    site.deploy("make_ticket", TICKET, "");
    site.create_flow("count_them", "RETURN to_jsonb((SELECT count(*) FROM public.ticket));", "");
    assert_eq!(site.post(issue(1)).event().1, "done");
    assert_eq!(site.wait_for_runs(2), ["make_ticket: deployed done", "count_them: rehearsal done"]);
    assert_eq!(site.latest_run("result"), json!(1));
}

#[test]
fn a_rehearsal_that_fails_is_recorded_and_harms_nothing() {
    let mut site = Site::new(cluster(), "failing_test");
    site.bench.run(
        "CREATE TABLE public.note (ticket int REFERENCES public.ticket DEFERRABLE INITIALLY DEFERRED); ALTER TABLE public.note OWNER TO app;
         CREATE ROLE parker IN ROLE hydra_admin",
    );
    site.deploy("make_ticket", TICKET, "");
    let failing = [
        ("raises", "app", "RAISE EXCEPTION 'not like this';", "P0001", "not like this"),
        ("defers", "app", "INSERT INTO public.note VALUES (99); RETURN NULL;", "23503", "foreign key"),
        // A role of its own, because app is the owner in other tests too.
        ("parks", "parker", "PERFORM hydra.webhook_park(); RETURN NULL;", "55000", "cannot be rehearsed"),
        ("sleeps", "app", "PERFORM pg_sleep(60); RETURN NULL;", "57014", "took longer than 0.2 s"),
    ];
    for (place, (name, owner, body, code, error)) in failing.into_iter().enumerate() {
        site.create_function(name, body);
        site.bench.run(&format!("ALTER FUNCTION public.{name}(jsonb) OWNER TO {owner}"));
        let limit = if name == "sleeps" { "0.2 s" } else { "60 s" };
        let flow: i64 = site.bench.ask(&format!(
            "SELECT hydra.flow_create('{name}', 'ticket.created', 'public.{name}', timeout => '{limit}')"
        ));
        assert_eq!(site.post(issue(place as i64)).event().1, "done");
        assert_eq!(site.wait_for_runs(2 * place + 2)[2 * place + 1], format!("{name}: rehearsal failed"));
        assert_eq!(site.latest_run("sqlstate"), json!(code));
        let recorded = site.latest_run("error");
        assert!(recorded.as_str().expect("text").contains(error), "{recorded}");
        site.bench.run(&format!("SELECT hydra.flow_pause({flow})"));
    }
    assert_eq!(site.tickets(), 4);
}

#[test]
fn a_flow_in_testing_gets_only_what_its_filter_selects() {
    let mut site = Site::new(cluster(), "selective");
    site.create_flow("urgent", "RETURN event -> 'entity' -> 'id';", ", filter => '$.priority == \"high\"'");
    site.post(r#"{"id": 1, "priority": "low"}"#);
    site.post(issue(2));
    site.wait_for_runs(1);
    site.bench.wait_for_count("flow_rehearsal", 0);
    assert_eq!(site.runs().len(), 1);
    assert_eq!(site.latest_run("result"), json!(2));
}

#[test]
fn large_results_and_effects_are_not_kept() {
    let mut site = Site::new(cluster(), "large");
    site.deploy("large", "RETURN jsonb_build_object('text', repeat('x', 1000000), 'more', 7);", "");
    assert_eq!(site.post(issue(1)).event().1, "done");
    assert_eq!(site.latest_run("result"), json!({"text": {"not_kept": true, "bytes": 1_000_002}, "more": 7}));
    site.create_function("large", "RETURN to_jsonb(repeat('x', 1000000));");
    site.post(issue(2));
    assert_eq!(site.latest_run("result"), json!({"not_kept": true, "bytes": 1_000_002}));
    site.create_function("large", "RAISE EXCEPTION '%', repeat('ä', 1000000);");
    site.post(issue(3));
    assert_eq!(site.latest_run("error").as_str().map(str::len), Some(2000));
}
