//! Gateways: what they may do, how they log in, and what they report.

use serde_json::{Value, json};
use testkit::{Cluster, ask, refusal, refused, run};

use crate::{Answer, Request, Seam, cluster};

#[track_caller]
fn report(client: &mut postgres::Client, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    Request { body: body.as_bytes(), ..Request::new("gateway", None, "POST", path) }.make(client)
}

#[test]
fn a_gateway_may_call_serve_and_nothing_else() {
    let seam = Seam::new("gateway_rights");
    let mut gateway = cluster().connect_as("gateway_rights", "far_gateway");
    assert_eq!(Request::new("rest", Some(&seam.key), "GET", "/api/v1/me").make(&mut gateway).status, 200);
    for attack in [
        "TABLE hydra.api_key",
        "TABLE hydra.api_keys",
        "TABLE hydra.gateways",
        "TABLE hydra.webhook_subscriptions",
        "SELECT hydra.api_key_revoke(1)",
        "SELECT hydra.current_tenant()",
        "SET ROLE app",
        "SET ROLE hydra_admin",
        "SELECT hydra.webhook_emit('ticket.created', '{}')",
        "SELECT hydra._role_refusal(1)",
    ] {
        assert_eq!(refusal(&mut gateway, attack).code, "42501", "{attack}");
    }
}

#[test]
fn gateways_report_that_they_live_and_learn_what_was_revoked() {
    let mut seam = Seam::new("heartbeats");
    let mut gateway = cluster().connect_as("heartbeats", "far_gateway");
    let [first, second] = ["11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"];
    let body = |id: &str, used: Value| json!({"gateway": id, "version": "0.1.0", "address": "127.0.0.1:1", "requests": 5, "used": used});
    assert_eq!(report(&mut gateway, "/heartbeat", &body(first, json!([]))).json()["live"], 1);
    let answer = report(
        &mut gateway,
        "/heartbeat",
        &body(
            second,
            json!([{"key": 1, "requests": 3, "last_at": "2026-01-01T10:20:30Z"}, {"key": 99, "requests": 1, "last_at": "2026-01-01T10:20:30Z"}]),
        ),
    );
    assert_eq!((answer.status, answer.json()["live"].as_i64()), (200, Some(2)), "{answer:?}");
    assert_eq!(answer.json()["revoked"], json!([]));
    assert_eq!(
        ask::<String>(&mut seam.bench.client, "SELECT last_used_at::text FROM hydra.api_keys"),
        "2026-01-01 10:20:00+00"
    );
    report(&mut gateway, "/heartbeat", &body(first, json!([])));
    assert_eq!(
        ask::<i64>(&mut seam.bench.client, &format!("SELECT requests FROM hydra.gateways WHERE id = '{first}'")),
        10
    );

    seam.bench.run("SELECT hydra.api_key_revoke(1)");
    use sha2::{Digest, Sha256};
    let stored = hex::encode(Sha256::digest(Sha256::digest(&seam.key)));
    assert_eq!(report(&mut gateway, "/heartbeat", &body(first, json!([]))).json()["revoked"], json!([stored]));
    report(&mut gateway, "/stop", &json!({"gateway": second}));
    assert_eq!(report(&mut gateway, "/heartbeat", &body(first, json!([]))).json()["live"], 1);
    seam.bench.run("UPDATE hydra.gateway SET seen_at = now() - interval '16 s'");
    assert!(!ask::<bool>(&mut seam.bench.client, "SELECT live FROM hydra.gateways"));
}

#[test]
fn the_gateway_of_the_server_logs_in_with_a_password_that_no_statement_contains() {
    let cluster = Cluster::start(&[]);
    let mut superuser = cluster.create_database("embedded");
    let mut worker = cluster.connect_as("embedded", "hydra_worker");
    let file = cluster.data().join("pg_hba.conf");
    let rules = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("local all hydra_gateway_embedded scram-sha-256\n{rules}")).unwrap();
    cluster.set(&[]);
    let log_in = |password: &str| {
        let mut config = cluster.config();
        config.dbname("embedded").user("hydra_gateway_embedded").password(password).connect(postgres::NoTls)
    };
    testkit::wait_until("the rule is in force", testkit::PATIENCE, || log_in("wrong").is_err());
    for password in ["first", "second"] {
        let verifier = wire::scram::verifier(password, rand::random());
        worker.execute("SELECT hydra._set_gateway_verifier($1)", &[&verifier]).unwrap();
        assert!(log_in("wrong").is_err());
        let mut gateway = log_in(password).unwrap_or_else(|error| panic!("{error:?}"));
        let request = Request::new("rest", None, "GET", "/api/v1/me");
        assert_eq!(request.make(&mut gateway).status, 401);
        assert_eq!(ask::<String>(&mut gateway, "SHOW log_parameter_max_length"), "0");
    }
    assert!(log_in("first").is_err());
    refused(&mut worker, "SELECT hydra._set_gateway_verifier('secret')", "22023");
    run(&mut superuser, "CREATE ROLE admin LOGIN IN ROLE hydra_admin");
    let mut admin = cluster.connect_as("embedded", "admin");
    assert_eq!(refusal(&mut admin, "SELECT hydra._set_gateway_verifier('SCRAM-SHA-256$x')").code, "42501");
    // Another database creates the extension although the role has a password now.
    cluster.create_database("another");
}
