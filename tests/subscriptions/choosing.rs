//! Which events a subscription receives: wildcards, tenants and filters; and `webhook_would_match`, which tries them.

use std::sync::OnceLock;

use postgres::Client;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver};
use testkit::{PATIENCE, ask, refused, run, start_shared_cluster, subscribe, wait_for_empty_queue};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

fn bench(database: &str) -> (Client, Receiver) {
    (cluster().create_database(database), Receiver::start())
}

fn emit(client: &mut Client, event_type: &str, entity: &str) {
    client.query("SELECT hydra.webhook_emit($1, $2::text::jsonb)", &[&event_type, &entity]).expect("it is emitted");
}

/// Event type and entity id of what came in, sorted, when nothing more is to come.
fn received(client: &mut Client, receiver: &Receiver, path: &str) -> Vec<String> {
    wait_for_empty_queue(client);
    let requests = receiver.requests(path);
    let mut seen: Vec<String> = requests
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
            format!("{} {}", body["event"].as_str().expect("a type"), body["data"]["entity_id"].as_str().unwrap_or("-"))
        })
        .collect();
    seen.sort();
    seen
}

fn would_match(client: &mut Client, id: i64, event_type: &str, entity: &str) -> bool {
    let row =
        client.query_one("SELECT hydra.webhook_would_match($1, $2, $3::text::jsonb)", &[&id, &event_type, &entity]);
    row.expect("it can be told").get(0)
}

