//! Statements that many requests run.

use serde_json::json;
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
