//! Managing subscriptions: what each function does, and how it refuses what it cannot do.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use postgres::Client;
use serde_json::Value;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver, Request, Signature};
use testkit::{PATIENCE, ask, refusal, refused, rounds, run, start_shared_cluster, subscribe, wait_for_empty_queue};

/// A delivery that failed stays in the retry queue for as long as a test runs.
const RETRY_LATER: &str = "retry_schedule => '{1 h}'";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

/// A database and a receiver of its own.
fn bench(database: &str) -> (Client, Receiver) {
    (cluster().create_database(database), Receiver::start())
}

fn emit(client: &mut Client, id: &str) {
    run(client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{id}\"}}')"));
}

fn entity_id(request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).expect("the body is JSON");
    body["data"]["entity_id"].as_str().expect("an entity with an id").into()
}

fn entity_ids(requests: &[Arc<Request>]) -> Vec<String> {
    requests.iter().map(|request| entity_id(request)).collect()
}

/// Everything about a subscription, as one text.
fn all_of(client: &mut Client, id: i64) -> String {
    ask(client, &format!("SELECT to_jsonb(s)::text FROM hydra.subscription AS s WHERE id = {id}"))
}

fn status(client: &mut Client, id: i64) -> String {
    ask(client, &format!("SELECT status FROM hydra.webhook_subscriptions WHERE id = {id}"))
}

/// The id of the one delivery in the retry queue, as soon as an attempt for it has failed.
#[track_caller]
fn wait_for_failed_attempt(client: &mut Client, attempts: i32) -> String {
    const QUERY: &str = "SELECT id::text FROM hydra.delivery WHERE attempts = $1 AND claimed_by IS NULL";
    let mut found = None;
    wait_until(format!("attempt {attempts} has failed"), PATIENCE, || {
        found = client.query_opt(QUERY, &[&attempts]).unwrap().map(|row| row.get(0));
        found.is_some()
    });
    found.expect("wait_until returns when it is found")
}

// ---- creating and changing

#[test]
fn a_new_subscription_returns_its_secret_once_and_nothing_shows_it_again() {
    let (mut client, receiver) = bench("created");
    let (id, secret) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["name => 'Ops'"]);
    let (_, other) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    assert_ne!(secret, other);
    let encoded = secret.strip_prefix("whsec_").expect("a secret begins with whsec_");
    let digits = encoded.strip_suffix('=').expect("32 bytes need padding");
    assert!(
        digits.len() == 43 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/'),
        "{secret}"
    );

    emit(&mut client, "1");
    receiver.wait_for("/", 2, PATIENCE);
    wait_for_empty_queue(&mut client);
    let prefix: String =
        ask(&mut client, &format!("SELECT secret_prefix FROM hydra.webhook_subscriptions WHERE id = {id}"));
    assert_eq!(prefix, secret[..12]);
    let relations: Vec<String> = client
        .query(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind IN ('r', 'v')
             AND relname <> 'signing_secret'",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(relations.len() > 10);
    for relation in relations {
        let rows: Option<String> =
            ask(&mut client, &format!("SELECT string_agg(r::text, '') FROM hydra.{relation} AS r"));
        assert!(!rows.unwrap_or_default().contains(&secret[..13]), "{relation} shows more than 12 characters");
    }
    assert!(!cluster().log().contains(&secret[..13]), "the server's log has the secret");
}

#[test]
fn a_subscription_that_makes_no_sense_is_refused_with_a_reason_and_advice() {
    let (mut client, _receiver) = bench("refused");
    let ok = "'https://example.com/', '{ticket.created}'";
    run(&mut client, &format!("BEGIN; SELECT hydra.webhook_create({ok}); ROLLBACK"));
    let many = format!("ARRAY{:?}", vec!["1 s"; 51]).replace('"', "'");
    let long_name = format!("name => '{}'", "x".repeat(201));
    let long_url = format!("https://example.com/{}", "x".repeat(2048));
    let policies = [
        "name => ''",
        &long_name,
        "preset => 'slack'",
        "preset => ''",
        "signatures => '{}'",
        "signatures => '{md5}'",
        "signatures => '{hydra,NULL}'",
        "signatures => '{{hydra},{github}}'",
        "timeout => '0'",
        "timeout => '-1 s'",
        "timeout => '99 ms'",
        "timeout => '61 s'",
        "retry_schedule => '{1 s,NULL}'",
        "retry_schedule => '{-1 s}'",
        "retry_schedule => '{8 days}'",
        "retry_schedule => '{{1 s},{2 s}}'",
        &format!("retry_schedule => {many}::interval[]"),
        "max_in_flight => 0",
        "max_in_flight => -1",
        "max_in_flight => 10001",
        "disable_after => 0",
        "disable_after => -1",
    ];
    let known_code = |policy: &str| if policy.starts_with("preset") { "42704" } else { "22023" };
    for policy in policies {
        refused(&mut client, &format!("SELECT hydra.webhook_create({ok}, {policy})"), known_code(policy));
    }
    for types in ["'{}'", "'{NULL}'", "'{ticket.created,NULL}'", "'{{ticket.created},{ticket.resolved}}'"] {
        refused(&mut client, &format!("SELECT hydra.webhook_create('https://example.com/', {types})"), "22023");
    }
    let unknown = refused(
        &mut client,
        "SELECT hydra.webhook_create('https://example.com/', '{ticket.created,ticket.lost}')",
        "42704",
    );
    assert!(
        unknown.message.contains("\"ticket.lost\"") && unknown.hint.contains("webhook_register_event_type"),
        "{unknown:?}"
    );
    refused(&mut client, "SELECT hydra.webhook_create('https://example.com/', '{\"\"}')", "42704");
    refused(&mut client, "SELECT hydra.webhook_create(NULL, '{ticket.created}')", "22004");
    refused(&mut client, "SELECT hydra.webhook_create('https://example.com/', NULL)", "22004");

    let urls = [
        "",
        "example.com",
        "https://",
        "https:///path",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:+443/",
        "https://example.com:/",
        "https://user@example.com/",
        "https://user:hunter2@example.com/",
        "https://example.com/#part",
        "https://exa mple.com/",
        "https://example.com/a b",
        " https://example.com/",
        "https://example.com/\t",
        "https://exämple.com/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://172.16.0.1/",
        "https://0.0.0.0/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://[fd00::1]/",
        "https://-bad-.example/",
        "https://a..b/",
        "https://example.com\\@evil.example/",
        &long_url,
    ];
    for url in urls {
        let refusal =
            refused(&mut client, &format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}')"), "22023");
        assert!(!refusal.message.contains("hunter2") && !refusal.detail.contains("hunter2"), "{refusal:?}");
    }
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.subscription"), 0);
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.signing_secret"), 0);
}

