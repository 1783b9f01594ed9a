//! New subscriptions and event types, and what is refused.

use postgres::Client;
use testkit::{Cluster, ask, refused, subscribe};

use crate::{bench, cluster};

#[test]
fn a_new_subscription_returns_its_secret_once_and_nothing_shows_it_again() {
    let mut bench = bench("created");
    let (id, secret) = bench.subscribe("/", "ticket.created", &["name => 'Ops'"]);
    let (_, other) = bench.subscribe("/", "ticket.created", &[]);
    assert_ne!(secret, other);
    let encoded = secret.strip_prefix("whsec_").expect("a secret begins with whsec_");
    let digits = encoded.strip_suffix('=').expect("32 bytes need padding");
    assert!(
        digits.len() == 43 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/'),
        "{secret}"
    );

    bench.emit_ticket("1");
    bench.wait_for("/", 2);
    bench.wait_for_empty_queue();
    let prefix: String = bench.ask(&format!("SELECT secret_prefix FROM hydra.webhook_subscriptions WHERE id = {id}"));
    assert_eq!(prefix, secret[..12]);
    let relations: Vec<String> = bench
        .client
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
    // One of these views is of all functions.
    bench.run("SET jit = off");
    for relation in relations {
        let rows: Option<String> = bench.ask(&format!("SELECT string_agg(r::text, '') FROM hydra.{relation} AS r"));
        assert!(!rows.unwrap_or_default().contains(&secret[..13]), "{relation} shows more than 12 characters");
    }
    assert!(!cluster().log().contains(&secret[..13]), "the log of the server has the secret");
}

#[test]
fn invalid_arguments_are_refused_with_detail_and_hint() {
    let mut bench = bench("refused");
    let ok = "'https://example.com/', '{ticket.created}'";
    bench.run(&format!("BEGIN; SELECT hydra.webhook_create({ok}); ROLLBACK"));
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
        // Limits are for the time that an interval lasts. These compare as 1 s and 6 days.
        "timeout => '12 mons -360 days 1 s'",
        "timeout => '71582788 mons -2147483640 days 1 s'",
        "timeout => '-12 mons 360 days 10 s'",
        "retry_schedule => '{12 mons -354 days}'",
        "retry_schedule => '{1 s,-12 mons 361 days}'",
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
        "disable_after_time => '-1 s'",
        "disable_after_time => '31 days'",
        "disable_after_time => '12 mons -300 days'",
    ];
    let known_code = |policy: &str| if policy.starts_with("preset") { "42704" } else { "22023" };
    for policy in policies {
        bench.refused(&format!("SELECT hydra.webhook_create({ok}, {policy})"), known_code(policy));
    }
    for types in ["'{}'", "'{NULL}'", "'{ticket.created,NULL}'", "'{{ticket.created},{ticket.resolved}}'"] {
        bench.refused(&format!("SELECT hydra.webhook_create('https://example.com/', {types})"), "22023");
    }
    let unknown =
        bench.refused("SELECT hydra.webhook_create('https://example.com/', '{ticket.created,ticket.lost}')", "42704");
    assert!(
        unknown.message.contains("\"ticket.lost\"") && unknown.hint.contains("webhook_register_event_type"),
        "{unknown:?}"
    );
    bench.refused("SELECT hydra.webhook_create('https://example.com/', '{\"\"}')", "42704");
    bench.refused("SELECT hydra.webhook_create(NULL, '{ticket.created}')", "22004");
    bench.refused("SELECT hydra.webhook_create('https://example.com/', NULL)", "22004");

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
        let refusal = bench.refused(&format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}')"), "22023");
        assert!(!refusal.message.contains("hunter2") && !refusal.detail.contains("hunter2"), "{refusal:?}");
    }
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.subscription"), 0);
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.signing_secret"), 0);
}

#[test]
fn by_default_only_https_to_public_addresses_is_allowed() {
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
    let mut bench = bench("reserved");
    for name in ["webhook.test", "webhook.anything"] {
        let subscribing = bench.refusal(&format!("SELECT hydra.webhook_create('https://example.com/', '{{{name}}}')"));
        assert!(
            !subscribing.hint.contains("webhook_register_event_type"),
            "advice that cannot be followed: {subscribing:?}"
        );
        bench.refused(&format!("SELECT hydra.webhook_register_event_type('{name}', 'x')"), "42939");
    }
}

