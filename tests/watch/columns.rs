//! Which columns of a row a watch sends: `"only"` and `"except"`.

use postgres::Client;
use testkit::{Need, ask, lacks, refused, run, subscribe};

use crate::tables::said;
use crate::{PARTS, cluster, database, events_of, kept, problems, watch};

/// Writes part 1, changes it and deletes it.
const LIFE: &str = "INSERT INTO part VALUES (1, 'acme', 'bolt', 5); UPDATE part SET stock = 4; DELETE FROM part";

fn emitted(client: &mut Client, statement: &str) -> Vec<String> {
    run(client, statement);
    events_of(client, "part.updated")
}

#[test]
fn a_watch_sends_only_the_columns_that_it_names_or_all_others() {
    let mut client = database("chosen");
    run(&mut client, PARTS);
    for level in ["row", "statement"] {
        for (choice, first, second) in [
            // In the order of the table. The id and the tenant are those of the whole row.
            (r#""only" => '{stock,id}'"#, r#"1 acme {"id":1,"stock":5}"#, r#"1 acme {"id":1,"stock":4}"#),
            (r#""only" => '{name}'"#, r#"1 acme {"name":"bolt"}"#, r#"1 acme {"name":"bolt"}"#),
            (r#""except" => '{tenant_id,name,id}'"#, r#"1 acme {"stock":5}"#, r#"1 acme {"stock":4}"#),
            (r#""except" => '{id,tenant_id,name,stock}'"#, "1 acme {}", "1 acme {}"),
        ] {
            for operation in ["insert", "update", "delete"] {
                watch(&mut client, &format!("'part', 'part.updated', '{operation}', level => '{level}', {choice}"));
            }
            assert_eq!(emitted(&mut client, LIFE), [first, second, second], "{level}: {choice}");
        }
        let more =
            r#""only" => '{id}', tenant => $$'t' || new.stock$$, condition => 'new.stock < 5', columns => '{stock}'"#;
        watch(&mut client, &format!("'part', 'part.updated', 'update', level => '{level}', {more}"));
        for operation in ["insert", "delete"] {
            watch(&mut client, &format!(r#"'part', 'part.updated', '{operation}', "except" => '{{stock}}'"#));
        }
        let whole = r#"1 acme {"id":1,"tenant_id":"acme","name":"bolt"}"#;
        assert_eq!(emitted(&mut client, LIFE), [whole, r#"1 t4 {"id":1}"#, whole], "{level}");
        let many =
            "INSERT INTO part SELECT n, 'a', 'b', 9 FROM generate_series(1, 600) AS n; UPDATE part SET stock = 1";
        let expected: Vec<String> = (1..=600).map(|id| format!(r#"{id} t1 {{"id":{id}}}"#)).collect();
        assert_eq!(emitted(&mut client, many)[600..], expected, "{level}");
        emitted(&mut client, "DELETE FROM part; SELECT hydra.webhook_unwatch('part', 'part.updated')");
    }
}

#[test]
fn each_partition_sends_the_chosen_columns_and_odd_names_are_columns() {
    let mut client = database("chosen_partitions");
    run(
        &mut client,
        r#"CREATE TABLE part (id int, "On,ly ""x" text, region text, "only" int, gone int) PARTITION BY LIST (region);
           CREATE TABLE part_a ("only" int, gone int, region text, id int, "On,ly ""x" text);
           ALTER TABLE part ATTACH PARTITION part_a FOR VALUES IN ('a'); ALTER TABLE part DROP COLUMN gone"#,
    );
    for level in ["row", "statement"] {
        let choice = r#""only" => ARRAY['only', 'On,ly "x', 'id']"#;
        watch(&mut client, &format!("'part', 'part.updated', 'insert', level => '{level}', {choice}"));
        let sent = emitted(&mut client, "INSERT INTO part VALUES (1, 'o', 'a', 2)");
        let expected = match level {
            "row" => r#"1 - {"only":2,"id":1,"On,ly \"x":"o"}"#,
            _ => r#"1 - {"id":1,"On,ly \"x":"o","only":2}"#,
        };
        assert_eq!(sent, [expected], "{level}");
        let shown: Vec<String> = ask(&mut client, r#"SELECT "only" FROM hydra.webhook_watches"#);
        assert_eq!(shown, ["only", "On,ly \"x", "id"], "as they were given");
    }
}

#[test]
fn a_column_that_is_added_is_not_sent_where_only_is_used() {
    let mut client = database("chosen_added");
    let mut warm = cluster().connect("chosen_added");
    for level in ["row", "statement"] {
        run(&mut client, &format!("DROP TABLE IF EXISTS part; {PARTS}"));
        watch(
            &mut client,
            &format!(r#"'part', 'part.updated', 'insert', level => '{level}', "only" => '{{id,name}}'"#),
        );
        watch(&mut client, &format!(r#"'part', 'part.created', 'insert', level => '{level}', "except" => '{{name}}'"#));
        let insert = "DELETE FROM part; INSERT INTO part (id, name) VALUES (1, 'a')";
        let only = r#"1 - {"id":1,"name":"a"}"#;
        assert_eq!(emitted(&mut warm, insert), [only], "{level}");
        // In the transaction of the migration too, and in a row that is older than a column.
        run(
            &mut warm,
            &format!("BEGIN; ALTER TABLE part ADD COLUMN ssn text DEFAULT '123', DROP COLUMN stock; {insert}; COMMIT"),
        );
        run(&mut client, "ALTER TABLE part ADD COLUMN more int DEFAULT 7, ALTER name TYPE varchar(9)");
        run(&mut cluster().connect("chosen_added"), insert);
        assert_eq!(emitted(&mut warm, insert), [only, only, only], "{level}");
        let except = r#"1 - {"id":1,"tenant_id":null,"ssn":"123","more":7}"#;
        assert_eq!(events_of(&mut client, "part.created")[2..], [except, except], "{level}");
    }
    assert_eq!(problems(&mut client), [""; 0]);
}

#[test]
fn a_choice_follows_a_rename_and_goes_on_without_a_dropped_column() {
    let mut client = database("chosen_renamed");
    let mut warm = cluster().connect("chosen_renamed");
    for level in ["row", "statement"] {
        run(&mut client, &format!("DROP TABLE IF EXISTS part; {PARTS}"));
        watch(
            &mut client,
            &format!(r#"'part', 'part.updated', 'insert', level => '{level}', "only" => '{{id,name,stock}}'"#),
        );
        watch(
            &mut client,
            &format!(r#"'part', 'part.created', 'insert', level => '{level}', "except" => '{{name,stock}}'"#),
        );
        let insert = "DELETE FROM part; INSERT INTO part VALUES (1, 'acme', 'a', 5)";
        run(&mut warm, insert);
        run(
            &mut client,
            "ALTER TABLE part RENAME stock TO \"On Hand\"; ALTER TABLE part RENAME tenant_id TO workspace",
        );
        run(&mut warm, insert);
        assert_eq!(events_of(&mut client, "part.updated")[1], r#"1 acme {"id":1,"name":"a","On Hand":5}"#, "{level}");
        assert_eq!(events_of(&mut client, "part.created")[1], r#"1 acme {"id":1,"workspace":"acme"}"#, "{level}");
        let shown: Vec<String> =
            ask(&mut client, r#"SELECT array_agg(concat("only", "except") ORDER BY event) FROM hydra.webhook_watches"#);
        assert_eq!(shown, [r#"{name,"On Hand"}"#, r#"{id,name,"On Hand"}"#]);

        run(&mut client, "ALTER TABLE part DROP COLUMN \"On Hand\"");
        let expected = [
            r#"it sends column "On Hand", which does not exist"#,
            r#"it leaves out column "On Hand", which does not exist"#,
        ];
        assert_eq!(problems(&mut client), expected, "{level}");
        let insert = "DELETE FROM part; INSERT INTO part VALUES (1, 'acme', 'a')";
        assert_eq!(emitted(&mut warm, insert), [r#"1 acme {"id":1,"name":"a"}"#], "{level}");
        assert_eq!(events_of(&mut client, "part.created"), [r#"1 acme {"id":1,"workspace":"acme"}"#], "{level}");
        run(&mut client, "ALTER TABLE part DROP COLUMN name, DROP COLUMN id");
        assert_eq!(emitted(&mut warm, "INSERT INTO part VALUES ('acme')"), ["- acme {}"], "{level}");
        assert_eq!(events_of(&mut client, "part.created"), [r#"- acme {"workspace":"acme"}"#], "{level}");
        let log = cluster().log();
        for detail in [
            "The column: On Hand. The other columns that it names are sent.",
            "The column: On Hand. If it has another name now, it is sent.",
        ] {
            assert!(log.contains(detail), "{level}: {detail}");
        }
        // A column of the same name is chosen again.
        let back = "ALTER TABLE part ADD COLUMN name text DEFAULT 'b'; INSERT INTO part VALUES ('acme')";
        assert_eq!(emitted(&mut warm, back), [r#"- acme {"name":"b"}"#], "{level}");
        assert_eq!(events_of(&mut client, "part.created"), [r#"- acme {"workspace":"acme"}"#], "{level}");
    }
}

#[test]
fn a_column_that_is_not_sent_is_not_rendered() {
    let mut client = database("chosen_hard");
    run(
        &mut client,
        "CREATE TYPE mood AS ENUM ('good');
         CREATE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE plpgsql AS 'BEGIN RAISE division_by_zero; END';
         CREATE CAST (mood AS json) WITH FUNCTION mood_to_json(mood);
         CREATE TABLE part (id int, large text, mood mood)",
    );
    let shares = match lacks(&mut client, Need::Version(18)) {
        true => "ADD COLUMN boxes int, ADD COLUMN share int, ADD COLUMN twice int",
        false => {
            "ADD COLUMN boxes int, ADD COLUMN share int GENERATED ALWAYS AS (1 / boxes), ADD COLUMN twice int GENERATED ALWAYS AS (boxes * 2)"
        }
    };
    run(&mut client, &format!("ALTER TABLE part {shares}"));
    for level in ["row", "statement"] {
        watch(
            &mut client,
            &format!(r#"'part', 'part.updated', 'insert', level => '{level}', "only" => '{{id,boxes}}'"#),
        );
        watch(&mut client, &format!(r#"'part', 'part.created', 'insert', level => '{level}', "except" => '{{id}}'"#));
        let insert = "INSERT INTO part (id, large, mood, boxes) VALUES (1, repeat('x', 300000), 'good', 0)";
        assert_eq!(emitted(&mut client, insert), [r#"1 - {"id":1,"boxes":0}"#], "{level}");
        let [thin] = &events_of(&mut client, "part.created")[..] else { panic!("one event") };
        assert!(thin.starts_with("1 - the entity "), "{level}: {thin}");
        let insert = "INSERT INTO part (id, mood, boxes) VALUES (2, 'good', 1)";
        assert_eq!(emitted(&mut client, insert), [r#"2 - {"id":2,"boxes":1}"#], "{level}");
        let thin = "2 - the entity cannot be rendered (SQLSTATE 22012)";
        assert_eq!(events_of(&mut client, "part.created"), [thin], "{level}");
    }
    if lacks(&mut client, Need::Version(18)) {
        return;
    }
    watch(&mut client, r#"'part', 'part.updated', 'insert', "only" => '{id,twice}'"#);
    assert_eq!(emitted(&mut client, "INSERT INTO part (id, boxes) VALUES (3, 0)"), [r#"3 - {"id":3,"twice":0}"#]);
}

#[test]
fn filters_and_kept_events_have_what_is_sent() {
    let mut client = database("chosen_seen");
    run(&mut client, &format!("{PARTS}; CREATE FUNCTION cheap(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'"));
    run(&mut client, "SELECT hydra.webhook_delete(id) FROM hydra.webhook_subscriptions");
    subscribe(&mut client, "http://127.0.0.1:9/", "part.updated", &[r#"filter => '$.stock == 5'"#]);
    let insert = "DELETE FROM part; INSERT INTO part VALUES (1, 'acme', 'a', 5)";
    for level in ["row", "statement"] {
        let definition =
            format!("'part', 'part.updated', 'insert', level => '{level}', condition => 'cheap(new.stock)'");
        watch(&mut client, &format!(r#"{definition}, "except" => '{{stock}}'"#));
        assert_eq!(emitted(&mut client, insert), [""; 0], "{level}: the filter cannot see the stock");
        watch(&mut client, &format!(r#"{definition}, "only" => '{{stock}}'"#));
        assert_eq!(emitted(&mut client, insert), [r#"1 acme {"stock":5}"#], "{level}");
        run(&mut client, "ALTER FUNCTION cheap(int) RENAME TO dear");
        assert_eq!(emitted(&mut client, insert), [""; 0], "{level}");
        let [event] = &kept(&mut client)[..] else { panic!("one event") };
        assert!(event.ends_with(r#" 1 acme {"stock":5}"#), "{event}");
        run(&mut client, "SELECT hydra.webhook_send_kept(id) FROM hydra.webhook_kept");
        assert_eq!(events_of(&mut client, "part.updated"), [r#"1 acme {"stock":5}"#], "{level}");
        run(&mut client, "ALTER FUNCTION dear(int) RENAME TO cheap");
    }
}

#[test]
fn a_trigger_by_hand_can_choose_columns_too() {
    let mut client = database("chosen_by_hand");
    run(&mut client, PARTS);
    let create = |arguments: &str| {
        format!(
            "CREATE OR REPLACE TRIGGER by_hand AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row({arguments})"
        )
    };
    let insert = "DELETE FROM part; INSERT INTO part VALUES (1, 'acme', 'a', 5)";
    run(&mut client, &create("'part.updated', 'only', 'stock', 'only', 'nothing'"));
    assert_eq!(emitted(&mut client, insert), [r#"1 acme {"stock":5}"#]);
    assert_eq!(problems(&mut client), [r#"it sends column "nothing", which does not exist"#]);
    for wrong in ["'only', 'stock', 'except', 'id'", "'only', 'stock', 'entity', '1'"] {
        run(&mut client, &create(&format!("'part.updated', {wrong}")));
        refused(&mut client, insert, "39P01");
        assert_eq!(problems(&mut client).len(), 1, "{wrong}");
    }
}

#[test]
fn columns_that_look_secret_are_named_unless_only_chooses() {
    let mut client = database("chosen_secrets");
    let secret = [
        "password",
        "password_hash",
        "encrypted_password",
        "passwd",
        "client_secret",
        "reset_token",
        "apiKey",
        "api_key",
        "apikey",
        "private_key",
        "PrivateKey",
        "ssn",
        "otp_secret",
        "salt",
        "credit_card_number",
        "API key",
        "apikey2",
        "password-old",
    ];
    let open =
        ["id", "email", "tokenizer", "total_tokens", "passenger", "key", "keyboard", "class_name", "secretary", "hash"];
    for (names, expected) in [(&secret[..], true), (&open[..], false)] {
        for name in names {
            let looks: bool = ask(&mut client, &format!("SELECT hydra._looks_secret('{name}')"));
            assert_eq!(looks, expected, "{name}");
        }
    }
    run(&mut client, r#"CREATE TABLE account (id int, name text, password_hash text, "apiKey" text)"#);
    let watched = |more: &str| {
        said("chosen_secrets", &format!("SELECT hydra.webhook_watch('account', 'part.created', 'insert'{more})"))
    };
    for level in ["", ", level => 'statement'"] {
        let notice = watched(level);
        let named = r#"have columns that look secret: password_hash, "apiKey""#;
        assert!(notice.contains("NOTICE") && notice.contains(named), "{notice}");
        assert!(notice.contains(r#"use "only" => '{id,name}'"#), "{notice}");
    }
    let notice = watched(r#", "except" => '{password_hash}'"#);
    assert!(notice.contains(r#"look secret: "apiKey""#), "{notice}");
    for quiet in [
        r#", "except" => '{password_hash,apiKey}'"#,
        r#", "only" => '{id,password_hash}'"#,
        ", entity => 'to_jsonb(new.id)'",
    ] {
        let notice = watched(quiet);
        assert!(!notice.contains("look secret"), "{quiet}: {notice}");
    }
}

#[test]
fn what_a_notice_says_about_a_watch_is_in_the_view_and_the_doctor_says_what_can_be_done() {
    let mut client = database("noted");
    run(
        &mut client,
        "CREATE TABLE account (number int PRIMARY KEY, name text, api_key text); CREATE TABLE child () INHERITS (account);
         CREATE TABLE open (id int, name text)",
    );
    let watched = said(
        "noted",
        "SELECT hydra.webhook_watch('account', 'part.created', 'insert'), hydra.webhook_watch('open', 'part.created', 'insert')",
    );
    let notes = |client: &mut Client, table: &str| -> Vec<String> {
        ask(client, &format!("SELECT notes FROM hydra.webhook_watches WHERE source = '{table}'::regclass"))
    };
    let of_account = notes(&mut client, "account");
    assert_eq!(
        of_account,
        [
            "rows of the child tables of public.account will not emit part.created",
            "the events part.created of public.account have columns that look secret: api_key",
            "the events part.created of public.account have no entity_id",
        ]
    );
    assert!(of_account.iter().all(|note| watched.contains(&format!("NOTICE:  {note}"))), "{watched}");
    assert_eq!(notes(&mut client, "open"), [""; 0]);
    let remedies: Vec<String> = ask(
        &mut client,
        "SELECT array_agg(remedy) FROM hydra.webhook_doctor() WHERE ok IS NULL AND subject = 'watch of public.account for part.created'",
    );
    assert_eq!(remedies.len(), 3);
    assert!(remedies[1].contains(r#""only" => '{number,name}'"#), "{remedies:?}");
    assert!(remedies[2].contains("id_key => 'number'"), "{remedies:?}");

    // They are about the table as it is now, and a member of hydra_emitter sees them.
    run(&mut client, "ALTER TABLE open ADD COLUMN reset_token text; GRANT CREATE ON SCHEMA public TO hydra_emitter");
    assert_eq!(notes(&mut client, "open").len(), 1);
    run(&mut client, &remedies[2]);
    assert_eq!(notes(&mut client, "account").len(), 2);
    watch(&mut client, r#"'account', 'part.created', 'insert', "only" => '{number,name}'"#);
    assert_eq!(notes(&mut client, "account").len(), 1);
    let mut emitter = cluster().connect_as_new_role("noted", "noted_emitter", &["hydra_emitter"]);
    run(
        &mut emitter,
        "CREATE TABLE mine (x int, pwd text); SELECT hydra.webhook_watch('mine', 'part.created', 'insert')",
    );
    assert_eq!(notes(&mut emitter, "mine").len(), 2);
}
