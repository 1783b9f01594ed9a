//! Which events a subscription receives: wildcards, tenants, filters, and `webhook_would_match`, which tries them.

use std::time::Instant;

use serde_json::Value;
use testkit::receiver::entity_ids;
use testkit::{Bench, PATIENCE};

use crate::bench;

/// Event type and entity id of each request, sorted, once the queue is empty.
fn received(bench: &mut Bench, path: &str) -> Vec<String> {
    bench.wait_for_empty_queue();
    let requests = bench.receiver.requests(path);
    let bodies = requests.iter().map(|request| request.json());
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut received: Vec<String> =
        bodies.map(|body| format!("{} {}", text(&body["event"]), text(&body["data"]["entity_id"]))).collect();
    received.sort();
    received
}

fn would_match(bench: &mut Bench, id: i64, event_type: &str, entity: &str) -> bool {
    let sql = "SELECT hydra.webhook_would_match($1, $2, $3::text::jsonb)";
    bench.client.query_one(sql, &[&id, &event_type, &entity]).expect("it says yes or no").get(0)
}

#[test]
fn a_star_matches_all_event_types_and_a_prefix_with_a_star_those_of_its_group() {
    let mut bench = bench("wildcards");
    bench.subscribe("/all", "*", &[]);
    bench.subscribe("/tickets", "ticket.*", &[]);
    bench.subscribe("/several", "ticket.created,ticket.*,part.created,*", &[]);
    for event_type in ["ticket.created", "ticket.resolved", "part.created"] {
        bench.emit(event_type, r#"{"id": 1}"#);
    }
    let all = ["part.created 1", "ticket.created 1", "ticket.resolved 1"];
    assert_eq!(received(&mut bench, "/all"), all);
    assert_eq!(received(&mut bench, "/tickets"), all[1..]);
    assert_eq!(received(&mut bench, "/several"), all, "each once");
}

#[test]
fn a_star_matches_event_types_that_are_registered_later() {
    let mut bench = bench("wildcards_later");
    bench.subscribe("/", "*", &[]);
    bench.run("SELECT hydra.webhook_register_event_type('order.paid')");
    bench.emit("order.paid", r#"{"id": 1}"#);
    assert_eq!(received(&mut bench, "/"), ["order.paid 1"]);
}

#[test]
fn a_star_in_another_place_or_one_that_matches_nothing_is_refused() {
    let mut bench = bench("wildcards_refused");
    let url = bench.receiver.url("/");
    for wrong in ["tick*", "*.created", "ticket.*.x", "**", "tikcet.*", "*."] {
        bench.refused(&format!("SELECT hydra.webhook_create('{url}', '{{{wrong}}}')"), "42704");
    }
    bench.refused(&format!("SELECT hydra.webhook_create('{url}', '{{webhook.other}}')"), "42939");
}

#[test]
fn a_filter_passes_events_in_which_its_path_finds_something() {
    let mut bench = bench("filters");
    let filters = [
        ("/predicate", r#"$.priority == "high""#),
        ("/part", "$.items[*] ? (@.quantity > 3)"),
        ("/flag", "$.vip"),
        ("/strict", "strict $.missing"),
        ("/dates", r#"$.day.datetime() < "2026-06-01".datetime()"#),
    ];
    for (path, filter) in filters {
        bench.subscribe(path, "ticket.created", &[&format!("filter => '{filter}'")]);
    }
    bench.subscribe("/unfiltered", "ticket.created", &[]);
    for entity in [
        r#"{"id": 1, "priority": "high", "vip": false, "day": "2026-05-01"}"#,
        r#"{"id": 2, "priority": "low", "vip": true, "items": [{"quantity": 1}, {"quantity": 4}], "day": "2026-07-01"}"#,
        r#"{"id": 3, "vip": null, "items": [], "day": "never"}"#,
    ] {
        bench.emit("ticket.created", entity);
    }
    let expected = |ids: &[i32]| ids.iter().map(|id| format!("ticket.created {id}")).collect::<Vec<_>>();
    assert_eq!(received(&mut bench, "/unfiltered"), expected(&[1, 2, 3]));
    for (path, ids) in [("/predicate", &[1][..]), ("/part", &[2]), ("/flag", &[2]), ("/strict", &[]), ("/dates", &[1])]
    {
        assert_eq!(received(&mut bench, path), expected(ids), "{path}");
    }
}

#[test]
fn filters_apply_to_watches_of_both_levels_and_an_event_that_passes_none_is_not_written() {
    let mut bench = bench("filters_rows");
    bench.subscribe("/", "part.*", &["filter => '$.stock > 5'"]);
    bench.run(
        "CREATE TABLE part (id int, stock int);
         SELECT hydra.webhook_watch('part', 'part.created', 'insert');
         SELECT hydra.webhook_watch('part', 'part.stock_updated', 'update', level => 'statement');
         INSERT INTO part VALUES (1, 1), (2, 6);
         UPDATE part SET stock = stock + 5",
    );
    assert_eq!(received(&mut bench, "/"), ["part.created 2", "part.stock_updated 1", "part.stock_updated 2"]);
    assert_eq!(bench.emit("part.created", r#"{"stock": 1}"#), None);
}

#[test]
fn an_event_passes_a_filter_that_cannot_be_evaluated() {
    let mut bench = bench("filters_unsure");
    bench.subscribe("/", "ticket.created", &["filter => '$.priority == \"high\"'"]);
    // json can hold values that jsonb cannot, and an entity that is too large is not sent.
    bench.run(
        r#"CREATE TABLE ticket (id int, payload json);
           SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert');
           INSERT INTO ticket VALUES (1, '"\u0000"'), (2, to_json(repeat('x', 300000)))"#,
    );
    assert_eq!(received(&mut bench, "/"), ["ticket.created 1", "ticket.created 2"]);
}

#[test]
fn very_many_slow_filters_hold_up_the_application_for_a_short_time_only() {
    let mut bench = bench("filters_together");
    // Each takes some dozens of milliseconds to find nothing.
    bench.run(
        "SELECT hydra.webhook_park();
         SELECT count(hydra.webhook_create('http://127.0.0.1:9/', '{ticket.created}', filter => '$.a[*] ? (exists ($.a[*] ? (@ == -1)))'))
         FROM generate_series(1, 300)",
    );
    bench.run(
        "SELECT hydra.webhook_emit('ticket.created', (SELECT jsonb_build_object('a', jsonb_agg(n)) FROM generate_series(1, 1000) AS n))",
    );
    let sent: i64 = bench.ask("SELECT cardinality(targets)::bigint FROM hydra.event");
    assert!((1..300).contains(&sent), "to {sent}");
    assert!(crate::cluster().log().contains("the filters of an event took too long together"));
}

#[test]
fn a_filter_that_never_ends_does_not_hold_up_the_application_and_the_event_passes() {
    let mut bench = bench("filters_endless");
    let combinations = |inner: String, _| format!("exists ($.a[*] ? ({inner}))");
    let filter = format!("$ ? ({})", (0..12).fold("@ == -1".to_owned(), combinations));
    bench.subscribe("/endless", "ticket.*,part.*", &[&format!("filter => '{filter}'")]);
    bench.subscribe("/other", "ticket.*", &["filter => '$.a[0] == 1'"]);
    let entity = "(SELECT jsonb_build_object('a', jsonb_agg(n)) FROM generate_series(1, 1000) AS n)";
    let started = Instant::now();
    for _ in 0..20 {
        bench.run(&format!("SELECT hydra.webhook_emit('ticket.created', {entity})"));
    }
    assert!(started.elapsed() < PATIENCE, "the session does not wait again for a filter that took too long");
    bench.wait_for("/endless", 20);
    bench.wait_for("/other", 20);
    // A cancel by a user and a time limit of the session still end the statement.
    let (id, _) = bench.subscribe("/again", "part.created", &[&format!("filter => '{filter}'")]);
    bench.run("SET statement_timeout = '100ms'");
    assert_eq!(bench.refusal(&format!("SELECT hydra.webhook_emit('part.created', {entity})")).code, "57014");
    bench.run(&format!("RESET statement_timeout; SELECT hydra.webhook_delete({id})"));
}

#[test]
fn a_filter_that_is_not_a_path_or_uses_variables_is_refused_and_a_dollar_removes_it() {
    let mut bench = bench("filters_refused");
    let url = bench.receiver.url("/");
    let create = |filter: &str| {
        format!("SELECT id FROM hydra.webhook_create('{url}', '{{ticket.created}}', filter => '{filter}')")
    };
    assert_eq!(bench.refusal(&create("$.a ==")).code, "42601");
    bench.refused(&create("$.a == $b"), "22023");
    let id: i64 = bench.ask(&create(r#"$.currency == "US$" || $.name == "$\"x\"""#));
    bench.run(&format!("SELECT hydra.webhook_update({id}, filter => '$')"));
    let filter: Option<String> =
        bench.ask(&format!("SELECT filter::text FROM hydra.webhook_subscriptions WHERE id = {id}"));
    assert_eq!(filter, None);
}

#[test]
fn would_match_says_what_an_emit_would_do() {
    let mut bench = bench("would_match");
    let more = ["tenant_id => 'acme'", "filter => '$.priority == \"high\"'"];
    let (id, _) = bench.subscribe("/", "ticket.*", &more);
    let cases = [
        ("ticket.created", r#"{"id": 1, "tenant_id": "acme", "priority": "high"}"#, true),
        ("ticket.created", r#"{"id": 2, "tenant_id": "acme", "priority": "low"}"#, false),
        ("ticket.created", r#"{"id": 3, "tenant_id": "other", "priority": "high"}"#, false),
        ("ticket.created", r#"{"id": 4, "priority": "high"}"#, false),
        ("part.created", r#"{"id": 5, "tenant_id": "acme", "priority": "high"}"#, false),
        ("ticket.resolved", r#"["high"]"#, false),
    ];
    for (event_type, entity, expected) in cases {
        assert_eq!(would_match(&mut bench, id, event_type, entity), expected, "{event_type} {entity}");
        assert_eq!(bench.emit(event_type, entity).is_some(), expected, "{event_type} {entity}");
    }
    let passed: bool = bench
        .ask(&format!(r#"SELECT hydra.webhook_would_match({id}, 'ticket.created', '{{"priority": "high"}}', 'acme')"#));
    assert!(passed, "the tenant argument applies");
    bench.refused("SELECT hydra.webhook_would_match(99, 'ticket.created', '{}')", "42704");
    bench.refused(&format!("SELECT hydra.webhook_would_match({id}, 'no.such', '{{}}')"), "42704");
}

#[test]
fn a_subscription_of_a_tenant_gets_only_its_events_and_one_without_a_tenant_gets_all() {
    let mut bench = bench("tenants");
    bench.subscribe("/acme", "ticket.created", &["tenant_id => 'acme'"]);
    bench.subscribe("/globex", "ticket.created", &["tenant_id => 'globex'"]);
    bench.subscribe("/all", "ticket.created,ticket.resolved", &[]);
    for (id, event, tenant) in [
        ("a", "ticket.created", "'acme'"),
        ("g", "ticket.created", "'globex'"),
        ("n", "ticket.created", "NULL"),
        ("x", "ticket.created", "'ACME'"),
        ("r", "ticket.resolved", "'acme'"),
    ] {
        bench.run(&format!("SELECT hydra.webhook_emit('{event}', '{{\"id\": \"{id}\"}}', {tenant})"));
    }
    bench.wait_for_empty_queue();
    let received = |path: &str| {
        let mut ids = entity_ids(&bench.receiver.requests(path));
        ids.sort();
        ids.concat()
    };
    assert_eq!([received("/acme"), received("/globex"), received("/all")], ["a", "g", "agnrx"]);
}

#[test]
fn a_filter_keeps_its_meaning_however_postgres_prints_it() {
    let mut bench = bench("filter_meaning");
    let (id, _) = bench.subscribe("/", "ticket.created", &["filter => '($.price * $.qty).floor() > 100'"]);
    let entity = r#"{"id": 1, "price": 60, "qty": 1.9}"#;
    assert!(would_match(&mut bench, id, "ticket.created", entity));
    bench.emit("ticket.created", entity);
    // A change of something else does not change the filter.
    bench.run(&format!("SELECT hydra.webhook_update({id}, name => 'renamed')"));
    bench.emit("ticket.created", entity);
    assert_eq!(received(&mut bench, "/"), ["ticket.created 1", "ticket.created 1"]);

    bench.run(&format!("SELECT hydra.webhook_update({id}, filter => '($.price - $.qty).abs() > 100')"));
    assert!(!would_match(&mut bench, id, "ticket.created", entity));
    assert_eq!(bench.emit("ticket.created", entity), None);
    bench.run(&format!("SELECT hydra.webhook_update({id}, filter => '$')"));
    assert!(bench.ask::<bool>(&format!("SELECT filter IS NULL FROM hydra.subscription WHERE id = {id}")));
}
