//! What a preset makes of a subscription: body, headers, timeout, schedule and when it is disabled.

use std::sync::OnceLock;
use std::time::Instant;

use postgres::Client;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver, Signature};
use testkit::{PATIENCE, ask, refused, run, start_shared_cluster, subscribe};

const ENTITY: &str = r#"{"id": 7, "tenant_id": "acme", "subject": "Größe: 5 €"}"#;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

fn bench(database: &str) -> (Client, Receiver) {
    (cluster().create_database(database), Receiver::start())
}

fn emit(client: &mut Client) {
    client.query("SELECT hydra.webhook_emit('ticket.created', $1::text::jsonb)", &[&ENTITY]).expect("it is emitted");
}

fn of(client: &mut Client, id: i64, column: &str) -> String {
    ask(client, &format!("SELECT coalesce({column}::text, '-') FROM hydra.webhook_subscriptions WHERE id = {id}"))
}

#[test]
fn x_webhook_is_the_contract_of_its_page() {
    let (mut client, receiver) = bench("x_webhook");
    let (id, secret) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["preset => 'x_webhook'"]);
    emit(&mut client);
    let request = receiver.wait_for("/", 1, PATIENCE)[0].clone();
    let time: String = ask(&mut client, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')");
    let (head, tail) = request.text().split_once(&time).expect("the body has its time");
    assert_eq!(head, r#"{"event":"ticket.created","timestamp":""#);
    assert!(tail.ends_with(&format!(
        r#"Z","data":{}}}"#,
        ask::<String>(&mut client, &format!("SELECT '{ENTITY}'::jsonb::text"))
    )));
    assert_eq!(request.header("X-Webhook-Event"), Some("ticket.created"));
    assert!(request.header("X-Webhook-Delivery").is_some() && request.header("X-Hydra-Event").is_none());
    assert_eq!(request.signed_with(&secret), Signature::Verified);
    let settings = ["timeout", "retry_schedule", "disable_after", "stale_after", "signatures"]
        .map(|column| of(&mut client, id, column));
    assert_eq!(settings, ["00:00:30", "{00:01:00,00:05:00,00:30:00,02:00:00,12:00:00}", "10", "-", "{x_webhook}"]);
}

#[test]
fn standard_is_standard_webhooks() {
    let (mut client, receiver) = bench("standard");
    let (id, secret) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["preset => 'standard'"]);
    emit(&mut client);
    let request = receiver.wait_for("/", 1, PATIENCE)[0].clone();
    assert!(request.text().starts_with(r#"{"type":"ticket.created","timestamp":""#), "{}", request.text());
    assert_eq!(request.header("webhook-id"), Some(request.delivery_id()));
    assert_eq!(request.signed_with(&secret), Signature::Verified);
    assert_eq!((request.header("X-Hydra-Event"), request.header("X-Hydra-Delivery")), (None, None));
    let settings = ["timeout", "retry_schedule", "disable_after", "stale_after", "signatures"]
        .map(|column| of(&mut client, id, column));
    let schedule = "{00:00:05,00:05:00,00:30:00,02:00:00,05:00:00,10:00:00,14:00:00,20:00:00,24:00:00}";
    assert_eq!(settings, ["00:00:20", schedule, "-", "5 days", "{standard}"]);
}

#[test]
fn what_is_given_overrides_the_preset_part_by_part() {
    let (mut client, receiver) = bench("overrides");
    let more = ["preset => 'x_webhook'", "signatures => '{standard,github}'", "timeout => '5 s'", "disable_after => 3"];
    let (id, secret) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &more);
    emit(&mut client);
    let request = receiver.wait_for("/", 1, PATIENCE)[0].clone();
    assert_eq!(request.signed_with(&secret), Signature::Verified);
    for name in ["X-Webhook-Event", "X-Webhook-Timestamp", "webhook-signature", "X-Hub-Signature-256"] {
        assert!(request.header(name).is_some(), "{name}");
    }
    assert_eq!(request.header("X-Webhook-Signature"), None);
    assert_eq!(["timeout", "disable_after"].map(|column| of(&mut client, id, column)), ["00:00:05", "3"]);
}

#[test]
fn a_delivery_keeps_the_preset_that_its_body_was_made_for() {
    let (mut client, receiver) = bench("preset_change");
    receiver.answer_first("/", 1, Answer::status(500));
    let (id, secret) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["retry_schedule => '{1.5 s}'"]);
    emit(&mut client);
    receiver.wait_for("/", 1, PATIENCE);
    run(&mut client, &format!("SELECT hydra.webhook_update({id}, preset => 'x_webhook')"));
    emit(&mut client);
    let requests = receiver.wait_for("/", 3, PATIENCE);
    let (new, again) = (&requests[1], &requests[2]);
    assert!(new.header("X-Webhook-Signature").is_some() && new.header("X-Hydra-Signature").is_none());
    assert_eq!(again.text(), requests[0].text());
    assert_eq!(again.header("X-Hydra-Delivery"), requests[0].header("X-Hydra-Delivery"));
    assert!(again.header("X-Webhook-Event").is_none());
    for request in &requests {
        assert_eq!(request.signed_with(&secret), Signature::Verified);
    }
}

