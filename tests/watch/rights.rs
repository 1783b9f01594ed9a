//! Which roles may watch a table, and as which role expressions run.

use testkit::{ask, refusal, run};

use crate::{PARTS, cluster, database, events_of, kept, problems, watch};

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
    // Only the owner can drop a trigger.
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
        // Neither the tables of the extension nor those of the owner of the table.
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
        // The search_path of the session is unchanged.
        let path: String = ask(&mut attacker, "SHOW search_path");
        assert_eq!(path, "evil, pg_temp, app, pg_catalog");
        run(&mut client, "DELETE FROM part");
    }
}

#[test]
fn a_missing_right_never_fails_the_writer_whenever_postgres_finds_it() {
    let mut client = database("no_right");
    run(
        &mut client,
        &format!(
            "{PARTS}; CREATE SCHEMA closed; CREATE TABLE closed.t (name text); INSERT INTO closed.t VALUES ('x');
             CREATE TABLE unread (name text); INSERT INTO unread VALUES ('x');
             CREATE FUNCTION uncalled() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$; REVOKE EXECUTE ON FUNCTION uncalled() FROM PUBLIC"
        ),
    );
    let mut writer = cluster().connect_as_new_role("no_right", "no_right_writer", &[]);
    run(&mut client, "GRANT INSERT ON part TO no_right_writer; GRANT SELECT ON closed.t TO no_right_writer");
    for level in ["row", "statement"] {
        // The first is found while planning, the others at run time.
        for (value, object) in [
            ("(SELECT t.name FROM closed.t)", "schema closed"),
            ("(SELECT u.name FROM unread AS u)", "table unread"),
            ("uncalled()", "function uncalled"),
        ] {
            for (part, expression) in [
                ("condition", format!("{value} = ''x''")),
                ("tenant", value.to_owned()),
                ("entity", format!("to_jsonb({value})")),
            ] {
                watch(
                    &mut client,
                    &format!("'part', 'part.created', 'insert', {part} => '{expression}', level => '{level}'"),
                );
                run(&mut client, "TRUNCATE part; INSERT INTO part VALUES (1, 't', 'a', 1)");
                assert_eq!(events_of(&mut client, "part.created").len(), 1, "{level}: {part} {value}");
                run(&mut writer, "INSERT INTO part VALUES (2, 't', 'b', 2), (3, 't', 'c', 3)");
                let events = events_of(&mut client, "part.created");
                if part == "entity" {
                    let thin = [2, 3].map(|id| format!("{id} t the entity cannot be rendered (SQLSTATE 42501)"));
                    assert_eq!(events, thin, "{level}: {value}");
                    continue;
                }
                assert_eq!(events.len(), 0, "{level}: {part} {value}");
                let tenant = if part == "condition" { "t" } else { "-" };
                let first = format!("part.created part {part} 42501 permission denied for {object} 2 {tenant} ");
                let events = kept(&mut client);
                assert!(events.len() == 2 && events[0].starts_with(&first), "{level}: {events:?}");
                run(&mut client, "TRUNCATE hydra.kept_event");
            }
        }
    }
}

#[test]
fn the_problem_of_a_watch_is_known_before_anybody_writes() {
    let mut client = database("known_early");
    run(
        &mut client,
        "CREATE ROLE known_early_owner LOGIN; CREATE TABLE names (id int, name text); GRANT SELECT ON names TO known_early_owner;
         CREATE FUNCTION label(int) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$; GRANT CREATE ON SCHEMA public TO known_early_owner;
         GRANT hydra_emitter TO known_early_owner",
    );
    let mut owner = cluster().connect_as("known_early", "known_early_owner");
    run(&mut owner, PARTS);
    for (part, expression) in [
        ("condition", "EXISTS (SELECT FROM names AS n WHERE n.name = label(new.id))"),
        ("entity", "to_jsonb((SELECT n.name FROM names AS n WHERE n.name = label(new.id)))"),
        ("tenant", "(SELECT n.name FROM names AS n WHERE n.name = label(new.id))"),
    ] {
        for level in ["row", "statement"] {
            watch(
                &mut owner,
                &format!("'part', 'part.created', 'insert', {part} => '{expression}', level => '{level}'"),
            );
            for (change, back, expected) in [
                (
                    "ALTER TABLE names RENAME name TO title",
                    "ALTER TABLE names RENAME title TO name",
                    "is not valid: column n.name does not exist",
                ),
                (
                    "ALTER TABLE names RENAME TO titles",
                    "ALTER TABLE titles RENAME TO names",
                    "is not valid: relation \"names\" does not exist",
                ),
                (
                    "ALTER FUNCTION label RENAME TO l",
                    "ALTER FUNCTION l RENAME TO label",
                    "is not valid: function label(integer) does not exist",
                ),
                (
                    "ALTER TABLE names ALTER name TYPE int USING 1",
                    "ALTER TABLE names ALTER name TYPE text",
                    "is not valid: operator does not exist: integer = text",
                ),
                (
                    "REVOKE SELECT ON names FROM known_early_owner",
                    "GRANT SELECT ON names TO known_early_owner",
                    "reads public.names, which the owner of its table may not read",
                ),
            ] {
                assert_eq!(problems(&mut client).len(), 0, "{part}");
                run(&mut client, change);
                assert_eq!(problems(&mut client), [format!("its {part} expression {expected}")]);
                run(&mut client, back);
            }
        }
    }

    // The view does not wait for a migration, and holds no lock on the tables that it looked at.
    run(&mut owner, "BEGIN; LOCK TABLE part IN ACCESS EXCLUSIVE MODE");
    run(&mut client, "BEGIN; SET LOCAL statement_timeout = '30s'");
    assert_eq!(problems(&mut client).len(), 0);
    run(&mut owner, "COMMIT");
    problems(&mut client);
    let locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('part'::regclass, 'names'::regclass)";
    assert_eq!(ask::<i64>(&mut client, locks), 0);
    run(&mut client, "COMMIT");
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
    // The check of the domain runs when the literal is parsed, before anything is executed.
    // A table of a superuser too, on which the author may create triggers.
    run(&mut client, "CREATE TABLE ours (id int); GRANT TRIGGER ON ours TO looked_at_author");
    for table in ["mine", "ours"] {
        watch(&mut author, &format!("'{table}', 'part.created', 'insert', entity => $$to_jsonb('{{1}}'::trap[])$$"));
    }
    run(&mut client, "DELETE FROM who; SELECT * FROM hydra.webhook_watches");
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM who"), 0);
    // Nor does a rename that these watches follow.
    for table in ["mine", "ours"] {
        watch(
            &mut author,
            &format!("'{table}', 'part.created', 'insert', entity => $$jsonb_build_array('{{1}}'::trap[], new.id)$$"),
        );
    }
    run(&mut client, "DELETE FROM who; ALTER TABLE mine RENAME id TO key; ALTER TABLE ours RENAME id TO key");
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM who"), 0);
    let followed = "SELECT count(*) FROM hydra.webhook_watches WHERE entity LIKE '%new.key%'";
    assert_eq!(ask::<i64>(&mut client, followed), 2);
}

