//! What becomes of a request that is accepted.

use serde_json::json;

use crate::Door;

#[test]
fn an_event_runs_the_flow_and_goes_out_as_a_webhook_and_then_the_request_is_answered() {
    let mut door = Door::with_flow("received");
    door.bench.subscribe("/out", "ticket.created", &[]);
    let adapter = door.adapter("'\"ticket.created\"'");
    let answer = door.post(&adapter, &[], r#"{"id": 7, "title": "a"}"#);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
    assert!(answer.header("hydra-adapter").is_none() && answer.header("x-request-id").is_some(), "{answer:?}");
    assert_eq!(answer.json(), json!({"received": 1, "events": [{"id": 1, "state": "done"}]}));
    assert_eq!(door.effects(), [json!({"id": 7, "title": "a"})]);
    let sent = door.bench.wait_for("/out", 1);
    assert_eq!((sent[0].entity_id().as_str(), sent[0].header("x-hydra-hops")), ("7", Some("1")));
    assert_eq!(
        door.events(&adapter, "concat_ws(' ', state, event_type, entity_type, entity_id, attempts)"),
        "done ticket.created ticket 7 1"
    );
    assert_eq!(
        door.column(&adapter, "concat_ws(' ', received, matched, unmatched, failed, duplicates, refused)"),
        "1 1 0 0 0 0"
    );
    assert_eq!(door.column(&adapter, "last_received_at > now() - interval '1 h'"), "true");
}

#[test]
fn a_flow_gets_what_came_and_acts_as_its_owner_in_the_tenant_of_the_adapter() {
    let mut door = Door::with_flow("arguments");
    let mapping = r#"'{"issues.*": {"event": "ticket.created", "entity": "$.issue", "entity_type": "issue", "entity_id": "$.issue.key"}}'"#;
    let adapter =
        door.adapter(&format!("{mapping}, tenant_id => 'acme', id_path => '$.delivery', type_path => '$.kind'"));
    let body = json!({"kind": "issues.opened", "delivery": 12, "issue": {"key": "K-1", "tenant_id": "other"}});
    assert_eq!(door.send(&adapter, 200, &body), ["done"]);
    let argument: String = door.bench.ask("SELECT (argument - 'received_at')::text FROM public.effect");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&argument).unwrap(),
        json!({"event": "ticket.created", "entity_type": "issue", "entity_id": "K-1", "tenant_id": "acme",
               "entity": {"key": "K-1", "tenant_id": "other"}, "adapter": {"id": adapter.id, "name": "test"},
               "external": {"id": "12", "type": "issues.opened"}, "payload": body})
    );
    assert_eq!(door.bench.ask::<String>("SELECT made_by || ' ' || tenant FROM public.effect"), "app acme");
    let at =
        "SELECT (argument ->> 'received_at')::timestamptz BETWEEN now() - interval '1 h' AND now() FROM public.effect";
    assert!(door.bench.ask::<bool>(at));
}

