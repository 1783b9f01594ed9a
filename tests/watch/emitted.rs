//! What a watch emits, by row and by statement.

use std::collections::BTreeSet;

use testkit::receiver::{Signature, entity_numbers};
use testkit::{Bench, Cluster, ask, run};

use crate::{PARTS, database, events_of, watch};

#[test]
fn a_watch_emits_what_its_operation_its_condition_and_its_columns_say() {
    let mut client = database("says");
    run(&mut client, PARTS);
    let name = watch(&mut client, "'part', 'part.created', 'insert'");
    assert_eq!(name, "webhook_00001_part_created_insert");
    watch(&mut client, "'part', 'part.stock_updated', 'update', 'new.stock < old.stock', columns => '{stock}'");
    watch(&mut client, "'part', 'part.deleted', ' DELETE ', 'old.stock = 0', tenant => $$'shop ' || old.id$$");
    watch(&mut client, "'part', 'part.updated', 'Insert OR update', 'new.name = ''gold'''");

    run(&mut client, "INSERT INTO part VALUES (1, 'acme', 'bolt', 5), (2, NULL, 'gold', 5)");
    run(&mut client, "UPDATE part SET stock = stock - 5 WHERE id = 1; UPDATE part SET stock = stock + 1 WHERE id = 2");
    run(&mut client, "UPDATE part SET name = 'nut' WHERE id = 1; UPDATE part SET name = 'gold'");
    run(&mut client, "DELETE FROM part");
    assert_eq!(
        events_of(&mut client, "part.created"),
        [
            r#"1 acme {"id":1,"tenant_id":"acme","name":"bolt","stock":5}"#,
            r#"2 - {"id":2,"tenant_id":null,"name":"gold","stock":5}"#
        ]
    );
    assert_eq!(
        events_of(&mut client, "part.stock_updated"),
        [r#"1 acme {"id":1,"tenant_id":"acme","name":"bolt","stock":0}"#]
    );
    assert_eq!(
        events_of(&mut client, "part.deleted"),
        [r#"1 shop 1 {"id":1,"tenant_id":"acme","name":"gold","stock":0}"#]
    );
    assert_eq!(events_of(&mut client, "part.updated").len(), 4, "inserted, incremented, and both renamed");
}

#[test]
fn an_entity_can_be_any_expression_over_the_old_and_the_new_row() {
    let mut client = database("entities");
    run(&mut client, PARTS);
    run(
        &mut client,
        "CREATE TABLE supplier (name text, supplies text); INSERT INTO supplier VALUES ('Smith', 'bolt');
         CREATE FUNCTION described(part) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('id', $1.id, 'is', $1.name) $$",
    );
    run(&mut client, "INSERT INTO part VALUES (1, 'acme', 'bolt', 5)");
    let cases = [
        ("to_jsonb(new) - 'stock'", r#"1 acme {"id": 1, "name": "bolt", "tenant_id": "acme"}"#),
        ("jsonb_build_object('from', old.stock, 'to', new.stock)", r#"1 acme {"to": 6, "from": 5}"#),
        ("described(new) -- of the part", r#"1 acme {"id": 1, "is": "bolt"}"#),
        (
            "jsonb_build_object('tenant_id', 7, 'by', (SELECT s.name FROM supplier AS s WHERE s.supplies = new.name))",
            r#"1 7 {"by": "Smith", "tenant_id": 7}"#,
        ),
        // It sees the changes of the statement.
        ("(SELECT jsonb_agg(p.stock) FROM part AS p)", "1 acme [6]"),
        ("json_build_object('a', 1, 'a', new.name)", r#"1 acme {"a": "bolt"}"#),
        ("NULL", "1 acme null"),
        (r"jsonb_build_object(E'\'', '\', 'é', '''x')", r#"1 acme {"'": "\\", "é": "'x"}"#),
    ];
    for level in ["row", "statement"] {
        for (entity, expected) in cases {
            watch(
                &mut client,
                &format!("'part', 'part.updated', 'update', entity => $e${entity}$e$, level => '{level}'"),
            );
            run(&mut client, "UPDATE part SET stock = 6");
            assert_eq!(events_of(&mut client, "part.updated"), [expected], "{level}: {entity}");
            let shown: String = ask(&mut client, "SELECT entity FROM hydra.webhook_watches");
            assert_eq!(shown, entity);
            run(&mut client, "UPDATE part SET stock = 5");
            events_of(&mut client, "part.updated");
        }
    }
}

#[test]
fn watches_by_statement_emit_what_watches_by_row_do() {
    let mut client = database("levels");
    run(&mut client, &format!("{PARTS}; CREATE TABLE staged (id int, stock int)"));
    run(
        &mut client,
        "CREATE FUNCTION of_small(n int) RETURNS text LANGUAGE plpgsql AS
         $$ BEGIN IF n > 8 THEN RAISE division_by_zero; END IF; RETURN 'tenant ' || n; END $$",
    );
    // The same definition twice, for two event types, at the two levels.
    let definitions = [
        "",
        ", condition => '$ROW.stock % 2 = 0'",
        ", entity => 'jsonb_build_object(''id'', $ROW.id, ''ratio'', 100 / $ROW.stock)'",
        ", entity => 'to_jsonb($ROW)', tenant => 'of_small($ROW.id)'",
        ", tenant => '$ROW.tenant_id', condition => '$ROW.id <> 3', entity => 'jsonb_build_array(1 / ($ROW.id - 3), 1 / $ROW.stock)'",
        ", entity => 'jsonb_build_object(''big'', repeat(''x'', 30000 * ($ROW.id % 1000)))'",
    ];
    let updates = [
        ", condition => 'new.stock <> old.stock', columns => '{stock}'",
        ", columns => '{name,id}', entity => 'jsonb_build_array(to_jsonb(old), to_jsonb(new))'",
    ];
    let mut compared = 0;
    for (operation, row) in [("insert", "new"), ("update", "new"), ("delete", "old")] {
        for definition in definitions.iter().chain(updates.iter().filter(|_| operation == "update")) {
            let definition = definition.replace("$ROW", row);
            for (event, level) in [("ticket.created", "row"), ("ticket.resolved", "statement")] {
                watch(&mut client, &format!("'part', '{event}', '{operation}', level => '{level}'{definition}"));
            }
            run(&mut client, "TRUNCATE part");
            for statement in [
                "INSERT INTO part SELECT n, 't' || n % 3, 'p', 1 + n % 3 FROM generate_series(1, 10) AS n",
                "INSERT INTO part VALUES (1, NULL, 'again', 0), (11, NULL, 'eleven', 0)
                     ON CONFLICT (id) DO UPDATE SET stock = EXCLUDED.stock, name = 'upserted'",
                "UPDATE part SET stock = 0 WHERE id = 4",
                "UPDATE part SET name = name || id",
                // Each row gets the key of another one.
                "UPDATE part SET id = id + 1000",
                "UPDATE part SET id = 12 - (id - 1000), stock = stock + 1",
                "UPDATE part SET stock = stock WHERE false",
                "MERGE INTO part USING (VALUES (1), (2), (90)) AS source (id) ON part.id = source.id
                     WHEN MATCHED AND source.id = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET stock = 8
                     WHEN NOT MATCHED THEN INSERT VALUES (source.id, 'merged', 'm', 2)",
                "WITH gone AS (DELETE FROM part WHERE id < 6 RETURNING *) INSERT INTO staged SELECT id, stock FROM gone",
                "DELETE FROM part",
            ] {
                run(&mut client, statement);
                let by_row = events_of(&mut client, "ticket.created");
                let by_statement = events_of(&mut client, "ticket.resolved");
                assert_eq!(by_row, by_statement, "{operation}{definition}: {statement}");
                compared += by_row.len();
            }
        }
        for event in ["ticket.created", "ticket.resolved"] {
            run(&mut client, &format!("SELECT hydra.webhook_unwatch('part', '{event}')"));
        }
    }
    assert!(compared > 300, "{compared} events are few");
}

#[test]
fn the_events_of_a_statement_are_undone_with_it_and_delivered_in_order() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "delivered");
    bench.subscribe("/", "part.created", &["max_in_flight => 1"]);
    bench.subscribe("/tenant", "part.created", &["tenant_id => 't1'"]);
    bench.run(PARTS);
    watch(&mut bench.client, "'part', 'part.created', 'insert', level => 'statement', tenant => $$'t' || new.id % 2$$");
    let insert = |from: i32| format!("INSERT INTO part SELECT n FROM generate_series({from}, {from} + 299) AS n");
    bench.run(&format!("BEGIN; {}; SAVEPOINT s; {}; ROLLBACK TO s; {}; COMMIT", insert(1), insert(1001), insert(2001)));
    bench.run(&format!("BEGIN; {}; ROLLBACK", insert(3001)));
    bench.wait_for_empty_queue();
    let requests = bench.receiver.requests("/");
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
    let ids: Vec<usize> = entity_numbers(&requests);
    assert_eq!(ids, (1..=300).chain(2001..=2300).collect::<Vec<usize>>());
    assert_eq!(bench.receiver.received("/tenant"), 300);
}

#[test]
fn an_expression_may_change_the_table_that_it_is_for() {
    let mut client = database("nested");
    run(&mut client, PARTS);
    run(
        &mut client,
        "CREATE FUNCTION more(n int) RETURNS jsonb LANGUAGE plpgsql AS
         $$ BEGIN IF n < 3 THEN INSERT INTO part (id) VALUES (n + 1), (n + 11); END IF; RETURN n; END $$",
    );
    for level in ["row", "statement"] {
        watch(&mut client, &format!("'part', 'part.created', 'insert', entity => 'more(new.id)', level => '{level}'"));
        run(&mut client, "INSERT INTO part (id) VALUES (1)");
        let events: BTreeSet<String> = events_of(&mut client, "part.created").into_iter().collect();
        let expected = ["1 - 1", "2 - 2", "3 - 3", "12 - 12", "13 - 13"];
        assert_eq!(events, expected.map(str::to_owned).into(), "{level}");
        run(&mut client, "DELETE FROM part");
    }
}

#[test]
fn a_hundred_thousand_rows_of_one_statement_are_emitted_in_order() {
    const ROWS: i64 = 100_000;
    let mut client = database("bulk");
    let insert =
        format!("INSERT INTO part SELECT n, 'acme', 'part number ' || n, n % 100 FROM generate_series(1, {ROWS}) AS n");
    let mut written = |label: &str, definition: Option<&str>| {
        run(&mut client, &format!("DROP TABLE IF EXISTS part; {PARTS}"));
        if let Some(definition) = definition {
            watch(&mut client, &format!("'part', 'part.created', 'insert'{definition}"));
        }
        run(&mut client, &insert);
        let events: i64 = ask(&mut client, "SELECT count(*) FROM hydra.event");
        let in_order: bool = ask(
            &mut client,
            "SELECT coalesce(bool_and(entity_id::int = place), true) FROM
             (SELECT entity_id, row_number() OVER (ORDER BY id) AS place FROM hydra.event) AS e",
        );
        assert!(in_order, "{label}: in the order of the rows");
        run(&mut client, "TRUNCATE hydra.event");
        assert_eq!(events, if definition.is_some() { ROWS } else { 0 }, "{label}");
    };
    written("no watch", None);
    written("by row", Some(""));
    written("by statement", Some(", level => 'statement'"));
    written(
        "by statement, with expressions",
        Some(
            ", 'new.stock >= 0', entity => 'jsonb_build_object(''id'', new.id)', tenant => 'new.tenant_id', level => 'statement'",
        ),
    );
}
