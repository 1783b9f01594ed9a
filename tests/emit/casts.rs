//! Casts to JSON that run code of the application.

use std::collections::BTreeSet;
use std::time::Instant;

use postgres::Client;
use serde_json::Value;
use testkit::{PATIENCE, ask, run};

use crate::{bench, set, settle, settle_ids, settle_set, text, watch};

/// A type with a cast to json that is a function of the application.
fn cast_to_json(function_body: &str) -> String {
    format!(
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN {function_body} END $$;
         CREATE CAST (mood AS json) WITH FUNCTION mood_to_json(mood);"
    )
}

/// The session works and is in no transaction.
#[track_caller]
fn assert_usable(client: &mut Client) {
    let fresh: bool = ask(client, "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL");
    assert!(fresh, "the session is still inside a transaction");
    run(client, "BEGIN; CREATE TEMPORARY TABLE usable (); ROLLBACK");
}

#[test]
fn a_row_that_cannot_be_rendered_never_fails_the_application() {
    let mut bench = bench("unrenderable");
    bench.run(&cast_to_json("IF $1 = 'sad' THEN RAISE EXCEPTION 'top secret'; END IF; RETURN '\"fine\"';"));
    watch(&mut bench, "id text, m mood");
    bench.run("BEGIN");
    bench.run("INSERT INTO ticket VALUES ('before', 'ok'), ('sad', 'sad'), ('after', 'ok')");
    bench.run("INSERT INTO ticket VALUES ('again', 'sad')");
    bench.run("SAVEPOINT s");
    bench.run("INSERT INTO ticket VALUES ('undone', 'sad')");
    bench.run("ROLLBACK TO s");
    bench.run("COMMIT");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM ticket"), 4);
    let requests = settle(&mut bench);
    let mut ids = BTreeSet::new();
    for request in &requests {
        let sent = request.json();
        let id = text(&sent["data"]["entity_id"]);
        if id == "sad" || id == "again" {
            assert_eq!(sent["data"]["entity"], Value::Null);
            assert!(text(&sent["data"]["entity_error"]).contains("P0001"));
            assert!(!request.text().contains("top secret"), "the receiver does not get the message");
        } else {
            assert_eq!(sent["data"]["entity"]["m"], "fine");
        }
        ids.insert(id);
    }
    assert_eq!((requests.len(), ids), (4, set(&["before", "sad", "after", "again"])));

    bench.run("SET hydra_webhooks.on_entity_error = error");
    bench.refused("INSERT INTO ticket VALUES ('refused', 'sad')", "54000");
    assert_usable(&mut bench.client);
    bench.run("INSERT INTO ticket VALUES ('accepted', 'ok')");
}

#[test]
fn cancelling_a_statement_that_renders_cancels_it_and_leaves_the_session_sound() {
    let mut bench = bench("cancelled");
    bench.run(&cast_to_json("IF $1 = 'sad' THEN PERFORM pg_sleep(600); END IF; RETURN '\"fine\"';"));
    watch(&mut bench, "id text, m mood");
    // Only for what is to be cancelled: on a busy machine a statement can take as long as that.
    bench.run("SET statement_timeout = '200ms'");
    let start = Instant::now();
    assert_eq!(bench.refusal("INSERT INTO ticket VALUES ('alone', 'sad')").code, "57014");
    assert!(start.elapsed() < PATIENCE);
    bench.run("RESET statement_timeout");
    assert_usable(&mut bench.client);

    bench.run("BEGIN");
    bench.run("INSERT INTO ticket VALUES ('kept', 'ok')");
    bench.run("SAVEPOINT s");
    // Undone with the savepoint.
    bench.run("SET LOCAL statement_timeout = '200ms'");
    assert_eq!(bench.refusal("INSERT INTO ticket VALUES ('in savepoint', 'sad')").code, "57014");
    bench.run("ROLLBACK TO s");
    bench.run("COMMIT");
    assert_usable(&mut bench.client);

    // PL/pgSQL may catch a cancellation, and then rolls back its own block only.
    bench.run("SET statement_timeout = '3s'");
    bench.run(
        "DO $$ BEGIN
             INSERT INTO ticket VALUES ('outer', 'ok');
             BEGIN
                 INSERT INTO ticket VALUES ('caught', 'sad');
             EXCEPTION WHEN query_canceled THEN
                 INSERT INTO ticket VALUES ('handler', 'ok');
             END;
         END $$",
    );
    bench.run("RESET statement_timeout");
    assert_usable(&mut bench.client);
    assert_eq!(settle_set(&mut bench), set(&["kept", "outer", "handler"]));
}

#[test]
fn a_cast_runs_as_the_user_whose_transaction_it_is() {
    let mut bench = bench("casts");
    bench.run("CREATE TABLE who (name text); GRANT INSERT ON who TO PUBLIC");
    bench.run(&cast_to_json("INSERT INTO who VALUES (current_user); RETURN '\"fine\"';"));
    watch(&mut bench, "id text, m mood");
    bench.run("GRANT INSERT ON ticket TO PUBLIC");
    let mut application = bench.session_of_new_role("casts_app", &[]);
    run(&mut application, "INSERT INTO ticket VALUES ('mine', 'ok')");
    assert_eq!(bench.ask::<String>("SELECT string_agg(DISTINCT name, ',') FROM who"), "casts_app");
    assert_eq!(settle_ids(&mut bench), ["mine"]);
}
