//! Virtual generated columns, which PostgreSQL 18 has and computes only when they are read.

use testkit::{Need, ask, lacks, refused, run};

use crate::{database, events_of, watch};

/// The id, the tenant and the stock are virtual.
const VIRTUAL_PARTS: &str = "CREATE TABLE part (
     number int PRIMARY KEY, region text, boxes int,
     id text GENERATED ALWAYS AS ('part ' || number), tenant_id text GENERATED ALWAYS AS ('tenant ' || region),
     stock int GENERATED ALWAYS AS (boxes * 12))";

#[test]
fn virtual_columns_have_their_values_in_entities_ids_and_tenants() {
    let mut client = database("virtual_entities");
    if lacks(&mut client, Need::Version(18)) {
        return;
    }
    run(&mut client, VIRTUAL_PARTS);
    for level in ["row", "statement"] {
        for (event, operation) in [("part.created", "insert"), ("part.updated", "update"), ("part.deleted", "delete")] {
            watch(&mut client, &format!("'part', '{event}', '{operation}', level => '{level}'"));
        }
        run(&mut client, "INSERT INTO part VALUES (1, 'a', 1), (2, 'b', 2)");
        run(&mut client, "UPDATE part SET boxes = 3 WHERE number = 1; DELETE FROM part");
        let event = |number: i32, region: &str, boxes: i32| {
            format!(
                "part {number} tenant {region} {{\"number\":{number},\"region\":\"{region}\",\"boxes\":{boxes},\
                 \"id\":\"part {number}\",\"tenant_id\":\"tenant {region}\",\"stock\":{}}}",
                12 * boxes
            )
        };
        assert_eq!(events_of(&mut client, "part.created"), [event(1, "a", 1), event(2, "b", 2)], "{level}");
        assert_eq!(events_of(&mut client, "part.updated"), [event(1, "a", 3)], "{level}");
        let mut deleted = events_of(&mut client, "part.deleted");
        deleted.sort();
        assert_eq!(deleted, [event(1, "a", 3), event(2, "b", 2)], "{level}");
    }
}

#[test]
fn virtual_columns_have_their_values_in_expressions_and_conditions() {
    let mut client = database("virtual_expressions");
    if lacks(&mut client, Need::Version(18)) {
        return;
    }
    run(&mut client, VIRTUAL_PARTS);
    run(&mut client, "INSERT INTO part VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)");
    for level in ["row", "statement"] {
        watch(
            &mut client,
            &format!(
                "'part', 'part.updated', 'update', 'new.stock > old.stock AND new.stock > 24', level => '{level}',
                 entity => 'jsonb_build_array(old.stock, new.stock, to_jsonb(new) -> ''stock'')',
                 tenant => 'upper(new.tenant_id)', columns => ARRAY['boxes']"
            ),
        );
        watch(
            &mut client,
            &format!("'part', 'part.stock_updated', 'update', columns => ARRAY['stock'], level => '{level}'"),
        );
        run(&mut client, "UPDATE part SET boxes = boxes + 1");
        let expected = ["part 2 TENANT B [24, 36, 36]", "part 3 TENANT C [36, 48, 48]"];
        assert_eq!(events_of(&mut client, "part.updated"), expected, "{level}");
        run(&mut client, "UPDATE part SET boxes = boxes - 1");
        assert_eq!(events_of(&mut client, "part.updated").len(), 0, "{level}");
        assert_eq!(events_of(&mut client, "part.stock_updated").len(), 6, "{level}: the watched column is computed");
    }
}

