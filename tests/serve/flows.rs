//! The settings pages of flows; and who sees what of adapters and flows.

use serde_json::{Value, json};
use testkit::{Bench, PATIENCE, wait_until};

use crate::adapters::{FLOW, create, send};
use crate::cluster;
use crate::visitor::Visitor;

#[test]
fn a_flow_is_deployed_tested_paused_and_deleted() {
    let mut bench = Bench::new(cluster(), "flow_pages");
    bench.run(FLOW);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let flow = admin.data("/settings/flows")["flows"][0].take();
    assert_eq!((&flow["function"], &flow["owner"]), (&json!("public.open_ticket(jsonb)"), &json!("app")));
    let path = format!("/settings/flows/{}", flow["id"]);
    for (action, state, done) in
        [("deploy", "deployed", "deployed"), ("pause", "paused", "flow-paused"), ("test", "testing", "in-testing")]
    {
        let answer = admin.post(&format!("{path}/{action}"), "");
        assert_eq!(answer.header("location"), Some(format!("{path}?done={done}").as_str()), "{answer:?}");
        assert_eq!(admin.data(&path)["flow"]["state"], state);
    }
    assert_eq!(admin.get(&format!("{path}/deploy")).status, 405);
    assert_eq!(admin.post(&format!("{path}/explode"), "").status, 404);
    assert_eq!(admin.data(&format!("{path}/delete"))["flow"]["id"], flow["id"]);
    let deleted = admin.post(&format!("{path}/delete"), "");
    assert_eq!(deleted.header("location"), Some("/settings/flows?done=flow-deleted"));
    assert_eq!(admin.get(&path).status, 404);
}

