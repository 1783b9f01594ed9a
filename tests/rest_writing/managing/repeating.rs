//! Idempotency-Key: a webhook is made once, and its secret is shown once.

use serde_json::json;
use testkit::{Need, ask, lacks};

use super::Desk;
use crate::{cluster, create_key_for};

#[test]
fn a_request_that_is_repeated_makes_one_webhook_and_does_not_show_the_secret_again() {
    let mut desk = Desk::new("hooks_repeated");
    let body = desk.body("/", json!({}));
    let create = desk.call("POST", "").header("Idempotency-Key", "k").body(&body);
    let (first, again) = (desk.make(&create), desk.make(&create));
    assert_eq!((first.status, again.status, again.header("idempotency-replayed")), (201, 201, Some("true")));
    let secret = first.json()["secret"].as_str().expect("a secret").to_owned();
    let mut expected = first.json();
    expected["secret"] = json!(null);
    expected["hint"] = again.json()["hint"].clone();
    assert_eq!(again.json(), expected);
    assert!(expected["hint"].as_str().expect("a hint").contains("/rotate"), "{again:?}");
    for name in ["etag", "location"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    let path = format!("/{}", first.json()["id"]);
    let rotate = desk.call("POST", &format!("{path}/rotate")).header("Idempotency-Key", "r");
    let (rotated, repeated) = (desk.make(&rotate), desk.make(&rotate));
    let new = rotated.json()["secret"].as_str().expect("a secret").to_owned();
    assert_eq!((repeated.status, &repeated.json()["secret"]), (200, &json!(null)), "{repeated:?}");
    assert_eq!((desk.webhooks(), desk.shop.bench.count("signing_secret")), (1, 1));

    let stored: String = desk
        .shop
        .bench
        .ask("SELECT string_agg(i::text || convert_from(i.body, 'UTF8'), ' ') FROM hydra.api_idempotency AS i");
    assert!(stored.contains("secret_prefix") && !stored.contains(&secret) && !stored.contains(&new), "{stored}");

    // The answer belongs to the key that got it.
    let other = create_key_for(&mut desk.shop.bench.client, "webhooks:manage", "tenant_id => 'globex'");
    let theirs = desk.make(&create.clone().key(&other));
    assert_eq!((theirs.status, &theirs.json()["tenant_id"]), (201, &json!("globex")), "{theirs:?}");
    assert!(!theirs.json()["secret"].is_null());
    let reused = desk.call("POST", &format!("{path}/pause")).header("Idempotency-Key", "k");
    assert_eq!(desk.make(&reused).status, 422);
}

#[test]
fn no_secret_gets_into_the_log_of_the_server() {
    let mut desk = Desk::new("hooks_logged");
    if lacks(&mut desk.shop.bench.client, Need::Contrib("auto_explain")) {
        return;
    }
    desk.shop.bench.run(
        "ALTER DATABASE hooks_logged SET session_preload_libraries = 'auto_explain';
         ALTER DATABASE hooks_logged SET auto_explain.log_min_duration = 0;
         ALTER DATABASE hooks_logged SET auto_explain.log_nested_statements = on;
         ALTER DATABASE hooks_logged SET auto_explain.log_verbose = on;
         ALTER DATABASE hooks_logged SET log_statement = 'all';
         ALTER DATABASE hooks_logged SET log_min_messages = debug1",
    );
    let mut chatty = cluster().connect_as("hooks_logged", "far_gateway");
    let body = desk.body("/", json!({}));
    let create = desk.call("POST", "").header("Idempotency-Key", "k").body(&body);
    let created = create.make(&mut chatty).json();
    create.make(&mut chatty);
    let rotate = desk.call("POST", &format!("/{}/rotate", created["id"])).header("Idempotency-Key", "r");
    let rotated = rotate.make(&mut chatty).json();
    let log = cluster().log();
    assert!(log.contains("hydra.webhook_rotate_secret"), "the statements are logged");
    for secret in [&created["secret"], &rotated["secret"]] {
        let secret = secret.as_str().expect("a secret");
        // The prefix is shown to everybody who sees the webhook.
        assert!(!log.contains(&secret[12..]));
        let active: i64 = ask(
            &mut desk.shop.bench.client,
            &format!(
                "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND strpos(query, '{secret}') > 0"
            ),
        );
        assert_eq!(active, 0);
    }
}