#[test]
fn where_nothing_is_allowed_only_https_to_public_addresses_is() {
    let cluster = Cluster::start(&[("hydra_webhooks.allow_http", "off"), ("hydra_webhooks.allow_networks", "")]);
    let mut client = cluster.create_database("strict");
    for url in ["http://example.com/", "https://127.0.0.1/", "http://127.0.0.1/", "HTTP://example.com/"] {
        refused(&mut client, &format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}')"), "22023");
    }
    for url in
        ["https://example.com/", "https://example.com:8443/x?y=%20", "https://1.1.1.1/", "https://[2606:4700::1111]/"]
    {
        subscribe(&mut client, url, "ticket.created", &[]);
    }
}

#[test]
fn the_reserved_event_types_of_the_extension_cannot_be_subscribed_to_or_registered() {
    let (mut client, _receiver) = bench("reserved");
    for name in ["webhook.test", "webhook.anything"] {
        let subscribing =
            refusal(&mut client, &format!("SELECT hydra.webhook_create('https://example.com/', '{{{name}}}')"));
        assert!(
            !subscribing.hint.contains("webhook_register_event_type"),
            "advice that cannot be followed: {subscribing:?}"
        );
        refused(&mut client, &format!("SELECT hydra.webhook_register_event_type('{name}', 'x')"), "42939");
    }
}

#[test]
fn naming_an_event_type_or_signature_twice_sends_nothing_twice() {
    let (mut client, receiver) = bench("twice");
    let types = "ticket.created,ticket.created";
    let (_, secret) = subscribe(&mut client, &receiver.url("/types"), types, &[]);
    receiver.secret("/types", &secret);
    emit(&mut client, "1");
    wait_for_empty_queue(&mut client);
    assert_eq!(receiver.received("/types"), 1);

    let create = format!(
        "SELECT id FROM hydra.webhook_create('{}', '{{ticket.created}}', signatures => '{{hydra,hydra}}')",
        receiver.url("/signatures")
    );
    // Refusing it is as good.
    if client.batch_execute(&create).is_ok() {
        emit(&mut client, "2");
        let requests = receiver.wait_for("/signatures", 1, PATIENCE);
        let count =
            requests[0].headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("X-Hydra-Signature")).count();
        assert_eq!(count, 1, "a header that must be there once");
    }
}

#[test]
fn an_update_changes_what_is_given_and_nothing_else() {
    let (mut client, receiver) = bench("updated");
    let (id, secret) = subscribe(
        &mut client,
        &receiver.url("/a"),
        "ticket.created",
        &[
            "name => 'Ops'",
            "tenant_id => 'acme'",
            "signatures => '{hydra,standard}'",
            "timeout => '3 s'",
            "retry_schedule => '{1 s,2 s}'",
            "max_in_flight => 3",
            "disable_after => 4",
            "log_successes => true",
        ],
    );
    let before = all_of(&mut client, id);
    run(&mut client, &format!("SELECT hydra.webhook_update({id})"));
    assert_eq!(all_of(&mut client, id), before, "an update with nothing but nulls");
    let changes = [
        ("name => 'Sales'", "\"name\": \"Ops\"", "\"name\": \"Sales\""),
        ("tenant_id => 'globex'", "\"tenant_id\": \"acme\"", "\"tenant_id\": \"globex\""),
        ("event_types => '{part.created}'", "[\"ticket.created\"]", "[\"part.created\"]"),
        ("timeout => '4 s'", "\"timeout\": \"00:00:03\"", "\"timeout\": \"00:00:04\""),
        ("retry_schedule => '{}'", "[\"00:00:01\", \"00:00:02\"]", "[]"),
        ("max_in_flight => 5", "\"max_in_flight\": 3", "\"max_in_flight\": 5"),
        ("disable_after => 6", "\"disable_after\": 4", "\"disable_after\": 6"),
        ("log_successes => false", "\"log_successes\": true", "\"log_successes\": false"),
        ("signatures => '{hydra}'", "[\"hydra\", \"standard\"]", "[\"hydra\"]"),
    ];
    for (change, was, is) in changes {
        let before = all_of(&mut client, id);
        assert!(before.contains(was), "{before} has no {was}");
        run(&mut client, &format!("SELECT hydra.webhook_update({id}, {change})"));
        assert_eq!(all_of(&mut client, id), before.replacen(was, is, 1), "{change}");
    }
    run(
        &mut client,
        &format!(
            "SELECT hydra.webhook_update({id}, url => '{}', event_types => '{{ticket.created}}', tenant_id => 'acme')",
            receiver.url("/b")
        ),
    );
    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{\"id\": \"1\"}', 'acme')");
    let requests = receiver.wait_for("/b", 1, PATIENCE);
    assert_eq!(requests[0].signed_with(&secret), Signature::Verified, "the secret stays");

    let before = all_of(&mut client, id);
    for change in [
        "url => ''",
        "url => 'ftp://a/'",
        "event_types => '{}'",
        "name => ''",
        "timeout => '0'",
        "retry_schedule => '{-1 s}'",
        "max_in_flight => 0",
        "disable_after => 0",
        "signatures => '{}'",
    ] {
        refused(&mut client, &format!("SELECT hydra.webhook_update({id}, {change})"), "22023");
    }
    refused(&mut client, &format!("SELECT hydra.webhook_update({id}, event_types => '{{ticket.lost}}')"), "42704");
    refused(&mut client, &format!("SELECT hydra.webhook_update({id}, preset => 'slack')"), "42704");
    assert_eq!(all_of(&mut client, id), before);
}