#[test]
fn a_rehearsal_shows_what_a_flow_in_testing_would_do() {
    let mut bench = Bench::new(cluster(), "rehearsed_flows");
    bench.run(FLOW);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let (adapter, url) = create(&mut admin, "name=Curl&event_1=ticket.created");
    send("rehearsed_flows", &url, r#"{"id": "7"}"#);
    let path = format!("/settings/flows/{}", admin.data("/settings/flows")["flows"][0]["id"]);
    wait_until("it is rehearsed", PATIENCE, || admin.data(&path)["runs"] != json!([]));
    let run = admin.data(&path)["runs"][0].take();
    assert_eq!((&run["mode"], &run["state"]), (&json!("rehearsal"), &json!("done")), "{run}");
    assert_eq!(run["effects"]["tables"][0]["table"], "public.opened");
    assert!(run["duration_ms"].is_number() && adapter.ends_with(&format!("/{}", run["adapter_id"])), "{run}");
    let event = admin.data(&format!("{adapter}/events/{}", run["inbound_event_id"]));
    assert_eq!(event["runs"][0]["id"], run["id"]);
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM public.opened"), 0);
}

#[test]
fn a_member_sees_adapters_and_flows_and_changes_nothing() {
    let mut bench = Bench::new(cluster(), "member_adapters");
    bench.run(FLOW);
    let mut admin = Visitor::new(&mut bench, "'hydra_admin'");
    let (adapter, url) = create(&mut admin, "name=Curl&event_1=ticket.created");
    send("member_adapters", &url, r#"{"id": "7"}"#);
    let event = admin.data(&adapter)["events"][0]["id"].clone();
    let flow = format!("/settings/flows/{}", admin.data("/settings/flows")["flows"][0]["id"]);
    let mut member = Visitor::new(&mut bench, "'hydra_member'");
    let seen = [
        "/settings/inbound-adapters".to_owned(),
        adapter.clone(),
        format!("{adapter}/events/{event}"),
        "/settings/flows".into(),
        flow.clone(),
    ];
    for path in &seen {
        let page = member.get(path);
        assert_eq!((page.status, &page.json()["visitor"]["may_manage"]), (200, &json!(false)), "{path}: {page:?}");
    }
    for page in ["edit", "try", "rotate-url", "rotate-secret", "delete"] {
        assert_eq!(member.get(&format!("{adapter}/{page}")).status, 403, "{page}");
    }
    assert_eq!(member.get("/settings/inbound-adapters/new").status, 403);
    assert_eq!(member.get(&format!("{flow}/delete")).status, 403);
    let actions = ["", "/pause", "/resume", "/try", "/rotate-url", "/rotate-secret", "/delete", "/replay"];
    for action in actions {
        assert_eq!(member.post(&format!("{adapter}{action}"), "name=x").status, 403, "{action}");
    }
    assert_eq!(member.post("/settings/inbound-adapters", "name=x").status, 403);
    assert_eq!(member.post(&format!("{adapter}/events/{event}/replay"), "").status, 403);
    for action in ["deploy", "test", "pause", "delete"] {
        assert_eq!(member.post(&format!("{flow}/{action}"), "").status, 403, "{action}");
    }
    assert_eq!(bench.ask::<String>("SELECT string_agg(state, ' ') FROM hydra.flows"), "testing");
    assert_eq!(bench.ask::<String>("SELECT string_agg(state, ' ') FROM hydra.inbound_adapters"), "active");
}

#[test]
fn a_visitor_with_a_tenant_reaches_only_its_adapters_and_flows() {
    let mut bench = Bench::new(cluster(), "tenant_adapters");
    bench.run(FLOW);
    bench
        .run("SELECT hydra.flow_create('Theirs', 'ticket.created', 'public.open_ticket(jsonb)', tenant_id => 'other')");
    let flows = "SELECT hydra.flow_create('Own', 'ticket.created', 'public.open_ticket(jsonb)', tenant_id => 'acme')";
    let own_flow: i64 = bench.ask(flows);
    let mut all = Visitor::new(&mut bench, "'hydra_admin'");
    let (for_all, url) = create(&mut all, "name=All&event_1=ticket.created");
    let (theirs, _) = create(&mut all, "name=Theirs&event_1=ticket.created&tenant_id=other");
    send("tenant_adapters", &url, r#"{"id": "7"}"#);
    let event = all.data(&for_all)["events"][0]["id"].clone();

    let mut admin = Visitor::new(&mut bench, "'hydra_admin', 'acme'");
    // What the visitor makes belongs to the tenant, whatever the form says.
    let (own, url) = create(&mut admin, "name=Own&event_1=ticket.created&tenant_id=other");
    let list = admin.data("/settings/inbound-adapters")["adapters"].take();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["tenant_id"]), (1, &json!("acme")), "{list}");
    assert_eq!(admin.post(&own, "name=Own&event_1=ticket.created&tenant_id=other").status, 303);
    assert_eq!(admin.data(&own)["adapter"]["tenant_id"], "acme");
    for adapter in [&for_all, &theirs, &"/settings/inbound-adapters/999".to_owned()] {
        for page in ["", "/edit", "/try", "/rotate-url", "/rotate-secret", "/delete", &format!("/events/{event}")] {
            assert_eq!(admin.get(&format!("{adapter}{page}")).status, 404, "{adapter}{page}");
        }
        let actions = ["", "/pause", "/resume", "/try", "/rotate-url", "/rotate-secret", "/delete", "/replay"];
        for action in actions {
            let form = "name=x&event_1=ticket.created&secret=x";
            assert_eq!(admin.post(&format!("{adapter}{action}"), form).status, 404, "{adapter}{action}");
        }
        assert_eq!(admin.post(&format!("{adapter}/events/{event}/replay"), "").status, 404);
    }
    // Nor by the path of an adapter of its own.
    assert_eq!(admin.get(&format!("{own}/events/{event}")).status, 404);
    assert_eq!(admin.post(&format!("{own}/events/{event}/replay"), "").status, 404);

    let flows = admin.data("/settings/flows")["flows"].take();
    assert_eq!((flows.as_array().unwrap().len(), &flows[0]["name"]), (1, &json!("Own")), "{flows}");
    for flow in (1..=3).filter(|flow| *flow != own_flow) {
        assert_eq!(admin.get(&format!("/settings/flows/{flow}")).status, 404);
        for action in ["deploy", "test", "pause", "delete"] {
            assert_eq!(admin.post(&format!("/settings/flows/{flow}/{action}"), "").status, 404, "{flow} {action}");
        }
    }
    // Of what its event did, it sees its own flow.
    send("tenant_adapters", &url, r#"{"id": "8"}"#);
    let event = admin.data(&own)["events"][0]["id"].clone();
    let listening = admin.data(&own)["flows"].take();
    assert_eq!((listening.as_array().unwrap().len(), &listening[0]["name"]), (1, &json!("Own")));
    let page = format!("{own}/events/{event}");
    wait_until("it is rehearsed", PATIENCE, || admin.data(&page)["runs"] != json!([]));
    let names: Vec<Value> =
        admin.data(&page)["runs"].as_array().unwrap().iter().map(|run| run["flow"].clone()).collect();
    assert_eq!(names, [json!("Own")]);
}