#[test]
fn another_system_does_not_choose_the_tenant_unless_the_mapping_lets_it() {
    let mut door = Door::open("tenants");
    door.bench.subscribe("/acme", "ticket.created", &["tenant_id => 'acme'"]);
    door.bench.subscribe("/all", "ticket.created", &[]);
    let closed = door.adapter("'\"ticket.created\"'");
    let open = door.adapter(r#"'{"*": {"event": "ticket.created", "tenant_id": "$.tenant_id"}}'"#);
    for adapter in [&closed, &open] {
        door.send(adapter, 200, &json!({"id": 1, "tenant_id": "acme"}));
    }
    door.bench.wait_for("/all", 2);
    door.bench.wait_for_empty_queue();
    assert_eq!(door.bench.receiver.received("/acme"), 1);
    assert_eq!((door.events(&closed, "tenant_id"), door.events(&open, "tenant_id")), ("-".into(), "acme".into()));
    let refused = "SELECT hydra.inbound_create('x', '{\"*\": {\"event\": \"ticket.created\", \"tenant_id\": \"$.t\"}}', tenant_id => 'acme')";
    door.bench.refused(refused, "22023");
}

#[test]
fn an_event_for_which_no_flow_runs_says_why_and_goes_out_all_the_same() {
    let mut door = Door::open("unmatched");
    door.bench.subscribe("/out", "ticket.created", &[]);
    let adapter = door.adapter(r#"'{"made": "ticket.created"}'"#);
    let send =
        |door: &Door, kind: &str| assert_eq!(door.send(&adapter, 200, &json!({"type": kind, "id": 1})), ["unmatched"]);
    send(&door, "lost");
    send(&door, "made");
    let flow: i64 = door.bench.ask("SELECT hydra.flow_create('one', 'ticket.created', 'public.take(jsonb)')");
    send(&door, "made");
    door.bench.run(&format!("SELECT hydra.flow_pause({flow})"));
    send(&door, "made");
    door.bench.run(&format!("SELECT hydra.flow_delete({flow})"));
    let flow: i64 =
        door.bench.ask("SELECT hydra.flow_create('two', 'ticket.created', 'public.take(jsonb)', '$.id == 2')");
    door.bench.run(&format!("SELECT hydra.flow_deploy({flow})"));
    send(&door, "made");
    let expected = [
        "the mapping has no event for the type lost",
        "no flow listens to ticket.created",
        "flow one is only in testing",
        "flow one is paused",
        "the filter of flow two does not match",
    ];
    assert_eq!(door.events(&adapter, "reason"), expected.join(","));
    assert_eq!(door.bench.wait_for("/out", 4).len(), 4);
    assert!(door.effects().is_empty());
    assert_eq!(door.column(&adapter, "concat_ws(' ', received, matched, unmatched)"), "5 0 5");
}

#[test]
fn events_that_cannot_be_used_are_kept_and_do_not_come_again() {
    let mut door = Door::with_flow("unusable");
    let adapter = door.adapter(r#"'{"*": {"event": "ticket.created", "entity": "$.thing"}}'"#);
    let json = [("content-type", "application/json")];
    for (body, reason) in [
        (r#"{"other": 1}"#, "the path $.thing of the mapping finds no entity"),
        (r#"{"thing": "\u0000"}"#, "the event cannot be used: "),
    ] {
        let answer = door.post(&adapter, &json, body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let last: String = door.bench.ask("SELECT reason FROM hydra.inbound_events ORDER BY id DESC LIMIT 1");
        assert!(last.starts_with(reason), "{last}");
    }
    assert_eq!(door.post(&adapter, &json, "{not JSON").status, 422);
    assert_eq!(door.column(&adapter, "last_refusal ~ 'JSON'"), "true");
}

#[test]
fn forms_and_text_are_events_too() {
    let mut door = Door::with_flow("forms");
    let adapter = door.adapter("'\"ticket.created\"'");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(door.post(&adapter, &form, "title=a+b&x=%C3%BC").status, 200);
    assert_eq!(door.post(&adapter, &[("content-type", "text/plain")], "hello").status, 200);
    assert_eq!(door.effects(), [json!({"title": "a b", "x": "ü"}), json!({"body": "hello"})]);
}

#[test]
fn a_body_with_several_events_is_taken_in_event_by_event() {
    let mut door = Door::with_flow("batches");
    let adapter = door.adapter(r#"'{"new": "ticket.created"}', each => '$.items[*]', id_path => '$.id'"#);
    let items = json!({"items": [
        {"id": "c", "type": "new"}, {"id": "a", "type": "new", "fail": true}, {"id": "b", "type": "old"},
        {"id": "c", "type": "new"}, {"type": "new"},
    ]});
    assert_eq!(door.send(&adapter, 202, &items), ["done", "failed", "unmatched", "done"]);
    assert_eq!(door.effects(), [json!({"id": "c", "type": "new"}), json!({"type": "new"})]);
    assert_eq!(door.events(&adapter, "concat_ws(' ', external_id, state)"), "done,a failed,b unmatched,c done");
    // What is sent again finds what was done, and tries again what was not.
    assert_eq!(door.send(&adapter, 202, &items), ["done", "failed", "unmatched", "done"]);
    assert_eq!(door.effects().len(), 3, "only the event without an id is new");
    assert_eq!(door.column(&adapter, "duplicates"), "3");
}

#[test]
fn an_adapter_can_have_an_answer_of_its_own() {
    let mut door = Door::with_flow("answers");
    let adapter = door.adapter(
        r#"'"ticket.created"', response => '{"status": 201, "content_type": "text/xml", "body": "<Response/>"}'"#,
    );
    let answer = door.post(&adapter, &[], r#"{"id": 1}"#);
    assert_eq!(
        (answer.status, answer.header("content-type"), answer.body.as_str()),
        (201, Some("text/xml"), "<Response/>")
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}
