//! Statements that many requests run.

use postgres::SimpleQueryMessage;
use serde_json::{Value, json};
use testkit::{Bench, Cluster, Need, lacks};

use crate::{Request, cluster};

const CALLS: i64 = 30;

#[test]
fn the_statement_that_finds_a_tool_is_planned_a_few_times_for_each_session_and_not_for_each_call() {
    if lacks(&mut cluster().connect("first"), Need::Contrib("pg_stat_statements")) {
        return;
    }
    let cluster = Cluster::start(&[
        ("shared_preload_libraries", "pg_stat_statements, hydra_webhooks"),
        ("pg_stat_statements.track", "all"),
        ("pg_stat_statements.track_planning", "on"),
    ]);
    let mut bench = Bench::new(&cluster, "plans");
    bench.run(
        "CREATE EXTENSION pg_stat_statements;
         CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway;
         CREATE FUNCTION public.answer() RETURNS int LANGUAGE sql STABLE AS 'SELECT 42';
         COMMENT ON FUNCTION public.answer IS 'Returns the answer.';
         SELECT hydra.tool_register('public.answer()', scope => 'answers:read')",
    );
    let key: String = bench.ask("SELECT key FROM hydra.api_key_create('x', '{mcp,answers:read}', tenant_id => 'acme')");
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "answer", "arguments": {}}});
    let body = message.to_string();
    let headers = r#"[["content-type", "application/json"], ["mcp-protocol-version", "2025-11-25"]]"#;
    let mut gateway = cluster.connect_as("plans", "far_gateway");
    for _ in 0..CALLS {
        let request = Request { body: body.as_bytes(), headers, ..Request::new("mcp", Some(&key), "POST", "/mcp") };
        let answer = request.make(&mut gateway).json();
        assert_eq!(answer["result"]["structuredContent"], json!({"result": 42}), "{answer}");
    }
    let row = bench.client.query_one(
        "SELECT sum(calls)::bigint, sum(plans)::bigint FROM pg_stat_statements
         WHERE query LIKE '%AS tool' || chr(10) || 'FROM hydra.tool AS t%'",
        &[],
    );
    let row = row.expect("the statistics can be read");
    let (calls, plans): (i64, i64) = (row.get(0), row.get(1));
    assert!(calls >= CALLS && plans < 10, "{calls} calls, {plans} plans");
}

/// A database in whose retry queue very many deliveries wait and few have failed.
fn queue(database: &str) -> Bench<'static> {
    let mut bench = Bench::new(cluster(), database);
    // The subscriptions do not exist, so a dispatcher would remove their deliveries.
    bench.run("SELECT hydra.webhook_park()");
    bench.run(
        "INSERT INTO hydra.delivery (id, subscription_id, event_id, event_random, installation, event_type, entity_type, emitted_at,
                                     preset, body, state, due_at, failed_at)
         SELECT gen_random_uuid(), CASE WHEN n % 5000 = 0 THEN 1002 ELSE 1001 END, n, 0, gen_random_uuid(), 'ticket.created', 'ticket',
                now(), 'hydra', '{}', CASE WHEN failed THEN 'failed' ELSE 'pending' END,
                CASE WHEN NOT failed THEN now() + interval '1 d' END, CASE WHEN failed THEN now() END
         FROM generate_series(1, 20000) AS n CROSS JOIN LATERAL (SELECT n % 7000 = 0) AS f (failed)",
    );
    bench.run("VACUUM ANALYZE hydra.delivery");
    bench
}

/// The plan of a statement that was prepared, with what it has read.
fn plan(bench: &mut Bench<'_>, execute: &str) -> String {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS) {execute}");
    let lines = bench.client.query(&explain, &[]).unwrap_or_else(|error| panic!("{execute}: {error:?}"));
    lines.iter().map(|line| line.get::<_, String>(0) + "\n").collect()
}

/// The blocks that a plan has read.
fn blocks(plan: &str) -> u64 {
    let first = plan.lines().find(|line| line.trim_start().starts_with("Buffers: ")).expect("it has read something");
    let counts = first.split([' ', '=']).filter_map(|part| part.parse::<u64>().ok());
    counts.sum()
}

#[test]
fn deliveries_in_a_state_or_of_a_webhook_are_listed_without_reading_all_that_wait() {
    let mut bench = queue("plan_of_deliveries");
    bench.run(&format!(
        "SET plan_cache_mode = force_custom_plan; SET search_path = pg_catalog;
         PREPARE list (text, text, text, text, text, bigint, boolean) AS {}",
        include_str!("../../sql/queries/api_webhook_deliveries.sql")
    ));
    for (filters, expected) in [
        ("NULL, 'failed'", 2),
        ("NULL, 'sending'", 0),
        ("NULL, 'delivered'", 0),
        ("'1002', NULL", 4),
        ("'1002', 'pending'", 4),
    ] {
        let execute = format!("EXECUTE list (NULL, NULL, NULL, {filters}, 51, true)");
        let ids: Vec<String> =
            bench.client.query(&execute, &[]).expect("a list").iter().map(|row| row.get("key")).collect();
        assert_eq!(ids.len(), expected, "{filters}");
        assert!(ids.is_sorted(), "{filters}: {ids:?}");
        let plan = plan(&mut bench, &execute);
        assert!(blocks(&plan) < 100, "{filters}: {plan}");
    }
    // All of them are in the order of the primary key.
    let plan = plan(&mut bench, "EXECUTE list (NULL, NULL, NULL, NULL, NULL, 3, true)");
    assert!(blocks(&plan) < 100, "{plan}");
}

#[test]
fn the_status_counts_what_failed_and_what_is_being_sent_without_reading_all_that_waits() {
    let mut bench = queue("plan_of_status");
    bench.run(&format!("PREPARE status AS {}", include_str!("../../sql/queries/tool_system_status.sql")));
    let rows = bench.client.simple_query("EXECUTE status").expect("a status");
    let status = rows.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let status: Value = serde_json::from_str(status.expect("a row")).expect("JSON");
    assert_eq!(status["deliveries"], json!({"pending": 19_998, "failed": 2}));
    let plan = plan(&mut bench, "EXECUTE status");
    for index in ["delivery_failed", "delivery_claimed"] {
        assert!(plan.contains(index), "{index}: {plan}");
    }
}
