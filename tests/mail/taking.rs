//! A message is stored and its function called in one transaction, and taken after the commit.

use testkit::{Need, lacks, refused, run};

use crate::{APPLICATION, Office, PROVEN, cluster, message};

#[test]
fn a_function_is_told_what_a_message_says() {
    let mut office = Office::new("told");
    let whole = format!(
        "{PROVEN}Message-ID: <1@example.com>\r\nDate: Tue, 3 Nov 2026 10:00:00 +0100\r\nFrom: =?utf-8?q?Ann_M=C3=BCller?= <Ann@example.com>\r\n\
         To: support@helpdesk.test\r\nSubject: =?utf-8?b?RHJ1Y2tlciDinJM=?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\
         Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\u{fc}\u{df}e\r\n\r\n> alt\r\n--x\r\nContent-Type: application/pdf; name=a.pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--x--\r\n"
    );
    let whole = whole.replace("charset=iso-8859-1", "charset=utf-8");
    office.taken(&whole);
    for (path, expected) in [
        ("{channel}", "\"support@helpdesk.test\""),
        ("{tenant_id}", "\"acme\""),
        ("{thread}", "null"),
        ("{subject}", "\"Drucker ✓\""),
        ("{from}", "{\"name\": \"Ann Müller\", \"address\": \"ann@example.com\"}"),
        ("{text}", "\"Grüße\\n\\n> alt\""),
        ("{reply}", "\"Grüße\""),
        ("{date}", "\"2026-11-03T10:00:00+01:00\""),
        ("{message_id}", "\"1@example.com\""),
        ("{verdict,authenticated}", "true"),
        ("{verdict,automatic}", "false"),
        ("{attachments,0}", "{\"name\": \"a.pdf\", \"size\": 4, \"type\": \"application/pdf\", \"index\": 0}"),
    ] {
        assert_eq!(office.told(path), expected, "{path}");
    }
    let who: String = office.bench.ask("SELECT who || ' for ' || tenant FROM desk.calls");
    assert_eq!(who, "desk for acme");
    let raw: Vec<u8> = office.bench.ask("SELECT hydra.mail_raw(id) FROM hydra.mail_messages");
    assert_eq!(String::from_utf8(raw).unwrap(), format!("{whole}\r\n"));
    let attachment: Vec<u8> = office.bench.ask("SELECT hydra.mail_attachment(id, 0) FROM hydra.mail_messages");
    assert_eq!(attachment, b"%PDF");
}

#[test]
fn a_message_that_comes_again_has_no_effect() {
    let mut office = Office::new("again");
    let first = message("Received: from one\r\nMessage-ID: <1@example.com>\r\n", "printer", "It is broken.");
    office.taken(&first);
    office.taken(&first.replace("from one", "from another\r\nX-Way: longer"));
    assert_eq!((office.count("desk.tickets"), office.count("hydra.mail_messages")), (1, 1));
    assert_eq!(office.bench.ask::<i32>("SELECT duplicates FROM hydra.mail_messages"), 1);
    // A stranger cannot keep it away by using its Message-ID first.
    office.taken(&first.replace("It is broken.", "It is on fire."));
    assert_eq!(office.count("desk.tickets"), 2);
}

#[test]
fn a_message_whose_function_fails_stays_with_the_mail_server() {
    let mut office = Office::new("failing");
    let broken = message("Message-ID: <1@example.com>\r\n", "boom", "Hello");
    assert!(office.send(&broken).starts_with("451 "));
    assert_eq!(office.count("desk.calls"), 0);
    let failure: String =
        office.bench.ask("SELECT concat_ws(' ', state, error, sqlstate, attempts) FROM hydra.mail_messages");
    assert_eq!(failure, "failed the function is broken P0001 1");
    office.bench.run(
        "CREATE OR REPLACE FUNCTION desk.take(message jsonb) RETURNS jsonb LANGUAGE sql AS
         $$ INSERT INTO desk.tickets (subject) VALUES ('mended') RETURNING NULL::jsonb $$",
    );
    office.taken(&broken);
    office.taken(&broken);
    assert_eq!(office.count("desk.tickets"), 1);
    let mended: String =
        office.bench.ask("SELECT concat_ws(' ', state, error, attempts, duplicates) FROM hydra.mail_messages");
    assert_eq!(mended, "done 2 1");
}

#[test]
fn a_function_that_takes_too_long_is_cancelled() {
    let mut office = Office::new("slow");
    let limit =
        |time: &str| format!("SELECT hydra.mail_channel_update(id, timeout => '{time}') FROM hydra.mail_channels");
    office.bench.run(&limit("1 s"));
    assert!(office.send(&message("", "slow", "Hello")).starts_with("451 "));
    assert_eq!(office.bench.ask::<String>("SELECT sqlstate FROM hydra.mail_messages"), "57014");
    office.bench.run(&limit("8 s"));
    office.taken(&message("", "fast", "Hello"));
}

#[test]
fn each_recipient_gets_a_reply_of_its_own() {
    let mut office = Office::new("several");
    office.bench.run("SELECT hydra.mail_channel_create('sales@helpdesk.test', 'desk.take')");
    let to = ["support@helpdesk.test", "Sales+x@helpdesk.test"];
    let replies = office.connect().deliver("", &to, &message("", "hello", ".one dot"));
    assert_eq!(replies, ["250 2.0.0 Taken"; 2]);
    assert_eq!(office.told("{text}"), "\".one dot\\n\\n\"");
    let channels: String = office
        .bench
        .ask("SELECT string_agg(channel || coalesce(tenant_id, ''), ' ' ORDER BY id) FROM hydra.mail_messages");
    assert_eq!(channels, "support@helpdesk.testacme sales@helpdesk.test");
}

