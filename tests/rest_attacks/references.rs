//! References to rows of other tenants: whether they can be made, and whether an answer tells which ids there are.

use crate::World;
use crate::attack::{Attack, attack};
use crate::world::{NOBODYS, THEIR_ACCOUNT, THEIRS};

fn referring(name: &'static str, method: &'static str, path: &str, body: &str) -> Attack {
    attack(name, method, path).body(body).values(THEIR_ACCOUNT, NOBODYS).status(409)
}

#[test]
fn no_row_refers_to_one_of_another_tenant() {
    let new = r#"{"subject": "x", "account_id": §}"#;
    World::new("attack_references").withstands(vec![
        referring("a new row refers to it", "POST", "tickets", new).owner(201),
        referring("a change refers to it", "PATCH", "tickets/1", r#"{"account_id": §}"#),
        referring("a rehearsal tells that it exists", "POST", "tickets", new).header("Prefer", "tx=rollback"),
        referring("an Idempotency-Key keeps the difference", "POST", "tickets", new).header("Idempotency-Key", "§"),
        referring("a row of the same table is its parent", "POST", "tickets", r#"{"subject": "x", "parent_id": §}"#)
            .values(THEIRS, NOBODYS)
            .owner(201),
        referring("a change makes it the parent", "PATCH", "tickets/2", r#"{"parent_id": §}"#).values(THEIRS, NOBODYS),
        referring("two references hide one", "POST", "tickets", r#"{"subject": "x", "parent_id": 1, "account_id": §}"#),
        referring("a view refers to it", "POST", "briefs", r#"{"title": "x", "customer": §}"#).owner(201),
        referring("a change of a view refers to it", "PATCH", "briefs/1", r#"{"customer": §}"#),
        referring("a view on a view refers to it", "POST", "seen", r#"{"title": "x", "customer": §}"#).owner(201),
        referring("a change of a view on a view refers to it", "PATCH", "seen/1", r#"{"customer": §}"#),
        referring("a number beyond 2^64 becomes its id", "POST", "tickets", new)
            .values("18446744073709558617", "99999999999999999999")
            .status(422),
        referring("a number with an exponent is its id", "POST", "tickets", new).values("7001e0", "9999e0").status(422),
        referring("a text is its id", "POST", "tickets", r#"{"subject": "x", "account_id": "§"}"#).status(422),
        referring("an array has its id", "POST", "tickets", r#"{"subject": "x", "account_id": [§]}"#).status(422),
        referring("an object has its id", "POST", "tickets", r#"{"subject": "x", "account_id": {"id": §}}"#)
            .status(422),
    ]);
}
