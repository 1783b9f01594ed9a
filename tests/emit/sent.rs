//! What a receiver gets of an event.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testkit::{Bench, PATIENCE, wait_until};

use crate::{PATH, bench, emit, set, settle, settle_set, split_timestamp, watch};

#[test]
fn a_row_trigger_sends_the_new_row_and_for_a_delete_the_old_one() {
    let mut bench = bench("rows");
    bench.run("CREATE TABLE part (id bigint PRIMARY KEY, tenant_id text, name text)");
    for (operation, event) in [("INSERT", "created"), ("UPDATE", "updated"), ("DELETE", "deleted")] {
        bench.run(&format!(
            "CREATE TRIGGER emit_{event} AFTER {operation} ON part
             FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('part.{event}')"
        ));
    }
    let cases = [
        ("INSERT INTO part VALUES (7, 'acme', 'bolt')", "created", "bolt"),
        ("UPDATE part SET name = 'nut'", "updated", "nut"),
        ("DELETE FROM part", "deleted", "nut"),
    ];
    for (statement, event, name) in cases {
        bench.receiver.clear();
        bench.run(statement);
        let requests = settle(&mut bench);
        assert_eq!(requests.len(), 1, "{statement}");
        assert_eq!(requests[0].header("X-Hydra-Event"), Some(format!("part.{event}").as_str()));
        assert_eq!(requests[0].header("Content-Type"), Some("application/json"));
        assert_eq!(requests[0].header("User-Agent"), Some("Hydra-Webhooks/1.0"));
        assert_eq!(
            split_timestamp(&requests[0]).0,
            format!(
                "{{\"event\":\"part.{event}\",\"tenant_id\":\"acme\",\"data\":{{\"entity_type\":\"part\",\
                 \"entity_id\":\"7\",\"entity\":{{\"id\":7,\"tenant_id\":\"acme\",\"name\":\"{name}\"}}}}"
            )
        );
    }

    bench.receiver.clear();
    bench.run("INSERT INTO part SELECT n, NULL, 'many' FROM generate_series(1, 25) AS n");
    let expected: BTreeSet<String> = (1..=25).map(|n: i32| n.to_string()).collect();
    assert_eq!(settle_set(&mut bench), expected, "one request for each row");
}

