//! Watching tables: `webhook_watch`, `webhook_unwatch`, `webhook_watches`.
//!
//! Most tests look at the events that were written, on a cluster that sends nothing. What becomes of an event then is
//! the subject of other files.

mod support;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::OnceLock;

use postgres::Client;

use support::cluster::Cluster;
use support::receiver::{Receiver, Signature};
use support::{ask, refusal, refused, run, start_shared_cluster, subscribe, wait_for_empty_queue};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[("hydra_webhooks.enabled", "off"), ("work_mem", "1MB")]))
}

/// A database of its own, where somebody wants every event of parts and tickets.
fn database(name: &str) -> Client {
    let mut client = cluster().create_database(name);
    let types =
        "part.created,part.updated,part.deleted,part.stock_updated,ticket.created,ticket.resolved,ticket.assigned";
    subscribe(&mut client, "http://127.0.0.1:9/", types, &[]);
    client
}

/// A table of parts.
const PARTS: &str = "CREATE TABLE part (id int PRIMARY KEY, tenant_id text, name text, stock int)";

#[track_caller]
fn watch(client: &mut Client, arguments: &str) -> String {
    ask(client, &format!("SELECT hydra.webhook_watch({arguments})"))
}

/// What was emitted since it was last asked, in order: all but the type.
#[track_caller]
fn events_of(client: &mut Client, event_type: &str) -> Vec<String> {
    let rows = client.query(
        "WITH gone AS (DELETE FROM hydra.event WHERE event_type = $1 RETURNING *)
         SELECT concat_ws(' ', coalesce(entity_id, '-'), coalesce(tenant_id, '-'), coalesce(entity, entity_error)) FROM gone ORDER BY id",
        &[&event_type],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// A session of a new role that nothing is granted to but `roles`.
fn session_of(client: &mut Client, database: &str, role: &str, roles: &[&str]) -> Client {
    run(client, &format!("CREATE ROLE {role} LOGIN"));
    for granted in roles {
        run(client, &format!("GRANT {granted} TO {role}"));
    }
    cluster().connect_as(database, role)
}

fn problems(client: &mut Client) -> Vec<String> {
    let sql = "SELECT problem FROM hydra.webhook_watches WHERE problem IS NOT NULL ORDER BY trigger_name";
    client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

// ---- what is emitted

#[test]
fn a_watch_emits_what_its_operation_its_condition_and_its_columns_say() {
    let mut client = database("says");
    run(&mut client, PARTS);
    let name = watch(&mut client, "'part', 'part.created', 'insert'");
    assert_eq!(name, "webhook_001_part_created_insert");
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
        // It sees what the statement did.
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
                // Keys go round: each takes that of another.
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
    let mut client = cluster.create_database("delivered");
    let receiver = Receiver::start();
    let (_, secret) = subscribe(&mut client, &receiver.url("/"), "part.created", &["max_in_flight => 1"]);
    receiver.secret("/", &secret);
    subscribe(&mut client, &receiver.url("/tenant"), "part.created", &["tenant_id => 't1'"]);
    run(&mut client, PARTS);
    watch(&mut client, "'part', 'part.created', 'insert', level => 'statement', tenant => $$'t' || new.id % 2$$");
    let insert = |from: i32| format!("INSERT INTO part SELECT n FROM generate_series({from}, {from} + 299) AS n");
    run(
        &mut client,
        &format!("BEGIN; {}; SAVEPOINT s; {}; ROLLBACK TO s; {}; COMMIT", insert(1), insert(1001), insert(2001)),
    );
    run(&mut client, &format!("BEGIN; {}; ROLLBACK", insert(3001)));
    wait_for_empty_queue(&mut client);
    let requests = receiver.requests("/");
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
    let ids: Vec<i64> = requests
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
            body["data"]["entity"]["id"].as_i64().expect("a number")
        })
        .collect();
    assert_eq!(ids, (1..=300).chain(2001..=2300).collect::<Vec<i64>>());
    assert_eq!(receiver.received("/tenant"), 300);
}

#[test]
fn an_expression_that_fails_for_a_row_sends_that_event_thin_and_to_its_tenant() {
    let mut client = database("thin");
    run(&mut client, PARTS);
    for level in ["row", "statement"] {
        watch(
            &mut client,
            &format!(
                "'part', 'part.created', 'insert', entity => 'to_jsonb(100 / new.stock)',
                 tenant => 'new.tenant_id || (10 / (new.id - 10))', level => '{level}'"
            ),
        );
        let insert = "INSERT INTO part VALUES (1, 't', 'a', 5), (2, 't', 'b', 0), (11, 't', 'c', 4), (10, 't', 'd', 1)";
        run(&mut client, insert);
        assert_eq!(
            events_of(&mut client, "part.created"),
            [
                "1 t-1 20",
                "2 t-1 the entity cannot be rendered (SQLSTATE 22012)",
                "11 t10 25",
                // Whose it is cannot be told: only who takes everybody's gets it.
                "10 - the entity cannot be rendered (SQLSTATE 22012)"
            ],
            "{level}"
        );
        run(&mut client, "TRUNCATE part; SET hydra_webhooks.on_entity_error = error");
        refused(&mut client, insert, "54000");
        run(&mut client, "RESET hydra_webhooks.on_entity_error; INSERT INTO part VALUES (3, 't', 'ok', 1)");
        assert_eq!(events_of(&mut client, "part.created").len(), 1);
        run(&mut client, "TRUNCATE part");
    }
}

#[test]
fn a_failure_inside_a_watch_leaves_the_session_sound() {
    let mut client = database("sound");
    run(&mut client, PARTS);
    run(
        &mut client,
        "CREATE FUNCTION slow(n int) RETURNS jsonb LANGUAGE plpgsql AS
         $$ BEGIN IF n = 2 THEN PERFORM pg_sleep(600); END IF; IF n = 3 THEN RAISE EXCEPTION 'no'; END IF; RETURN n; END $$",
    );
    let rows = |from: i32| format!("INSERT INTO part (id) SELECT n FROM generate_series({from}, {from} + 299) AS n");
    for level in ["row", "statement"] {
        watch(&mut client, &format!("'part', 'part.created', 'insert', entity => 'slow(new.id)', level => '{level}'"));
        run(&mut client, "SET statement_timeout = '300ms'");
        assert_eq!(refusal(&mut client, &rows(1)).code, "57014", "{level}");
        run(&mut client, "SET statement_timeout = 0");
        // Caught, and gone on with, in the same transaction.
        run(
            &mut client,
            &format!(
                "DO $d$ BEGIN
                     SET LOCAL hydra_webhooks.on_entity_error = error;
                     FOR i IN 1..3 LOOP
                         BEGIN
                             {};
                         EXCEPTION WHEN program_limit_exceeded THEN NULL;
                         END;
                         BEGIN
                             ALTER TABLE part RENAME id TO key;
                             INSERT INTO part (key) VALUES (1000);
                         EXCEPTION WHEN undefined_column THEN NULL;
                         END;
                         {};
                         DELETE FROM part;
                     END LOOP;
                 END $d$",
                rows(3),
                rows(4)
            ),
        );
        let events = events_of(&mut client, "part.created");
        assert_eq!(events.len(), 900, "{level}");
        assert_eq!(events[899], "303 - 303");
        run(&mut client, "BEGIN; CREATE TEMPORARY TABLE usable (); ROLLBACK");
    }
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
fn a_hundred_thousand_rows_in_one_statement() {
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

// ---- tables of all kinds

#[test]
fn odd_names_are_nothing_special() {
    let mut client = database("odd");
    run(
        &mut client,
        r#"CREATE SCHEMA "Sch'e ma"; CREATE TABLE "Sch'e ma"."t ""WHEN (" (id int, "C'ol ""x" int, "select" text, "column" int);
           CREATE ROLE odd_owner LOGIN; ALTER TABLE "Sch'e ma"."t ""WHEN (" OWNER TO odd_owner"#,
    );
    let table = r#"'"Sch''e ma"."t ""WHEN ("'"#;
    for level in ["row", "statement"] {
        watch(
            &mut client,
            &format!(
                r#"{table}, 'part.updated', 'update', 'new."C''ol ""x" > 0 AND new."select" <> '') EXECUTE FUNCTION x(''',
                   entity => 'jsonb_build_array(old."C''ol ""x")', columns => ARRAY['C''ol "x', 'column'], level => '{level}'"#
            ),
        );
        run(
            &mut client,
            r#"TRUNCATE "Sch'e ma"."t ""WHEN ("; INSERT INTO "Sch'e ma"."t ""WHEN (" VALUES (1, 2, 'a', 3);
               UPDATE "Sch'e ma"."t ""WHEN (" SET "C'ol ""x" = 7; UPDATE "Sch'e ma"."t ""WHEN (" SET id = 7"#,
        );
        assert_eq!(events_of(&mut client, "part.updated"), ["1 - [2]"], "{level}");
        let columns: Vec<String> = ask(&mut client, "SELECT columns FROM hydra.webhook_watches");
        assert_eq!(columns, ["C'ol \"x", "column"]);
        let condition: String = ask(&mut client, "SELECT condition FROM hydra.webhook_watches");
        assert!(condition.contains(") EXECUTE FUNCTION x('") && condition.starts_with("new.\"C"), "{condition}");
    }
    run(&mut client, &format!("SELECT hydra.webhook_unwatch({table}, 'part.updated')"));
}

#[test]
fn a_partitioned_table_is_watched_with_all_its_partitions() {
    let mut client = database("partitions");
    run(
        &mut client,
        "CREATE TABLE part (id int, region text, extra text) PARTITION BY LIST (region);
         CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
         CREATE TABLE part_b (extra text, gone int, region text, id int);
         ALTER TABLE part_b DROP COLUMN gone;
         ALTER TABLE part ATTACH PARTITION part_b FOR VALUES IN ('b');",
    );
    watch(
        &mut client,
        "'part', 'part.created', 'insert', entity => 'jsonb_build_array(new.id, new.region, new.extra)'",
    );
    let shown: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_watches");
    assert_eq!(shown, 1, "those of its partitions are part of it");
    run(&mut client, "INSERT INTO part VALUES (1, 'a', 'x'), (2, 'b', 'y'); INSERT INTO part_b VALUES ('z', 'b', 3)");
    let expected = [r#"1 - [1, "a", "x"]"#, r#"2 - [2, "b", "y"]"#, r#"3 - [3, "b", "z"]"#];
    assert_eq!(events_of(&mut client, "part.created"), expected);

    let on_partition = refused(&mut client, "SELECT hydra.webhook_watch('part_a', 'part.created', 'insert')", "42710");
    assert!(on_partition.hint.contains("partition"), "{on_partition:?}");
    refused(&mut client, "SELECT hydra.webhook_unwatch('part_a', 'part.created')", "42704");
    // A watch of a partition alone does not stand in the way of the next one on the whole.
    watch(&mut client, "'part_a', 'ticket.created', 'insert'");
    watch(&mut client, "'part', 'ticket.resolved', 'insert'");

    // By statement: one that moves rows between partitions is an update of each.
    watch(&mut client, "'part', 'part.created', 'insert', level => 'statement'");
    let clones: i64 = ask(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'part_created'");
    assert_eq!(clones, 1, "none of the former triggers is left");
    watch(
        &mut client,
        "'part', 'part.updated', 'update', level => 'statement', entity => 'jsonb_build_array(old.region, new.region, new.extra)'",
    );
    run(&mut client, "INSERT INTO part VALUES (4, 'a', 'w')");
    assert_eq!(events_of(&mut client, "part.created").len(), 1);
    run(&mut client, "UPDATE part SET region = CASE id WHEN 1 THEN 'b' WHEN 2 THEN 'a' ELSE region END WHERE id <> 4");
    let moved: BTreeSet<String> = events_of(&mut client, "part.updated").into_iter().collect();
    let expected = [r#"1 - ["a", "b", "x"]"#, r#"2 - ["b", "a", "y"]"#, r#"3 - ["b", "b", "z"]"#];
    assert_eq!(moved, expected.map(str::to_owned).into());

    run(
        &mut client,
        "CREATE FUNCTION not_here() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER not_here BEFORE INSERT ON part_a FOR EACH ROW EXECUTE FUNCTION not_here()",
    );
    refused(&mut client, "UPDATE part SET region = 'a'", "55000");
}

#[test]
fn children_temporary_and_foreign_tables_can_be_watched() {
    let mut client = database("kinds");
    run(&mut client, &format!("{PARTS}; CREATE TABLE special (more text) INHERITS (part)"));
    watch(
        &mut client,
        "'part', 'part.updated', 'update', level => 'statement', entity => 'jsonb_build_array(old.stock, new.stock)'",
    );
    run(&mut client, "INSERT INTO part VALUES (1, 'a', 'x', 1); INSERT INTO special VALUES (2, 'a', 'y', 2, 'z')");
    run(&mut client, "UPDATE part SET stock = stock * 10");
    assert_eq!(events_of(&mut client, "part.updated"), ["1 a [1, 10]", "2 a [2, 20]"]);

    run(&mut client, "CREATE TEMPORARY TABLE draft (id int)");
    watch(&mut client, "'draft', 'part.created', 'insert', entity => 'to_jsonb(new)'");
    run(&mut client, "INSERT INTO draft VALUES (1)");
    assert_eq!(events_of(&mut client, "part.created"), [r#"1 - {"id": 1}"#]);

    let directory = cluster().directory().display();
    run(
        &mut client,
        &format!(
            "CREATE EXTENSION postgres_fdw;
             CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{directory}', port '54321', dbname 'kinds');
             CREATE USER MAPPING FOR postgres SERVER here OPTIONS (user 'postgres');
             CREATE TABLE beneath (id int); CREATE FOREIGN TABLE far (id int) SERVER here OPTIONS (table_name 'beneath')"
        ),
    );
    watch(&mut client, "'far', 'part.deleted', 'insert'");
    run(&mut client, "INSERT INTO far VALUES (8)");
    assert_eq!(events_of(&mut client, "part.deleted"), [r#"8 - {"id":8}"#]);
    refused(&mut client, "SELECT hydra.webhook_watch('far', 'part.updated', 'insert', level => 'statement')", "0A000");
}

// ---- a watch and its table in time

#[test]
fn a_second_call_replaces_the_watch_and_keeps_its_place() {
    let mut client = database("replaced");
    run(&mut client, PARTS);
    let first = watch(&mut client, "'part', 'ticket.created', 'insert'");
    let second = watch(&mut client, "'part', 'ticket.assigned', 'insert'");
    assert!(first < second);
    for level in ["row", "statement", "statement", "row"] {
        let again =
            watch(&mut client, &format!("'part', 'ticket.created', 'insert', 'new.stock > 3', level => '{level}'"));
        assert_eq!(again, first);
    }
    // Another operation is another watch.
    watch(&mut client, "'part', 'ticket.created', 'delete'");
    run(&mut client, "INSERT INTO part VALUES (1, 'a', 'b', 3), (2, 'a', 'b', 4)");
    assert_eq!(events_of(&mut client, "ticket.created").len(), 1);
    run(&mut client, "DELETE FROM part");
    assert_eq!(events_of(&mut client, "ticket.created").len(), 2);
    run(&mut client, "INSERT INTO part VALUES (5, 'a', 'b', 5)");
    let types: Vec<String> =
        ask(&mut client, "SELECT array_agg(event_type ORDER BY id) FROM hydra.event WHERE entity_id = '5'");
    assert_eq!(types, ["ticket.created", "ticket.assigned"], "in the order in which they were asked for");

    // One change would be two events.
    let twice =
        refused(&mut client, "SELECT hydra.webhook_watch('part', 'ticket.created', 'insert or update')", "42710");
    assert!(twice.detail.contains(&first) && twice.hint.contains("hydra.webhook_unwatch"), "{twice:?}");

    // One that was written by hand is a watch as well.
    run(
        &mut client,
        "CREATE TRIGGER mine AFTER UPDATE ON part FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('part.updated')",
    );
    assert_eq!(watch(&mut client, "'part', 'part.updated', 'update', 'new.stock > 9'"), "mine");
}

#[test]
fn unwatching_ends_the_events_and_says_so_when_there_was_no_watch() {
    let mut client = database("unwatched");
    run(&mut client, PARTS);
    for operation in ["insert", "update"] {
        watch(&mut client, &format!("'part', 'part.created', '{operation}'"));
    }
    watch(&mut client, "'part', 'part.deleted', 'delete'");
    run(&mut client, "SELECT hydra.webhook_unwatch('part', 'part.created')");
    run(&mut client, "INSERT INTO part VALUES (1); UPDATE part SET stock = 1; DELETE FROM part");
    assert_eq!(events_of(&mut client, "part.created").len() + events_of(&mut client, "part.deleted").len(), 1);
    for (arguments, code) in [
        ("'part', 'part.created'", "42704"),
        ("'part', ''", "42704"),
        ("NULL, 'part.created'", "22004"),
        ("'part', NULL", "22004"),
    ] {
        refused(&mut client, &format!("SELECT hydra.webhook_unwatch({arguments})"), code);
    }
}

#[test]
fn a_watch_survives_dump_and_restore() {
    let mut client = database("dumped");
    run(&mut client, &format!("CREATE SCHEMA app; SET search_path = app; {PARTS}"));
    run(&mut client, "CREATE FUNCTION label(part) RETURNS text LANGUAGE sql AS $$ SELECT $1.name || '!' $$");
    watch(
        &mut client,
        "'part', 'part.created', 'insert', 'new.stock > 0', $$jsonb_build_object('id', new.id, 'label', label(new), 'b', '\\')$$",
    );
    watch(&mut client, "'part', 'part.updated', 'update', 'old.stock > 0', $$jsonb_build_array(label(new))$$, '{stock}', level => 'statement')
           , hydra.webhook_watch('part', 'part.deleted', 'delete'");

    let dump = cluster().program("pg_dump").arg("dumped").output().expect("pg_dump starts");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let file = cluster().directory().join("dump.sql");
    std::fs::write(&file, &dump.stdout).expect("a place of our own");
    run(&mut client, "CREATE DATABASE restored");
    let restore = cluster()
        .program("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f"])
        .arg(&file)
        .stdout(Stdio::null())
        .output()
        .expect("psql starts");
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));

    let mut restored = cluster().connect("restored");
    let watches = "SELECT array_agg(w::text ORDER BY trigger_name) FROM hydra.webhook_watches AS w";
    run(&mut client, "RESET search_path");
    assert_eq!(ask::<Vec<String>>(&mut client, watches), ask::<Vec<String>>(&mut restored, watches));
    for client in [&mut client, &mut restored] {
        run(
            client,
            "INSERT INTO app.part VALUES (1, 't', 'bolt', 1), (2, 't', 'nut', 0); UPDATE app.part SET stock = 5; DELETE FROM app.part",
        );
        assert_eq!(events_of(client, "part.created"), [r#"1 t {"b": "\\", "id": 1, "label": "bolt!"}"#]);
        assert_eq!(events_of(client, "part.updated"), [r#"1 t ["bolt!"]"#]);
        assert_eq!(events_of(client, "part.deleted").len(), 2);
    }
}

#[test]
fn conditions_and_columns_follow_a_rename_and_expressions_that_cannot_are_reported() {
    let mut client = database("renamed");
    run(&mut client, PARTS);
    let row = watch(&mut client, "'part', 'part.updated', 'update', 'new.stock > 0', columns => '{stock}'");
    let entity = "'part', 'part.created', 'insert', entity => 'jsonb_build_object(''left'', new.stock)'";
    watch(&mut client, entity);
    watch(&mut client, "'part', 'part.stock_updated', 'update', columns => '{stock}', level => 'statement'");
    watch(&mut client, "'part', 'part.deleted', 'delete', 'old.stock > 0', level => 'statement'");
    run(&mut client, "INSERT INTO part VALUES (1, 't', 'bolt', 1)");
    assert_eq!(problems(&mut client).len(), 0);
    events_of(&mut client, "part.created");

    run(&mut client, "ALTER TABLE part RENAME stock TO quantity");
    assert_eq!(problems(&mut client).len(), 3);
    let fine: String =
        ask(&mut client, "SELECT string_agg(trigger_name, ',') FROM hydra.webhook_watches WHERE problem IS NULL");
    assert_eq!(fine, row);
    let shown: String = ask(
        &mut client,
        &format!("SELECT condition || columns::text FROM hydra.webhook_watches WHERE trigger_name = '{row}'"),
    );
    assert_eq!(shown, "new.quantity > 0{quantity}");

    // In the session that had planned it, and in a new one.
    for session in [&mut client, &mut cluster().connect("renamed")] {
        let broken = refused(session, "INSERT INTO part VALUES (2, 't', 'nut', 1)", "42703");
        assert!(broken.message.contains("part.created") && broken.message.contains("new.stock"), "{broken:?}");
        assert!(
            broken.detail.contains("jsonb_build_object") && broken.hint.contains("hydra.webhook_watch"),
            "{broken:?}"
        );
        refused(session, "DELETE FROM part", "42703");
        let broken = refused(session, "UPDATE part SET quantity = 2", "42703");
        assert!(broken.detail.contains("stock"), "{broken:?}");
    }

    watch(&mut client, &entity.replace("new.stock", "new.quantity"));
    run(&mut client, "INSERT INTO part VALUES (2, 't', 'nut', 1)");
    assert_eq!(events_of(&mut client, "part.created"), [r#"2 t {"left": 1}"#]);
    assert_eq!(problems(&mut client).len(), 2);

    // What else an expression names can go, too.
    run(&mut client, "CREATE FUNCTION f(int) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb($1)'");
    watch(&mut client, "'part', 'part.created', 'insert', entity => 'f(new.id)'");
    run(&mut client, "INSERT INTO part VALUES (3, 't', 'nut', 1); DROP FUNCTION f(int)");
    refused(&mut client, "INSERT INTO part VALUES (4, 't', 'nut', 1)", "42883");
}

#[test]
fn a_column_that_is_added_or_changed_is_in_the_next_event() {
    let mut client = database("altered");
    run(&mut client, PARTS);
    watch(&mut client, "'part', 'part.created', 'insert', entity => 'to_jsonb(new)'");
    run(&mut client, "INSERT INTO part VALUES (1, 't', 'a', 1)");
    let mut other = cluster().connect("altered");
    run(
        &mut other,
        "ALTER TABLE part ADD COLUMN colour text DEFAULT 'red', ALTER COLUMN stock TYPE text, DROP COLUMN name",
    );
    run(&mut client, "INSERT INTO part VALUES (2, 't', '7')");
    assert_eq!(
        events_of(&mut client, "part.created"),
        [
            r#"1 t {"id": 1, "name": "a", "stock": 1, "tenant_id": "t"}"#,
            r#"2 t {"id": 2, "stock": "7", "colour": "red", "tenant_id": "t"}"#
        ]
    );
}

// ---- who may, and as whom

#[test]
fn only_who_may_create_triggers_on_a_table_can_watch_it() {
    let mut client = database("may");
    run(&mut client, PARTS);
    let call = "SELECT hydra.webhook_watch('part', 'part.created', 'insert')";
    let mut stranger = session_of(&mut client, "may", "may_stranger", &[]);
    let mut emitter = session_of(&mut client, "may", "may_emitter", &["hydra_emitter"]);
    run(&mut client, "GRANT ALL ON part TO may_stranger; GRANT SELECT, INSERT ON part TO may_emitter");
    assert_eq!(refusal(&mut stranger, call).code, "42501");
    assert_eq!(refusal(&mut emitter, call).code, "42501");
    run(&mut client, "GRANT TRIGGER ON part TO may_emitter");
    run(&mut emitter, call);
    run(&mut emitter, "SELECT hydra.webhook_watch('part', 'part.created', 'insert', 'new.stock > 1')");
    // As DROP TRIGGER has it.
    assert_eq!(refusal(&mut emitter, "SELECT hydra.webhook_unwatch('part', 'part.created')").code, "42501");
    run(&mut stranger, "INSERT INTO part VALUES (1, 't', 'b', 2)");
    assert_eq!(events_of(&mut client, "part.created").len(), 1, "who writes needs no role of ours");
}

#[test]
fn expressions_run_as_the_user_whose_transaction_it_is() {
    let mut client = database("as_whom");
    run(
        &mut client,
        &format!(
            "CREATE ROLE as_whom_owner LOGIN; CREATE SCHEMA app AUTHORIZATION as_whom_owner; GRANT hydra_emitter TO as_whom_owner; {PARTS}"
        ),
    );
    run(&mut client, "ALTER TABLE part SET SCHEMA app; ALTER TABLE app.part OWNER TO as_whom_owner");
    let mut owner = cluster().connect_as("as_whom", "as_whom_owner");
    let mut writer = session_of(&mut client, "as_whom", "as_whom_writer", &[]);
    run(&mut owner, "GRANT USAGE ON SCHEMA app TO as_whom_writer; GRANT INSERT ON app.part TO as_whom_writer");
    run(
        &mut owner,
        "CREATE FUNCTION app.whoami() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_user || ' ' || session_user; END $$",
    );
    for level in ["row", "statement"] {
        let mut watched = |entity: &str| {
            watch(
                &mut owner,
                &format!("'app.part', 'part.created', 'insert', entity => $${entity}$$, level => '{level}'"),
            )
        };
        watched("to_jsonb(app.whoami())");
        run(&mut writer, "INSERT INTO app.part VALUES (1, 't', 'b', 2)");
        assert_eq!(events_of(&mut client, "part.created"), ["1 t \"as_whom_writer as_whom_writer\""], "{level}");
        // Neither the extension's tables nor the table's owner's.
        for secret in ["SELECT secret FROM hydra.signing_secret", "SELECT name FROM app.part"] {
            let mut watched = |entity: &str| {
                watch(
                    &mut owner,
                    &format!("'app.part', 'part.created', 'insert', entity => $${entity}$$, level => '{level}'"),
                )
            };
            if secret.contains("hydra") {
                run(&mut client, "GRANT USAGE ON SCHEMA hydra TO as_whom_writer");
            }
            watched(&format!("to_jsonb(({secret} LIMIT 1))"));
            run(&mut writer, "INSERT INTO app.part VALUES (2, 't', 'b', 2)");
            assert_eq!(
                events_of(&mut client, "part.created"),
                ["2 t the entity cannot be rendered (SQLSTATE 42501)"],
                "{level}: {secret}"
            );
            run(&mut owner, "DELETE FROM app.part WHERE id = 2");
        }
        run(&mut owner, "DELETE FROM app.part");
    }
}

#[test]
fn a_session_cannot_put_functions_tables_or_operators_of_its_own_in_an_expression() {
    let mut client = database("paths");
    run(
        &mut client,
        &format!(
            "CREATE SCHEMA app; SET search_path = app; {PARTS}; CREATE TABLE rate (value int); INSERT INTO rate VALUES (3)"
        ),
    );
    run(&mut client, "CREATE FUNCTION app.price(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * value FROM rate'");
    let mut attacker = session_of(&mut client, "paths", "paths_attacker", &[]);
    run(
        &mut client,
        "CREATE SCHEMA evil AUTHORIZATION paths_attacker; GRANT USAGE ON SCHEMA app TO paths_attacker;
         GRANT ALL ON ALL TABLES IN SCHEMA app TO paths_attacker",
    );
    run(
        &mut attacker,
        "CREATE FUNCTION evil.price(int) RETURNS int LANGUAGE sql AS 'SELECT 666';
         CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
         CREATE FUNCTION evil.plus(int, int) RETURNS int LANGUAGE sql AS 'SELECT 666';
         CREATE OPERATOR evil.+ (FUNCTION = evil.plus, LEFTARG = int, RIGHTARG = int);
         CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS 'SELECT NULL';
         CREATE TABLE evil.rate (value int); INSERT INTO evil.rate VALUES (666);
         CREATE TEMPORARY TABLE rate (value int); INSERT INTO rate VALUES (666);
         SET search_path = evil, pg_temp, app, pg_catalog",
    );
    for level in ["row", "statement"] {
        watch(
            &mut client,
            &format!(
                "'part', 'part.created', 'insert', 'new.stock + 1 = 8', level => '{level}', tenant => 'upper(new.tenant_id)',
                 entity => 'jsonb_build_array(price(new.stock), new.stock + 1, (SELECT value FROM rate))'"
            ),
        );
        run(&mut attacker, "INSERT INTO app.part VALUES (1, 't', 'b', 7), (2, 't', 'b', 8)");
        assert_eq!(events_of(&mut client, "part.created"), ["1 T [21, 8, 3]"], "{level}");
        // And the session is as it was.
        let path: String = ask(&mut attacker, "SHOW search_path");
        assert_eq!(path, "evil, pg_temp, app, pg_catalog");
        run(&mut client, "DELETE FROM part");
    }
}

#[test]
fn to_look_at_the_watches_runs_nothing_of_their_authors() {
    let mut client = database("looked_at");
    run(
        &mut client,
        "CREATE TABLE who (name text); GRANT INSERT ON who TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC",
    );
    let mut author = session_of(&mut client, "looked_at", "looked_at_author", &["hydra_emitter"]);
    run(
        &mut author,
        "CREATE FUNCTION tell(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO who VALUES (current_user); RETURN true; END $$;
         CREATE DOMAIN trap AS int CHECK (tell(VALUE)); CREATE TABLE mine (id int)",
    );
    // The check of a domain runs when such a literal is read, before anything is executed.
    watch(&mut author, "'mine', 'part.created', 'insert', entity => $$to_jsonb('{1}'::trap[])$$");
    run(&mut client, "DELETE FROM who; SELECT * FROM hydra.webhook_watches");
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM who"), 0);
}

// ---- refusals

#[test]
fn what_cannot_be_watched_is_refused_with_reason_and_advice() {
    let mut client = database("refusals");
    run(
        &mut client,
        &format!(
            "{PARTS}; CREATE VIEW seen AS SELECT * FROM part; CREATE MATERIALIZED VIEW kept AS SELECT 1; CREATE SEQUENCE s"
        ),
    );
    for (arguments, code) in [
        ("NULL, 'part.created', 'insert'", "22004"),
        ("'part', NULL, 'insert'", "22004"),
        ("'part', 'part.created', NULL", "22004"),
        ("'part', 'part.created', 'insert', level => NULL", "22004"),
        ("'part', 'part.exploded', 'insert'", "42704"),
        ("'part', '', 'insert'", "42704"),
        ("'part', 'webhook.test', 'insert'", "42939"),
        ("'part', 'part.created', ''", "22023"),
        ("'part', 'part.created', 'upsert'", "22023"),
        ("'part', 'part.created', 'truncate'", "22023"),
        ("'part', 'part.created', 'insert or'", "22023"),
        ("'part', 'part.created', 'insert', level => 'table'", "22023"),
        ("'part', 'part.created', 'insert or update', level => 'statement'", "0A000"),
        ("'part', 'part.created', 'insert', columns => '{stock}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{stock,NULL}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{stock,stock}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{{stock},{name}}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{Stock}'", "42703"),
        ("'part', 'part.updated', 'update', columns => '{ctid}'", "42703"),
        ("'part', 'part.updated', 'update', columns => '{stock}', level => 'row', condition => ''", "42601"),
        ("'seen', 'part.created', 'insert'", "42809"),
        ("'kept', 'part.created', 'insert'", "42809"),
        ("'s', 'part.created', 'insert'", "42809"),
        ("1::regclass, 'part.created', 'insert'", "42P01"),
        ("'hydra.event', 'part.created', 'insert'", "42809"),
        ("'part', 'part.created', 'insert', 'true) EXECUTE FUNCTION x(); DROP TABLE part; --'", "42601"),
        ("'part', 'part.created', 'insert', entity => '1) FROM pg_class WHERE (true'", "42601"),
        ("'part', 'part.created', 'insert', entity => '1, 2'", "42601"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb($1)'", "42601"),
        ("'part', 'part.created', 'insert', entity => ''", "42601"),
        ("'part', 'part.created', 'insert', entity => 'new.colour'", "42703"),
        ("'part', 'part.created', 'insert', entity => 'new.stock +'", "42601"),
        ("'part', 'part.created', 'insert', entity => 'new.stock'", "42846"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(old)'", "42703"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(old.id)'", "42P01"),
        ("'part', 'part.created', 'insert or update', entity => 'to_jsonb(old.id)'", "42P01"),
        ("'part', 'part.deleted', 'delete', tenant => 'new.tenant_id'", "42P01"),
        ("'part', 'part.created', 'insert', entity => 'jsonb_agg(new.id)'", "42803"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(count(*))'", "42803"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(row_number() OVER ())'", "42P20"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(generate_series(1, 2))'", "0A000"),
        ("'part', 'part.created', 'insert', tenant => '(SELECT generate_series(1, 2) + new.nothing)'", "42703"),
        ("'part', 'part.created', 'insert', 'new.stock', level => 'statement'", "42804"),
        ("'part', 'part.created', 'insert', 'old.stock > 0', level => 'statement'", "42P01"),
    ] {
        refused(&mut client, &format!("SELECT hydra.webhook_watch({arguments})"), code);
    }
    // Postgres's own.
    for (arguments, code) in [
        ("'part', 'part.created', 'insert', 'new.colour = 1'", "42703"),
        ("'part', 'part.created', 'insert', 'old.stock = 1'", "42P17"),
        ("'part', 'part.created', 'insert', 'new.stock'", "42804"),
        ("'pg_class', 'part.created', 'insert'", "42501"),
        ("'nowhere', 'part.created', 'insert'", "42P01"),
    ] {
        assert_eq!(refusal(&mut client, &format!("SELECT hydra.webhook_watch({arguments})")).code, code, "{arguments}");
    }
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_watches"), 0, "nothing is left of them");
}

#[test]
fn triggers_that_cannot_work_are_told_of_and_refuse_to_fire() {
    let mut client = database("by_hand");
    run(&mut client, PARTS);
    for (definition, problem) in [
        ("BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('part.created')", "AFTER"),
        ("AFTER INSERT ON part EXECUTE FUNCTION hydra.webhook_emit_row('part.created')", "FOR EACH ROW"),
        ("AFTER INSERT ON part EXECUTE FUNCTION hydra.webhook_emit_statement('part.created')", "transition table"),
        (
            "AFTER INSERT ON part REFERENCING NEW TABLE AS new FOR EACH ROW
             EXECUTE FUNCTION hydra.webhook_emit_statement('part.created')",
            "FOR EACH STATEMENT",
        ),
        (
            "AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('part.created', 'x', 'y')",
            "arguments",
        ),
        ("AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row()", "arguments"),
    ] {
        run(&mut client, &format!("CREATE TRIGGER wrong {definition}"));
        let told = problems(&mut client);
        assert!(told.len() == 1 && told[0].contains(problem), "{definition}: {told:?}");
        refused(&mut client, "INSERT INTO part VALUES (1)", "39P01");
        run(&mut client, "DROP TRIGGER wrong ON part");
    }
    run(
        &mut client,
        "CREATE TRIGGER wrong AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('part.exploded')",
    );
    let told = problems(&mut client);
    assert!(told[0].contains("not registered"), "{told:?}");
    run(&mut client, "ALTER TABLE part DISABLE TRIGGER wrong; INSERT INTO part VALUES (1)");
    assert!(!ask::<bool>(&mut client, "SELECT enabled FROM hydra.webhook_watches"));
}