#[test]
fn x_webhook_cannot_sign_with_two_secrets_at_a_time() {
    let (mut client, receiver) = bench("x_webhook_overlap");
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["preset => 'x_webhook'"]);
    refused(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"), "0A000");
    run(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id})"));
}

#[test]
fn ten_failures_in_a_row_disable_an_x_webhook_subscription_over_any_deliveries() {
    let (mut client, receiver) = bench("ten_failures");
    receiver.answer("/", Answer::status(500));
    let more = ["preset => 'x_webhook'", "max_in_flight => 1", "retry_schedule => '{}'"];
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &more);
    for _ in 0..10 {
        emit(&mut client);
    }
    wait_until("it is disabled", PATIENCE, || of(&mut client, id, "status") == "disabled");
    assert_eq!(
        ["disabled_reason", "consecutive_failures"].map(|column| of(&mut client, id, column)),
        ["failures", "10"]
    );
    assert_ne!(of(&mut client, id, "failing_since"), "-");
    run(&mut client, &format!("SELECT hydra.webhook_resume({id})"));
    assert_eq!(["status", "consecutive_failures"].map(|column| of(&mut client, id, column)), ["active", "0"]);
}

#[test]
fn a_standard_subscription_in_which_nothing_succeeds_for_days_is_disabled_as_stale() {
    let (mut client, receiver) = bench("stale");
    receiver.answer("/", Answer::status(500));
    let (id, _) = subscribe(
        &mut client,
        &receiver.url("/"),
        "ticket.created",
        &["preset => 'standard'", "retry_schedule => '{}'"],
    );
    emit(&mut client);
    wait_until("it failed once", PATIENCE, || of(&mut client, id, "consecutive_failures") == "1");
    assert_eq!(of(&mut client, id, "status"), "active");
    // As if that had been five days ago.
    run(
        &mut client,
        &format!(
            "UPDATE hydra.subscription_health SET failing_since = now() - interval '5 days' WHERE subscription_id = {id};
             UPDATE hydra.subscription SET status_since = now() - interval '6 days' WHERE id = {id}"
        ),
    );
    emit(&mut client);
    wait_until("it is disabled", PATIENCE, || of(&mut client, id, "status") == "disabled");
    assert_eq!(of(&mut client, id, "disabled_reason"), "stale");
}

#[test]
fn a_subscription_can_have_headers_of_its_own_whose_values_nobody_reads() {
    let (mut client, receiver) = bench("headers");
    let headers = r#"headers => '{"Authorization": "Bearer s3cret", "X-Route": "eu"}'"#;
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[headers]);
    emit(&mut client);
    let request = receiver.wait_for("/", 1, PATIENCE)[0].clone();
    assert_eq!((request.header("Authorization"), request.header("X-Route")), (Some("Bearer s3cret"), Some("eu")));
    assert_eq!(of(&mut client, id, "header_names"), "{X-Route,Authorization}");
    let seen: bool = ask(&mut client, "SELECT bool_or(s::text LIKE '%s3cret%') FROM hydra.webhook_subscriptions AS s");
    assert!(!seen);
    let tested: i32 = ask(&mut client, &format!("SELECT status_code FROM hydra.webhook_send_test({id})"));
    assert_eq!(tested, 200);
    assert_eq!(receiver.requests("/")[1].header("X-Route"), Some("eu"));
    run(&mut client, &format!("SELECT hydra.webhook_update({id}, headers => '{{}}')"));
    emit(&mut client);
    assert_eq!(receiver.wait_for("/", 3, PATIENCE)[2].header("X-Route"), None);
}

#[test]
fn headers_that_would_break_a_request_are_refused() {
    let (mut client, receiver) = bench("headers_refused");
    let url = receiver.url("/");
    for headers in [
        r#"{"X-A": "a\r\nX-B: b"}"#,
        r#"{"X-A\r\nX-B": "a"}"#,
        r#"{"Content-Length": "3"}"#,
        r#"{"x-hydra-signature": "t=1"}"#,
        r#"{"webhook-id": "1"}"#,
        r#"{"X-A": 1}"#,
        r#"[]"#,
    ] {
        let sql = format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}', headers => '{headers}')");
        refused(&mut client, &sql, "22023");
    }
}

#[test]
fn a_rate_limit_holds_for_first_attempts_and_for_retries() {
    let (mut client, receiver) = bench("rate_limit");
    receiver.answer_first("/", 10, Answer::status(500));
    let more = ["rate_limit => 20", "retry_schedule => array_fill(interval '0 s', '{10}')"];
    let (_, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &more);
    let start = Instant::now();
    for _ in 0..50 {
        emit(&mut client);
    }
    let requests = receiver.wait_for("/", 60, PATIENCE);
    // 59 gaps of 50 ms, and no more than a limit's worth in any second.
    assert!(start.elapsed().as_millis() >= 2900, "{:?}", start.elapsed());
    for window in requests.windows(22) {
        let span = window[21].arrived - window[0].arrived;
        assert!(span.as_millis() >= 950, "22 requests arrived within {span:?}");
    }
    refused(
        &mut client,
        "SELECT hydra.webhook_create('http://127.0.0.1:9/', '{ticket.created}', rate_limit => 0)",
        "22023",
    );
}
