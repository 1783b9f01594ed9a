//! Entities: how rows are written as JSON, and what happens to those that are too large.

use std::fs;

use postgres::Client;
use serde_json::Value;
use testkit::{Bench, Need, ask, lacks, run};

use crate::{bench, settle, settle_one, split_timestamp, text, trigger, watch};

/// A number that has a few bytes in `jsonb` and 131 kB as text.
const LONG_NUMBER: &str = "1e131071";

#[test]
fn a_row_is_sent_as_postgres_writes_it_as_json() {
    let mut bench = bench("payloads");
    bench.run(
        r#"CREATE TYPE mood AS ENUM ('sad "but" true', 'ok');
           CREATE TYPE point3 AS (x int, "Y y" text, z numeric[]);
           CREATE DOMAIN positive AS int CHECK (VALUE > 0);
           CREATE DOMAIN document AS jsonb;"#,
    );
    let xml = if lacks(&mut bench.client, Need::Xml) { "text" } else { "xml" };
    let columns = format!(
        r#"id uuid DEFAULT gen_random_uuid(), plain json, nested jsonb, "f4" float4, f8 float8, n numeric, t text, b bytea,
           "Ünï ""cödé""" text, "with space" int, "a'b\c" text, "SELECT" text, arr int[], texts text[][], comp point3,
           comps point3[], m mood, moods mood[], p positive, d document, ts timestamptz, ds date, iv interval,
           r int4range, mr int4multirange, bits bit varying, ip inet, x {xml}, tsv tsvector, tid tid, c "char",
           g int GENERATED ALWAYS AS (1 + 1) STORED, gone int, bool bool, money money, tenant_id int"#
    );
    watch(&mut bench, &columns);
    bench.run("ALTER TABLE ticket DROP COLUMN gone");
    bench.run("ALTER TABLE ticket ADD COLUMN late text DEFAULT 'filled in'");
    let rows = [
        "(id) VALUES (DEFAULT)".to_owned(),
        r#"(plain) VALUES ('{"z": "\u0000", "a" : 1, "a":2}')"#.into(),
        r#"(plain) VALUES (E'{\n\t"k":\n  "\\ud83d\\ude00"}')"#.into(),
        format!("(nested) VALUES ('{}1{}')", "[".repeat(3000), "]".repeat(3000)),
        format!("(nested) VALUES ('{}1{}')", "{\"a\":".repeat(3000), "}".repeat(3000)),
        format!("(plain) VALUES ('{}1{}')", "[".repeat(3000), "]".repeat(3000)),
        "(f4, f8, n) VALUES ('NaN', 'Infinity', 'NaN')".into(),
        "(f4, f8, n) VALUES ('-Infinity', '-0', '-Infinity')".into(),
        format!("(n) VALUES ({LONG_NUMBER})"),
        format!("(nested) VALUES ('[{LONG_NUMBER}, 1.500, -0]')"),
        r#"(t, b) VALUES (E'\u0001\u001f\u007f\u2028"\\/ é😀', '\x00ff')"#.into(),
        r#"("Ünï ""cödé""", "with space", "a'b\c", "SELECT") VALUES ('x', 1, 'y', 'z')"#.into(),
        "(arr, texts) VALUES ('{1,NULL,3}', '{{a,\"b,\\\"c\"},{NULL,\"\"}}')".into(),
        "(comp, comps) VALUES (ROW(1, 'a', '{1.0}'), ARRAY[ROW(1, NULL, NULL)::point3, NULL])".into(),
        "(m, moods, p, d) VALUES ('sad \"but\" true', '{ok}', 3, '{\"deep\": [1]}')".into(),
        "(ts, ds, iv) VALUES ('infinity', '-infinity', '1 mon -1 day')".into(),
        "(ts, ds, iv) VALUES ('0044-03-15 BC', '0044-03-15 BC', '0')".into(),
        "(r, mr, bits, ip, x, tsv, tid, c) VALUES ('[1,)', '{[1,2),[4,)}', B'101', '::1', '<a>&amp;</a>', 'a:1', '(1,2)', 'q')".into(),
        "(tenant_id, money, bool) VALUES (42, 12.5, true)".into(),
    ];
    for row in rows {
        bench.run("TRUNCATE ticket");
        bench.run(&format!("INSERT INTO ticket {row}"));
        let expected: String = bench.ask("SELECT row_to_json(ticket)::text FROM ticket");
        let requests = settle(&mut bench);
        assert_eq!(requests.len(), 1, "{row}");
        let (rest, _) = split_timestamp(&requests[0]);
        assert!(rest.ends_with(&format!(",\"entity\":{expected}}}")), "{row}: got {rest}");
        bench.receiver.clear();
    }
}