#[test]
fn what_does_not_exist_is_refused_by_every_function() {
    let (mut client, _receiver) = bench("unknown");
    for id in ["NULL", "0", "-1", "42", "9223372036854775807"] {
        for function in ["update", "pause", "resume", "delete", "rotate_secret", "send_test"] {
            let refusal = refused(&mut client, &format!("SELECT hydra.webhook_{function}({id})"), "42704");
            assert!(refusal.message.contains(&id.to_lowercase()), "{refusal:?}");
        }
    }
    for id in ["NULL", "'00000000-0000-0000-0000-000000000000'"] {
        for function in ["retry", "cancel"] {
            refused(&mut client, &format!("SELECT hydra.webhook_{function}({id})"), "42704");
        }
    }
}

#[test]
fn event_types_are_registered_changed_and_refused() {
    let (mut client, receiver) = bench("types");
    let of = |client: &mut Client, name: &str| -> String {
        ask(
            client,
            &format!(
                "SELECT concat_ws('|', description, entity_type, id_key, origin) FROM hydra.webhook_event_types WHERE name = '{name}'"
            ),
        )
    };
    assert_eq!(
        ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_event_types WHERE origin = 'catalogue'"),
        25
    );
    run(&mut client, "SELECT hydra.webhook_register_event_type('order.paid')");
    assert_eq!(of(&mut client, "order.paid"), "|order|id|application");
    run(
        &mut client,
        "SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid', 'purchase', 'number')",
    );
    assert_eq!(of(&mut client, "order.paid"), "An order was paid|purchase|number|application");
    run(&mut client, "SELECT hydra.webhook_register_event_type('order.paid')");
    assert_eq!(of(&mut client, "order.paid"), "An order was paid|purchase|number|application", "null changes nothing");
    subscribe(&mut client, &receiver.url("/"), "order.paid", &[]);

    let long = format!("'a.{}'", "b".repeat(99));
    for name in [
        "NULL",
        "''",
        "'ticket'",
        "'Ticket.Created'",
        "'ticket.'",
        "'.created'",
        "'ticket..created'",
        "'ticket created'",
        "E'ticket.created\\n'",
        "'tickét.created'",
        &long,
    ] {
        refused(&mut client, &format!("SELECT hydra.webhook_register_event_type({name}, 'x')"), "22023");
    }
    refused(&mut client, "SELECT hydra.webhook_register_event_type('a.b', entity_type => '')", "22023");
    refused(&mut client, "SELECT hydra.webhook_register_event_type('a.b', id_key => '')", "22023");
}

// ---- who gets what

#[test]
fn a_subscription_of_a_tenant_gets_its_events_only_and_one_of_no_tenant_gets_all() {
    let (mut client, receiver) = bench("tenants");
    let url = |path: &str| receiver.url(path);
    subscribe(&mut client, &url("/acme"), "ticket.created", &["tenant_id => 'acme'"]);
    subscribe(&mut client, &url("/globex"), "ticket.created", &["tenant_id => 'globex'"]);
    subscribe(&mut client, &url("/all"), "ticket.created,ticket.resolved", &[]);
    for (id, event, tenant) in [
        ("a", "ticket.created", "'acme'"),
        ("g", "ticket.created", "'globex'"),
        ("n", "ticket.created", "NULL"),
        ("x", "ticket.created", "'ACME'"),
        ("r", "ticket.resolved", "'acme'"),
    ] {
        run(&mut client, &format!("SELECT hydra.webhook_emit('{event}', '{{\"id\": \"{id}\"}}', {tenant})"));
    }
    wait_for_empty_queue(&mut client);
    let received = |path: &str| {
        let mut ids = entity_ids(&receiver.requests(path));
        ids.sort();
        ids.concat()
    };
    assert_eq!([received("/acme"), received("/globex"), received("/all")], ["a", "g", "agnrx"]);
}

