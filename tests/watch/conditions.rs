//! Conditions: those that are compiled and those that need a query mean the same, and fail in the same way.

use testkit::{ask, refusal, run};

use crate::{PARTS, cluster, database, events_of, kept, problems, watch};

#[test]
fn a_condition_means_the_same_whether_it_is_compiled_or_needs_a_query() {
    let mut client = database("two_forms");
    run(
        &mut client,
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN small AS int CHECK (VALUE < 100);
         CREATE TABLE sample (id int, name text, note text, mood mood, d small, tags text[], at timestamptz, doc jsonb);
         INSERT INTO sample SELECT n, 'name ' || n % 3, CASE n % 2 WHEN 0 THEN (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) AS i) END,
                (CASE n % 2 WHEN 0 THEN 'sad' ELSE 'ok' END)::mood, n, CASE n % 3 WHEN 0 THEN ARRAY['x', NULL] END,
                '2026-01-01 00:00:00+00'::timestamptz + n * interval '1 hour', jsonb_build_object('n', n) FROM generate_series(1, 30) AS n;
         ALTER TABLE sample ADD COLUMN added int DEFAULT 7;
         CREATE FUNCTION third(sample) RETURNS boolean LANGUAGE sql AS $$ SELECT $1.id % 3 = 0 $$",
    );
    let mut compared = 0;
    for condition in [
        "new.name = 'name 1' AND old.name = new.name",
        "length(new.note) > 3000",
        "new.added = 7 AND old.added IS NULL OR new.id > 20",
        "new.mood = 'ok'",
        "new.d > 3",
        "new.d::small < 50",
        "new.tags @> ARRAY['x']",
        "new.tags IS NULL -- a comment",
        "to_char(new.at, 'HH24') = '05'",
        "(new.doc ->> 'n')::int % 7 = 0",
        "old.id IS DISTINCT FROM new.id",
        "new IS DISTINCT FROM old",
        "third(new)",
        "new.id > NULL",
        "new.name LIKE '%2' IS NOT TRUE",
    ] {
        for level in ["row", "statement"] {
            let watched = |event: &str, condition: &str| {
                format!("'sample', '{event}', 'update', $c${condition}$c$, 'to_jsonb(new.id)', level => '{level}'")
            };
            watch(&mut client, &watched("part.created", condition));
            watch(&mut client, &watched("part.updated", &format!("(SELECT ({condition}\n))")));
            for statement in [
                "UPDATE sample SET doc = doc WHERE id = 3",
                "SET timezone = 'Asia/Kolkata'; UPDATE sample SET doc = doc || '{\"a\": 1}', id = id % 25; RESET timezone",
                "UPDATE sample SET added = added, note = note",
            ] {
                run(&mut client, statement);
                let [compiled, queried] = ["part.created", "part.updated"].map(|event| events_of(&mut client, event));
                assert_eq!(compiled, queried, "{level}: {condition}: {statement}");
                compared += compiled.len();
            }
        }
    }
    assert!(compared > 300, "{compared} events are few");
}

#[test]
fn a_condition_that_fails_for_the_data_of_a_row_fails_the_statement_and_nothing_else() {
    let mut client = database("bad_data");
    run(&mut client, PARTS);
    for level in ["row", "statement"] {
        for condition in ["10 / new.stock > 1", "(SELECT 10 / new.stock) > 1"] {
            watch(&mut client, &format!("'part', 'part.created', 'insert', '{condition}', level => '{level}'"));
            for _ in 0..3 {
                let rows = "(1, 't', 'a', 2), (2, 't', 'b', 0)";
                assert_eq!(refusal(&mut client, &format!("INSERT INTO part VALUES {rows}")).code, "22012");
                run(&mut client, "INSERT INTO part VALUES (1, 't', 'a', 2), (2, 't', 'b', 9); DELETE FROM part");
                assert_eq!(events_of(&mut client, "part.created").len(), 1, "{level}: {condition}");
            }
        }
    }
    assert_eq!((kept(&mut client).len(), problems(&mut client).len()), (0, 0));
}

#[test]
fn rows_that_can_no_longer_be_compared_do_not_fail_the_statement() {
    let mut client = database("not_comparable");
    run(&mut client, PARTS);
    for level in ["row", "statement"] {
        watch(
            &mut client,
            &format!("'part', 'part.updated', 'update', 'new IS DISTINCT FROM old', level => '{level}'"),
        );
        run(
            &mut client,
            "INSERT INTO part VALUES (1, 't', 'a', 1); UPDATE part SET stock = 1; UPDATE part SET stock = 2",
        );
        assert_eq!(events_of(&mut client, "part.updated").len(), 1, "{level}");
        // There is no equality for json.
        run(
            &mut client,
            "ALTER TABLE part ADD COLUMN more json; UPDATE part SET more = '{}'; UPDATE part SET more = '[]'",
        );
        let events = kept(&mut client);
        assert!(events.len() == 2 && events[1].contains("42883 could not identify an equality operator"), "{events:?}");
        run(
            &mut client,
            "ALTER TABLE part DROP COLUMN more; UPDATE part SET stock = 3; TRUNCATE part, hydra.kept_event",
        );
        assert_eq!(events_of(&mut client, "part.updated").len(), 1, "{level}");
    }
    let warnings = cluster()
        .log()
        .matches(
            "the condition expression of the watch of part.updated on public.part is not valid: could not identify",
        )
        .count();
    // Once for each state of the table, and not for each event. Much that happens in other databases at that moment
    // makes the session forget what it knew.
    assert!((2..4).contains(&warnings), "{warnings} warnings");
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.event"), 0);
}
