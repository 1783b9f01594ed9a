//! Webhooks: where events of a tenant go is the most that a key can change.

use crate::own::with_own;
use crate::{World, attack};

/// What no attack on settings may change.
const SETTINGS: &str = "SELECT (SELECT string_agg(s::text, ' ' ORDER BY s.id) FROM hydra.subscription AS s)
                               || (SELECT string_agg(k::text, ' ' ORDER BY k.id) FROM hydra.signing_secret AS k)";

fn theirs(world: &mut World) -> String {
    world.bench.ask("SELECT id::text FROM hydra.subscription WHERE tenant_id = 'globex'")
}

/// The path of the webhook that the attacker has.
fn own(world: &mut World) -> String {
    format!("webhooks/{}", world.bench.ask::<i64>("SELECT id FROM hydra.subscription WHERE tenant_id = 'acme'"))
}

#[test]
fn no_webhook_of_another_tenant_is_changed() {
    let mut world = with_own("attack_webhooks");
    let webhook = theirs(&mut world);
    let owner = world.owner.clone();
    let shown = world.ask(&owner, &attack("it is read", "GET", &format!("webhooks/{webhook}")));
    let etag = shown.header("etag").expect("an ETag").to_owned();
    let url = format!(r#"{{"url": "{}"}}"#, world.bench.receiver.url("/attacker"));
    let on = |name, method, path: &str| attack(name, method, path).values(&webhook, 99);
    world.withstands(vec![
        on("its events go to the attacker", "PATCH", "webhooks/§").body(&url).owner(200),
        on("it is removed", "DELETE", "webhooks/§").owner(204),
        on("it is paused", "POST", "webhooks/§/pause").owner(200),
        on("it is resumed and loses what it missed", "POST", "webhooks/§/resume")
            .body(r#"{"missed": "drop"}"#)
            .owner(200),
        on("its new secret is shown", "POST", "webhooks/§/rotate").owner(200),
        on("it sends a request", "POST", "webhooks/§/test"),
        on("a change of nothing tells that it exists", "PATCH", "webhooks/§").body("{}").owner(200),
        on("If-Match with any ETag finds it", "PATCH", "webhooks/§").header("If-Match", "*").body("{}").owner(200),
        on("If-Match with its ETag finds it", "DELETE", "webhooks/§").header("If-Match", &etag).owner(204),
        on("If-Match with a wrong ETag tells that it exists", "DELETE", "webhooks/§")
            .header("If-Match", "\"0\"")
            .owner(412),
        on("a rehearsal shows it", "PATCH", "webhooks/§").header("Prefer", "tx=rollback").body("{}").owner(200),
        on("a refusal tells that it exists", "PATCH", "webhooks/§").body(r#"{"event_types": []}"#).owner(422),
        on("an escaped id is another one", "DELETE", "webhooks/§%20"),
        on("a sign is a part of the id", "DELETE", "webhooks/+§"),
    ]);
    assert_eq!(world.bench.receiver.received("/attacker"), 0);
}

#[test]
fn nothing_of_a_webhook_is_written_but_its_settings() {
    let mut world = with_own("attack_settings");
    let own = own(&mut world);
    let webhook = theirs(&mut world);
    let url = world.bench.receiver.url("/mine");
    let new = |member: &str| format!(r#"{{"url": "{url}", "event_types": ["*"], {member}}}"#);
    let before: String = world.bench.ask(SETTINGS);
    world.withstands(vec![
        attack("a new webhook chooses its tenant", "POST", "webhooks")
            .body(&new(r#""tenant_id": "§""#))
            .values("globex", "nowhere")
            .status(422),
        attack("a new webhook is of all tenants", "POST", "webhooks")
            .body(&new(r#""tenant_id": §"#))
            .values("null", "\"\"")
            .status(422),
        attack("a webhook moves to another tenant", "PATCH", &own)
            .body(r#"{"tenant_id": "§"}"#)
            .values("globex", "nowhere")
            .status(422),
        attack("a webhook gets the events of all tenants", "PATCH", &own)
            .body(r#"{"tenant_id": §}"#)
            .values("null", "7")
            .status(422),
        attack("an escaped member is another one", "POST", "webhooks")
            .body(&new(r#""§": "globex""#))
            .values(r"tenant\u005fid", "tenant_id")
            .status(422),
        attack("the id in the body is that of the changed webhook", "PATCH", &own)
            .body(r#"{"id": §, "name": "x"}"#)
            .values(&webhook, 99)
            .status(422),
        attack("the status is set", "PATCH", &own).body(r#"{"status": "§"}"#).values("disabled", "active").status(422),
        attack("the counts are set", "PATCH", &own).body(r#"{"failed": §}"#).values(1_000_000, 0).status(422),
        attack("the secret is set", "PATCH", &own)
            .body(r#"{"secret": "§"}"#)
            .values("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "x")
            .status(422),
        attack("the secret of a new webhook is known", "POST", "webhooks")
            .body(&new(r#""secret": "§""#))
            .values("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "x")
            .status(422),
        attack("an argument of the function is set", "POST", "webhooks")
            .body(&new(r#""§": true"#))
            .values("if_not_exists", "nothing")
            .status(422),
        attack("settings are taken back by another name", "PATCH", &own)
            .body(r#"{"reset": ["§"]}"#)
            .values("tenant_id", "nothing")
            .status(422),
        attack("the second of two members counts", "POST", "webhooks")
            .body(&new(r#""url": "§""#))
            .values("http://10.0.0.1/", "http://10.0.0.2/")
            .status(422),
        attack("an action takes settings", "POST", &format!("{own}/pause"))
            .body(r#"{"tenant_id": "§"}"#)
            .values("globex", "nowhere")
            .status(422),
        attack("a form is read as JSON", "POST", "webhooks")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(r#"{"url": "http://127.0.0.1/", "event_types": ["§"]}"#)
            .values("*", "x.*")
            .status(415),
    ]);
    let after: String = world.bench.ask(SETTINGS);
    assert_eq!(before, after, "not even its own webhook was changed");
}

#[test]
fn no_request_leaves_for_where_it_must_not_go_and_none_carries_more_than_it_may() {
    let mut world = with_own("attack_places");
    let own = own(&mut world);
    let attacker = world.attacker.clone();
    let before: String = world.bench.ask(SETTINGS);
    let mut refuses = |name, method, path: &str, body: &str, field: &str| {
        let answer = world.ask(&attacker, &attack(name, method, path).body(body));
        assert_eq!(
            (answer.status, answer.json()["errors"][0]["field"].as_str()),
            (422, Some(field)),
            "{name}: {answer:?}"
        );
    };
    for (name, url) in [
        ("an address in the own network", "http://10.0.0.1/"),
        ("the data of a cloud", "http://169.254.169.254/latest/meta-data/"),
        ("any address of the machine", "http://0.0.0.0/"),
        ("loopback as a number", "http://2130706433/"),
        ("loopback as a short address", "http://127.1/"),
        ("loopback in octal", "http://0177.0.0.1/"),
        ("loopback in hexadecimal", "http://0x7f.0.0.1/"),
        ("loopback of IPv6", "http://[::1]/"),
        ("a private address within IPv6", "http://[::ffff:10.0.0.1]/"),
        ("another scheme", "file:///etc/passwd"),
        ("a password", "http://root:root@127.0.0.1/"),
        ("a line break", r"http://127.0.0.1/\r\nHost: a"),
        ("a fragment", "http://127.0.0.1/#@10.0.0.1/"),
    ] {
        refuses(name, "POST", "webhooks", &format!(r#"{{"url": "{url}", "event_types": ["*"]}}"#), "url");
        refuses(name, "PATCH", &own, &format!(r#"{{"url": "{url}"}}"#), "url");
    }
    for (name, headers) in [
        ("a line break in a value", r#""A": "b\r\nX-Hydra-Signature: c""#),
        ("a line break in a name", r#""A: b\r\nC": "d""#),
        ("a signature", r#""X-Hydra-Signature": "c""#),
        ("a signature with underscores", r#""X_Hub_Signature_256": "c""#),
        ("another host", r#""Host": "a""#),
        ("another length", r#""Content-Length": "1""#),
        ("another coding", r#""Transfer-Encoding": "chunked""#),
        ("another method", r#""X-HTTP-Method-Override": "DELETE""#),
    ] {
        refuses(name, "PATCH", &own, &format!(r#"{{"headers": {{{headers}}}}}"#), "headers");
    }
    let after: String = world.bench.ask(SETTINGS);
    assert_eq!(before, after);
}

#[test]
fn no_answer_about_a_webhook_that_another_key_got_is_repeated() {
    let mut world = with_own("attack_repeated");
    let own = own(&mut world);
    let webhook = theirs(&mut world);
    let (owner, attacker, other) = (world.owner.clone(), world.attacker.clone(), world.key("webhooks:manage"));
    let used =
        |name, key: &str, path: &str| attack(name, "POST", &format!("{path}/rotate")).header("Idempotency-Key", key);
    let path = format!("webhooks/{webhook}");
    for (key, name, path) in [(&owner, "theirs-1", &path), (&other, "shared-1", &own), (&attacker, "mine-1", &own)] {
        assert_eq!(world.ask(key, &used("a key is used", name, path)).status, 200);
    }
    world.withstands(vec![
        used("the Idempotency-Key of another tenant repeats its answer", "§", &path).values("theirs-1", "unused-1"),
        used("its own one, for another webhook, tells that it exists", "mine-1", "webhooks/§")
            .values(&webhook, 99)
            .status(422),
    ]);
    // What is repeated has no secret, also for the key that got it.
    let again = world.ask(&attacker, &used("it is repeated", "mine-1", &own));
    assert_eq!(
        (again.header("idempotency-replayed"), again.json()["secret"].is_null()),
        (Some("true"), true),
        "{again:?}"
    );
}

#[test]
fn no_key_without_the_scope_manages_webhooks() {
    let mut world = with_own("attack_managing");
    let reads = world.key("webhooks:read,tickets:read,tickets:write");
    let own: i64 = world.bench.ask("SELECT id FROM hydra.subscription WHERE tenant_id = 'acme'");
    let refused =
        |name, method, path: &str| attack(name, method, path).keys(&reads, &reads).values(own, 99).status(403);
    world.withstands(vec![
        refused("it changes a webhook", "PATCH", "webhooks/§").body(r#"{"name": "x"}"#),
        refused("it removes a webhook", "DELETE", "webhooks/§"),
        refused("it creates a webhook", "POST", "webhooks").body("{"),
        refused("it pauses a webhook", "POST", "webhooks/§/pause"),
        refused("it gets a secret", "POST", "webhooks/§/rotate"),
        refused("it makes a request", "POST", "webhooks/§/test"),
        refused("it rehearses a change", "PATCH", "webhooks/§").header("Prefer", "tx=rollback").body("{}"),
        refused("a wrong body is told from a right one", "PATCH", "webhooks/§").body("{"),
    ]);
    assert_eq!(world.bench.receiver.received("/down"), 2, "what was emitted, and nothing else");
}