#[test]
fn a_pause_stops_requests_and_queues_no_new_events_until_the_resume() {
    let (mut client, receiver) = bench("paused");
    for path in ["/paused", "/clock"] {
        receiver.answer(path, Answer::status(500));
    }
    let schedule = "retry_schedule => array_fill(interval '100 ms', ARRAY[50])";
    let (id, _) = subscribe(&mut client, &receiver.url("/paused"), "ticket.created", &[schedule]);
    // Tells the time: an endpoint that fails in the same way and is tried again and again.
    subscribe(&mut client, &receiver.url("/clock"), "ticket.resolved", &[schedule]);
    emit(&mut client, "before");
    receiver.wait_for("/paused", 2, PATIENCE);
    run(&mut client, &format!("SELECT hydra.webhook_pause({id})"));
    let paused = Instant::now();
    assert_eq!(status(&mut client, id), "paused");
    emit(&mut client, "while paused");

    let latest = paused + Duration::from_secs(1);
    run(&mut client, "SELECT hydra.webhook_emit('ticket.resolved', '{\"id\": \"tick\"}')");
    wait_until("the clock has gone on for two more seconds", PATIENCE, || {
        receiver.requests("/clock").iter().any(|tick| tick.arrived > latest + Duration::from_secs(1))
    });
    let requests = receiver.requests("/paused");
    assert!(
        requests.iter().all(|request| request.arrived <= latest),
        "a request was made more than 1 s after the pause"
    );
    let kept: i64 = ask(&mut client, &format!("SELECT pending FROM hydra.webhook_subscriptions WHERE id = {id}"));
    assert_eq!(kept, 1, "what was queued stays");

    receiver.answer("/paused", Answer::ok());
    receiver.clear();
    run(&mut client, &format!("SELECT hydra.webhook_resume({id})"));
    emit(&mut client, "after");
    receiver.wait_for("/paused", 2, PATIENCE);
    wait_until("nothing is pending for it", PATIENCE, || {
        ask(&mut client, &format!("SELECT pending = 0 FROM hydra.webhook_subscriptions WHERE id = {id}"))
    });
    let mut ids = entity_ids(&receiver.requests("/paused"));
    ids.sort();
    assert_eq!(ids, ["after", "before"]);
    assert_eq!(status(&mut client, id), "active");
    // Both may be said again.
    run(
        &mut client,
        &format!(
            "SELECT hydra.webhook_resume({id}); SELECT hydra.webhook_pause({id}); SELECT hydra.webhook_pause({id})"
        ),
    );
}

#[test]
fn an_endpoint_that_is_gone_disables_its_subscription_until_it_is_resumed() {
    let (mut client, receiver) = bench("gone");
    receiver.answer("/", Answer::gone());
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[RETRY_LATER]);
    emit(&mut client, "1");
    wait_until("it is disabled", PATIENCE, || status(&mut client, id) == "disabled");
    let row = client
        .query_one("SELECT disabled_reason, status_since > created_at, last_error, consecutive_failures FROM hydra.webhook_subscriptions", &[])
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, bool>(1), row.get::<_, i32>(3)), ("gone", true, 1));
    assert!(row.get::<_, &str>(2).contains("410"));
    assert_eq!(ask::<Option<i64>>(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{}')"), None);

    receiver.answer("/", Answer::ok());
    run(&mut client, &format!("SELECT hydra.webhook_resume({id})"));
    let counter: i32 = ask(&mut client, "SELECT consecutive_failures FROM hydra.webhook_subscriptions");
    assert_eq!((status(&mut client, id).as_str(), counter), ("active", 0));
    emit(&mut client, "2");
    receiver.wait_for("/", 2, PATIENCE);
}

#[test]
fn deleting_a_subscription_drops_what_is_pending_and_keeps_its_history() {
    let (mut client, receiver) = bench("deleted");
    receiver.answer("/", Answer::status(500));
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[RETRY_LATER]);
    emit(&mut client, "1");
    wait_for_failed_attempt(&mut client, 1);
    run(&mut client, &format!("SELECT hydra.webhook_delete({id})"));
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_pending"), 0);
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_subscriptions"), 0);
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.signing_secret"), 0);
    assert_eq!(
        ask::<i64>(&mut client, &format!("SELECT count(*) FROM hydra.webhook_history WHERE subscription_id = {id}")),
        1
    );
    assert_eq!(ask::<Option<i64>>(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{}')"), None);
    wait_for_empty_queue(&mut client);
}

#[test]
fn deleting_a_subscription_with_a_request_under_way_leaves_nothing_behind() {
    let (mut client, receiver) = bench("deleted_in_flight");
    receiver.answer("/", Answer::hang());
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["timeout => '1 s'", RETRY_LATER]);
    emit(&mut client, "1");
    receiver.wait_for("/", 1, PATIENCE);
    run(&mut client, &format!("SELECT hydra.webhook_delete({id})"));
    wait_for_empty_queue(&mut client);
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.delivery"), 0);
}

// ---- the retry queue

#[test]
fn a_changed_url_and_secret_apply_from_the_next_attempt_and_the_body_stays() {
    let (mut client, receiver) = bench("next_attempt");
    receiver.answer("/old", Answer::status(500));
    let (id, old) = subscribe(&mut client, &receiver.url("/old"), "ticket.created", &[RETRY_LATER]);
    emit(&mut client, "1");
    let delivery = wait_for_failed_attempt(&mut client, 1);
    run(&mut client, &format!("SELECT hydra.webhook_update({id}, url => '{}')", receiver.url("/new")));
    let new: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id})"));
    run(&mut client, &format!("SELECT hydra.webhook_retry('{delivery}')"));
    let second = receiver.wait_for("/new", 1, PATIENCE)[0].clone();
    let first = receiver.requests("/old")[0].clone();
    assert_eq!(receiver.received("/old"), 1);
    assert_eq!((&first.body, first.delivery_id()), (&second.body, second.delivery_id()));
    assert_eq!(second.delivery_id(), delivery);
    assert_eq!(first.signed_with(&old), Signature::Verified);
    assert_eq!(second.signed_with(&new), Signature::Verified);
    assert_ne!(second.signed_with(&old), Signature::Verified);
    wait_for_empty_queue(&mut client);
    let history: String = ask(
        &mut client,
        "SELECT string_agg(attempt || ':' || status_code, ' ' ORDER BY attempt) FROM hydra.webhook_history",
    );
    assert_eq!(history, "1:500 2:200", "a retry leaves a row, whatever became of it");
}