#[test]
fn identity_and_tenant_come_from_columns_of_any_type() {
    let mut bench = bench("columns");
    bench.run("SELECT hydra.webhook_register_event_type('ticket.created', id_key => 'Ticket \"No\"')");
    watch(&mut bench, r#""Ticket ""No""" numeric, id int, tenant_id uuid"#);
    bench.run("INSERT INTO ticket VALUES (1.50, 3, '00000000-0000-0000-0000-00000000000a')");
    let sent = settle_one(&mut bench);
    assert_eq!(sent["data"]["entity_id"], "1.50");
    assert_eq!(sent["tenant_id"], "00000000-0000-0000-0000-00000000000a");
    bench.run(
        "ALTER TABLE ticket DROP COLUMN tenant_id, DROP COLUMN \"Ticket \"\"No\"\"\"; INSERT INTO ticket VALUES (4)",
    );
    let sent = settle_one(&mut bench);
    assert_eq!((&sent["data"]["entity_id"], &sent["tenant_id"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_entity_that_is_too_large_is_sent_thin_or_refused_as_the_setting_says() {
    let mut bench = bench("oversize");
    bench.run("CREATE DOMAIN document AS jsonb; CREATE TYPE wrapped AS (inner_document jsonb)");
    watch(
        &mut bench,
        "id int, tenant_id text, t text, j json, b jsonb, d document, w wrapped, bs jsonb[], n numeric[]",
    );
    let numbers = format!("(SELECT jsonb_agg({LONG_NUMBER}) FROM generate_series(1, 1000))");
    let size: i32 = bench.ask(&format!("SELECT pg_column_size({numbers})"));
    assert!(size < 64 * 1024, "{size} bytes, far below the limit until they are written as text");
    let ten_megabytes = "repeat('x', 10 * 1024 * 1024)";
    let values = [
        ("t", ten_megabytes.to_owned()),
        ("t", "repeat('x', 300 * 1024)".into()),
        ("j", format!("to_json({ten_megabytes})")),
        ("b", format!("to_jsonb({ten_megabytes})")),
        ("b", numbers.clone()),
        ("d", numbers.clone()),
        ("w", format!("ROW({numbers})::wrapped")),
        ("bs", format!("ARRAY[{numbers}]")),
        ("n", format!("array_fill({LONG_NUMBER}::numeric, ARRAY[1000])")),
    ];
    for (column, value) in &values {
        let insert = format!("INSERT INTO ticket (id, tenant_id, {column}) VALUES (7, 'acme', {value})");
        bench.run(&insert);
        assert_thin(&settle_one(&mut bench), "larger than 256 kB");

        bench.run("SET hydra_webhooks.on_entity_error = error");
        let refusal = bench.refused(&insert, "54000");
        assert!(refusal.message.contains("ticket.created"), "{refusal:?}");
        bench.run("RESET hydra_webhooks.on_entity_error");
    }

    for value in [format!("to_jsonb({ten_megabytes})"), numbers] {
        let call = format!(
            "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', 7, 'zzzzzzzzzz', {value}), 'acme')"
        );
        bench.run(&call);
        assert_thin(&settle_one(&mut bench), "larger than 256 kB");
        bench.run("SET hydra_webhooks.on_entity_error = error");
        bench.refused(&call, "54000");
        bench.run("RESET hydra_webhooks.on_entity_error");
    }

    // Both the setting and the limit are for superusers.
    bench.run("SET hydra_webhooks.max_entity_size = '1MB'");
    bench.run("INSERT INTO ticket (id, t) VALUES (8, repeat('x', 300 * 1024))");
    let whole = settle_one(&mut bench);
    assert_eq!(whole["data"]["entity"]["t"].as_str().map(str::len), Some(300 * 1024));
}

#[track_caller]
fn assert_thin(sent: &Value, problem: &str) {
    assert_eq!(sent["data"]["entity"], Value::Null);
    let error = text(&sent["data"]["entity_error"]);
    assert!(error.contains(problem), "{error}");
    assert_eq!(sent["data"]["entity_id"], "7", "the id is known all the same");
    assert_eq!(sent["tenant_id"], "acme");
}

#[test]
fn an_entity_that_is_too_large_still_reaches_the_subscription_of_its_tenant() {
    let mut bench = bench("oversize_tenant");
    bench.run("SELECT hydra.webhook_register_event_type('ticket.created', id_key => 'ticket_number')");
    bench.subscribe("/acme", "ticket.created", &["tenant_id => 'acme'"]);
    // In jsonb shorter keys come first: the large value precedes id and tenant.
    let emitted: Option<i64> = bench.ask(
        "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object(
             'ticket_number', 7, 'tenant_id', 'acme', 'text', repeat('x', 300 * 1024)))",
    );
    assert!(emitted.is_some());
    let sent = settle(&mut bench);
    assert_thin(&sent[0].json(), "larger than 256 kB");
    assert_eq!(bench.receiver.received("/acme"), 1, "as well as the subscription of no tenant");
}

#[test]
fn an_id_or_tenant_of_any_size_keeps_the_body_small() {
    let mut bench = bench("oversize_id");
    watch(&mut bench, "id text, tenant_id text");
    for column in ["id", "tenant_id"] {
        bench.run(&format!("INSERT INTO ticket ({column}) VALUES (repeat('x', 10 * 1024 * 1024))"));
        let requests = settle(&mut bench);
        assert_eq!(requests.len(), 1);
        assert!(requests[0].body.len() < 1024 * 1024, "{column}: a body of {} bytes was sent", requests[0].body.len());
        bench.receiver.clear();
    }
}

/// How much address space a session may take for an event in addition to what it has.
const HEADROOM: u64 = 64 * 1024 * 1024;

#[test]
fn a_row_that_is_small_until_it_is_text_takes_little_memory() {
    let mut bench = bench("small_until_text");
    bench.run(
        "CREATE DOMAIN amount AS numeric; CREATE DOMAIN amounts AS numeric[]; CREATE TYPE pair AS (a numeric, b numeric);
         CREATE TYPE wide AS (a jsonb, b pair[], c amount); CREATE TYPE amount_range AS RANGE (subtype = amount)",
    );
    // Many columns, each of which is small enough.
    let columns: Vec<String> = (1..=1000).map(|number| format!("n{number} numeric")).collect();
    watch(
        &mut bench,
        &format!(
            "id int, tenant_id text, ns numeric[], amounts amounts, domains amount[], pairs pair[], wides wide[],
             ranges numrange[], multirange nummultirange, own_ranges amount_range[], docs jsonb[], paths jsonpath[], path jsonpath, names name[],
             times timestamptz[], nulls int[], {}",
            columns.join(", ")
        ),
    );
    bench.run("CREATE TABLE odd_id (id numeric[], tenant_id text)");
    bench.run(&trigger("odd_id", "ticket.created"));
    let long = format!("{LONG_NUMBER}::numeric");
    let many = |element: &str| format!("array_fill({element}, ARRAY[8000])");
    let values = [
        ("ns", many(&long)),
        ("amounts", many(&long)),
        ("domains", many(&format!("{long}::amount"))),
        ("pairs", many(&format!("ROW({long}, 1)::pair"))),
        ("wides", many(&format!("ROW('{{}}', ARRAY[ROW(1, {long})::pair], NULL)::wide"))),
        ("ranges", many(&format!("numrange({long}, NULL)"))),
        (
            "multirange",
            "(SELECT range_agg(numrange(n * 1e131000, (n + 0.5) * 1e131000)) FROM generate_series(1, 8000) AS n)"
                .into(),
        ),
        ("own_ranges", many(&format!("amount_range({long}, NULL)"))),
        ("docs", many(&format!("to_jsonb(ARRAY[{long}])"))),
        ("paths", many(&format!("'{LONG_NUMBER}'::jsonpath"))),
        ("path", format!("array_to_string(array_fill('$.a == {LONG_NUMBER}'::text, ARRAY[1000]), ' || ')::jsonpath")),
        ("names", "array_fill('x'::name, ARRAY[300000])".into()),
        ("times", "array_fill(now(), ARRAY[1000000])".into()),
        ("nulls", "array_fill(NULL::int, ARRAY[10000000])".into()),
    ];
    let columns: Vec<String> = (1..=1000).map(|number| format!("n{number}")).collect();
    let all = vec![long; 1000].join(", ");
    let inserts: Vec<String> = values
        .iter()
        .map(|(column, value)| format!("INSERT INTO made (id, tenant_id, {column}) SELECT 7, 'acme', {value}"))
        .chain([format!("INSERT INTO made (id, tenant_id, {}) SELECT 7, 'acme', {all}", columns.join(", "))])
        .collect();
    // Making the values may take memory; emitting must not. So another session makes them.
    bench.run("CREATE TABLE made (LIKE ticket)");
    let started: String = bench.ask("SELECT pg_postmaster_start_time()::text");
    for insert in &inserts {
        bench.run(&format!("TRUNCATE made; {insert}"));
        let mut session = bench.session();
        // Loads what every emit needs.
        run(&mut session, "INSERT INTO ticket (id) VALUES (1)");
        bench.wait_for_empty_queue();
        bench.receiver.clear();
        limit_address_space(&mut bench, &mut session);
        run(&mut session, "INSERT INTO ticket SELECT * FROM made");
        assert_thin(&settle_one(&mut bench), "larger than 256 kB");
    }

    let mut session = bench.session();
    run(&mut session, "INSERT INTO odd_id VALUES ('{1}', 'acme')");
    assert_eq!(settle_one(&mut bench)["data"]["entity_id"], "{1}");
    limit_address_space(&mut bench, &mut session);
    run(&mut session, &format!("INSERT INTO odd_id VALUES ({}, 'acme')", many(&format!("{LONG_NUMBER}::numeric"))));
    let sent = settle_one(&mut bench);
    assert_eq!((&sent["data"]["entity_id"], &sent["tenant_id"]), (&Value::Null, &Value::from("acme")));
    assert_eq!(bench.ask::<String>("SELECT pg_postmaster_start_time()::text"), started, "the server has not restarted");
}

/// Limits the address space of a session to what it has and [`HEADROOM`]. The server does it, as the user who may.
fn limit_address_space(bench: &mut Bench, session: &mut Client) {
    let pid: i32 = ask(session, "SELECT pg_backend_pid()");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the session lives");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a known line");
    let kilobytes: u64 = size.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    let limit = kilobytes * 1024 + HEADROOM;
    // The program reads what it is sent, which is an empty line: otherwise the server may find the pipe broken.
    bench.run(&format!("COPY (SELECT) TO PROGRAM 'cat; prlimit --pid {pid} --as={limit}'"));
}

#[test]
fn values_that_are_stored_in_many_bytes_and_have_little_text_are_sent_whole() {
    let mut bench = bench("large_until_text");
    bench.run("CREATE TYPE nothing AS (); CREATE TYPE one AS (a int)");
    watch(&mut bench, "id int, names name[], ones one[], nothings nothing[], numbers numeric[], ranges int4range[]");
    for (column, value) in [
        ("names", "array_fill(''::name, ARRAY[60000])"),
        ("ones", "array_fill(ROW(NULL)::one, ARRAY[20000])"),
        ("nothings", "array_fill(ROW()::nothing, ARRAY[80000])"),
        ("numbers", "array_fill(0::numeric, ARRAY[120000])"),
        ("ranges", "array_fill('empty'::int4range, ARRAY[30000])"),
    ] {
        bench.run(&format!("INSERT INTO ticket (id, {column}) SELECT 7, {value}"));
        let sent = settle_one(&mut bench);
        assert!(sent["data"]["entity"][column].is_array(), "{column}: {}", sent["data"]["entity_error"]);
    }
}
