//! Expressions that fail, and triggers that cannot work.

use testkit::{ask, refusal, refused, run};

use crate::{PARTS, cluster, database, events_of, problems, watch};

#[test]
fn an_event_whose_expression_fails_is_sent_without_its_entity() {
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
                // Its tenant is unknown: only subscriptions without a tenant get it.
                "10 - the entity cannot be rendered (SQLSTATE 22012)"
            ],
            "{level}"
        );
        let warning = "the entity expression of the watch of part.created on public.part failed: division by zero";
        assert!(cluster().log().contains(warning), "{level}: the log says why");
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
        // Caught, and the same transaction continues.
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
                             ALTER TABLE part DROP COLUMN id;
                             INSERT INTO part (name) VALUES ('x');
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
fn triggers_that_cannot_work_are_reported_and_refuse_to_fire() {
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
        let problems = problems(&mut client);
        assert!(problems.len() == 1 && problems[0].contains(problem), "{definition}: {problems:?}");
        refused(&mut client, "INSERT INTO part VALUES (1)", "39P01");
        run(&mut client, "DROP TRIGGER wrong ON part");
    }
    run(
        &mut client,
        "CREATE TRIGGER wrong AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('part.exploded')",
    );
    let problems = problems(&mut client);
    assert!(problems[0].contains("not registered"), "{problems:?}");
    run(&mut client, "ALTER TABLE part DISABLE TRIGGER wrong; INSERT INTO part VALUES (1)");
    assert!(!ask::<bool>(&mut client, "SELECT enabled FROM hydra.webhook_watches"));
}

#[test]
fn a_watch_counts_its_errors_and_shows_the_latest_to_those_who_may_see_the_table() {
    let mut client = database("counted_errors");
    run(&mut client, PARTS);
    run(&mut client, "CREATE TABLE fine (id int); GRANT SELECT, INSERT ON part TO PUBLIC");
    watch(&mut client, "'fine', 'part.deleted', 'insert', entity => 'to_jsonb(new)'");
    watch(&mut client, "'part', 'part.created', 'insert', entity => $$to_jsonb(new.name::int)$$, level => 'statement'");
    let shown = "SELECT concat_ws(' ', errors, last_error) FROM hydra.webhook_watches WHERE event = 'part.created'";
    assert_eq!(ask::<String>(&mut client, shown), "0");
    run(
        &mut client,
        "INSERT INTO fine VALUES (1); INSERT INTO part VALUES (1, 't', '12', 1), (2, 't', 'secret', 1), (3, 't', '', 1)",
    );
    run(&mut client, "BEGIN; INSERT INTO part VALUES (4, 't', 'undone', 1); ROLLBACK");
    let code = "the entity cannot be rendered (SQLSTATE 22P02)";
    let whole = format!(r#"3 {code}: invalid input syntax for type integer: "undone""#);
    assert_eq!(ask::<String>(&mut client, shown), whole, "a rollback does not undo it");
    let fine = "SELECT errors FROM hydra.webhook_watches WHERE event = 'part.deleted'";
    assert_eq!(ask::<i64>(&mut client, fine), 0);
    assert!(ask::<bool>(
        &mut client,
        "SELECT last_error_at > now() - interval '1 h' FROM hydra.webhook_watches WHERE event = 'part.created'"
    ));
    for (role, group, message) in
        [("ce_member", "hydra_member", format!("3 {code}")), ("ce_analyst", "hydra_analyst", whole.clone())]
    {
        let mut session = cluster().connect_as_new_role("counted_errors", role, &[group]);
        assert_eq!(ask::<String>(&mut session, shown), message, "{role}");
    }

    // An event that is kept is counted too, and so is one of a row that is too large.
    run(&mut client, "CREATE TABLE t (x text)");
    watch(&mut client, "'part', 'part.updated', 'update', tenant => '(SELECT t.x FROM t)'");
    run(&mut client, "DROP TABLE t; UPDATE part SET stock = 2 WHERE id = 1");
    let kept: String = ask(
        &mut client,
        "SELECT concat_ws(' ', errors, last_error) FROM hydra.webhook_watches WHERE event = 'part.updated'",
    );
    assert_eq!(kept, r#"1 the tenant cannot be evaluated (SQLSTATE 42P01): relation "t" does not exist"#);
    watch(&mut client, "'part', 'ticket.created', 'insert'");
    run(
        &mut client,
        "SET hydra_webhooks.max_entity_size = '1kB'; INSERT INTO part VALUES (9, 't', repeat('1', 2000), 1)",
    );
    let large: String = ask(
        &mut client,
        "SELECT concat_ws(' ', errors, last_error) FROM hydra.webhook_watches WHERE event = 'ticket.created'",
    );
    assert_eq!(large, "1 the entity is larger than 1 kB");
}

#[test]
fn the_errors_of_partitions_are_those_of_the_watch_of_their_table() {
    let mut client = database("counted_partitions");
    run(
        &mut client,
        "CREATE TABLE part (id int, name text) PARTITION BY RANGE (id);
         CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
         CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20)",
    );
    watch(&mut client, "'part', 'part.created', 'insert', entity => 'to_jsonb(1 / (new.id % 5))'");
    run(&mut client, "INSERT INTO part SELECT generate_series(1, 19)");
    let errors: Vec<i64> = ask(&mut client, "SELECT array_agg(errors) FROM hydra.webhook_watches");
    assert_eq!(errors, [3]);
}
