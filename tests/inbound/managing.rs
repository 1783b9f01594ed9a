//! Adapters are made and changed.

use serde_json::json;

use crate::Door;

#[test]
fn a_change_holds_from_the_next_request_on() {
    let mut door = Door::with_flow("changes");
    let adapter = door.adapter("'\"ticket.created\"', budget => '9 s', requests_per_second => 7, each => '$.items[*]'");
    assert_eq!(door.send(&adapter, 200, &json!({"items": [{"a": 1}, {"a": 2}]})).len(), 2);
    door.bench.run(&format!(
        "SELECT hydra.inbound_update({}, name => 'other', mapping => '{{\"*\": \"ticket.updated\"}}', each => '', budget => '0',
                                     requests_per_second => 0)",
        adapter.id
    ));
    assert_eq!(door.send(&adapter, 200, &json!({"items": []})), ["done"]);
    assert_eq!(door.events(&adapter, "event_type"), "ticket.created,ticket.created,ticket.updated");
    assert_eq!(door.column(&adapter, "concat_ws(' ', name, each, budget, requests_per_second)"), "other");
    // A provider that signs needs a secret first.
    let to_github = format!("SELECT hydra.inbound_update({}, provider => 'github')", adapter.id);
    door.bench.refused(&to_github, "55000");
    door.bench.run(&format!("SELECT hydra.inbound_rotate_secret({}, 'It is secret'); {to_github}", adapter.id));
    assert_eq!(door.post(&adapter, &[], "{}").status, 401);
}

#[test]
fn what_an_adapter_cannot_have_is_refused_with_advice_that_can_be_followed() {
    let mut door = Door::open("advice");
    for (event, code) in [("form.*", "42704"), ("webhook.test", "42704"), ("Form", "42704")] {
        let refusal = door.bench.refused(&format!("SELECT hydra.inbound_create('x', '\"{event}\"')"), code);
        assert_eq!(refusal.hint, "SELECT name FROM hydra.webhook_event_types lists the event types.", "{event}");
    }
    let refusal = door.bench.refused("SELECT hydra.inbound_create('x', '\"form.sent\"')", "42704");
    assert!(refusal.hint.contains("SELECT hydra.webhook_register_event_type('form.sent'"), "{refusal:?}");

    let unknown = r#"{"x": {"event": "ticket.created", "nope": 1}}"#;
    let refusal = door.bench.refused(&format!("SELECT hydra.inbound_create('x', '{unknown}')"), "22023");
    assert!(refusal.detail.contains("\"nope\" is not known"), "{refusal:?}");
}

#[test]
fn a_secret_has_a_largest_size_that_is_named_and_such_a_secret_is_accepted() {
    let mut door = Door::open("large_secrets");
    let create = |size: usize| {
        format!("SELECT id FROM hydra.inbound_create('x', '\"ticket.created\"', 'github', repeat('x', {size}))")
    };
    let id: i64 = door.bench.ask(&create(16_384));
    for too_large in [create(16_385), format!("SELECT hydra.inbound_rotate_secret({id}, repeat('x', 16385))")] {
        let refusal = door.bench.refused(&too_large, "22023");
        assert!(refusal.detail.contains("16384"), "{refusal:?}");
    }
}
