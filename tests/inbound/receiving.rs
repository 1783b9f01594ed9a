//! What becomes of a request that is accepted.

use serde_json::json;

use crate::{Door, states};

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
fn what_jsonb_cannot_hold_hinders_no_other_event_of_the_request() {
    let mut door = Door::with_flow("nul_in_batch");
    let json = [("content-type", "application/json")];
    let batch = door.adapter("'\"ticket.created\"', each => '$.events[*]', id_path => '$.id'");
    let body = r#"{"events": [{"id": 1, "t": "a\u0000b"}, {"id": 2}, {"id": "3\u0000", "t": "\ud83d"}, {"id": "4\ud83d", "t": "\\u0000"}]}"#;
    let answer = door.post(&batch, &json, body);
    assert_eq!(
        (answer.status, states(&answer)),
        (200, ["unmatched", "done", "unmatched", "done"].map(String::from).into())
    );
    // An id with NUL is replaced by its hash, as one is that is too long.
    assert_eq!(door.events(&batch, "external_id ~ '^[0-9a-f]{64}$'").matches("true").count(), 1);
    assert!(door.events(&batch, "payload").starts_with(r#"{"t": "a\u0000b", "id": 1},"#));
    assert_eq!(door.effects(), [json!({"id": 2}), json!({"id": "4\u{FFFD}", "t": "\\u0000"})]);
    let again = door.post(&batch, &json, body).json();
    assert!(again["events"].as_array().unwrap().iter().all(|event| event["duplicate"] == true), "{again}");

    let typed = door.adapter(r#"'{"q": {"event": "ticket.created"}}', type_path => '$.type'"#);
    let answer = door.post(&typed, &json, r#"{"type": "q", "x": {"a\u0000": 1}}"#);
    assert_eq!((answer.status, states(&answer)), (200, vec!["unmatched".to_owned()]), "{answer:?}");
    assert_eq!(door.events(&typed, "external_type"), "q");
    // Half of a character that somebody has cut in two.
    let plain = door.adapter("'\"ticket.created\"'");
    assert_eq!(door.post(&plain, &json, r#"{"text": "cut \ud83d"}"#).status, 200);
    assert_eq!(door.effects().pop(), Some(json!({"text": "cut \u{FFFD}"})));
}

#[test]
fn an_event_that_the_database_cannot_hold_hinders_no_other_event_of_the_request() {
    let mut door = Door::with_flow("large_in_batch");
    let json = [("content-type", "application/json")];
    let batch = door.adapter("'\"ticket.created\"', each => '$.events[*]', id_path => '$.id'");
    let (digits, deep) = ("7".repeat(140_000), format!("{}{}", "[".repeat(140), "]".repeat(140)));
    let odd = ["1e200000", "1e-20000", &digits, &deep, r#"{"$serde_json::private::Number":"hello"}"#];
    let events: Vec<String> = odd.iter().enumerate().map(|(id, x)| format!(r#"{{"id": {id}, "x": {x}}}"#)).collect();
    let body = format!(r#"{{"events": [{}, {{"id": 1e300000}}, {{"id": "good"}}]}}"#, events.join(", "));
    let answer = door.post(&batch, &json, &body);
    assert_eq!(
        (answer.status, states(&answer)),
        (
            200,
            ["unmatched", "unmatched", "unmatched", "unmatched", "unmatched", "unmatched", "done"]
                .map(String::from)
                .into()
        )
    );
    let taken: String = door.bench.ask("SELECT string_agg(entity ->> 'id', ',' ORDER BY ctid) FROM public.effect");
    assert_eq!(taken, "good");
    // The same alone.
    let plain = door.adapter("'\"ticket.created\"'");
    for x in odd {
        assert_eq!(door.post(&plain, &json, &format!(r#"{{"x": {x}}}"#)).status, 200);
    }
    assert_eq!(door.events(&plain, "state"), "unmatched,unmatched,unmatched,unmatched,unmatched");
}

#[test]
fn a_body_in_which_the_path_of_the_events_leads_nowhere_is_kept_and_says_so() {
    let mut door = Door::with_flow("no_each");
    let json = [("content-type", "application/json")];
    let batch = door.adapter("'\"ticket.created\"', each => '$.items[*]'");
    for body in [r#"{"id": 1, "x": 2}"#, r#"{"item": [{"id": 1}]}"#, "7", r#"{"x": "\u0000"}"#] {
        let answer = door.post(&batch, &json, body);
        assert_eq!((answer.status, states(&answer)), (200, vec!["unmatched".to_owned()]), "{body}: {answer:?}");
    }
    assert!(door.events(&batch, "reason").starts_with("the path $.\"items\"[*] of the adapter finds no event,"));
    for body in [r#"{"items": []}"#, r#"{"items": [], "x": "\u0000"}"#] {
        assert_eq!(door.post(&batch, &json, body).json(), json!({"received": 0, "events": []}), "{body}");
    }
    assert_eq!(door.column(&batch, "concat_ws(' ', received, unmatched)"), "4 4");
    // No event is made of such a body later.
    door.bench.run(&format!("SELECT hydra.inbound_update({}, each => '$'), hydra.inbound_replay({0})", batch.id));
    assert_eq!(door.events(&batch, "state"), "unmatched,unmatched,unmatched,unmatched");
    let chosen = door.adapter("'\"ticket.created\"', each => '$[*] ? (@.id > 1)'");
    assert_eq!(door.post(&chosen, &json, r#"[{"id": 1}]"#).json(), json!({"received": 0, "events": []}));
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