#[test]
fn a_receiver_gets_the_row_before_an_update_and_what_has_changed_if_the_watch_asks_for_it() {
    let mut bench = bench("previous");
    bench.subscribe("/x", "part.updated", &["preset => 'x_webhook'"]);
    bench.run("CREATE TABLE part (id int PRIMARY KEY, note json, stock numeric); INSERT INTO part VALUES (7, '{\"a\": [1 ]}', 5)");
    bench.run("SELECT hydra.webhook_watch('part', 'part.updated', 'insert or update', previous => true)");
    let sent = |bench: &mut Bench, statement: &str| {
        bench.receiver.clear();
        bench.run(statement);
        let requests = settle(bench);
        let (rest, _) = split_timestamp(&requests[0]);
        rest.split_once(",\"entity\":").expect("an entity").1.to_owned()
    };
    assert_eq!(
        sent(&mut bench, "UPDATE part SET stock = 4.50"),
        r#"{"id":7,"note":{"a": [1 ]},"stock":4.50},"previous":{"id":7,"note":{"a": [1 ]},"stock":5},"changed":["stock"]}"#
    );
    // In the other presets, data is the entity.
    let other = bench.wait_for("/x", 1)[0].text().to_owned();
    assert!(other.ends_with(r#","data":{"id":7,"note":{"a": [1 ]},"stock":4.50}}"#), "{other}");
    let unchanged = sent(&mut bench, "UPDATE part SET stock = 4.50");
    assert!(unchanged.ends_with(r#","changed":[]}"#), "{unchanged}");
    let inserted = sent(&mut bench, "INSERT INTO part VALUES (8)");
    assert_eq!(inserted, r#"{"id":8,"note":null,"stock":null},"previous":null,"changed":null}"#);
    // A rehearsal shows the same.
    bench.run("CREATE FUNCTION touch(jsonb) RETURNS void LANGUAGE sql AS 'UPDATE part SET note = ''1'' WHERE id = 7'");
    let rehearsed: String = bench.ask("SELECT hydra.rehearse('touch(jsonb)') -> 'webhooks' -> 0 ->> 'body'");
    assert!(
        rehearsed.contains(r#""previous":{"id":7,"#) && rehearsed.contains(r#""changed":["note"]}"#),
        "{rehearsed}"
    );
}

#[test]
fn every_way_to_write_a_row_emits() {
    let mut bench = bench("ways");
    watch(&mut bench, "id text PRIMARY KEY, name text");
    bench.run(
        "CREATE TABLE parted (id text) PARTITION BY LIST (id);
         CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('partition');
         CREATE TRIGGER emit AFTER INSERT ON parted
             FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created');
         CREATE TABLE late (id text);
         CREATE CONSTRAINT TRIGGER emit AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created');",
    );
    bench.run("INSERT INTO ticket VALUES ('insert')");
    bench.run("INSERT INTO ticket VALUES ('insert'), ('conflict') ON CONFLICT DO NOTHING");
    bench.run("WITH made AS (INSERT INTO ticket VALUES ('with') RETURNING id) SELECT * FROM made");
    bench.run(
        "MERGE INTO ticket USING (VALUES ('insert'), ('merge')) AS source (id) ON ticket.id = source.id
         WHEN MATCHED THEN UPDATE SET name = 'again' WHEN NOT MATCHED THEN INSERT (id) VALUES (source.id)",
    );
    bench.run("COPY (SELECT 'copy', NULL) TO PROGRAM 'cat > copied'; COPY ticket FROM PROGRAM 'cat copied'");
    bench.run("INSERT INTO parted VALUES ('partition')");
    bench.run("INSERT INTO late VALUES ('deferred')");
    let expected = set(&["insert", "conflict", "with", "merge", "copy", "partition", "deferred"]);
    assert_eq!(settle_set(&mut bench), expected);
}

#[test]
fn webhook_emit_sends_the_envelope_of_the_preset_hydra() {
    let mut bench = bench("by_hand");
    bench.run("SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid', 'purchase', 'number')");
    bench.subscribe(PATH, "order.paid", &[]);
    let cases = [
        (
            "'ticket.created', '{\"id\": 7}'",
            r#"null,"data":{"entity_type":"ticket","entity_id":"7","entity":{"id": 7}}"#,
        ),
        (
            "'ticket.created', '{\"id\": 1.50}'",
            r#"null,"data":{"entity_type":"ticket","entity_id":"1.50","entity":{"id": 1.50}}"#,
        ),
        (
            "'ticket.created', '{\"id\": null}'",
            r#"null,"data":{"entity_type":"ticket","entity_id":null,"entity":{"id": null}}"#,
        ),
        (
            "'ticket.created', '{\"id\": {\"id\": 3}}'",
            r#"null,"data":{"entity_type":"ticket","entity_id":null,"entity":{"id": {"id": 3}}}"#,
        ),
        (
            "'ticket.created', '{\"x\": {\"id\": 3}}'",
            r#"null,"data":{"entity_type":"ticket","entity_id":null,"entity":{"x": {"id": 3}}}"#,
        ),
        (
            "'ticket.created', '[{\"id\": 3}, []]'",
            r#"null,"data":{"entity_type":"ticket","entity_id":null,"entity":[{"id": 3}, []]}"#,
        ),
        (
            "'ticket.created', '\"é\\\"\\u0007\"'",
            r#"null,"data":{"entity_type":"ticket","entity_id":null,"entity":"é\"\u0007"}"#,
        ),
        ("'ticket.created', 'true'", r#"null,"data":{"entity_type":"ticket","entity_id":null,"entity":true}"#),
        ("'ticket.created', NULL", r#"null,"data":{"entity_type":"ticket","entity_id":null,"entity":null}"#),
        (
            "'ticket.created', '{\"tenant_id\": \"acme\"}'",
            r#""acme","data":{"entity_type":"ticket","entity_id":null,"entity":{"tenant_id": "acme"}}"#,
        ),
        (
            "'ticket.created', '{\"tenant_id\": 42}'",
            r#""42","data":{"entity_type":"ticket","entity_id":null,"entity":{"tenant_id": 42}}"#,
        ),
        (
            "'ticket.created', '{\"tenant_id\": \"acme\"}', 'ob\"i'",
            r#""ob\"i","data":{"entity_type":"ticket","entity_id":null,"entity":{"tenant_id": "acme"}}"#,
        ),
        (
            "'order.paid', '{\"id\": 1, \"number\": \"A-1\"}'",
            r#"null,"data":{"entity_type":"purchase","entity_id":"A-1","entity":{"id": 1, "number": "A-1"}}"#,
        ),
    ];
    for (arguments, expected) in cases {
        bench.receiver.clear();
        let before = SystemTime::now();
        let id: Option<i64> = bench.ask(&format!("SELECT hydra.webhook_emit({arguments})"));
        assert!(id.is_some(), "{arguments} is wanted");
        let requests = bench.wait_for(PATH, 1);
        let (rest, timestamp) = split_timestamp(&requests[0]);
        let event = arguments.split('\'').nth(1).expect("the event type comes first");
        assert_eq!(rest, format!("{{\"event\":\"{event}\",\"tenant_id\":{expected}"), "{arguments}");

        assert_eq!(timestamp.len(), "2026-04-29T18:33:00Z".len(), "{timestamp} has whole seconds");
        assert!(timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T', "{timestamp} is RFC 3339 in UTC");
        let epoch: f64 = bench.ask(&format!("SELECT extract(epoch FROM '{timestamp}'::timestamptz)::float8"));
        let emitted = UNIX_EPOCH + Duration::from_secs_f64(epoch);
        let second = Duration::from_secs(1);
        assert!(emitted + second > before && emitted <= SystemTime::now(), "{timestamp} is the time of the emit");
    }
}

#[test]
fn a_timestamp_is_the_clock_at_emit_and_not_the_start_of_the_transaction() {
    let mut bench = bench("clock");
    bench.run("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'; BEGIN");
    let start: String = bench.ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    const LATER: &str = "SELECT date_trunc('second', clock_timestamp()) > now()";
    wait_until("the next second has begun", PATIENCE, || bench.ask(LATER));
    bench.run(&emit("late"));
    bench.run("COMMIT");
    let requests = settle(&mut bench);
    assert_eq!(requests.len(), 1);
    assert!(split_timestamp(&requests[0]).1 > start.as_str(), "{} is later than {start}", requests[0].text());
}