#[test]
fn an_event_type_or_signature_that_is_named_twice_is_sent_once() {
    let mut bench = bench("twice");
    let types = "ticket.created,ticket.created";
    let (_, secret) = bench.subscribe("/types", types, &[]);
    bench.receiver.secret("/types", &secret);
    bench.emit_ticket("1");
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received("/types"), 1);

    let create = format!(
        "SELECT id FROM hydra.webhook_create('{}', '{{ticket.created}}', signatures => '{{hydra,hydra}}')",
        bench.receiver.url("/signatures")
    );
    // It may be refused instead.
    if bench.client.batch_execute(&create).is_ok() {
        bench.emit_ticket("2");
        let requests = bench.wait_for("/signatures", 1);
        let count =
            requests[0].headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("X-Hydra-Signature")).count();
        assert_eq!(count, 1, "the header is there once");
    }
}

#[test]
fn every_function_refuses_ids_that_do_not_exist() {
    let mut bench = bench("unknown");
    for id in ["NULL", "0", "-1", "42", "9223372036854775807"] {
        for function in ["update", "pause", "resume", "delete", "rotate_secret", "send_test"] {
            let refusal = bench.refused(&format!("SELECT hydra.webhook_{function}({id})"), "42704");
            assert!(refusal.message.contains(&id.to_lowercase()), "{refusal:?}");
        }
    }
    // A delivery may have been finished a moment ago, which is no error.
    for function in ["retry", "cancel"] {
        bench.refused(&format!("SELECT hydra.webhook_{function}(NULL)"), "22004");
        let unknown = format!("SELECT hydra.webhook_{function}('00000000-0000-0000-0000-000000000000')");
        assert_eq!(bench.ask::<i64>(&unknown), 0);
    }
}

#[test]
fn event_types_can_be_registered_and_changed_and_invalid_ones_are_refused() {
    let mut bench = bench("types");
    let of = |client: &mut Client, name: &str| -> String {
        ask(
            client,
            &format!(
                "SELECT concat_ws('|', description, entity_type, id_key, origin) FROM hydra.webhook_event_types WHERE name = '{name}'"
            ),
        )
    };
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM hydra.webhook_event_types WHERE origin = 'catalogue'"), 25);
    bench.run("SELECT hydra.webhook_register_event_type('order.paid')");
    assert_eq!(of(&mut bench.client, "order.paid"), "|order|id|application");
    bench.run("SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid', 'purchase', 'number')");
    assert_eq!(of(&mut bench.client, "order.paid"), "An order was paid|purchase|number|application");
    bench.run("SELECT hydra.webhook_register_event_type('order.paid')");
    assert_eq!(
        of(&mut bench.client, "order.paid"),
        "An order was paid|purchase|number|application",
        "null changes nothing"
    );
    bench.subscribe("/", "order.paid", &[]);

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
        bench.refused(&format!("SELECT hydra.webhook_register_event_type({name}, 'x')"), "22023");
    }
    bench.refused("SELECT hydra.webhook_register_event_type('a.b', entity_type => '')", "22023");
    bench.refused("SELECT hydra.webhook_register_event_type('a.b', id_key => '')", "22023");
}

#[test]
fn everything_in_the_schema_has_a_comment() {
    let mut bench = bench("comments");
    let missing: Vec<String> = bench.client
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

#[test]
fn texts_that_no_receiver_needs_are_refused_for_their_length() {
    let mut bench = bench("lengths");
    let url = bench.receiver.url("/");
    let create = |more: &str| format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}', {more})");
    for wrong in [
        "tenant_id => repeat('x', 1025)",
        "filter => ('$.a == \"' || repeat('x', 20000000) || '\"')::jsonpath",
        "signatures => array_fill('hydra'::text, ARRAY[100000])",
        "headers => jsonb_build_object('X-A', repeat('x', 20000000))",
        "name => repeat('x', 20000000)",
    ] {
        let refusal = bench.refused(&create(wrong), "22023");
        assert!(refusal.message.len() + refusal.detail.len() + refusal.hint.len() < 1000, "{refusal:?}");
    }
    for event_types in ["array_fill('ticket.created'::text, ARRAY[100000])", "ARRAY[repeat('x', 20000000)]"] {
        let refusal = bench.refused(&format!("SELECT hydra.webhook_create('{url}', {event_types})"), "22023");
        assert!(refusal.message.len() + refusal.detail.len() + refusal.hint.len() < 1000, "{refusal:?}");
    }
    for wrong in ["entity_type =>", "id_key =>", "description =>"] {
        let register = format!("SELECT hydra.webhook_register_event_type('a.b', {wrong} repeat('x', 50000000))");
        bench.refused(&register, "22023");
    }

    // As long as they may be.
    bench.run(&create(
        "tenant_id => repeat('x', 1024), name => repeat('x', 200), filter => ('$.a == \"' || repeat('x', 8000) || '\"')::jsonpath",
    ));
    bench.run("SELECT hydra.webhook_register_event_type('a.b', repeat('x', 1000), repeat('x', 200), repeat('x', 200))");
}
