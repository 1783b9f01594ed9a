//! Changes of rows of other tenants, and of what a request may not write.

use crate::world::{NOBODYS, THEIRS};
use crate::{World, attack};

#[test]
fn no_row_of_another_tenant_is_changed() {
    let mut world = World::new("attack_changes");
    let owner = world.owner.clone();
    let etag = world.ask(&owner, &attack("their row", "GET", &format!("tickets/{THEIRS}")));
    let etag = etag.header("etag").expect("an ETag").to_owned();
    let body = r#"{"status": "closed"}"#;
    world.withstands(vec![
        attack("it is changed by its id", "PATCH", "tickets/§").body(body).values(THEIRS, NOBODYS).owner(200),
        attack("it is removed by its id", "DELETE", "tickets/§").values(THEIRS, NOBODYS).owner(204),
        attack("a change of nothing tells that it exists", "PATCH", "tickets/§")
            .body("{}")
            .values(THEIRS, NOBODYS)
            .owner(200),
        attack("If-Match with any ETag finds it", "PATCH", "tickets/§")
            .header("If-Match", "*")
            .body(body)
            .values(THEIRS, NOBODYS)
            .owner(200),
        attack("If-Match with its ETag finds it", "PATCH", "tickets/§")
            .header("If-Match", &etag)
            .body(body)
            .values(THEIRS, NOBODYS)
            .owner(200),
        attack("If-Match with its ETag removes it", "DELETE", "tickets/§")
            .header("If-Match", &etag)
            .values(THEIRS, NOBODYS)
            .owner(204),
        attack("If-Match with a wrong ETag tells that it exists", "DELETE", "tickets/§")
            .header("If-Match", "\"0\"")
            .values(THEIRS, NOBODYS)
            .owner(412),
        attack("a rehearsal shows it", "PATCH", "tickets/§")
            .header("Prefer", "tx=rollback")
            .body(body)
            .values(THEIRS, NOBODYS)
            .owner(200),
        attack("a rehearsal tells what would be removed with it", "DELETE", "tickets/§")
            .header("Prefer", "tx=rollback")
            .values(THEIRS, NOBODYS),
        attack("a view changes it", "PATCH", "briefs/§")
            .body(r#"{"customer": 7001}"#)
            .values(THEIRS, NOBODYS)
            .owner(200),
        attack("a list is removed", "DELETE", "tickets?tenant_id=§").values("globex", "nowhere").status(405),
        attack("a list is changed", "PATCH", "tickets?tenant_id=§").body(body).values("globex", "nowhere").status(405),
        attack("a parameter chooses another row", "PATCH", "tickets/1?id=§")
            .body(body)
            .values(THEIRS, NOBODYS)
            .status(400),
        attack("the id in the body is that of the changed row", "PATCH", "tickets/1")
            .body(r#"{"id": §, "status": "closed"}"#)
            .values(THEIRS, NOBODYS)
            .status(422),
    ]);
}

#[test]
fn nothing_is_written_but_what_a_request_may_write() {
    World::new("attack_members").withstands(vec![
        attack("a new row chooses its tenant", "POST", "tickets")
            .body(r#"{"subject": "x", "tenant_id": "§"}"#)
            .values("globex", "nowhere")
            .status(422),
        attack("a row moves to another tenant", "PATCH", "tickets/1")
            .body(r#"{"tenant_id": "§"}"#)
            .values("globex", "nowhere")
            .status(422),
        attack("an escaped member is another one", "POST", "tickets")
            .body(r#"{"subject": "x", "§": "globex"}"#)
            .values(r"tenant\u005fid", "tenant_id")
            .status(422),
        attack("a member in capitals is another one", "POST", "tickets")
            .body(r#"{"subject": "x", "§": "globex"}"#)
            .values("TENANT_ID", "NOTHING")
            .status(422),
        attack("the id of a new row is that of another one", "POST", "tickets")
            .body(r#"{"subject": "x", "id": §}"#)
            .values(THEIRS, NOBODYS)
            .status(422),
        attack("a column that is not shown is written", "PATCH", "tickets/1")
            .body(r#"{"§": "x"}"#)
            .values("secret", "nothing")
            .status(422),
        attack("the second of two members counts", "POST", "tickets")
            .body(r#"{"subject": "x", "status": "open", "status": "§"}"#)
            .values("closed", "open")
            .status(422),
        attack("a member is a column with a table", "POST", "tickets")
            .body(r#"{"subject": "x", "§": "globex"}"#)
            .values("ticket.tenant_id", "ticket.nothing")
            .status(422),
        attack("a member is SQL", "POST", "tickets")
            .body(r#"{"subject": "x", "§": 1}"#)
            .values("status) SELECT secret; --", "status) SELECT nothing; --")
            .status(422),
        attack("an array of rows is written", "POST", "tickets")
            .body(r#"[{"subject": "x", "tenant_id": "§"}]"#)
            .values("globex", "nowhere")
            .status(422),
        attack("a form is read as JSON", "POST", "tickets")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(r#"{"subject": "x", "tenant_id": "§"}"#)
            .values("globex", "nowhere")
            .status(415),
    ]);
}

#[test]
fn no_unique_value_of_another_tenant_is_named() {
    World::new("attack_unique").withstands(vec![
        // Which values are taken anywhere cannot be hidden, and nothing else is told.
        attack("a unique value of another tenant is told from one of its own", "POST", "tickets")
            .body(r#"{"subject": "x", "slug": "§"}"#)
            .values("theirs-7", "mine-2")
            .status(409),
        attack("a rehearsal tells them apart", "POST", "tickets")
            .header("Prefer", "tx=rollback")
            .body(r#"{"subject": "x", "slug": "§"}"#)
            .values("theirs-7", "mine-2")
            .status(409),
        attack("a change tells them apart", "PATCH", "tickets/1")
            .body(r#"{"slug": "§"}"#)
            .values("theirs-7", "mine-2")
            .status(409),
        attack("a value that is unique in a tenant is taken by another one", "PATCH", "tickets/1")
            .body(r#"{"number": §}"#)
            .values(77, 99)
            .status(200),
    ]);
}

#[test]
fn no_answer_that_another_key_got_is_repeated() {
    let mut world = World::new("attack_idempotency");
    let (owner, attacker, other) =
        (world.owner.clone(), world.attacker.clone(), world.key("tickets:read,tickets:write"));
    let used = |name, key: &str, path: &str| {
        attack(name, "PATCH", path).header("Idempotency-Key", key).body(r#"{"status": "open"}"#)
    };
    let theirs = format!("tickets/{THEIRS}");
    for (key, name, path) in
        [(&owner, "theirs-1", theirs.as_str()), (&other, "shared-1", "tickets/1"), (&attacker, "mine-1", "tickets/1")]
    {
        assert_eq!(world.ask(key, &used("a key is used", name, path)).status, 200);
    }
    world.withstands(vec![
        used("the Idempotency-Key of another tenant repeats its answer", "§", &theirs)
            .values("theirs-1", "unused-1")
            .owner(200),
        used("that of another key of the same tenant repeats its answer", "§", "tickets/1")
            .values("shared-1", "unused-2")
            .status(200),
        used("its own one, for another row, tells that it exists", "mine-1", "tickets/§")
            .values(THEIRS, NOBODYS)
            .status(422)
            .owner(200),
    ]);
}
