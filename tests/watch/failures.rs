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
