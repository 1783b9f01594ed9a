//! Watched tables are altered: no migration fails because of a watch, and no write because of a migration.

use postgres::Client;
use testkit::{ask, refused, run, subscribe};

use crate::tables::said;
use crate::{PARTS, cluster, database, events_of, kept, problems, watch};

/// A session that has planned everything before the migration, and one that begins after it.
fn warm_and_new(database: &str, warm: &mut Client, mut test: impl FnMut(&mut Client)) {
    test(warm);
    test(&mut cluster().connect(database));
}

#[test]
fn a_watched_column_can_be_altered_and_dropped() {
    let mut client = database("altered_freely");
    let mut warm = cluster().connect("altered_freely");
    for level in ["row", "statement"] {
        run(
            &mut client,
            "DROP TABLE IF EXISTS part; CREATE TABLE part (id int, status varchar(20), stock int, note text)",
        );
        let more = "columns => '{stock,note}', tenant => 'new.status'";
        watch(
            &mut client,
            &format!(
                "'part', 'part.updated', 'update', $$new.stock < old.stock AND new.status <> 'x'$$, {more}, level => '{level}'"
            ),
        );
        run(&mut warm, "INSERT INTO part VALUES (1, 't', 5, 'n'); UPDATE part SET stock = 4");
        assert_eq!(events_of(&mut client, "part.updated"), [r#"1 t {"id":1,"status":"t","stock":4,"note":"n"}"#]);
        run(
            &mut client,
            "ALTER TABLE part ALTER status TYPE varchar(30), ALTER stock TYPE bigint, DROP COLUMN note, ADD COLUMN more int DEFAULT 7",
        );
        assert_eq!(problems(&mut client), ["it watches column \"note\", which does not exist"], "{level}");
        warm_and_new("altered_freely", &mut warm, |session| {
            run(session, "UPDATE part SET more = 8; UPDATE part SET stock = stock - 1; UPDATE part SET stock = 9");
            assert_eq!(events_of(&mut client, "part.updated").len(), 1, "{level}");
        });
        // In the transaction of the migration.
        run(
            &mut warm,
            "BEGIN; UPDATE part SET stock = 8; ALTER TABLE part ALTER stock TYPE numeric; UPDATE part SET stock = 7.5;
             ALTER TABLE part ADD COLUMN other text; UPDATE part SET stock = 7.25; COMMIT",
        );
        let [first, second, third] = &events_of(&mut client, "part.updated")[..] else { panic!("three events") };
        assert!(first.ends_with(r#""stock":8,"more":8}"#), "{first}");
        assert!(second.ends_with(r#""stock":7.5,"more":8}"#), "{second}");
        assert!(third.ends_with(r#""stock":7.25,"more":8,"other":null}"#), "{third}");
        assert_eq!(kept(&mut client).len(), 0);
    }
}

#[test]
fn a_watch_follows_when_a_column_of_its_table_is_renamed() {
    let mut client = database("followed");
    run(&mut client, "CREATE ROLE followed_owner LOGIN; GRANT CREATE ON SCHEMA public TO followed_owner");
    let mut warm = cluster().connect("followed");
    let mut owner = cluster().connect_as("followed", "followed_owner");
    for level in ["row", "statement"] {
        run(
            &mut client,
            &format!("DROP TABLE IF EXISTS part; {PARTS}; CREATE TABLE special (extra int) INHERITS (part)"),
        );
        let definition = "'update', 'new.stock < old.stock', 'jsonb_build_object(''id'', new.id, ''left'', new.stock)', '{stock}', '''t'' || old.stock'";
        for table in ["part", "special"] {
            watch(&mut client, &format!("'{table}', 'part.updated', {definition}, level => '{level}'"));
        }
        run(&mut client, "ALTER TABLE special OWNER TO followed_owner; ALTER TABLE part OWNER TO followed_owner");
        let write = |session: &mut Client, column: &str| {
            run(
                session,
                &format!(
                    "UPDATE ONLY part SET {column} = {column} - 1; UPDATE special SET {column} = {column} - 1; UPDATE part SET name = 'n'"
                ),
            );
        };
        run(&mut client, "INSERT INTO part VALUES (1, 't', 'a', 9); INSERT INTO special VALUES (2, 't', 'a', 9)");
        write(&mut warm, "stock");
        assert_eq!(
            events_of(&mut client, "part.updated"),
            [r#"1 t9 {"id": 1, "left": 8}"#, r#"2 t9 {"id": 2, "left": 8}"#]
        );

        // The owner of a table has no privilege on the functions of the extension.
        run(&mut owner, "ALTER TABLE part RENAME stock TO \"On Hand\"");
        assert_eq!(problems(&mut client).len(), 0, "{level}: {:?}", problems(&mut client));
        write(&mut warm, "\"On Hand\"");
        write(&mut cluster().connect("followed"), "\"On Hand\"");
        let events = events_of(&mut client, "part.updated");
        assert_eq!(events[..2], [r#"1 t8 {"id": 1, "left": 7}"#, r#"2 t8 {"id": 2, "left": 7}"#], "{level}");
        assert_eq!(events.len(), 4, "{level}");
        let shown: String = ask(
            &mut client,
            "SELECT condition || columns::text FROM hydra.webhook_watches WHERE source = 'part'::regclass",
        );
        assert_eq!(shown, r#"new."On Hand" < old."On Hand"{"On Hand"}"#);

        // A rename that is rolled back, and one in the transaction that writes.
        run(&mut owner, "BEGIN; ALTER TABLE part RENAME \"On Hand\" TO gone; ROLLBACK");
        write(&mut warm, "\"On Hand\"");
        run(&mut client, "BEGIN; ALTER TABLE part RENAME COLUMN \"On Hand\" TO stock");
        write(&mut client, "stock");
        run(&mut client, "COMMIT");
        write(&mut warm, "stock");
        assert_eq!(events_of(&mut client, "part.updated").len(), 6, "{level}");
        assert_eq!(kept(&mut client).len(), 0);
        run(&mut client, "DROP TABLE part CASCADE");
    }
}

#[test]
fn the_tenant_of_a_row_stays_its_tenant_when_the_column_is_renamed() {
    let mut client = database("renamed_tenant");
    for level in ["row", "statement"] {
        run(&mut client, &format!("DROP TABLE IF EXISTS part; {PARTS}"));
        watch(&mut client, &format!("'part', 'part.created', 'insert', level => '{level}'"));
        watch(&mut client, &format!("'part', 'part.deleted', 'delete', level => '{level}'"));
        run(
            &mut client,
            "ALTER TABLE part RENAME tenant_id TO workspace; INSERT INTO part VALUES (1, 'acme'); DELETE FROM part",
        );
        for event in ["part.created", "part.deleted"] {
            let expected = r#"1 acme {"id":1,"workspace":"acme","name":null,"stock":null}"#;
            assert_eq!(events_of(&mut client, event), [expected], "{level}");
        }
        run(&mut client, "ALTER TABLE part RENAME workspace TO tenant_id; INSERT INTO part VALUES (2, 'acme')");
        assert!(events_of(&mut client, "part.created")[0].starts_with("2 acme "));
        assert_eq!(problems(&mut client).len(), 0);
    }
}

#[test]
fn a_rename_leaves_alone_what_does_not_mean_the_column() {
    let mut client = database("other_names");
    run(&mut client, &format!("{PARTS}; CREATE TABLE new (id int, stock int); INSERT INTO new VALUES (1, 77)"));
    let entity = "jsonb_build_array(''new.stock'', (SELECT new.stock FROM new WHERE new.id = 1))";
    watch(&mut client, &format!("'part', 'part.created', 'insert', entity => '{entity}'"));
    watch(&mut client, "'part', 'part.updated', 'update', entity => 'to_jsonb(new)', columns => '{name}'");
    run(
        &mut client,
        "ALTER TABLE part RENAME stock TO quantity; INSERT INTO part VALUES (1, 't', 'a', 1); UPDATE part SET name = 'b'",
    );
    assert_eq!(events_of(&mut client, "part.created"), [r#"1 t ["new.stock", 77]"#]);
    assert_eq!(
        events_of(&mut client, "part.updated"),
        [r#"1 t {"id": 1, "name": "b", "quantity": 1, "tenant_id": "t"}"#]
    );
    assert_eq!(problems(&mut client).len(), 0);
}

#[test]
fn partitions_follow_a_rename_with_their_table() {
    let mut client = database("renamed_partitions");
    run(
        &mut client,
        "CREATE TABLE part (id int, region text, stock int) PARTITION BY LIST (region);
         CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
         CREATE TABLE part_b (gone int, stock int, region text, id int); ALTER TABLE part_b DROP COLUMN gone;
         ALTER TABLE part ATTACH PARTITION part_b FOR VALUES IN ('b')",
    );
    watch(&mut client, "'part', 'part.updated', 'update', 'new.stock > 1', 'to_jsonb(new.stock)', '{stock}'");
    run(
        &mut client,
        "INSERT INTO part VALUES (1, 'a', 1), (2, 'b', 1); UPDATE part SET stock = 2; UPDATE part SET region = region",
    );
    assert_eq!(events_of(&mut client, "part.updated"), ["1 - 2", "2 - 2"]);
    run(&mut client, "ALTER TABLE part RENAME stock TO quantity");
    run(&mut client, "CREATE TABLE part_c PARTITION OF part FOR VALUES IN ('c'); INSERT INTO part VALUES (3, 'c', 1)");
    run(&mut client, "UPDATE part SET quantity = 3; UPDATE part_b SET quantity = 4; UPDATE part_b SET id = 5");
    assert_eq!(events_of(&mut client, "part.updated"), ["1 - 3", "2 - 3", "3 - 3", "2 - 4"]);
    assert_eq!(problems(&mut client).len(), 0);
    // A partition is detached, and goes on with a watch of its own.
    run(&mut client, "ALTER TABLE part DETACH PARTITION part_b; ALTER TABLE part_b ALTER quantity TYPE bigint");
    watch(
        &mut client,
        "'part_b', 'part.updated', 'update', 'new.quantity > 1', 'to_jsonb(new.quantity)', '{quantity}'",
    );
    run(&mut client, "UPDATE part_b SET quantity = 5");
    assert_eq!(events_of(&mut client, "part.updated"), ["5 - 5"]);
}

#[test]
fn events_of_a_watch_whose_condition_does_not_fit_are_kept_and_sent_by_hand() {
    let mut client = database("kept_for_condition");
    let mut warm = cluster().connect("kept_for_condition");
    for level in ["row", "statement"] {
        run(
            &mut client,
            &format!("DROP TABLE IF EXISTS part; {PARTS}; INSERT INTO part VALUES (1, 't', 'a', 5), (2, NULL, 'b', 5)"),
        );
        watch(&mut client, &format!("'part', 'part.updated', 'update', 'new.stock < old.stock', level => '{level}'"));
        run(&mut warm, "UPDATE part SET stock = 4");
        assert_eq!(events_of(&mut client, "part.updated").len(), 2);
        run(&mut client, "ALTER TABLE part DROP COLUMN stock");
        let [problem] = &problems(&mut client)[..] else { panic!("one problem") };
        assert_eq!(problem, "its condition expression is not valid: column new.stock does not exist");
        warm_and_new("kept_for_condition", &mut warm, |session| run(session, "UPDATE part SET name = name || '!'"));
        assert_eq!(events_of(&mut client, "part.updated").len(), 0, "{level}: nothing is sent");
        let entity = r#"{"id":1,"tenant_id":"t","name":"a!"}"#;
        let first = format!("part.updated part condition 42703 column new.stock does not exist 1 t {entity}");
        assert_eq!(kept(&mut client)[0], first, "{level}");
        assert_eq!(kept(&mut client).len(), 4, "{level}");

        // The log says once for each session what is wrong and what to do.
        let log = cluster().log();
        let warning = "WARNING:  the condition expression of the watch of part.updated on public.part is not valid: column new.stock does not exist";
        let (sessions, events) = if level == "row" { (2, 4) } else { (4, 8) };
        let warnings = log.matches(warning).count();
        // Much that happens in other databases at that moment makes a session forget what it knew.
        assert!((sessions..events).contains(&warnings), "{level}: {warnings} warnings");
        assert!(log.contains("SELECT hydra.webhook_unwatch('public.part', 'part.updated');"), "{level}");

        watch(&mut client, &format!("'part', 'part.updated', 'update', 'new.name <> old.name', level => '{level}'"));
        run(&mut warm, "UPDATE part SET name = 'c'");
        assert_eq!((events_of(&mut client, "part.updated").len(), kept(&mut client).len()), (2, 4), "{level}");

        // The first two are sent, and the others are not wanted.
        let sent: Vec<Option<i64>> = ask(
            &mut client,
            "SELECT array_agg(hydra.webhook_send_kept(id) ORDER BY id) FROM (SELECT id FROM hydra.webhook_kept ORDER BY id LIMIT 2) AS k",
        );
        assert!(sent.len() == 2 && sent.iter().all(Option::is_some), "{sent:?}");
        assert_eq!(events_of(&mut client, "part.updated")[0], format!("1 t {entity}"));
        run(&mut client, "SELECT hydra.webhook_drop_kept(id) FROM hydra.webhook_kept");
        assert_eq!(kept(&mut client).len(), 0);
    }
}

#[test]
fn kept_events_are_sent_and_dropped_by_set_and_those_that_moved_on_are_left_out() {
    let mut client = database("kept_by_set");
    run(&mut client, PARTS);
    watch(&mut client, "'part', 'part.created', 'insert', 'new.stock > 0'");
    run(
        &mut client,
        "ALTER TABLE part DROP COLUMN stock; INSERT INTO part SELECT n, 't' FROM generate_series(1, 6) AS n",
    );
    let ids: Vec<i64> = ask(&mut client, "SELECT array_agg(id ORDER BY id) FROM hydra.webhook_kept");
    let each = |function: &str, ids: &[i64]| {
        format!(
            "SELECT count(hydra.webhook_{function}_kept(id)) FROM unnest('{{{}}}'::bigint[]) AS id",
            ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
        )
    };

    // One was sent, one was dropped, and another session is about to drop one and to send one.
    run(&mut client, &format!("SELECT hydra.webhook_send_kept({}), hydra.webhook_drop_kept({})", ids[0], ids[1]));
    let mut other = cluster().connect("kept_by_set");
    run(&mut other, &format!("BEGIN; SELECT hydra.webhook_send_kept({}), hydra.webhook_drop_kept({})", ids[2], ids[3]));
    assert_eq!(ask::<i64>(&mut client, &each("send", &ids)), 2);
    run(&mut client, &each("drop", &ids));
    run(&mut other, "ROLLBACK");
    assert_eq!(kept(&mut client).len(), 2, "those of the other session");
    assert_eq!(ask::<i64>(&mut client, &each("send", &ids)), 2);
    assert_eq!(events_of(&mut client, "part.created").len(), 5, "each once");
    let said = said("kept_by_set", &format!("SELECT hydra.webhook_send_kept({})", ids[0]));
    assert!(said.contains(&format!("NOTICE:  no event with id {} is kept", ids[0])), "{said}");
}

#[test]
fn an_event_whose_tenant_cannot_be_determined_waits_for_a_person_and_reaches_no_other_tenant() {
    let mut client = database("kept_for_tenant");
    let others = ["", ", tenant_id => 'acme'", ", tenant_id => 'other'"].map(|tenant| {
        let create = format!("SELECT id FROM hydra.webhook_create('http://127.0.0.1:9/', '{{order.created}}'{tenant})");
        run(&mut client, "SELECT hydra.webhook_register_event_type('order.created')");
        ask::<i64>(&mut client, &create)
    });
    let [any, acme, _] = others;
    run(
        &mut client,
        "CREATE TABLE orders (id int, workspace text); INSERT INTO orders VALUES (7, 'acme'); CREATE TABLE items (id int, order_id int)",
    );
    for level in ["row", "statement"] {
        let tenant = "tenant => '(SELECT o.workspace FROM orders AS o WHERE o.id = new.order_id)'";
        watch(&mut client, &format!("'items', 'order.created', 'insert', {tenant}, level => '{level}'"));
        let mut warm = cluster().connect("kept_for_tenant");
        run(&mut warm, "INSERT INTO items VALUES (1, 7)");
        let targets = |client: &mut Client| -> Vec<Vec<i64>> {
            let gone = client.query("DELETE FROM hydra.event RETURNING targets", &[]).unwrap();
            gone.iter().map(|row| row.get(0)).collect()
        };
        assert_eq!(targets(&mut client), [[any, acme]], "{level}");
        run(&mut client, "ALTER TABLE orders RENAME workspace TO workspace_id");
        let [problem] = &problems(&mut client)[..] else { panic!("one problem") };
        assert_eq!(problem, "its tenant expression is not valid: column o.workspace does not exist");
        warm_and_new("kept_for_tenant", &mut warm, |session| run(session, "INSERT INTO items VALUES (2, 7), (3, 7)"));
        assert_eq!(targets(&mut client).len(), 0);
        let events = kept(&mut client);
        assert_eq!(events.len(), 4, "{level}");
        let first = r#"order.created items tenant 42703 column o.workspace does not exist 2 - {"id":2,"order_id":7}"#;
        assert_eq!(events[0], first, "{level}");

        let id: i64 = ask(&mut client, "SELECT min(id) FROM hydra.webhook_kept");
        let unknown = refused(&mut client, &format!("SELECT hydra.webhook_send_kept({id})"), "22004");
        assert!(unknown.detail.contains("o.workspace") && unknown.hint.contains(&id.to_string()), "{unknown:?}");
        run(&mut client, &format!("SELECT hydra.webhook_send_kept({id}, 'acme')"));
        assert_eq!(targets(&mut client), [[any, acme]], "{level}");
        run(&mut client, "TRUNCATE hydra.kept_event; ALTER TABLE orders RENAME workspace_id TO workspace");
        run(&mut warm, "INSERT INTO items VALUES (4, 7)");
        assert_eq!((targets(&mut client), problems(&mut client).len()), (vec![vec![any, acme]], 0), "{level}");
    }
}

#[test]
fn a_kept_event_that_jsonb_cannot_hold_passes_filters_as_it_does_when_it_is_emitted() {
    let mut client = database("kept_surrogates");
    let (id, _) = subscribe(&mut client, "http://127.0.0.1:9/", "ticket.created", &["filter => '$.x > 1'"]);
    run(&mut client, "CREATE TABLE items (id int, x int, j json); CREATE TABLE wanted (id int)");
    let watch_items = |client: &mut Client, condition: &str| {
        watch(client, &format!("'items', 'ticket.created', 'insert', condition => '{condition}'"));
    };
    let insert = r#"INSERT INTO items VALUES (1, 0, '"\u0000"'), (2, 0, '"\ud800"'), (3, 0, '1'), (4, 2, '1')"#;
    watch_items(&mut client, "true");
    run(&mut client, insert);
    let sent = format!("SELECT array_agg(entity_id ORDER BY id) FROM hydra.event WHERE {id} = ANY (targets)");
    assert_eq!(ask::<Vec<String>>(&mut client, &sent), ["1", "2", "4"]);
    watch_items(&mut client, "exists (select from wanted) or true");
    run(&mut client, &format!("TRUNCATE hydra.event; DROP TABLE wanted; {insert}"));
    let count: i64 = ask(&mut client, "SELECT count(hydra.webhook_send_kept(id)) FROM hydra.webhook_kept");
    assert_eq!((count, ask::<Vec<String>>(&mut client, &sent)), (4, vec!["1".into(), "2".into(), "4".into()]));
}

#[test]
fn a_kept_event_is_sent_to_its_own_tenant_and_missed_by_those_who_would_miss_it() {
    let mut client = database("kept_for_all");
    run(&mut client, "SELECT hydra.webhook_register_event_type('order.created')");
    let subscriptions = ["", ", tenant_id => 'acme'", ", tenant_id => 'beta'", "", ""].map(|tenant| {
        let create = format!("SELECT id FROM hydra.webhook_create('http://127.0.0.1:9/', '{{order.created}}'{tenant})");
        ask::<i64>(&mut client, &create)
    });
    let [any, acme, _, keeping, paused] = subscriptions;
    run(
        &mut client,
        &format!(
            "SELECT hydra.webhook_pause({keeping}, keep_events => true), hydra.webhook_pause({paused});
             CREATE TABLE items (id int, tenant_id text); CREATE TABLE wanted (id int)"
        ),
    );
    watch(&mut client, "'items', 'order.created', 'insert', condition => 'exists (select from wanted) or true'");
    run(&mut client, "DROP TABLE wanted; INSERT INTO items VALUES (1, 'acme'), (2, NULL)");
    let [of_acme, of_nobody] =
        ask::<Vec<i64>>(&mut client, "SELECT array_agg(id ORDER BY id) FROM hydra.webhook_kept")[..]
    else {
        panic!("two are kept")
    };
    for (id, tenant, told) in [
        (of_acme, "beta", "It is of tenant \"acme\"."),
        (of_nobody, "acme", "It is of no tenant."),
        (of_acme, "", "empty tenant"),
    ] {
        let refusal = refused(&mut client, &format!("SELECT hydra.webhook_send_kept({id}, '{tenant}')"), "22023");
        assert!(refusal.detail.contains(told), "{refusal:?}");
    }
    run(
        &mut client,
        &format!("SELECT hydra.webhook_send_kept({of_acme}, 'acme'), hydra.webhook_send_kept({of_nobody})"),
    );
    let targets = client.query("SELECT targets FROM hydra.event ORDER BY id", &[]).expect("a query");
    let targets: Vec<Vec<i64>> = targets.iter().map(|row| row.get(0)).collect();
    assert_eq!(targets, [vec![any, acme, -keeping], vec![any, -keeping]]);
    assert_eq!(
        ask::<i64>(&mut client, &format!("SELECT missed FROM hydra.webhook_subscriptions WHERE id = {keeping}")),
        2
    );
}

#[test]
fn an_event_whose_entity_does_not_fit_is_sent_without_it() {
    let mut client = database("thin_entity");
    run(&mut client, &format!("{PARTS}; CREATE TABLE users (id int, email text)"));
    run(&mut client, "CREATE FUNCTION f(int) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb($1)'");
    let mut warm = cluster().connect("thin_entity");
    for level in ["row", "statement"] {
        for (entity, change, back, code) in [
            (
                "to_jsonb((SELECT u.email FROM users AS u LIMIT 1))",
                "ALTER TABLE users RENAME TO people",
                "ALTER TABLE people RENAME TO users",
                "42P01",
            ),
            ("f(new.id)", "ALTER FUNCTION f(int) RENAME TO g", "ALTER FUNCTION g(int) RENAME TO f", "42883"),
            (
                "to_jsonb(new.stock)",
                "ALTER TABLE part DROP COLUMN stock",
                "ALTER TABLE part ADD COLUMN stock int",
                "42703",
            ),
        ] {
            watch(&mut client, &format!("'part', 'part.created', 'insert', entity => '{entity}', level => '{level}'"));
            let insert = "TRUNCATE part; INSERT INTO part VALUES (1, 't', 'a'), (2, 't', 'b')";
            run(&mut warm, insert);
            assert!(events_of(&mut client, "part.created").iter().all(|event| !event.contains("SQLSTATE")), "{entity}");
            run(&mut client, change);
            warm_and_new("thin_entity", &mut warm, |session| run(session, insert));
            let thin = [1, 2].map(|id| format!("{id} t the entity cannot be rendered (SQLSTATE {code})"));
            assert_eq!(events_of(&mut client, "part.created"), [thin.clone(), thin].concat(), "{level}: {entity}");
            assert_eq!(problems(&mut client).len(), 1, "{entity}");
            run(&mut warm, "SET hydra_webhooks.on_entity_error = error");
            let strict = refused(&mut warm, insert, code);
            assert!(strict.message.contains("entity expression of the watch of part.created"), "{strict:?}");
            run(&mut warm, &format!("RESET hydra_webhooks.on_entity_error; {back}; {insert}"));
            assert!(events_of(&mut client, "part.created").iter().all(|event| !event.contains("SQLSTATE")), "{entity}");
        }
    }
    assert_eq!(kept(&mut client).len(), 0);
}

#[test]
fn a_watch_goes_on_with_the_columns_that_are_left() {
    let mut client = database("columns_left");
    let mut warm = cluster().connect("columns_left");
    for level in ["row", "statement"] {
        run(&mut client, &format!("DROP TABLE IF EXISTS part; {PARTS}; INSERT INTO part VALUES (1, 't', 'a', 1)"));
        watch(
            &mut client,
            &format!("'part', 'part.updated', 'update', columns => '{{stock,name}}', level => '{level}'"),
        );
        run(&mut warm, "UPDATE part SET tenant_id = 't'; UPDATE part SET stock = 2");
        assert_eq!(events_of(&mut client, "part.updated").len(), 1, "{level}");
        run(&mut client, "ALTER TABLE part DROP COLUMN stock");
        run(&mut warm, "UPDATE part SET tenant_id = 't'; UPDATE part SET name = 'b'");
        assert_eq!(events_of(&mut client, "part.updated").len(), 1, "{level}");
        assert_eq!(problems(&mut client), ["it watches column \"stock\", which does not exist"], "{level}");
        run(&mut client, "ALTER TABLE part DROP COLUMN name");
        run(&mut warm, "UPDATE part SET tenant_id = 'u'");
        assert_eq!(events_of(&mut client, "part.updated").len(), 0, "{level}");
        let said =
            cluster().log().contains("the watch of part.updated on public.part names a column that does not exist");
        assert!(said && problems(&mut client).len() == 1, "{level}");
    }
}

#[test]
fn when_the_only_column_of_a_watch_is_dropped_the_view_and_the_log_say_that_no_update_emits() {
    let mut client = database("no_column_left");
    for level in ["row", "statement"] {
        let table = format!("counted_{level}");
        run(&mut client, &format!("CREATE TABLE {table} (id int, qty int); INSERT INTO {table} VALUES (1, 1)"));
        watch(&mut client, &format!("'{table}', 'part.updated', 'update', columns => '{{qty}}', level => '{level}'"));
        run(&mut client, &format!("ALTER TABLE {table} DROP COLUMN qty"));
        let problem: String =
            ask(&mut client, &format!("SELECT problem FROM hydra.webhook_watches WHERE source = '{table}'::regclass"));
        assert_eq!(problem, "it is for updates of columns that do not exist, so no update emits: \"qty\"", "{level}");
        for id in 2..=6 {
            run(&mut client, &format!("UPDATE {table} SET id = {id}"));
        }
        assert_eq!(events_of(&mut client, "part.updated").len(), 0, "{level}");
        let log = cluster().log();
        let warning = format!(
            "WARNING:  the watch of part.updated on public.{table} is for updates of columns that do not exist"
        );
        // Much that happens in other databases at that moment makes a session forget what it knew.
        assert!((1..5).contains(&log.matches(&warning).count()), "{level}: once for the session");
        assert!(log.contains("Its columns: qty. No update emits."), "{level}");
        // A column of this name that comes again is watched as before.
        run(&mut client, &format!("ALTER TABLE {table} ADD COLUMN qty int; UPDATE {table} SET qty = 4"));
        assert_eq!(events_of(&mut client, "part.updated").len(), 1, "{level}");
        assert!(problems(&mut client).is_empty(), "{level}");
    }
}

#[test]
fn columns_mean_what_they_mean_in_update_of() {
    let mut client = database("update_of");
    run(
        &mut client,
        "CREATE TABLE base (id int PRIMARY KEY, a int, b int, twice int GENERATED ALWAYS AS (a * 2) STORED);
         CREATE TABLE refers (id int, base int REFERENCES base ON UPDATE CASCADE, other int);
         CREATE FUNCTION sets_b() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := 5; RETURN NEW; END';
         CREATE TRIGGER sets_b BEFORE UPDATE ON base FOR EACH ROW EXECUTE FUNCTION sets_b()",
    );
    for (table, column) in [("base", "a"), ("base", "b"), ("base", "twice"), ("refers", "base")] {
        for (name, event, operation) in
            [("both", "part.created", "INSERT OR UPDATE"), ("one", "part.updated", "UPDATE")]
        {
            run(
                &mut client,
                &format!(
                    "CREATE TRIGGER by_hand_{name} AFTER {operation} OF {column} ON {table} FOR EACH ROW WHEN (new.id > 0)
                     EXECUTE FUNCTION hydra.webhook_emit_row('{event}')"
                ),
            );
        }
        watch(
            &mut client,
            &format!("'{table}', 'ticket.created', 'insert or update', 'new.id > 0', columns => '{{{column}}}'"),
        );
        watch(&mut client, &format!("'{table}', 'ticket.resolved', 'update', 'new.id > 0', columns => '{{{column}}}'"));
        watch(
            &mut client,
            &format!(
                "'{table}', 'ticket.assigned', 'update', 'new.id > 0', columns => '{{{column}}}', level => 'statement'"
            ),
        );
        for statement in [
            "INSERT INTO base VALUES (1, 1, 1), (2, 1, 1), (-1, 1, 1); INSERT INTO refers VALUES (1, 1, 1)",
            "UPDATE base SET a = 2",
            "UPDATE base SET b = 2",
            "UPDATE base SET id = id + 10",
            "UPDATE refers SET other = 1",
            "UPDATE refers SET base = base",
            "INSERT INTO base VALUES (11, 0, 0) ON CONFLICT (id) DO UPDATE SET a = 3",
            "MERGE INTO base USING (VALUES (12), (13)) AS s (id) ON base.id = s.id WHEN MATCHED THEN UPDATE SET b = 1
                 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1, 1)",
        ] {
            run(&mut client, statement);
            let [insert_or_update, update, watched_both, watched, by_statement] =
                ["part.created", "part.updated", "ticket.created", "ticket.resolved", "ticket.assigned"]
                    .map(|event| events_of(&mut client, event));
            assert_eq!(watched_both, insert_or_update, "{column}: {statement}");
            assert_eq!(watched, update, "{column}: {statement}");
            assert_eq!(by_statement, update, "{column} by statement: {statement}");
        }
        run(&mut client, "TRUNCATE base, refers");
        for event in ["part.created", "part.updated", "ticket.created", "ticket.resolved", "ticket.assigned"] {
            run(&mut client, &format!("SELECT hydra.webhook_unwatch('{table}', '{event}')"));
        }
    }
}
