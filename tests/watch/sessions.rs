//! What an event says does not depend on the settings of the session that writes; what a condition means does.

use postgres::Client;
use testkit::{Need, ask, lacks, run, subscribe};

use crate::{cluster, database, events_of, watch};

/// Settings that change how values are written.
const ODD: &str = "SET datestyle = 'German'; SET intervalstyle = iso_8601; SET timezone = 'Asia/Kolkata';
                   SET extra_float_digits = -5; SET bytea_output = escape; SET xmlbinary = hex;
                   SET quote_all_identifiers = on; SET array_nulls = off; SET xmloption = document";

const SAMPLE: &str =
    "CREATE TABLE sample (id timestamptz, tenant_id date, f float8, f4 float4, b bytea, i interval, at timestamptz,
                          during tstzrange, days daterange[], name regclass, role regrole)";
const INSERT: &str = r"INSERT INTO sample VALUES ('2026-01-01 00:00:00+00', '2026-02-03'::date, 0.1::float8 + 0.2::float8, 1e10::float4, '\x00ff41',
                       make_interval(days => 1, hours => 2), '2026-01-01 00:00:00+00', tstzrange('2026-01-01 00:00:00+00', NULL),
                       ARRAY[daterange('2026-02-03', NULL)], 'sample', 'hydra_admin')";

