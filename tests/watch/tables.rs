//! Tables of all kinds: odd names, partitions, children, temporary and foreign tables.

use std::collections::BTreeSet;

use testkit::{Need, ask, lacks, refused, run};

use crate::{PARTS, cluster, database, events_of, problems, watch};

#[test]
fn tables_and_columns_with_odd_names_can_be_watched() {
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
    assert_eq!(shown, 1, "the triggers of its partitions are not shown");
    run(&mut client, "INSERT INTO part VALUES (1, 'a', 'x'), (2, 'b', 'y'); INSERT INTO part_b VALUES ('z', 'b', 3)");
    let expected = [r#"1 - [1, "a", "x"]"#, r#"2 - [2, "b", "y"]"#, r#"3 - [3, "b", "z"]"#];
    assert_eq!(events_of(&mut client, "part.created"), expected);

    let on_partition = refused(&mut client, "SELECT hydra.webhook_watch('part_a', 'part.created', 'insert')", "42710");
    assert!(on_partition.hint.contains("partition"), "{on_partition:?}");
    refused(&mut client, "SELECT hydra.webhook_unwatch('part_a', 'part.created')", "42704");
    // A watch of one partition does not prevent one of the whole table.
    watch(&mut client, "'part_a', 'ticket.created', 'insert'");
    watch(&mut client, "'part', 'ticket.resolved', 'insert'");

    // By statement: an update that moves rows between partitions is an update of each row.
    watch(&mut client, "'part', 'part.created', 'insert', level => 'statement'");
    let clones: i64 = ask(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'part_created'");
    assert_eq!(clones, 1, "the former triggers are gone");
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

    if lacks(&mut client, Need::Contrib("postgres_fdw")) {
        return;
    }
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

/// Partitions `a` and `b`, and a table `c` that can become a partition.
const PARTITIONED: &str = "CREATE TABLE part (id int, region text) PARTITION BY LIST (region);
     CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a'); CREATE TABLE part_b PARTITION OF part FOR VALUES IN ('b');
     CREATE TABLE part_c (id int, region text)";

#[test]
fn a_watched_table_can_become_a_partition_of_a_watched_table() {
    let mut client = database("attached");
    run(&mut client, PARTITIONED);
    watch(&mut client, "'part', 'part.created', 'insert'");
    watch(&mut client, "'part_c', 'part.created', 'insert'");
    run(&mut client, "ALTER TABLE part ATTACH PARTITION part_c FOR VALUES IN ('c')");
    let problem: Vec<String> = problems(&mut client);
    assert!(problem.len() == 1 && problem[0].contains("two events"), "{problem:?}");
    let watch: String = ask(&mut client, "SELECT source::text FROM hydra.webhook_watches WHERE problem IS NOT NULL");
    assert_eq!(watch, "part_c", "this watch is to be ended");
    run(&mut client, "SELECT hydra.webhook_unwatch('part_c', 'part.created'); INSERT INTO part VALUES (1, 'c')");
    assert_eq!((events_of(&mut client, "part.created").len(), problems(&mut client).len()), (1, 0));
}

#[test]
fn a_table_and_its_partition_cannot_be_watched_so_that_a_change_is_two_events() {
    let mut client = database("twice");
    run(&mut client, PARTITIONED);
    for (first, second, refusal) in [
        ("row", "row", true),
        ("row", "statement", true),
        ("statement", "row", true),
        ("statement", "statement", false),
    ] {
        for [one, other] in [["part_a", "part"], ["part", "part_a"]] {
            watch(&mut client, &format!("'{one}', 'part.created', 'insert', level => '{first}'"));
            // The watch of another partition or another event does not matter.
            watch(&mut client, &format!("'{other}', 'part.updated', 'update', level => '{second}'"));
            let again = format!("SELECT hydra.webhook_watch('{other}', 'part.created', 'insert', level => '{second}')");
            match refusal {
                true => {
                    let twice = refused(&mut client, &again, "42710");
                    assert!(twice.detail.contains("two events"), "{twice:?}");
                }
                false => {
                    run(&mut client, &again);
                    run(&mut client, "INSERT INTO part VALUES (1, 'a'); INSERT INTO part_a VALUES (2, 'a')");
                    assert_eq!(events_of(&mut client, "part.created").len(), 2);
                    run(&mut client, &format!("SELECT hydra.webhook_unwatch('{other}', 'part.created')"));
                }
            }
            run(
                &mut client,
                &format!(
                    "SELECT hydra.webhook_unwatch('{one}', 'part.created'), hydra.webhook_unwatch('{other}', 'part.updated')"
                ),
            );
        }
    }
}

#[test]
fn a_watch_of_a_partitioned_table_says_how_it_differs_from_the_other_level() {
    let mut client = database("moved");
    run(&mut client, PARTITIONED);
    for (level, moved, notice) in [
        ("row", ["part.deleted", "part.created"].as_slice(), "to another partition is a delete and an insert"),
        ("statement", ["part.updated"].as_slice(), "statements that name a partition"),
    ] {
        for (event, operation) in [("part.created", "insert"), ("part.updated", "update"), ("part.deleted", "delete")] {
            let watch = format!("SELECT hydra.webhook_watch('part', '{event}', '{operation}', level => '{level}')");
            let said = said("moved", &watch);
            assert!(said.contains(notice) && said.contains("HINT"), "{level}: {said}");
            assert_eq!(said.contains("MERGE"), level == "statement", "{level}: {said}");
        }
        run(&mut client, "TRUNCATE part, hydra.event; INSERT INTO part VALUES (1, 'a'); DELETE FROM hydra.event");
        run(&mut client, "UPDATE part SET region = 'b'");
        let types: Vec<String> = ask(&mut client, "SELECT array_agg(event_type ORDER BY id) FROM hydra.event");
        assert_eq!(types, moved, "{level}");
    }
}

/// Runs a statement with psql, and returns its notices.
pub fn said(database: &str, statement: &str) -> String {
    let psql = cluster().program("psql").args(["-X", "-d", database, "-c", statement]).output().expect("psql starts");
    let said = String::from_utf8_lossy(&psql.stderr).into_owned();
    assert!(psql.status.success(), "{said}");
    said
}

#[test]
fn a_watch_of_a_table_with_children_says_how_it_differs_from_the_other_level() {
    let mut client = database("inherited");
    run(&mut client, "CREATE TABLE part (id int); CREATE TABLE special () INHERITS (part)");
    for (level, emitted, notice) in
        [("row", 1, "rows of the child tables of public.part"), ("statement", 2, "statements that name a child table")]
    {
        let watch = format!("SELECT hydra.webhook_watch('part', 'part.updated', 'update', level => '{level}')");
        let said = said("inherited", &watch);
        assert!(said.contains(notice) && said.contains("HINT"), "{level}: {said}");
        run(&mut client, "TRUNCATE part; INSERT INTO part VALUES (1); INSERT INTO special VALUES (2)");
        run(&mut client, "UPDATE part SET id = id + 10");
        assert_eq!(events_of(&mut client, "part.updated").len(), emitted, "{level}");
        run(&mut client, "UPDATE special SET id = id + 10");
        assert_eq!(events_of(&mut client, "part.updated").len(), 0, "{level}");
    }
    run(&mut client, "DROP TABLE special");
    let alone = said("inherited", "SELECT hydra.webhook_watch('part', 'part.created', 'insert')");
    assert!(!alone.contains("NOTICE"), "it has no children any more: {alone}");
}