#[test]
fn a_failed_delivery_is_sent_again_by_hand_with_a_fresh_schedule() {
    let (mut client, receiver) = bench("by_hand");
    receiver.answer("/", Answer::status(500).with_body("it broke"));
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["retry_schedule => '{50 ms}'"]);
    emit(&mut client, "1");
    let failed = |client: &mut Client| ask::<i64>(client, "SELECT count(*) FROM hydra.webhook_failed");
    wait_until("it is given up", PATIENCE, || failed(&mut client) == 1);
    let row = client
        .query_one("SELECT delivery_id::text, attempts, error_class, body FROM hydra.webhook_failed", &[])
        .unwrap();
    let delivery: String = row.get(0);
    assert_eq!((row.get::<_, i32>(1), row.get::<_, &str>(2)), (2, "status"));
    assert_eq!(row.get::<_, &str>(3), receiver.requests("/")[0].text());

    run(&mut client, &format!("SELECT hydra.webhook_retry('{delivery}')"));
    receiver.wait_for("/", 4, PATIENCE);
    wait_until("it is given up again", PATIENCE, || failed(&mut client) == 1);
    let attempts: String =
        ask(&mut client, "SELECT string_agg(attempt::text, ' ' ORDER BY attempt) FROM hydra.webhook_history");
    assert_eq!(attempts, "1 2 3 4");
    let excerpt: String = ask(&mut client, "SELECT DISTINCT response_excerpt FROM hydra.webhook_history");
    assert_eq!(excerpt, "it broke");

    receiver.answer("/", Answer::ok());
    run(&mut client, &format!("SELECT hydra.webhook_retry('{delivery}')"));
    let requests = receiver.wait_for("/", 5, PATIENCE);
    assert!(requests.iter().all(|request| request.delivery_id() == delivery && request.body == requests[0].body));
    wait_until("it is delivered", PATIENCE, || ask(&mut client, "SELECT count(*) = 0 FROM hydra.delivery"));
    let again = refused(&mut client, &format!("SELECT hydra.webhook_retry('{delivery}')"), "42704");
    assert!(again.message.contains(&delivery));

    receiver.answer("/", Answer::status(500));
    emit(&mut client, "2");
    wait_until("the next is given up", PATIENCE, || failed(&mut client) == 1);
    let orphan: String = ask(&mut client, "SELECT delivery_id::text FROM hydra.webhook_failed");
    run(&mut client, &format!("SELECT hydra.webhook_delete({id})"));
    assert_eq!(failed(&mut client), 1, "what was given up outlives its subscription");
    refused(&mut client, &format!("SELECT hydra.webhook_retry('{orphan}')"), "55000");
    run(&mut client, &format!("SELECT hydra.webhook_cancel('{orphan}')"));
    assert_eq!(failed(&mut client), 0);
}

#[test]
fn a_cancelled_delivery_is_off_the_queue_and_one_under_way_is_left_alone() {
    let (mut client, receiver) = bench("cancelled");
    receiver.answer("/", Answer::hang());
    receiver.answer_first("/", 1, Answer::status(500));
    subscribe(&mut client, &receiver.url("/"), "ticket.created", &["timeout => '60 s'", RETRY_LATER]);
    emit(&mut client, "1");
    let delivery = wait_for_failed_attempt(&mut client, 1);
    run(
        &mut client,
        &format!(
            "BEGIN; SELECT hydra.webhook_cancel('{delivery}'); ROLLBACK; SELECT hydra.webhook_retry('{delivery}')"
        ),
    );
    receiver.wait_for("/", 2, PATIENCE);
    for function in ["retry", "cancel"] {
        refused(&mut client, &format!("SELECT hydra.webhook_{function}('{delivery}')"), "55006");
    }
    drop(receiver);
    wait_for_failed_attempt(&mut client, 2);
    run(&mut client, &format!("SELECT hydra.webhook_cancel('{delivery}')"));
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_pending"), 0);
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_history"), 2);
}

// ---- signing