#[test]
fn a_virtual_column_that_is_added_or_changed_is_sent_as_it_is_now() {
    let mut client = database("virtual_changes");
    if lacks(&mut client, Need::Version(18)) {
        return;
    }
    run(&mut client, "CREATE TABLE part (id int, gone int, boxes int, region text); ALTER TABLE part DROP COLUMN gone");
    watch(&mut client, "'part', 'part.created', 'insert'");
    watch(&mut client, "'part', 'part.updated', 'insert', entity => 'to_jsonb(new)', level => 'statement'");
    for (change, stock) in [
        ("ALTER TABLE part ADD COLUMN stock int GENERATED ALWAYS AS (boxes * 12)", 12),
        ("ALTER TABLE part ALTER COLUMN stock SET EXPRESSION AS (boxes * 6)", 6),
    ] {
        run(&mut client, &format!("{change}; INSERT INTO part VALUES (1, 1, NULL)"));
        let sent = format!(r#"1 - {{"id":1,"boxes":1,"region":null,"stock":{stock}}}"#);
        assert_eq!(events_of(&mut client, "part.created"), [sent]);
        let sent = format!(r#"1 - {{"id": 1, "boxes": 1, "stock": {stock}, "region": null}}"#);
        assert_eq!(events_of(&mut client, "part.updated"), [sent]);
    }
}

#[test]
fn a_partition_sends_virtual_columns_as_a_query_of_the_watched_table_shows_them() {
    let mut client = database("virtual_partitions");
    if lacks(&mut client, Need::Version(18)) {
        return;
    }
    run(
        &mut client,
        "CREATE TABLE part (id int, region text, boxes int, stock int GENERATED ALWAYS AS (boxes * 12))
             PARTITION BY LIST (region)",
    );
    // Its columns have another order, and its virtual column another expression.
    run(
        &mut client,
        "CREATE TABLE part_a (boxes int, stock int GENERATED ALWAYS AS (boxes * 6), region text, id int);
         ALTER TABLE part ATTACH PARTITION part_a FOR VALUES IN ('a')",
    );
    watch(&mut client, "'part', 'part.created', 'insert', level => 'statement'");
    watch(&mut client, "'part', 'part.updated', 'insert'");
    run(&mut client, "INSERT INTO part VALUES (1, 'a', 1)");
    // The trigger for each row is one of the partition.
    for (event, table) in [("part.created", "part"), ("part.updated", "part_a")] {
        let shown: String = ask(&mut client, &format!("SELECT '1 - ' || row_to_json(shown) FROM {table} AS shown"));
        assert_eq!(events_of(&mut client, event), [shown]);
    }
}

#[test]
fn a_virtual_column_that_cannot_be_computed_makes_the_event_thin_and_a_condition_fail() {
    let mut client = database("virtual_failures");
    if lacks(&mut client, Need::Version(18)) {
        return;
    }
    run(
        &mut client,
        "CREATE TABLE part (id int, boxes int, share int GENERATED ALWAYS AS (100 / boxes),
                            tenant_id text GENERATED ALWAYS AS ('tenant ' || id))",
    );
    for level in ["row", "statement"] {
        watch(&mut client, &format!("'part', 'part.created', 'insert', level => '{level}'"));
        watch(
            &mut client,
            &format!("'part', 'part.updated', 'insert', entity => 'to_jsonb(new.id)', level => '{level}'"),
        );
        run(&mut client, "INSERT INTO part VALUES (1, 4), (2, 0), (3, 5)");
        let [whole, thin, last] = &events_of(&mut client, "part.created")[..] else { panic!("three events") };
        assert!(whole.contains(r#""share":25"#) && last.contains(r#""share":20"#), "{level}: {whole}, {last}");
        assert!(
            thin.starts_with("2 tenant 2 the entity cannot be rendered") && thin.contains("22012"),
            "{level}: {thin}"
        );
        let events = events_of(&mut client, "part.updated");
        assert_eq!([&*events[0], &*events[2]], ["1 tenant 1 1", "3 tenant 3 3"], "{level}");
        assert!(events[1].starts_with("2 tenant 2 the entity cannot be rendered"), "{level}: {}", events[1]);
    }
    watch(&mut client, "'part', 'part.created', 'insert', 'new.share > 0', level => 'statement'");
    let failed = refused(&mut client, "INSERT INTO part VALUES (4, 5), (5, 0)", "22012");
    assert!(failed.message.contains("virtual generated column"), "{failed:?}");
}