#[test]
fn after_a_missing_right_the_transaction_goes_on_as_it_was() {
    let mut client = database("rights");
    run(
        &mut client,
        &format!(
            "{PARTS}; CREATE SCHEMA private; CREATE FUNCTION private.f(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
             CREATE FUNCTION f(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
             REVOKE EXECUTE ON FUNCTION f(text) FROM PUBLIC; CREATE TABLE beneath (id int)"
        ),
    );
    let mut writer = cluster().connect_as_new_role("rights", "rights_writer", &[]);
    run(&mut client, "GRANT INSERT, DELETE ON part TO rights_writer");
    let insert = "INSERT INTO part VALUES (1, 't', 'b', 2), (2, 't', 'b', 2)";
    for level in ["row", "statement"] {
        for (expression, tenant) in [
            ("entity => 'to_jsonb(private.f(new.name))'", "t"),
            ("entity => 'to_jsonb(f(new.name))'", "t"),
            ("entity => '(SELECT to_jsonb(id) FROM beneath)'", "t"),
            ("entity => 'to_jsonb(private.f(new.name))', tenant => $$'own'$$", "own"),
        ] {
            watch(&mut client, &format!("'part', 'part.created', 'insert', {expression}, level => '{level}'"));
            run(&mut writer, "BEGIN; SET LOCAL timezone = 'Asia/Tokyo'");
            run(&mut writer, insert);
            let settings: String =
                ask(&mut writer, "SELECT concat_ws(' ', current_setting('search_path'), current_setting('timezone'))");
            assert_eq!(settings, "\"$user\", public Asia/Tokyo", "the transaction goes on as it was");
            run(&mut writer, "COMMIT");
            let thin = |id: i32| format!("{id} {tenant} the entity cannot be rendered (SQLSTATE 42501)");
            assert_eq!(events_of(&mut client, "part.created"), [thin(1), thin(2)], "{level}: {expression}");
            run(&mut client, "DELETE FROM part");
        }
    }
    assert!(!cluster().log().contains("non-empty SPI stack"), "the session is sound");
}

#[test]
fn a_migration_does_all_of_its_work_with_hydra_emitter() {
    let mut client = database("migrated");
    run(&mut client, &format!("{PARTS}; SELECT hydra.webhook_watch('part', 'part.created', 'insert')"));
    let mut migration = cluster().connect_as_new_role("migrated", "migrated_owner", &["hydra_emitter"]);
    run(&mut client, "GRANT CREATE ON SCHEMA public TO migrated_owner");
    run(
        &mut migration,
        "CREATE TABLE users (id int, name text);
         SELECT hydra.webhook_register_event_type('user.created', 'A user signs up');
         SELECT hydra.webhook_watch('users', 'user.created', 'insert', entity => 'to_jsonb(new.name)');
         ALTER TABLE users RENAME name TO full_name",
    );
    assert!(ask::<bool>(
        &mut migration,
        "SELECT count(*) = 1 FROM hydra.webhook_event_types WHERE name = 'user.created'"
    ));
    // It sees the watches of its own tables, and whether they fit.
    let watches: Vec<String> = ask(&mut migration, "SELECT array_agg(source::text) FROM hydra.webhook_watches");
    assert_eq!(watches, ["users"]);
    run(&mut migration, "ALTER TABLE users DROP full_name");
    let problem: String = ask(&mut migration, "SELECT problem FROM hydra.webhook_watches");
    assert!(problem.contains("is not valid"), "{problem}");
    let definition: String =
        ask(&mut migration, "SELECT hydra.webhook_watch_definition(source, trigger_name) FROM hydra.webhook_watches");
    assert!(definition.contains("new.full_name"), "{definition}");
    // And back.
    run(
        &mut migration,
        "SELECT hydra.webhook_unwatch('users', 'user.created'); SELECT hydra.webhook_unregister_event_type('user.created')",
    );
}
