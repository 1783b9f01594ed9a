//! Watches that are replaced, removed and restored, and tables that change.

use std::process::Stdio;

use testkit::{ask, refused, run};

use crate::tables::said;
use crate::{PARTS, cluster, database, events_of, kept, watch};

#[test]
fn a_second_call_replaces_the_watch_and_keeps_its_order() {
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
    // A watch of another operation is a different one.
    watch(&mut client, "'part', 'ticket.created', 'delete'");
    run(&mut client, "INSERT INTO part VALUES (1, 'a', 'b', 3), (2, 'a', 'b', 4)");
    assert_eq!(events_of(&mut client, "ticket.created").len(), 1);
    run(&mut client, "DELETE FROM part");
    assert_eq!(events_of(&mut client, "ticket.created").len(), 2);
    run(&mut client, "INSERT INTO part VALUES (5, 'a', 'b', 5)");
    let types: Vec<String> =
        ask(&mut client, "SELECT array_agg(event_type ORDER BY id) FROM hydra.event WHERE entity_id = '5'");
    assert_eq!(types, ["ticket.created", "ticket.assigned"], "in the order in which the watches were created");

    // Each change would emit two events.
    let twice =
        refused(&mut client, "SELECT hydra.webhook_watch('part', 'ticket.created', 'insert or update')", "42710");
    assert!(twice.detail.contains(&first) && twice.hint.contains("hydra.webhook_unwatch"), "{twice:?}");

    // A trigger created by hand is a watch as well.
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
    std::fs::write(&file, &dump.stdout).expect("a file can be written into the directory of the cluster");
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

#[test]
fn a_renamed_tenant_is_not_followed_where_the_row_that_is_sent_depends_on_the_operation() {
    let mut client = database("tenant_of_two");
    run(&mut client, PARTS);
    watch(&mut client, "'part', 'part.updated', 'insert or delete'");
    run(
        &mut client,
        "ALTER TABLE part RENAME tenant_id TO shop; INSERT INTO part VALUES (1, 'acme'); DELETE FROM part",
    );
    let expected = r#"1 - {"id":1,"shop":"acme","name":null,"stock":null}"#;
    assert_eq!(events_of(&mut client, "part.updated"), [expected, expected]);
    assert_eq!(kept(&mut client).len(), 0);
}

#[test]
fn a_watch_that_is_replaced_says_what_changes_and_how_to_have_it_as_before() {
    let mut client = database("replaced_says");
    run(&mut client, PARTS);
    let call = |more: &str| format!("SELECT hydra.webhook_watch('part', 'part.updated', 'update'{more})");
    let first = r#", condition => 'new.stock > 3', columns => '{stock,name}', tenant => 'new.name'"#;
    assert!(!said("replaced_says", &call(first)).contains("NOTICE"), "it is new");
    assert!(!said("replaced_says", &call(first)).contains("NOTICE"), "nothing has changed");
    let former: String =
        ask(&mut client, "SELECT hydra.webhook_watch_definition(source, trigger_name) FROM hydra.webhook_watches");
    let notice = said("replaced_says", &call(r#", condition => 'new.stock > 5', level => 'statement'"#));
    for part in [
        "NOTICE:  the watch of part.updated on public.part was replaced",
        "condition is new.stock > 5, and was new.stock > 3",
        "columns is not set, and was {stock,name}",
        "tenant is not set, and was new.name",
        "level is statement, and was row",
        &former,
    ] {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    // That call makes it as it was.
    run(&mut client, &former);
    let now: String =
        ask(&mut client, "SELECT hydra.webhook_watch_definition(source, trigger_name) FROM hydra.webhook_watches");
    assert_eq!(now, former);
}

#[test]
fn the_definition_of_a_watch_makes_it_again() {
    let mut client = database("defined");
    run(&mut client, &format!(r#"CREATE SCHEMA "My app"; SET search_path = "My app"; {PARTS}"#));
    for arguments in [
        r#"'part', 'part.created', 'insert', entity => $$jsonb_build_object('a', 'it''s \ "b"')$$"#,
        r#"'part', 'part.updated', 'update', columns => '{stock}', level => 'statement', "only" => '{id,name}'"#,
        r#"'part', 'part.deleted', 'insert or delete', "except" => '{stock}'"#,
    ] {
        watch(&mut client, arguments);
    }
    run(
        &mut client,
        "CREATE TRIGGER mine AFTER UPDATE OF name ON part FOR EACH ROW WHEN (new.stock > 1)
         EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created')",
    );
    let all = "SELECT array_agg(concat_ws('|', event, operation, level, condition, columns, entity, \"only\", \"except\", tenant) ORDER BY event)
               FROM hydra.webhook_watches";
    let before: Vec<String> = ask(&mut client, all);
    let definitions: Vec<String> = ask(
        &mut client,
        "SELECT array_agg(hydra.webhook_watch_definition(source, trigger_name)) FROM hydra.webhook_watches",
    );
    run(
        &mut client,
        "SELECT hydra.webhook_unwatch(source, event) FROM (SELECT DISTINCT source, event FROM hydra.webhook_watches) AS w",
    );
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_watches"), 0);
    for definition in &definitions {
        run(&mut client, definition);
    }
    assert_eq!(ask::<Vec<String>>(&mut client, all), before, "{definitions:#?}");
    refused(&mut client, "SELECT hydra.webhook_watch_definition('part', 'no_such')", "42704");
}