#[test]
fn during_an_overlap_both_secrets_sign_the_old_one_last_and_then_it_ends() {
    let (mut client, receiver) = bench("overlap");
    let (id, old) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["signatures => '{hydra,standard}'"]);
    let next = |client: &mut Client| {
        receiver.clear();
        emit(client, "1");
        receiver.wait_for("/", 1, PATIENCE)[0].clone()
    };
    let new: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '2 s')"));
    assert_ne!(new, old);
    let prefix: String = ask(&mut client, "SELECT secret_prefix FROM hydra.webhook_subscriptions");
    assert_eq!(prefix, new[..12]);
    let request = next(&mut client);
    assert_eq!([request.signed_with(&old), request.signed_with(&new)], [Signature::Verified; 2]);
    let values: Vec<String> = request.header("X-Hydra-Signature").unwrap().split(",v1=").map(str::to_owned).collect();
    assert_eq!(values.len(), 3, "a time and two signatures");
    let only = |value: &str| format!("{},v1={value}", values[0]);
    let verify = |client: &mut Client, header: &str, secret: &str| -> bool {
        client
            .query_one("SELECT hydra.webhook_verify($1, $2, $3)", &[&request.text(), &header, &secret])
            .unwrap()
            .get(0)
    };
    assert!(verify(&mut client, &only(&values[1]), &new) && verify(&mut client, &only(&values[2]), &old));
    wait_until("the old secret has ended", PATIENCE, || next(&mut client).signed_with(&old) != Signature::Verified);
    assert_eq!(next(&mut client).signed_with(&new), Signature::Verified);

    // At once, even in the midst of an overlap: a secret that leaked is out of use.
    let third: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '1 day')"));
    let fourth: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id})"));
    let request = next(&mut client);
    assert_eq!(request.signed_with(&fourth), Signature::Verified);
    assert!([&new, &third].iter().all(|secret| request.signed_with(secret) != Signature::Verified));

    for overlap in ["NULL", "'-1 s'", "'31 days'"] {
        refused(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, {overlap})"), "22023");
    }
    run(&mut client, &format!("SELECT hydra.webhook_update({id}, signatures => '{{hydra,github}}')"));
    refused(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"), "0A000");
    let fifth: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id})"));
    assert_eq!(next(&mut client).signed_with(&fifth), Signature::Verified);
}

#[test]
fn two_rotations_with_an_overlap_in_one_transaction_work() {
    let (mut client, receiver) = bench("rotations");
    let (id, first) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    run(&mut client, "BEGIN");
    let second: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"));
    let third: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"));
    run(&mut client, "COMMIT");
    emit(&mut client, "1");
    let request = receiver.wait_for("/", 1, PATIENCE)[0].clone();
    assert_eq!([&first, &second, &third].map(|secret| request.signed_with(secret)), [Signature::Verified; 3]);
}

#[test]
fn webhook_verify_accepts_what_was_received_and_nothing_else() {
    let (mut client, receiver) = bench("verified");
    let (_, secret) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    emit(&mut client, "é");
    let request = receiver.wait_for("/", 1, PATIENCE)[0].clone();
    let (body, header) = (request.text(), request.header("X-Hydra-Signature").unwrap());
    let mut verify = |body: &str, header: &str, secret: &str, tolerance: &str| -> Option<bool> {
        let sql = format!("SELECT hydra.webhook_verify($1, $2, $3, {tolerance})");
        client.query_one(&sql, &[&body, &header, &secret]).unwrap().get(0)
    };
    let (time, digest) = header.split_once(",v1=").unwrap();
    assert_eq!(verify(body, header, &secret, "'300 s'"), Some(true));
    assert_eq!(verify(body, &format!("{time},v1={},v1={digest},v9=x", "0".repeat(64)), &secret, "'300 s'"), Some(true));
    for (what, body, header, secret) in [
        ("another body", &*body.replace("é", "e"), header, &*secret),
        ("another secret", body, header, &secret.replace("whsec_", "")),
        ("no secret", body, header, ""),
        ("no header", body, "", &secret),
        ("garbage", body, "t=,v1=,=,", &secret),
        ("no time", body, digest, &secret),
        ("no signature", body, time, &secret),
        ("a time of another", body, &format!("t=1,v1={digest}"), &secret),
        ("a time that is none", body, &format!("t=99999999999999999999,v1={digest}"), &secret),
        ("two times", body, &format!("t=1,{header}"), &secret),
        ("half a signature", body, &header[..header.len() - 2], &secret),
    ] {
        assert_eq!(verify(body, header, secret, "'300 s'"), Some(false), "{what}");
    }

    // Genuine, but an hour old: signed here, with Postgres's own hash.
    let old: i64 = ask(&mut client, "SELECT extract(epoch FROM now())::bigint - 3600");
    let header = format!("t={old},v1={}", hmac(&secret, &format!("{old}.{body}")));
    let mut verify = |tolerance: &str| -> bool {
        client
            .query_one(&format!("SELECT hydra.webhook_verify($1, $2, $3{tolerance})"), &[&body, &header, &secret])
            .unwrap()
            .get(0)
    };
    assert!(!verify("") && !verify(", '3590 s'") && verify(", '2 hours'"));
    for tolerance in ["-1 s", "-300 s"] {
        refused(&mut client, &format!("SELECT hydra.webhook_verify('a', 't=1,v1=00', 'c', '{tolerance}')"), "22023");
    }
}

fn hmac(key: &str, message: &str) -> String {
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).expect("any key will do");
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

// ---- the test request