#[test]
fn an_event_has_the_same_bytes_from_every_session() {
    let mut client = database("same_bytes");
    run(&mut client, SAMPLE);
    let odd = |client: &mut Client| run(client, ODD);
    let xml = if lacks(&mut client, Need::Xml) { "1" } else { "xmlelement(name b, new.b)" };
    let rendered = format!(
        ", entity => $$jsonb_build_object('all', new::text, 'at', to_char(new.at, 'HH24 TZ'), 'xml', {xml}::text, 'nulls', '{{NULL}}'::text[])$$"
    );
    for level in ["row", "statement"] {
        for more in ["", ", entity => 'to_jsonb(new)'", &rendered, ", tenant => 'new.at'"] {
            watch(&mut client, &format!("'sample', 'part.created', 'insert', level => '{level}'{more}"));
            let insert = format!("BEGIN; {INSERT}; COMMIT");
            let [usual, from_odd] = [None, Some(odd)].map(|set| {
                let mut session = cluster().connect("same_bytes");
                if let Some(set) = set {
                    set(&mut session);
                }
                run(&mut session, &insert);
                events_of(&mut client, "part.created")
            });
            assert_eq!(usual, from_odd, "{level}{more}");
            assert_eq!(usual.len(), 1);
            // What the session has set still holds.
            let mut session = cluster().connect("same_bytes");
            odd(&mut session);
            run(&mut session, &insert);
            events_of(&mut client, "part.created");
            let zone: String = ask(&mut session, "SELECT current_setting('timezone') || current_setting('datestyle')");
            assert_eq!(zone, "Asia/KolkataGerman, DMY");
        }
    }
    let first: String = {
        watch(&mut client, "'sample', 'part.created', 'insert'");
        run(&mut client, &format!("{ODD}; {INSERT}"));
        events_of(&mut client, "part.created").remove(0)
    };
    let beginning = r#"2026-01-01 00:00:00+00 2026-02-03 {"id":"2026-01-01T00:00:00+00:00","tenant_id":"2026-02-03","f":0.30000000000000004,"#;
    assert!(first.starts_with(beginning), "{first}");
    assert!(first.contains(r#""b":"\\x00ff41","i":"1 day 02:00:00""#), "{first}");
    assert!(first.contains(r#""role":"hydra_admin""#) && !first.contains(r#"\"sample"#), "{first}");
}

#[test]
fn who_wants_an_event_does_not_depend_on_the_session() {
    let mut client = database("same_targets");
    run(&mut client, SAMPLE);
    watch(&mut client, "'sample', 'part.created', 'insert'");
    let url = "http://127.0.0.1:9/";
    let (tenant, _) = subscribe(&mut client, url, "part.created", &["tenant_id => '2026-02-03'"]);
    let (float, _) = subscribe(&mut client, url, "part.created", &["filter => '$.f > 0.3'"]);
    let (time, _) = subscribe(
        &mut client,
        url,
        "part.created,ticket.created",
        &[r#"filter => '$.at.datetime() == "2026-01-01 00:00:00".datetime("YYYY-MM-DD HH24:MI:SS")'"#],
    );
    run(&mut client, &format!("{ODD}; {INSERT}"));
    run(&mut client, r#"SELECT hydra.webhook_emit('ticket.created', '{"at": "2026-01-01T00:00:00+00:00"}')"#);
    for (event, expected) in [("part.created", vec![tenant, float, time]), ("ticket.created", vec![time])] {
        let targets: Vec<i64> =
            ask(&mut client, &format!("SELECT targets FROM hydra.event WHERE event_type = '{event}'"));
        assert_eq!(targets.into_iter().filter(|id| *id >= tenant).collect::<Vec<_>>(), expected, "{event}");
    }
}

#[test]
fn a_condition_means_what_it_means_in_the_session_that_writes() {
    let mut client = database("conditions_of_sessions");
    run(&mut client, "CREATE TABLE sample (id int, at timestamptz)");
    for level in ["row", "statement"] {
        for more in ["", ", entity => 'to_jsonb(new.at)'"] {
            watch(
                &mut client,
                &format!(
                    "'sample', 'part.created', 'insert', $$to_char(new.at, 'HH24') = '05'$$, level => '{level}'{more}"
                ),
            );
            for (zone, expected) in [("UTC", 0), ("Asia/Kolkata", 1)] {
                run(
                    &mut client,
                    &format!(
                        "SET timezone = '{zone}'; INSERT INTO sample VALUES (1, '2026-01-01 00:00:00+00'), (2, '2026-01-01 12:00:00+00')"
                    ),
                );
                let events = events_of(&mut client, "part.created");
                assert_eq!(events.len(), expected, "{level} in {zone}{more}");
                assert!(events.iter().all(|event| event.contains("2026-01-01T00:00:00+00:00")), "{events:?}");
            }
        }
    }
}

#[test]
fn an_expression_stays_in_its_parentheses_however_the_session_reads_strings() {
    let mut client = database("strings");
    run(
        &mut client,
        "CREATE TABLE sample (id int, name text); CREATE TABLE victim (id int); INSERT INTO victim VALUES (1)",
    );
    let attack = r"'\' || ' is null)::text::jsonb))) AS hydra_values (hydra_tenant, hydra_entity);
                   delete from victim; select * from (values (1, null::text, coalesce((null -- '";
    for level in ["row", "statement"] {
        for part in ["entity", "tenant", "condition"] {
            run(&mut client, "SET standard_conforming_strings = off; SET escape_string_warning = off");
            let expression = match part {
                "entity" => format!("to_jsonb({attack}\n)"),
                "tenant" => format!("({attack}\n)::text"),
                _ => format!("({attack}\n) <> ''"),
            };
            watch(
                &mut client,
                &format!(
                    "'sample', 'part.created', 'insert or insert', level => '{level}', {part} => $q${expression}$q$"
                ),
            );
            run(&mut client, "INSERT INTO sample VALUES (1, 'x'), (2, 'y')");
            assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM victim"), 1, "{level} {part}");
            assert_eq!(events_of(&mut client, "part.created").len(), 2, "{level} {part}");
        }
    }
    // The functions of the extension work in such a session.
    run(
        &mut client,
        r#"SELECT hydra.webhook_create('http://127.0.0.1:9/', '{part.created}', filter => '$.a == "x"');
           SELECT hydra.webhook_register_event_type('invoice.paid')"#,
    );
    let names = "SELECT count(*) FROM (SELECT hydra._is_event_type_name(n) AS ok FROM unnest('{a.b,axb}'::text[]) AS n) AS t WHERE ok";
    assert_eq!(ask::<i64>(&mut client, names), 1);
}

#[test]
fn new_and_old_are_the_rows_even_if_columns_have_these_names() {
    let mut client = database("new_and_old");
    run(&mut client, "CREATE TABLE prices (id int, old numeric, new numeric)");
    for level in ["row", "statement"] {
        let watched = |client: &mut Client, event: &str, operation: &str, entity: &str| {
            watch(client, &format!("'prices', '{event}', '{operation}', entity => $e${entity}$e$, level => '{level}'"));
        };
        watched(&mut client, "part.created", "insert", "to_jsonb(new)");
        watched(&mut client, "part.updated", "update", "jsonb_build_array(new, old, new.new, old.old, new.id)");
        watched(&mut client, "part.deleted", "delete", "to_jsonb(old)");
        watched(
            &mut client,
            "ticket.created",
            "insert",
            "(SELECT jsonb_agg(two.new + new.new) FROM (VALUES (1), (2)) AS two (new))",
        );
        run(
            &mut client,
            "INSERT INTO prices VALUES (1, 10, 20), (2, 10, 20); UPDATE prices SET old = new, new = new * 2 WHERE id = 1; DELETE FROM prices",
        );
        let created = [r#"1 - {"id": 1, "new": 20, "old": 10}"#, r#"2 - {"id": 2, "new": 20, "old": 10}"#];
        assert_eq!(events_of(&mut client, "part.created"), created, "{level}");
        let updated = r#"1 - [{"id": 1, "new": 40, "old": 20}, {"id": 1, "new": 20, "old": 10}, 40, 10, 1]"#;
        assert_eq!(events_of(&mut client, "part.updated"), [updated], "{level}");
        let deleted = [r#"2 - {"id": 2, "new": 20, "old": 10}"#, r#"1 - {"id": 1, "new": 40, "old": 20}"#];
        assert_eq!(events_of(&mut client, "part.deleted"), deleted, "{level}");
        assert_eq!(events_of(&mut client, "ticket.created"), ["1 - [21, 22]", "2 - [21, 22]"], "{level}");
    }

    // A column that is added later.
    run(&mut client, "CREATE TABLE plain (id int)");
    watch(&mut client, "'plain', 'part.created', 'insert', entity => 'to_jsonb(new)'");
    run(&mut client, "ALTER TABLE plain ADD COLUMN new boolean DEFAULT true; INSERT INTO plain VALUES (1)");
    assert_eq!(events_of(&mut client, "part.created"), [r#"1 - {"id": 1, "new": true}"#]);
}
