//! Keys that have ended, and keys without the scope.

use crate::world::{NOBODYS, THEIRS};
use crate::{World, attack};

const UNKNOWN: &str = "hyk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA000000";

#[test]
fn no_key_that_has_ended_is_told_from_one_that_never_was() {
    let mut world = World::new("attack_keys");
    let [revoked, expired, rotated] = [(); 3].map(|()| world.key("tickets:read"));
    let id = |key: &str| format!("(SELECT id FROM hydra.api_keys WHERE prefix = left('{key}', 10))");
    world.bench.run(&format!(
        "SELECT hydra.api_key_revoke({});
         UPDATE hydra.api_key SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' WHERE id = {};
         SELECT hydra.api_key_rotate({}, '0')",
        id(&revoked),
        id(&expired),
        id(&rotated),
    ));
    let owner = world.owner.clone();
    let truncated = &owner[..owner.len() - 1];
    let mut attacks = Vec::new();
    for (name, key) in [
        ("a revoked key reads", revoked.as_str()),
        ("an expired key reads", &expired),
        ("a key that was replaced reads", &rotated),
        ("a key without its last character reads", truncated),
        ("a key in capitals reads", &owner.to_uppercase()),
        ("an empty key reads", ""),
    ] {
        attacks.push(attack(name, "GET", "tickets/7007").keys(key, UNKNOWN).status(401).owner(200));
    }
    for (name, path) in [
        ("a path without a key tells which resources there are", "§"),
        ("a path without a key tells which paths of ours there are", "§/1/retry"),
    ] {
        attacks.push(attack(name, "POST", path).keys(UNKNOWN, UNKNOWN).values("tickets", "nothing").status(401));
    }
    attacks.push(
        attack("the description is shown to everybody", "GET", "openapi.json").keys(&revoked, UNKNOWN).status(401),
    );
    world.withstands(attacks);
}

#[test]
fn no_key_without_the_scope_learns_which_rows_there_are() {
    let mut world = World::new("attack_scopes");
    let (none, reads, writes) = (world.key("mcp"), world.key("tickets:read"), world.key("tickets:write"));
    let body = r#"{"status": "closed"}"#;
    let mut attacks = vec![
        attack("a key without the scope reads a row", "GET", "tickets/§").keys(&none, &none),
        attack("a key that writes reads a row", "GET", "tickets/§").keys(&writes, &writes),
        attack("a key that writes lists rows", "GET", "tickets?id=§").keys(&writes, &writes),
        attack("a key that reads changes a row", "PATCH", "tickets/§").body(body).keys(&reads, &reads),
        attack("a key that reads removes a row", "DELETE", "tickets/§").keys(&reads, &reads),
        attack("a key that reads rehearses a change", "PATCH", "tickets/§")
            .header("Prefer", "tx=rollback")
            .body(body)
            .keys(&reads, &reads),
        attack("an ETag helps a key without the scope", "PATCH", "tickets/§")
            .header("If-Match", "*")
            .body(body)
            .keys(&reads, &reads),
    ];
    attacks = attacks.into_iter().map(|attack| attack.values(THEIRS, NOBODYS).status(403)).collect();
    let scoped = world.key("tickets:read,ticket:write,tickets_:write");
    attacks.push(
        attack("the scope of a resource with a similar name is enough", "PATCH", "tickets/§")
            .body(body)
            .keys(&scoped, &scoped)
            .values(1, NOBODYS)
            .status(403),
    );
    world.withstands(attacks);
}

#[test]
fn no_description_shows_what_its_key_may_not_use() {
    let mut world = World::new("attack_descriptions");
    // The comment on the table of prices has the mark.
    let (prices, nothing) = (world.key("prices:read"), world.key("nothing:read"));
    let operator = world.operator.clone();
    let attacks = [
        ("the description has a resource without tenants", "openapi.json"),
        ("the links have a resource without tenants", ""),
    ];
    world.withstands(
        attacks
            .map(|(name, path)| attack(name, "GET", path).keys(&prices, &nothing).status(200).with_key(&operator, 200))
            .into(),
    );
}
