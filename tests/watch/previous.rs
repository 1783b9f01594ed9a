//! The row before the change, the kind of entity, and the key of the id.

use postgres::Client;
use testkit::{ask, refused, run};

use crate::tables::said;
use crate::{PARTS, cluster, database, problems, watch};

/// What was emitted since it was last asked: operation, entity and the row before.
fn emitted(client: &mut Client, statement: &str) -> Vec<String> {
    run(client, statement);
    let sql = "WITH gone AS (DELETE FROM hydra.event RETURNING *)
               SELECT concat_ws(' ', operation, coalesce(entity, entity_error), coalesce(previous, '-')) FROM gone ORDER BY id";
    client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn the_row_before_an_update_is_sent_if_the_watch_asks_for_it() {
    let mut client = database("previous");
    run(&mut client, PARTS);
    for level in ["row", "statement"] {
        for operation in ["insert", "update", "delete"] {
            let columns = r#""only" => '{id,stock}', previous => true"#;
            watch(&mut client, &format!("'part', 'part.updated', '{operation}', level => '{level}', {columns}"));
        }
        let life = "INSERT INTO part VALUES (1, 'acme', 'bolt', 5), (2, 'acme', 'nut', 6);
                    UPDATE part SET stock = stock + 1, name = 'x'; DELETE FROM part";
        let expected = [
            r#"insert {"id":1,"stock":5} null"#,
            r#"insert {"id":2,"stock":6} null"#,
            r#"update {"id":1,"stock":6} {"id":1,"stock":5}"#,
            r#"update {"id":2,"stock":7} {"id":2,"stock":6}"#,
            r#"delete {"id":1,"stock":6} null"#,
            r#"delete {"id":2,"stock":7} null"#,
        ];
        assert_eq!(emitted(&mut client, life), expected, "{level}");
    }
    let shown: bool = ask(&mut client, "SELECT bool_and(previous) FROM hydra.webhook_watches");
    assert!(shown);
    watch(&mut client, "'part', 'part.updated', 'insert', level => 'statement'");
    assert_eq!(
        emitted(&mut client, "INSERT INTO part (id) VALUES (3)"),
        [r#"insert {"id":3,"tenant_id":null,"name":null,"stock":null} -"#]
    );
    refused(
        &mut client,
        "SELECT hydra.webhook_watch('part', 'part.updated', 'update', entity => '1', previous => true)",
        "22023",
    );
}

#[test]
fn a_row_before_the_change_that_cannot_be_sent_is_null_or_an_error_as_for_entities() {
    let mut client = database("previous_large");
    run(&mut client, PARTS);
    for level in ["row", "statement"] {
        watch(&mut client, &format!("'part', 'part.updated', 'update', level => '{level}', previous => true"));
        let shrink = "DELETE FROM part; INSERT INTO part VALUES (1, 'acme', repeat('x', 300000), 5);
                      UPDATE part SET name = 'small'";
        let small = r#"update {"id":1,"tenant_id":"acme","name":"small","stock":5} null"#;
        assert_eq!(emitted(&mut client, shrink), [small], "{level}");
        run(&mut client, "SET hydra_webhooks.on_entity_error = 'error'");
        let refusal = refused(&mut client, shrink, "54000");
        assert!(refusal.message.starts_with("row before the change of event"), "{refusal:?}");
        run(&mut client, "RESET hydra_webhooks.on_entity_error");
    }
}

#[test]
fn a_kept_event_has_the_row_before_and_the_kind_of_entity() {
    let mut client = database("previous_kept");
    run(&mut client, &format!("{PARTS}; CREATE FUNCTION cheap(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'"));
    let condition = "condition => 'cheap(new.stock)', entity_type => 'bolt', previous => true";
    watch(&mut client, &format!("'part', 'part.updated', 'update', {condition}"));
    run(&mut client, "INSERT INTO part VALUES (1, 'acme', 'a', 5); ALTER FUNCTION cheap(int) RENAME TO dear");
    assert_eq!(emitted(&mut client, "UPDATE part SET stock = 4"), [""; 0]);
    run(&mut client, "SELECT hydra.webhook_send_kept(id) FROM hydra.webhook_kept");
    let kind: String = ask(&mut client, "SELECT entity_type FROM hydra.event");
    assert_eq!(kind, "bolt");
    let [event] = &emitted(&mut client, "")[..] else { panic!("one event") };
    assert!(event.ends_with(r#""stock":4} {"id":1,"tenant_id":"acme","name":"a","stock":5}"#), "{event}");
}

#[test]
fn a_trigger_by_hand_can_send_the_row_before_and_is_a_problem_without_old_rows() {
    let mut client = database("previous_by_hand");
    run(&mut client, &format!("{PARTS}; INSERT INTO part VALUES (1, 'acme', 'a', 5)"));
    let create = |tables: &str, arguments: &str| {
        format!(
            "CREATE OR REPLACE TRIGGER by_hand AFTER UPDATE ON part REFERENCING {tables} FOR EACH STATEMENT
             EXECUTE FUNCTION hydra.webhook_emit_statement('part.updated', {arguments})"
        )
    };
    run(&mut client, &create("OLD TABLE AS o NEW TABLE AS n", "'only', 'stock', 'previous', 'true'"));
    assert_eq!(emitted(&mut client, "UPDATE part SET stock = 4"), [r#"update {"stock":4} {"stock":5}"#]);
    assert_eq!(problems(&mut client), [""; 0]);
    run(&mut client, &create("NEW TABLE AS n", "'only', 'stock', 'previous', 'true'"));
    assert_eq!(emitted(&mut client, "UPDATE part SET stock = 3"), [r#"update {"stock":3} null"#]);
    assert!(problems(&mut client)[0].ends_with("needs a transition table with the rows before the change"));
    for wrong in ["'previous', 'yes'", "'previous', 'true', 'entity', '1'"] {
        run(&mut client, &create("NEW TABLE AS n", wrong));
        refused(&mut client, "UPDATE part SET stock = 3", "39P01");
    }
}

#[test]
fn a_watch_can_say_what_kind_of_entity_its_rows_are() {
    let mut client = database("entity_types");
    run(&mut client, PARTS);
    for level in ["row", "statement"] {
        let definition = format!("'part', 'part.created', 'insert', level => '{level}'");
        for (more, expected) in [("", "part"), (", entity_type => 'spare part'", "spare part")] {
            watch(&mut client, &format!("{definition}{more}"));
            run(&mut client, "TRUNCATE part; INSERT INTO part VALUES (1)");
            let kind: String =
                ask(&mut client, "WITH gone AS (DELETE FROM hydra.event RETURNING *) SELECT entity_type FROM gone");
            assert_eq!(kind, expected, "{level}");
        }
    }
    let shown: String = ask(&mut client, "SELECT entity_type FROM hydra.webhook_watches");
    assert_eq!(shown, "spare part");
    for wrong in ["''", "repeat('x', 201)"] {
        let sql = format!("SELECT hydra.webhook_watch('part', 'part.created', 'insert', entity_type => {wrong})");
        refused(&mut client, &sql, "22023");
    }
}

#[test]
fn a_table_without_the_column_of_the_id_is_named() {
    let mut client = database("missing_id");
    run(
        &mut client,
        r#"CREATE TABLE orders ("Id" int PRIMARY KEY, note text); CREATE TABLE part (id int);
           GRANT CREATE ON SCHEMA public TO hydra_emitter"#,
    );
    let say = |sql: &str| said("missing_id", sql);
    let notice = say("SELECT hydra.webhook_watch('orders', 'part.created', 'insert')");
    assert!(notice.contains("NOTICE:  the events part.created of public.orders have no entity_id"), "{notice}");
    assert!(notice.contains("The table has no column id,"), "{notice}");
    let hint = r#"SELECT hydra.webhook_register_event_type('part.created', id_key => 'Id');"#;
    assert!(notice.contains(hint), "{notice}");
    assert_eq!(problems(&mut client), [""; 0], "a table need not have an id");

    let notice = say("SELECT hydra.webhook_register_event_type('part.created', id_key => 'ID')");
    assert!(notice.contains("The table has no column \"ID\","), "{notice}");
    assert_eq!(problems(&mut client), [r#"column "ID", the id_key of its event type, does not exist"#]);
    for quiet in [
        hint,
        "SELECT hydra.webhook_watch('orders', 'part.created', 'insert')",
        "SELECT hydra.webhook_watch('part', 'part.updated', 'insert')",
        "SELECT hydra.webhook_watch('orders', 'part.updated', 'insert', entity => 'jsonb_build_object(''id'', 1)')",
    ] {
        let notice = say(quiet);
        assert!(!notice.contains("NOTICE"), "{quiet}: {notice}");
    }
    assert_eq!(problems(&mut client), [""; 0]);
    // A member of hydra_emitter is told too, who cannot read the event types.
    let mut emitter = cluster().connect_as_new_role("missing_id", "id_emitter", &["hydra_emitter"]);
    run(&mut emitter, "CREATE TABLE mine (x int); SELECT hydra.webhook_watch('mine', 'part.created', 'insert')");
}
