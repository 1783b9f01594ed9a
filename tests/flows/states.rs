//! Which flows run for an event, in which state.

use serde_json::json;
use testkit::{ask, refused, run};

use crate::{Site, TICKET, cluster, issue};

#[test]
fn a_deployed_flow_runs_and_the_event_is_emitted_in_the_same_commit() {
    let mut site = Site::new(cluster(), "deployed");
    site.bench.subscribe("/crm", "ticket.created", &[]);
    let flow = site.deploy("make_ticket", TICKET, "");
    let answer = site.post(issue(7));
    assert_eq!((answer.status, answer.event().1), (200, "done"), "{}", answer.body);
    assert_eq!(
        site.bench.ask::<String>("SELECT id || ' ' || title || ' ' || who FROM public.ticket"),
        "7 It is broken app"
    );
    assert_eq!(site.runs(), ["make_ticket: deployed done"]);
    assert_eq!(site.latest_run("result"), json!(7));
    assert_eq!(site.latest_run("effects"), json!(null));
    let row = "SELECT runs || ' ' || failures || ' ' || (last_run_at IS NOT NULL) || ' ' || owner || ' ' || state FROM hydra.flows";
    assert_eq!(site.bench.ask::<String>(row), "1 0 true app deployed");
    site.bench.wait_for("/crm", 1);

    // What the function gets.
    site.create_function("make_ticket", "RETURN event;");
    let (event, _) = site.post(issue(8)).event();
    let got = site.latest_run("result");
    assert_eq!(got["entity"]["id"], 8);
    assert_eq!((&got["event"], &got["tenant_id"]), (&json!("ticket.created"), &json!("acme")));
    assert_eq!(got["adapter"], json!({"id": site.adapter, "name": "issues"}));
    assert_eq!(site.latest_run("inbound_event_id"), json!(event));
    assert_eq!(site.latest_run("flow_id"), json!(flow));
}

#[test]
fn an_event_that_no_deployed_flow_takes_says_why() {
    let mut site = Site::new(cluster(), "unmatched");
    let (event, state) = {
        let answer = site.post(issue(1));
        (answer.event().0, answer.event().1.to_owned())
    };
    assert_eq!(state, "unmatched");
    assert_eq!(site.event(event, "reason"), "no flow listens to ticket.created");
    let flow = site.create_flow("make_ticket", TICKET, ", filter => '$.priority == \"low\"'");
    let reasons = [
        ("flow_test", "flow make_ticket is only in testing"),
        ("flow_pause", "flow make_ticket is paused"),
        ("flow_deploy", "the filter of flow make_ticket does not match"),
    ];
    for (change, reason) in reasons {
        site.bench.run(&format!("SELECT hydra.{change}({flow})"));
        let (event, _) = site.post(issue(2)).event();
        assert_eq!((site.event(event, "state"), site.event(event, "reason")), ("unmatched".into(), reason.into()));
    }
    site.bench.run(&format!("SELECT hydra.flow_delete({flow})"));
    site.deploy("for_others", TICKET, ", tenant_id => 'globex'");
    let (event, _) = site.post(issue(3)).event();
    assert_eq!(site.event(event, "reason"), "flow for_others is of another tenant");
    assert_eq!(site.tickets(), 0);
}