#[test]
fn a_star_names_all_event_types_and_one_after_a_dot_those_that_begin_so() {
    let (mut client, receiver) = bench("wildcards");
    subscribe(&mut client, &receiver.url("/all"), "*", &[]);
    subscribe(&mut client, &receiver.url("/tickets"), "ticket.*", &[]);
    subscribe(&mut client, &receiver.url("/several"), "ticket.created,ticket.*,part.created,*", &[]);
    for event_type in ["ticket.created", "ticket.resolved", "part.created"] {
        emit(&mut client, event_type, r#"{"id": 1}"#);
    }
    let all = ["part.created 1", "ticket.created 1", "ticket.resolved 1"];
    assert_eq!(received(&mut client, &receiver, "/all"), all);
    assert_eq!(received(&mut client, &receiver, "/tickets"), all[1..]);
    assert_eq!(received(&mut client, &receiver, "/several"), all, "each once");
}

#[test]
fn an_event_type_that_is_registered_later_is_named_by_a_star_too() {
    let (mut client, receiver) = bench("wildcards_later");
    subscribe(&mut client, &receiver.url("/"), "*", &[]);
    run(&mut client, "SELECT hydra.webhook_register_event_type('order.paid')");
    emit(&mut client, "order.paid", r#"{"id": 1}"#);
    assert_eq!(received(&mut client, &receiver, "/"), ["order.paid 1"]);
}

#[test]
fn a_star_anywhere_else_or_one_that_names_nothing_is_refused() {
    let (mut client, receiver) = bench("wildcards_refused");
    let url = receiver.url("/");
    for wrong in ["tick*", "*.created", "ticket.*.x", "**", "tikcet.*", "*."] {
        refused(&mut client, &format!("SELECT hydra.webhook_create('{url}', '{{{wrong}}}')"), "42704");
    }
    refused(&mut client, &format!("SELECT hydra.webhook_create('{url}', '{{webhook.other}}')"), "42939");
}

#[test]
fn a_filter_lets_pass_what_its_path_finds() {
    let (mut client, receiver) = bench("filters");
    let filters = [
        ("/predicate", r#"$.priority == "high""#),
        ("/part", "$.items[*] ? (@.quantity > 3)"),
        ("/flag", "$.vip"),
        ("/strict", "strict $.missing"),
        ("/dates", r#"$.day.datetime() < "2026-06-01".datetime()"#),
    ];
    for (path, filter) in filters {
        subscribe(&mut client, &receiver.url(path), "ticket.created", &[&format!("filter => '{filter}'")]);
    }
    subscribe(&mut client, &receiver.url("/unfiltered"), "ticket.created", &[]);
    for entity in [
        r#"{"id": 1, "priority": "high", "vip": false, "day": "2026-05-01"}"#,
        r#"{"id": 2, "priority": "low", "vip": true, "items": [{"quantity": 1}, {"quantity": 4}], "day": "2026-07-01"}"#,
        r#"{"id": 3, "vip": null, "items": [], "day": "never"}"#,
    ] {
        emit(&mut client, "ticket.created", entity);
    }
    let expected = |ids: &[i32]| ids.iter().map(|id| format!("ticket.created {id}")).collect::<Vec<_>>();
    assert_eq!(received(&mut client, &receiver, "/unfiltered"), expected(&[1, 2, 3]));
    for (path, ids) in [("/predicate", &[1][..]), ("/part", &[2]), ("/flag", &[2]), ("/strict", &[]), ("/dates", &[1])]
    {
        assert_eq!(received(&mut client, &receiver, path), expected(ids), "{path}");
    }
}

#[test]
fn a_filter_looks_at_rows_at_both_levels_and_an_event_that_nobody_lets_pass_is_not_written() {
    let (mut client, receiver) = bench("filters_rows");
    subscribe(&mut client, &receiver.url("/"), "part.*", &["filter => '$.stock > 5'"]);
    run(
        &mut client,
        "CREATE TABLE part (id int, stock int);
         SELECT hydra.webhook_watch('part', 'part.created', 'insert');
         SELECT hydra.webhook_watch('part', 'part.stock_updated', 'update', level => 'statement');
         INSERT INTO part VALUES (1, 1), (2, 6);
         UPDATE part SET stock = stock + 5",
    );
    assert_eq!(
        received(&mut client, &receiver, "/"),
        ["part.created 2", "part.stock_updated 1", "part.stock_updated 2"]
    );
    let id: Option<i64> = ask(&mut client, r#"SELECT hydra.webhook_emit('part.created', '{"stock": 1}')"#);
    assert_eq!(id, None);
}

#[test]
fn where_a_filter_cannot_tell_the_event_passes() {
    let (mut client, receiver) = bench("filters_unsure");
    subscribe(&mut client, &receiver.url("/"), "ticket.created", &["filter => '$.priority == \"high\"'"]);
    // json keeps what jsonb cannot hold; and what is too large is sent without its entity.
    run(
        &mut client,
        r#"CREATE TABLE ticket (id int, payload json);
           SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert');
           INSERT INTO ticket VALUES (1, '"\u0000"'), (2, to_json(repeat('x', 300000)))"#,
    );
    assert_eq!(received(&mut client, &receiver, "/"), ["ticket.created 1", "ticket.created 2"]);
}

#[test]
fn a_filter_that_is_no_path_or_looks_at_variables_is_refused_and_a_dollar_takes_it_away() {
    let (mut client, receiver) = bench("filters_refused");
    let url = receiver.url("/");
    let create = |filter: &str| {
        format!("SELECT id FROM hydra.webhook_create('{url}', '{{ticket.created}}', filter => '{filter}')")
    };
    assert_eq!(testkit::refusal(&mut client, &create("$.a ==")).code, "42601");
    refused(&mut client, &create("$.a == $b"), "22023");
    let id: i64 = ask(&mut client, &create(r#"$.currency == "US$" || $.name == "$\"x\"""#));
    run(&mut client, &format!("SELECT hydra.webhook_update({id}, filter => '$')"));
    let filter: Option<String> =
        ask(&mut client, &format!("SELECT filter::text FROM hydra.webhook_subscriptions WHERE id = {id}"));
    assert_eq!(filter, None);
}

#[test]
fn would_match_says_what_an_emit_would_do() {
    let (mut client, receiver) = bench("would_match");
    let more = ["tenant_id => 'acme'", "filter => '$.priority == \"high\"'"];
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.*", &more);
    let cases = [
        ("ticket.created", r#"{"id": 1, "tenant_id": "acme", "priority": "high"}"#, true),
        ("ticket.created", r#"{"id": 2, "tenant_id": "acme", "priority": "low"}"#, false),
        ("ticket.created", r#"{"id": 3, "tenant_id": "other", "priority": "high"}"#, false),
        ("ticket.created", r#"{"id": 4, "priority": "high"}"#, false),
        ("part.created", r#"{"id": 5, "tenant_id": "acme", "priority": "high"}"#, false),
        ("ticket.resolved", r#"["high"]"#, false),
    ];
    for (event_type, entity, expected) in cases {
        assert_eq!(would_match(&mut client, id, event_type, entity), expected, "{event_type} {entity}");
        let emitted = client
            .query_one("SELECT hydra.webhook_emit($1, $2::text::jsonb) IS NOT NULL", &[&event_type, &entity])
            .expect("it can be emitted");
        assert_eq!(emitted.get::<_, bool>(0), expected, "{event_type} {entity}");
    }
    let passed: bool = ask(
        &mut client,
        &format!(r#"SELECT hydra.webhook_would_match({id}, 'ticket.created', '{{"priority": "high"}}', 'acme')"#),
    );
    assert!(passed, "the tenant that is passed counts");
    refused(&mut client, "SELECT hydra.webhook_would_match(99, 'ticket.created', '{}')", "42704");
    refused(&mut client, &format!("SELECT hydra.webhook_would_match({id}, 'no.such', '{{}}')"), "42704");
}

#[test]
fn a_failed_window_is_replayed_and_nothing_else_is() {
    let (mut client, receiver) = bench("replay");
    receiver.answer_first("/", 3, Answer::status(500));
    let (id, _) =
        subscribe(&mut client, &receiver.url("/"), "ticket.created", &["retry_schedule => '{}'", "max_in_flight => 1"]);
    let mut moments: Vec<String> = Vec::new();
    for number in 1..=3 {
        moments.push(ask(&mut client, "SELECT clock_timestamp()::text"));
        emit(&mut client, "ticket.created", &format!(r#"{{"id": {number}}}"#));
    }
    wait_until("all were given up", PATIENCE, || ask(&mut client, "SELECT count(*) = 3 FROM hydra.webhook_failed"));
    let replay = |since: &str, until: &str| format!("SELECT hydra.webhook_replay({id}, '{since}', '{until}')");
    let replayed: i64 = ask(&mut client, &replay(&moments[1], &moments[2]));
    assert_eq!(replayed, 1);
    let requests = receiver.wait_for("/", 4, PATIENCE);
    assert_eq!(requests[3].delivery_id(), requests[1].delivery_id());
    wait_for_empty_queue(&mut client);
    let left: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_failed");
    assert_eq!(left, 2);
    let rest: i64 = ask(&mut client, &replay("-infinity", "infinity"));
    assert_eq!(rest, 2);
    receiver.wait_for("/", 6, PATIENCE);
    refused(&mut client, &replay("2026-01-02", "2026-01-01"), "22023");
    refused(&mut client, &format!("SELECT hydra.webhook_replay({id}, NULL, now())"), "22023");
    refused(&mut client, "SELECT hydra.webhook_replay(99, '-infinity', 'infinity')", "42704");
}
