//! What a preset gives a subscription: body, headers, timeout, schedule and when it is disabled.

use testkit::receiver::{Answer, Request, Signature};

use crate::bench;

const ENTITY: &str = r#"{"id": 7, "tenant_id": "acme", "subject": "Größe: 5 €"}"#;

#[test]
fn x_webhook_sends_its_body_headers_and_signature_and_has_its_defaults() {
    let mut bench = bench("x_webhook");
    let (id, secret) = bench.subscribe("/", "ticket.created", &["preset => 'x_webhook'"]);
    bench.emit("ticket.created", ENTITY);
    let request = bench.wait_for("/", 1)[0].clone();
    let entity: String = bench.ask(&format!("SELECT '{ENTITY}'::jsonb::text"));
    let time = request.text().strip_prefix(r#"{"event":"ticket.created","timestamp":""#);
    let time = time.and_then(|rest| rest.strip_suffix(&format!(r#"","data":{entity}}}"#)));
    let time = time.filter(|time| time.ends_with('Z')).unwrap_or_else(|| panic!("{}", request.text()));
    let is_recent = format!("SELECT now() - '{time}'::timestamptz BETWEEN '-1 s' AND '1 h'");
    assert!(bench.ask::<bool>(&is_recent), "{time}");
    assert_eq!(request.header("X-Webhook-Event"), Some("ticket.created"));
    assert!(request.header("X-Webhook-Delivery").is_some() && request.header("X-Hydra-Event").is_none());
    assert_eq!(request.signed_with(&secret), Signature::Verified);
    let settings = ["timeout", "retry_schedule", "disable_after", "stale_after", "signatures"]
        .map(|column| bench.column(id, column));
    assert_eq!(settings, ["00:00:30", "{00:01:00,00:05:00,00:30:00,02:00:00,12:00:00}", "10", "", "{x_webhook}"]);
}

#[test]
fn standard_sends_what_standard_webhooks_specifies_and_has_its_defaults() {
    let mut bench = bench("standard");
    let (id, secret) = bench.subscribe("/", "ticket.created", &["preset => 'standard'"]);
    bench.emit("ticket.created", ENTITY);
    let request = bench.wait_for("/", 1)[0].clone();
    assert!(request.text().starts_with(r#"{"type":"ticket.created","timestamp":""#), "{}", request.text());
    assert_eq!(request.header("webhook-id"), Some(request.delivery_id()));
    assert_eq!(request.signed_with(&secret), Signature::Verified);
    assert_eq!((request.header("X-Hydra-Event"), request.header("X-Hydra-Delivery")), (None, None));
    let settings = ["timeout", "retry_schedule", "disable_after", "stale_after", "signatures"]
        .map(|column| bench.column(id, column));
    let schedule = "{00:00:05,00:05:00,00:30:00,02:00:00,05:00:00,10:00:00,14:00:00,20:00:00,24:00:00}";
    assert_eq!(settings, ["00:00:20", schedule, "", "5 days", "{standard}"]);
}

#[test]
fn headers_say_which_event_it_is_when_it_was_emitted_and_what_happened_to_the_row() {
    let mut bench = bench("event_headers");
    bench.run("CREATE TABLE part (id int, stock int)");
    for operation in ["insert", "update", "delete"] {
        bench.run(&format!("SELECT hydra.webhook_watch('part', 'part.updated', '{operation}')"));
    }
    bench.receiver.answer_first("/hydra", 1, Answer::status(500));
    for preset in ["hydra", "x_webhook", "standard"] {
        let more = [&format!("preset => '{preset}'"), "retry_schedule => '{0 s}'", "max_in_flight => 1"];
        bench.subscribe(&format!("/{preset}"), "part.updated,part.created", &more);
    }
    bench.run("INSERT INTO part VALUES (1, 5); UPDATE part SET stock = 4; DELETE FROM part");
    bench.emit("part.created", r#"{"id": 1}"#);
    // In any order: the first one was sent again.
    let requests = bench.wait_for("/hydra", 5);
    let others = bench.wait_for("/x_webhook", 4);
    let header = |request: &Request, name: &str| request.header(name).map(str::to_owned);
    let ids: Vec<_> = others.iter().map(|request| header(request, "X-Webhook-Event-Id").expect("an id")).collect();
    let operations = ids.iter().map(|id| {
        let of_event: Vec<_> =
            requests.iter().filter(|request| request.header("X-Hydra-Event-Id") == Some(id)).collect();
        let (first, again) = (&of_event[0], &of_event[of_event.len() - 1]);
        assert_eq!(first.headers.len(), again.headers.len(), "a retry has the same headers");
        for name in ["Event-Id", "Event-Time", "Operation"].map(|name| format!("X-Hydra-{name}")) {
            assert_eq!(header(first, &name), header(again, &name), "{name} stays the same");
        }
        header(first, "X-Hydra-Operation")
    });
    let operations: Vec<_> = operations.collect();
    assert_eq!(operations, ["insert", "update", "delete", ""].map(|name| (!name.is_empty()).then(|| name.to_owned())));
    let of_others: Vec<_> = others.iter().map(|request| header(request, "X-Webhook-Operation")).collect();
    assert_eq!(of_others, operations);

    let times: Vec<_> = others.iter().map(|request| header(request, "X-Webhook-Event-Time").expect("a time")).collect();
    assert!(times.is_sorted() && times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    for (time, request) in times.iter().zip(&others) {
        assert_eq!(time.len(), "2026-04-29T18:33:00.123456Z".len(), "{time} has microseconds");
        let timestamp = request.json()["timestamp"].as_str().expect("a time").to_owned();
        assert_eq!(format!("{}Z", &time[..19]), timestamp);
    }
    let standard = bench.wait_for("/standard", 4);
    let is_new = |name: &str| name.contains("vent-") || name.contains("peration");
    assert!(standard.iter().all(|request| !request.headers.iter().any(|(name, _)| is_new(name))));
}

#[test]
fn each_argument_overrides_its_part_of_the_preset() {
    let mut bench = bench("overrides");
    let more = ["preset => 'x_webhook'", "signatures => '{standard,github}'", "timeout => '5 s'", "disable_after => 3"];
    let (id, secret) = bench.subscribe("/", "ticket.created", &more);
    bench.emit("ticket.created", ENTITY);
    let request = bench.wait_for("/", 1)[0].clone();
    assert_eq!(request.signed_with(&secret), Signature::Verified);
    for name in ["X-Webhook-Event", "X-Webhook-Timestamp", "webhook-signature", "X-Hub-Signature-256"] {
        assert!(request.header(name).is_some(), "{name}");
    }
    assert_eq!(request.header("X-Webhook-Signature"), None);
    assert_eq!(["timeout", "disable_after"].map(|column| bench.column(id, column)), ["00:00:05", "3"]);
}

#[test]
fn a_delivery_keeps_its_preset_when_that_of_its_subscription_changes() {
    let mut bench = bench("preset_change");
    bench.receiver.answer_first("/", 1, Answer::status(500));
    let (id, secret) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{5 s}'"]);
    bench.emit("ticket.created", ENTITY);
    bench.wait_for("/", 1);
    bench.run(&format!("SELECT hydra.webhook_update({id}, preset => 'x_webhook')"));
    bench.emit("ticket.created", ENTITY);
    let requests = bench.wait_for("/", 3);
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
    let mut bench = bench("x_webhook_overlap");
    let (id, _) = bench.subscribe("/", "ticket.created", &["preset => 'x_webhook'"]);
    bench.refused(&format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"), "0A000");
    bench.run(&format!("SELECT hydra.webhook_rotate_secret({id})"));
}

#[test]
fn a_subscription_can_have_custom_headers_whose_values_no_view_shows() {
    let mut bench = bench("headers");
    let headers = r#"headers => '{"Authorization": "Bearer s3cret", "X-Route": "eu"}'"#;
    let (id, _) = bench.subscribe("/", "ticket.created", &[headers]);
    bench.emit("ticket.created", ENTITY);
    let request = bench.wait_for("/", 1)[0].clone();
    assert_eq!((request.header("Authorization"), request.header("X-Route")), (Some("Bearer s3cret"), Some("eu")));
    assert_eq!(bench.column(id, "header_names"), "{X-Route,Authorization}");
    let seen: bool = bench.ask("SELECT bool_or(s::text LIKE '%s3cret%') FROM hydra.webhook_subscriptions AS s");
    assert!(!seen);
    let tested: i32 = bench.ask(&format!("SELECT status_code FROM hydra.webhook_send_test({id})"));
    assert_eq!(tested, 200);
    assert_eq!(bench.receiver.requests("/")[1].header("X-Route"), Some("eu"));
    bench.run(&format!("SELECT hydra.webhook_update({id}, headers => '{{}}')"));
    bench.emit("ticket.created", ENTITY);
    assert_eq!(bench.wait_for("/", 3)[2].header("X-Route"), None);
}

#[test]
fn headers_that_would_break_a_request_are_refused() {
    let mut bench = bench("headers_refused");
    let url = bench.receiver.url("/");
    for headers in [
        r#"{"X-A": "a\r\nX-B: b"}"#,
        r#"{"X-A\r\nX-B": "a"}"#,
        r#"{"Content-Length": "3"}"#,
        r#"{"x-hydra-signature": "t=1"}"#,
        r#"{"webhook-id": "1"}"#,
        r#"{"X_Hydra_Signature": "t=1"}"#,
        r#"{"content_length": "3"}"#,
        r#"{"X-Hub-Signature": "sha1=00"}"#,
        r#"{"Cookie": "a=b"}"#,
        r#"{"X-A": "a", "X_A": "b"}"#,
        r#"{"X-A": "sealed:0011223344556677:AAAA"}"#,
        r#"{"X-A": 1}"#,
        r#"{"X-A": 1e400}"#,
        r#"{"X-A": "a", "X-B": [{"b": -1e131071}]}"#,
        r#"[]"#,
    ] {
        let sql = format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}', headers => '{headers}')");
        bench.refused(&sql, "22023");
    }
    for headers in
        ["jsonb_build_object('X-A', repeat('x', 200000000))", "jsonb_build_object(repeat('x', 200000000), 'a')"]
    {
        let sql = format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}', headers => {headers})");
        bench.refused(&sql, "22023");
    }
}