#[test]
fn only_the_function_of_a_message_and_readers_of_mail_read_it() {
    let mut office = Office::new("readers");
    office.taken(&message("", "printer", "It is broken."));
    run(
        &mut office.bench.client,
        "CREATE OR REPLACE FUNCTION desk.take(message jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO desk.calls VALUES (to_jsonb(convert_from(hydra.mail_raw((message ->> 'mail_message_id')::bigint), 'UTF8')));
             PERFORM hydra.mail_raw((message ->> 'mail_message_id')::bigint - 1);
             RETURN NULL;
         EXCEPTION WHEN insufficient_privilege THEN
             INSERT INTO desk.calls VALUES (jsonb_build_object('refused', SQLERRM));
             RETURN NULL;
         END $$",
    );
    office.taken(&message("", "second", "It is broken."));
    assert_eq!(office.told("{refused}"), "\"permission denied for this message\"");
    let mut emitter = office.bench.session_of_new_role("mail_emitter", &["hydra_emitter"]);
    refused(&mut emitter, "SELECT hydra.mail_raw(1)", "42501");
    refused(&mut emitter, "SELECT hydra.mail_attachment(1, 0)", "42501");
    let mut analyst = office.bench.session_of_new_role("mail_analyst", &["hydra_analyst"]);
    run(
        &mut analyst,
        "SELECT hydra.mail_raw(id), reasons FROM hydra.mail_messages, jsonb_array_elements(verdict -> 'reasons') AS reasons",
    );
}

#[test]
fn a_function_that_names_an_impossible_entity_has_failed() {
    let mut office = Office::new("odd_entity");
    let take = |entity: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION desk.take(message jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object({entity}) $$"
        )
    };
    for entity in ["'entity_type', '', 'entity_id', ''", "'entity_type', 'ticket', 'entity_id', repeat('x', 5000)"] {
        office.bench.run(&take(entity));
        let reply = office.send(&message("", "odd", "Hello"));
        assert!(reply.starts_with("451 "), "{reply}");
        let failed: String =
            office.bench.ask("SELECT state || ' ' || sqlstate || ' ' || error FROM hydra.mail_messages");
        assert!(failed.starts_with("failed 22023 the function returned an invalid entity_"), "{failed}");
    }
    office.bench.run(&take("'entity_type', 'ticket', 'entity_id', 7"));
    office.taken(&message("", "odd", "Hello"));
    assert_eq!(office.bench.ask::<String>("SELECT state || ' ' || entity_id FROM hydra.mail_messages"), "done 7");
}

#[test]
fn a_message_that_the_database_refuses_stays_with_the_mail_server() {
    let mut office = Office::new("refused_mail");
    office.bench.run(
        "CREATE FUNCTION desk.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON hydra.mail_raw FOR EACH ROW EXECUTE FUNCTION desk.refuse()",
    );
    let reply = office.send(&message("", "kept", "Hello"));
    assert!(reply.starts_with("451 "), "{reply}");
    office.bench.run("DROP TRIGGER refuse ON hydra.mail_raw");
    office.taken(&message("", "kept", "Hello"));
    assert_eq!(office.count("hydra.mail_messages"), 1);
}

#[test]
fn addresses_are_in_lower_case_in_a_database_in_turkish_too() {
    let mut superuser = cluster().connect("postgres");
    if lacks(&mut superuser, Need::Icu) {
        return;
    }
    run(
        &mut superuser,
        "CREATE DATABASE turkish TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C'",
    );
    let mut client = cluster().connect("turkish");
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    run(&mut client, &APPLICATION.replace("Support@", "SUPPORT.I@"));
    assert_eq!(
        testkit::ask::<String>(&mut client, "SELECT address FROM hydra.mail_channels"),
        "support.i@helpdesk.test"
    );
    run(&mut client, "SELECT hydra.mail_sent('<1@x.org>', 'ticket', '1', '{ALI@X.ORG}')");
    assert_eq!(testkit::ask::<String>(&mut client, "SELECT address FROM hydra.mail_participant"), "ali@x.org");
    // Nor are other words other ones.
    run(
        &mut client,
        "CREATE TABLE t (id int); SELECT hydra.webhook_watch('t', 'ticket.created', 'INSERT'); INSERT INTO t VALUES (1)",
    );
}

#[test]
fn old_mail_is_removed_although_no_other_comes() {
    let mut office = Office::new("old_mail");
    office.taken(&message("", "old", "Hello"));
    office.taken(&message("", "new", "Hello"));
    office.bench.run(
        "UPDATE hydra.mail_message SET received_at = received_at - interval '31 days' WHERE subject = 'old';
         SELECT hydra._note_for_runner(now())",
    );
    office.bench.wait_for_count("mail_messages", 1);
    assert_eq!(office.bench.ask::<String>("SELECT subject FROM hydra.mail_messages"), "new");
    assert_eq!(office.count("hydra.mail_raw"), 1);
}

#[test]
fn of_much_mail_a_channel_counts_only_so_much_as_can_be_counted_quickly() {
    let mut office = Office::new("much_mail");
    office.bench.run(
        "INSERT INTO hydra.mail_message (channel_id, key, recipient, subject, size, state, error, sqlstate, received_at)
         SELECT 1, sha256(n::text::bytea), 'x', 'x', 1, CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'received' END,
                CASE WHEN n % 2 = 0 THEN 'x' END, CASE WHEN n % 2 = 0 THEN 'P0001' END, now() - n * interval '1 s'
         FROM generate_series(0, 29999) AS n;
         ANALYZE hydra.mail_channel, hydra.mail_message",
    );
    let shown = "SELECT received || ' ' || failed || ' ' || (last_received_at > now() - interval '1 h') FROM hydra.mail_channels";
    assert_eq!(office.bench.ask::<String>(shown), "10000 10000 true");
}