#[test]
fn a_test_request_returns_the_answer_at_once_and_leaves_no_trace() {
    let (mut client, receiver) = bench("tested");
    let (id, secret) = subscribe(
        &mut client,
        &receiver.url("/"),
        "ticket.created",
        &["tenant_id => 'acme'", "timeout => '500 ms'", "log_successes => true"],
    );
    receiver.secret("/", &secret);
    run(&mut client, &format!("SELECT hydra.webhook_pause({id})"));
    let before = all_of(&mut client, id);
    let test = |client: &mut Client| -> (Option<i32>, Option<String>, i32, Option<String>) {
        let sql = format!("SELECT status_code, response_body, response_ms, error FROM hydra.webhook_send_test({id})");
        let row = client.query_one(&sql, &[]).unwrap();
        (row.get(0), row.get(1), row.get(2), row.get(3))
    };

    receiver.answer("/", Answer::status(201).with_body("thanks"));
    let (code, body, ms, error) = test(&mut client);
    assert_eq!((code, body.as_deref(), error), (Some(201), Some("thanks"), None));
    assert!((0..60_000).contains(&ms));
    let request = receiver.requests("/")[0].clone();
    assert_eq!(request.signature, Signature::Verified);
    assert_eq!(request.header("X-Hydra-Event"), Some("webhook.test"));
    let envelope: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&envelope["event"], &envelope["tenant_id"]), (&"webhook.test".into(), &"acme".into()));

    receiver.answer("/", Answer::status(500).with_body("no\0thanks"));
    let (code, body, _, error) = test(&mut client);
    assert_eq!((code, body.as_deref()), (Some(500), Some("nothanks")));
    assert!(error.expect("500 is no success").contains("500"));
    receiver.answer("/", Answer::redirect("https://example.com/"));
    assert_eq!(test(&mut client).0, Some(302), "a redirect is not followed");
    receiver.answer("/", Answer::gone());
    assert_eq!(test(&mut client).0, Some(410));
    for silent in [Answer::hang(), Answer::close(), Answer::garbage()] {
        receiver.answer("/", silent);
        let (code, body, _, error) = test(&mut client);
        assert!(code.is_none() && body.is_none() && error.is_some_and(|error| !error.is_empty()));
    }

    // A rollback does not undo it.
    receiver.clear();
    receiver.answer("/", Answer::ok());
    run(&mut client, "BEGIN");
    test(&mut client);
    run(&mut client, "ROLLBACK");
    assert_eq!(receiver.received("/"), 1);

    assert_eq!(all_of(&mut client, id), before, "it counts for nothing");
    let traces: i64 = ask(&mut client, "SELECT (SELECT count(*) FROM hydra.attempt) + (SELECT count(*) FROM hydra.event)
        + (SELECT count(*) FROM hydra.delivery) + (SELECT count(*) FROM hydra.subscription_health) + (SELECT count(*) FROM hydra.delivery_count)");
    assert_eq!(traces, 0);
}

#[test]
fn a_test_request_that_hangs_can_be_cancelled() {
    let (mut client, receiver) = bench("hanging");
    receiver.answer("/", Answer::hang());
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["timeout => '60 s'"]);
    run(&mut client, "SET statement_timeout = '300 ms'");
    let test = format!("SELECT hydra.webhook_send_test({id})");
    let start = Instant::now();
    assert_eq!(refusal(&mut client, &test).code, "57014");
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?} to cancel", start.elapsed());
    wait_until("its connection is closed", PATIENCE, || receiver.in_flight("/") == 0);

    let mut other = cluster().connect("hanging");
    let token = other.cancel_token();
    let cancelled = std::thread::spawn(move || refusal(&mut other, &test).code);
    receiver.wait_for("/", 2, PATIENCE);
    token.cancel_query(postgres::NoTls).unwrap();
    assert_eq!(cancelled.join().unwrap(), "57014");
    run(&mut client, "RESET statement_timeout");
    receiver.answer("/", Answer::ok());
    assert_eq!(ask::<i32>(&mut client, &format!("SELECT status_code FROM hydra.webhook_send_test({id})")), 200);
}

#[test]
fn a_test_request_of_a_subscription_not_committed_yet_works() {
    let (mut client, receiver) = bench("uncommitted");
    run(&mut client, "BEGIN");
    let (id, secret) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    let code: i32 = ask(&mut client, &format!("SELECT status_code FROM hydra.webhook_send_test({id})"));
    run(&mut client, "ROLLBACK");
    assert_eq!(code, 200);
    assert_eq!(receiver.requests("/")[0].signed_with(&secret), Signature::Verified);
}

// ---- what the catalogue says

