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
