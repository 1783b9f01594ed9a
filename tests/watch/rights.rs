//! Who may watch a table, and as whom expressions run.

use testkit::{ask, refusal, run};

use crate::{PARTS, cluster, database, events_of, watch};

#[test]
fn only_roles_that_may_create_triggers_on_a_table_can_watch_it() {
    let mut client = database("may");
    run(&mut client, PARTS);
    let call = "SELECT hydra.webhook_watch('part', 'part.created', 'insert')";
    let mut stranger = cluster().connect_as_new_role("may", "may_stranger", &[]);
    let mut emitter = cluster().connect_as_new_role("may", "may_emitter", &["hydra_emitter"]);
    run(&mut client, "GRANT ALL ON part TO may_stranger; GRANT SELECT, INSERT ON part TO may_emitter");
    assert_eq!(refusal(&mut stranger, call).code, "42501");
    assert_eq!(refusal(&mut emitter, call).code, "42501");
    run(&mut client, "GRANT TRIGGER ON part TO may_emitter");
    run(&mut emitter, call);
    run(&mut emitter, "SELECT hydra.webhook_watch('part', 'part.created', 'insert', 'new.stock > 1')");
    // As DROP TRIGGER has it.
    assert_eq!(refusal(&mut emitter, "SELECT hydra.webhook_unwatch('part', 'part.created')").code, "42501");
    run(&mut stranger, "INSERT INTO part VALUES (1, 't', 'b', 2)");
    assert_eq!(
        events_of(&mut client, "part.created").len(),
        1,
        "a role that writes needs none of the extension's roles"
    );
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
    let mut writer = cluster().connect_as_new_role("as_whom", "as_whom_writer", &[]);
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
fn a_session_cannot_replace_functions_tables_or_operators_of_an_expression() {
    let mut client = database("paths");
    run(
        &mut client,
        &format!(
            "CREATE SCHEMA app; SET search_path = app; {PARTS}; CREATE TABLE rate (value int); INSERT INTO rate VALUES (3)"
        ),
    );
    run(&mut client, "CREATE FUNCTION app.price(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * value FROM rate'");
    let mut attacker = cluster().connect_as_new_role("paths", "paths_attacker", &[]);
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
fn reading_the_watches_runs_no_code_of_their_authors() {
    let mut client = database("looked_at");
    run(
        &mut client,
        "CREATE TABLE who (name text); GRANT INSERT ON who TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC",
    );
    let mut author = cluster().connect_as_new_role("looked_at", "looked_at_author", &["hydra_emitter"]);
    run(
        &mut author,
        "CREATE FUNCTION note(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO who VALUES (current_user); RETURN true; END $$;
         CREATE DOMAIN trap AS int CHECK (note(VALUE)); CREATE TABLE mine (id int)",
    );
    // The check of a domain runs when such a literal is read, before anything is executed.
    watch(&mut author, "'mine', 'part.created', 'insert', entity => $$to_jsonb('{1}'::trap[])$$");
    run(&mut client, "DELETE FROM who; SELECT * FROM hydra.webhook_watches");
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM who"), 0);
}