#[test]
fn a_filter_decides_which_entities_a_flow_gets() {
    let mut site = Site::new(cluster(), "filtered");
    let flow = site.deploy("urgent", TICKET, ", filter => '$.priority == \"high\"'");
    site.post(issue(1));
    site.post(r#"{"id": 2, "priority": "low"}"#);
    site.post(r#"{"id": 3}"#);
    assert_eq!(site.bench.ask::<i32>("SELECT max(id) FROM public.ticket"), 1);
    for (event, entity, matches) in [
        ("ticket.created", r#"{"priority": "high"}"#, true),
        ("ticket.created", r#"{"priority": "low"}"#, false),
        ("ticket.assigned", r#"{"priority": "high"}"#, false),
    ] {
        let would = format!("SELECT hydra.flow_would_match({flow}, '{event}', '{entity}')");
        assert_eq!(site.bench.ask::<bool>(&would), matches, "{would}");
    }

    // One that does not end is no reason to run the flow, nor to skip the event.
    site.bench.run("SELECT hydra.flow_pause(id) FROM hydra.flows");
    let endless = "$.list[*] ? (exists($.list[*] ? (exists($.list[*] ? (@ < 0)))))";
    site.deploy("endless", TICKET, &format!(", filter => '{endless}'"));
    let list = vec!["1"; 3000].join(",");
    let (event, _) = site.post(format!(r#"{{"id": 4, "list": [{list}]}}"#)).event();
    assert_eq!(
        site.event(event, "state || ' ' || error"),
        "failed the filter of flow endless failed: it takes too long"
    );
    assert_eq!((site.tickets(), site.runs().pop()), (1, Some("endless: deployed failed".into())));
}

#[test]
fn several_flows_of_an_event_take_effect_together() {
    let mut site = Site::new(cluster(), "together");
    site.deploy("first", TICKET, "");
    site.deploy(
        "second",
        "IF event #>> '{entity,id}' = '2' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NULL;",
        "",
    );
    assert_eq!(site.post(issue(1)).event().1, "done");
    assert_eq!(site.runs(), ["first: deployed done", "second: deployed done"]);
    let (event, _) = site.post(issue(2)).event();
    assert_eq!(site.event(event, "state"), "failed");
    assert_eq!(site.tickets(), 1);
    // The run of the first was undone, so it is not shown.
    assert_eq!(site.runs()[2..], ["second: deployed failed"]);
    assert_eq!(site.latest_run("error"), json!("not this one"));
}

#[test]
fn bad_arguments_are_refused_with_a_reason() {
    let mut site = Site::new(cluster(), "arguments");
    site.create_function("good", "RETURN NULL;");
    let client = &mut site.bench.client;
    run(
        client,
        "CREATE FUNCTION public.texts(text) RETURNS void LANGUAGE sql AS ''; ALTER FUNCTION public.texts(text) OWNER TO app",
    );
    for (arguments, code) in [
        ("NULL, 'ticket.created', 'public.good'", "22023"),
        ("'', 'ticket.created', 'public.good'", "22023"),
        ("'x', NULL, 'public.good'", "42704"),
        ("'x', 'no.such_event', 'public.good'", "42704"),
        ("'x', 'webhook.delivery_failed', 'public.good'", "42704"),
        ("'x', 'ticket.created', NULL", "42883"),
        ("'x', 'ticket.created', 'public.absent'", "42883"),
        ("'x', 'ticket.created', 'public.texts(text)'", "42883"),
        ("'x', 'ticket.created', '('", "42883"),
        ("'x', 'ticket.created', 'pg_catalog.jsonb_typeof'", "42883"),
        ("'x', 'ticket.created', 'public.good', timeout => '2 min'", "22023"),
        ("'x', 'ticket.created', 'public.good', timeout => '0'", "22023"),
        ("'x', 'ticket.created', 'public.good', filter => '$\"v\" == 1'", "22023"),
        ("'x', 'ticket.created', 'public.good', tenant_id => ''", "22023"),
    ] {
        refused(client, &format!("SELECT hydra.flow_create({arguments})"), code);
    }
    run(client, "SELECT hydra.flow_create('x', 'ticket.*', 'public.good')");
    refused(client, "SELECT hydra.flow_create('x', 'ticket.*', 'public.good')", "42710");
    for function in ["flow_deploy", "flow_test", "flow_pause", "flow_delete"] {
        refused(client, &format!("SELECT hydra.{function}(99)"), "42704");
        refused(client, &format!("SELECT hydra.{function}(NULL)"), "42704");
    }
    refused(client, "SELECT hydra.flow_would_match(99, 'ticket.created', '{}')", "42704");
    assert_eq!(ask::<i64>(client, "SELECT count(*) FROM hydra.flows"), 1);
}

#[test]
fn members_see_flows_and_only_admins_change_them() {
    let mut site = Site::new(cluster(), "seen");
    let flow = site.deploy("make_ticket", TICKET, "");
    site.post(issue(1));
    let mut member = cluster().connect_as("seen", "member");
    assert_eq!(
        ask::<i64>(&mut member, "SELECT count(*) FROM hydra.flows JOIN hydra.flow_runs ON flow_id = flows.id"),
        1
    );
    assert_eq!(ask::<i64>(&mut member, "SELECT count(*) FROM hydra.runner_status"), 1);
    let calls = [
        "flow_create('x', 'ticket.created', 'public.make_ticket')".to_owned(),
        format!("flow_deploy({flow})"),
        format!("flow_test({flow})"),
        format!("flow_pause({flow})"),
        format!("flow_delete({flow})"),
        format!("flow_would_match({flow}, 'ticket.created', '{{}}')"),
    ];
    for call in calls {
        assert_eq!(testkit::refusal(&mut member, &format!("SELECT hydra.{call}")).code, "42501", "{call}");
    }
    for table in ["flow", "flow_run", "flow_rehearsal", "inbound_event"] {
        assert_eq!(testkit::refusal(&mut member, &format!("TABLE hydra.{table}")).code, "42501");
    }
    run(&mut cluster().connect_as("seen", "admin"), &format!("SELECT hydra.flow_pause({flow})"));
}