#[test]
fn everything_in_the_schema_has_a_comment() {
    let (mut client, _receiver) = bench("comments");
    let missing: Vec<String> = client
        .query(
            "SELECT 'schema ' || n.nspname FROM pg_namespace AS n
             WHERE n.nspname = 'hydra' AND obj_description(n.oid, 'pg_namespace') IS NULL
             UNION ALL
             SELECT 'relation ' || c.oid::regclass FROM pg_class AS c
             WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p') AND obj_description(c.oid, 'pg_class') IS NULL
             UNION ALL
             SELECT 'column ' || c.oid::regclass || '.' || a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
             WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p') AND a.attnum > 0
                   AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL
             UNION ALL
             SELECT 'function ' || p.oid::regprocedure FROM pg_proc AS p
             WHERE p.pronamespace = 'hydra'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
             ORDER BY 1",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(missing.is_empty(), "without a COMMENT: {missing:#?}");
}

// ---- copies

/// Dumps a database and restores it as another one; the errors of the restore are the test's.
#[track_caller]
fn copy_by_dump(from: &str, to: &str) -> Client {
    let file = cluster().directory().join(format!("{from}.sql"));
    let dumped = cluster().program("pg_dump").arg("--file").arg(&file).arg(from).output().unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    run(&mut cluster().connect("postgres"), &format!("CREATE DATABASE {to}"));
    let restored =
        cluster().program("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", to, "-f"]).arg(&file).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    cluster().connect(to)
}

fn wait_for_state(client: &mut Client, state: &str) {
    wait_until(format!("the worker is {state}"), PATIENCE, || {
        ask::<String>(client, "SELECT state FROM hydra.webhook_worker_status") == state
    });
}

#[test]
fn a_restored_dump_has_the_subscriptions_and_waits_to_be_adopted() {
    let (mut client, receiver) = bench("original");
    receiver.answer("/", Answer::status(500));
    run(
        &mut client,
        "SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid', 'purchase', 'number')",
    );
    let (id, secret) =
        subscribe(&mut client, &receiver.url("/"), "ticket.created,order.paid", &[RETRY_LATER, "name => 'Ops'"]);
    let (gone, _) = subscribe(&mut client, &receiver.url("/gone"), "ticket.created", &[]);
    run(&mut client, &format!("SELECT hydra.webhook_delete({gone})"));
    emit(&mut client, "of the original");
    wait_for_failed_attempt(&mut client, 1);
    let original = all_of(&mut client, id);

    let mut copy = copy_by_dump("original", "copy");
    assert_eq!(all_of(&mut copy, id), original);
    assert_eq!(
        ask::<i64>(
            &mut copy,
            "SELECT count(*) FROM hydra.webhook_event_types WHERE name = 'order.paid' AND id_key = 'number'"
        ),
        1
    );
    assert_eq!(ask::<i64>(&mut copy, "SELECT count(*) FROM hydra.webhook_event_types WHERE origin = 'catalogue'"), 25);
    for empty in ["event", "delivery", "attempt", "webhook_pending", "webhook_history"] {
        assert_eq!(ask::<i64>(&mut copy, &format!("SELECT count(*) FROM hydra.{empty}")), 0, "{empty} came along");
    }

    receiver.clear();
    receiver.answer("/", Answer::ok());
    receiver.secret("/", &secret);
    wait_for_state(&mut copy, "parked");
    emit(&mut copy, "of the copy");
    emit(&mut client, "of the original again");
    receiver.wait_for("/", 1, PATIENCE);
    assert_eq!(entity_ids(&receiver.requests("/")), ["of the original again"], "a copy sends nothing");
    assert_eq!(ask::<i64>(&mut copy, "SELECT count(*) FROM hydra.webhook_pending"), 1);

    run(&mut copy, "SELECT hydra.webhook_adopt(keep_queue => true)");
    let requests = receiver.wait_for("/", 2, PATIENCE);
    wait_for_state(&mut copy, "running");
    assert_eq!(entity_id(&requests[1]), "of the copy");
    assert_eq!(requests[1].signature, Signature::Verified, "with the secret that came along");
    assert_ne!(requests[0].delivery_id(), requests[1].delivery_id());
    let (next, _) = subscribe(&mut copy, &receiver.url("/"), "ticket.created", &[]);
    assert!(next > gone, "a new subscription takes no number that was in use");

    let mut second = copy_by_dump("copy", "second_copy");
    wait_for_state(&mut second, "parked");
    emit(&mut second, "dropped");
    run(&mut second, "SELECT hydra.webhook_adopt()");
    wait_for_state(&mut second, "running");
    assert_eq!(ask::<i64>(&mut second, "SELECT count(*) FROM hydra.webhook_pending"), 0);
}

#[test]
fn a_changed_event_type_of_the_catalogue_survives_a_dump() {
    let (mut client, _receiver) = bench("retyped");
    run(&mut client, "SELECT hydra.webhook_register_event_type('ticket.created', id_key => 'number')");
    run(&mut client, "SELECT hydra.webhook_register_event_type('order.paid')");
    let mut copy = copy_by_dump("retyped", "retyped_copy");
    let types = "SELECT string_agg(name || ' ' || id_key, ',' ORDER BY name) FROM hydra.webhook_event_types WHERE origin = 'application'";
    assert_eq!(ask::<String>(&mut copy, types), "order.paid id,ticket.created number");
}

fn copy_by_template(from: &str, to: &str) -> Client {
    let park = |verb: &str| run(&mut cluster().connect(from), &format!("SELECT hydra.webhook_{verb}()"));
    park("park");
    run(&mut cluster().connect("postgres"), &format!("CREATE DATABASE {to} TEMPLATE {from}"));
    park("unpark");
    cluster().connect(to)
}

/// A copy, a copy of that and so on: each sends nothing and says why, and once adopted sends what waited.
#[track_caller]
fn assert_copies_wait_to_be_adopted(original: &str, copy: fn(&str, &str) -> Client) {
    let (mut client, receiver) = bench(original);
    subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    drop(client);
    let mut from = original.to_owned();
    for round in 1..=rounds(5) {
        receiver.clear();
        let to = format!("{original}_{round}");
        let mut copied = copy(&from, &to);
        wait_for_state(&mut copied, "parked");
        let detail: String = ask(&mut copied, "SELECT detail FROM hydra.webhook_worker_status");
        assert!(detail.contains("copy") && detail.contains("hydra.webhook_adopt()"), "{detail}");
        emit(&mut copied, "of the copy");
        emit(&mut cluster().connect(&from), "of what it is a copy of");
        receiver.wait_for("/", 1, PATIENCE);
        run(&mut copied, "SELECT hydra.webhook_adopt(keep_queue => true)");
        let requests = receiver.wait_for("/", 2, PATIENCE);
        assert_eq!(entity_ids(&requests), ["of what it is a copy of", "of the copy"], "round {round}");
        assert_ne!(requests[0].delivery_id(), requests[1].delivery_id());
        wait_for_state(&mut copied, "running");
        from = to;
    }
}

#[test]
fn each_of_five_restored_dumps_waits_to_be_adopted() {
    assert_copies_wait_to_be_adopted("dump_source", copy_by_dump);
}

#[test]
fn a_template_copy_waits_to_be_adopted_too() {
    assert_copies_wait_to_be_adopted("template_source", copy_by_template);
}
