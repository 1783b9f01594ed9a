//! Errors: whatever is wrong with the arguments of a function, its error shows no secret and no value of a header.

use postgres::Client;
use testkit::cluster::Surroundings;
use testkit::receiver::Answer;
use testkit::{Bench, Cluster, PATIENCE, refusal, wait_until};

use crate::{PATH, bench};

const HEADER_VALUE: &str = "canary-of-a-header";

/// Arguments with which a function is likely to do something, by the names of its parameters.
const USUAL: &[(&str, &str)] = &[
    ("event", "'ticket.created'"),
    ("event_type", "'ticket.created'"),
    ("event_types", "'{ticket.created}'"),
    ("id", "1"),
    ("subscription_id", "1"),
    ("url", "'http://127.0.0.1:9/'"),
    ("mapping", "'\"ticket.created\"'"),
    ("secret", "'canary-of-a-header-and-more'"),
    ("adapter_id", "1"),
];

/// Odd values of each type. Intervals may compare as more, and last less, than zero.
const ODD: &[(&str, &[&str])] = &[
    ("bigint", &["1", "0", "-1", "9223372036854775807"]),
    ("boolean", &["true", "false"]),
    ("double precision", &["'NaN'", "'-infinity'"]),
    ("integer", &["1", "0", "-2147483648", "2147483647"]),
    ("smallint", &["0", "-32768", "32767"]),
    (
        "interval",
        &[
            "'0'",
            "'-1 s'",
            "'1 s'",
            "'-12 mons 361 days'",
            "'12 mons -361 days'",
            "'12 mons -360 days 1 s'",
            "'178000000 years'",
            "'-178000000 years'",
            "'71582788 mons -2147483640 days 1 s'",
        ],
    ),
    ("interval[]", &["'{}'", "'{NULL}'", "'{{1 s},{2 s}}'", "'{12 mons -354 days}'", "'{-178000000 years}'"]),
    (
        "jsonb",
        &[
            "'null'",
            "'[]'",
            "'{}'",
            "'{\"X-A\": {}}'",
            "'{\"X-A\": \"canary-of-a-header\", \"X-B\": 1e400}'",
            "'{\"X-A\": \"canary-of-a-header \\u0007\"}'",
            "'{\"X-A\": \"canary-of-a-header\", \"x-a\": \"canary-of-a-header\"}'",
        ],
    ),
    ("jsonpath", &["'$'", "'$x'", "'$.a.b[*] ? (@ > 1)'"]),
    ("text", &["''", "'x'", "'*'", "'webhook.test'", "repeat('x', 100000)", "E'\\u0001\\n'", "'http://10.0.0.1/'"]),
    (
        "text[]",
        &[
            "'{}'",
            "'{NULL}'",
            "'{\"\"}'",
            "'{{a},{b}}'",
            "'[0:1]={ticket.created,ticket.created}'",
            "array_fill('x'::text, ARRAY[10000])",
        ],
    ),
    ("timestamp with time zone", &["'-infinity'", "'infinity'", "now()"]),
    ("uuid", &["'00000000-0000-0000-0000-000000000000'"]),
    ("uuid[]", &["'{}'", "'{NULL}'"]),
    ("regclass", &["'hydra.subscription'", "0"]),
    ("oid", &["0", "'hydra.subscription'::regclass"]),
    ("bytea", &["''", "'\\x00ff'"]),
    ("bigint[]", &["'{}'", "'{NULL}'", "'{-1,1}'"]),
];

fn odd(of: &str) -> &'static [&'static str] {
    ODD.iter().find(|(name, _)| *name == of).map_or(&[], |(_, values)| values)
}

/// Calls of every function of the schema: with nulls, with usual arguments, and with one odd argument among these.
fn calls(client: &mut Client) -> Vec<String> {
    let functions = "
        SELECT p.proname::text, ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n) ORDER BY n),
               ARRAY(SELECT coalesce(a.name, '') FROM unnest(p.proargnames, p.proargmodes) WITH ORDINALITY AS a (name, mode, n)
                     WHERE a.mode IS NULL OR a.mode IN ('i', 'b', 'v') ORDER BY a.n)
        FROM pg_proc AS p
        WHERE p.pronamespace = 'hydra'::regnamespace AND p.prorettype <> 'trigger'::regtype
        ORDER BY p.oid";
    let mut calls = Vec::new();
    for row in client.query(functions, &[]).expect("the catalogue") {
        let (name, types, names): (String, Vec<String>, Vec<String>) = (row.get(0), row.get(1), row.get(2));
        let cast = |value: &str, place: usize| format!("({value})::{}", types[place]);
        let usual = |place: usize| {
            let by_name = names.get(place).and_then(|name| USUAL.iter().find(|(known, _)| known == name));
            by_name.map(|(_, value)| *value)
        };
        let nulls = |place: usize| cast(usual(place).unwrap_or("NULL"), place);
        let something =
            |place: usize| cast(usual(place).or(odd(&types[place]).first().copied()).unwrap_or("NULL"), place);
        let mut call = |arguments: Vec<String>| calls.push(format!("hydra.{name}({})", arguments.join(", ")));
        let places = 0..types.len();
        call(places.clone().map(|place| cast("NULL", place)).collect());
        for others in [&nulls as &dyn Fn(usize) -> String, &something] {
            call(places.clone().map(others).collect());
            for place in places.clone() {
                for value in odd(&types[place]) {
                    call(places.clone().map(|p| if p == place { cast(value, p) } else { others(p) }).collect());
                }
            }
        }
    }
    calls
}

/// Runs each call in a transaction of its own. Returns how many failed; none may show a secret or a header value.
fn failures(bench: &mut Bench, calls: &[String]) -> usize {
    let mut failed = 0;
    for call in calls {
        bench.run("BEGIN");
        if let Err(error) = bench.client.batch_execute(&format!("SELECT {call}")) {
            // All fields, with the context.
            let error = format!("{:?}", error.as_db_error().unwrap_or_else(|| panic!("{call}: {error:?}")));
            assert!(!error.contains("whsec_") && !error.contains(HEADER_VALUE), "{call}: {error}");
            failed += 1;
        }
        bench.run("ROLLBACK");
    }
    failed
}

#[test]
fn no_error_of_any_function_shows_a_secret_or_the_value_of_a_header() {
    let mut bench = bench("leaks");
    let header = format!("headers => '{{\"X-Key\": \"{HEADER_VALUE}\"}}'");
    bench.run(&format!("SELECT hydra.webhook_update(1, {header})"));
    let secret: String = bench.ask("SELECT hydra.webhook_rotate_secret(1, '1 day')");
    let calls = calls(&mut bench.client);
    assert!(calls.len() > 1000, "{} calls", calls.len());
    let failed = failures(&mut bench, &calls);
    assert!(failed > 500, "{failed} calls failed");
    // The error of a constraint shows the row. A DBA may add constraints. Functions whose names begin with an underscore
    // are left out: a user who may call those that write can read the tables.
    let calls: Vec<String> = calls.into_iter().filter(|call| !call.starts_with("hydra._")).collect();
    let failed = failures(&mut bench, &calls);
    for constraint in ["CHECK (false) NOT VALID", "CHECK (status = 'paused') NOT VALID"] {
        bench.run(&format!("ALTER TABLE hydra.subscription ADD CONSTRAINT mine {constraint}"));
        failures(&mut bench, &calls);
        bench.run("ALTER TABLE hydra.subscription DROP CONSTRAINT mine");
    }
    bench.run("ALTER TABLE hydra.signing_secret ADD CONSTRAINT mine CHECK (false) NOT VALID");
    let refused = failures(&mut bench, &calls);
    assert!(refused > failed, "{refused} calls failed with a constraint, {failed} without");
    assert!(!bench.cluster.log().contains(&secret[..16]), "the secret is in the log");
    assert!(bench.receiver.received(PATH) < 100, "test requests were made in between");
}

#[test]
fn no_error_about_an_index_of_a_dba_shows_the_value_of_a_header() {
    let mut bench = bench("leaks_key");
    let header = format!("headers => '{{\"X-Key\": \"{HEADER_VALUE}\"}}'");
    bench.run(&format!("SELECT hydra.webhook_update(1, {header})"));
    bench.run("CREATE UNIQUE INDEX mine ON hydra.subscription (headers)");
    let call = format!("SELECT hydra.webhook_create('http://127.0.0.1:9/', '{{ticket.created}}', {header})");
    let refusal = refusal(&mut bench.client, &call);
    assert_eq!(refusal.code, "23505", "{refusal:?}");
    assert!(!format!("{refusal:?}").contains(HEADER_VALUE), "{refusal:?}");
}

#[test]
fn the_worker_logs_no_row_that_a_constraint_of_a_dba_refuses() {
    const VALUE: &str = "canary-of-a-row";
    let mut bench = bench("leaks_row");
    bench.run(&format!("SELECT hydra.webhook_update(1, headers => '{{\"X-Key\": \"{VALUE}\"}}')"));
    bench.run("ALTER TABLE hydra.subscription ADD CONSTRAINT no_end CHECK (status <> 'disabled')");
    bench.receiver.answer(PATH, Answer::status(410));
    bench.emit("ticket.created", "{}");
    wait_until("the error is logged", PATIENCE, || bench.cluster.log().contains("constraint \"no_end\""));
    assert!(!bench.cluster.log().contains(VALUE), "{}", bench.cluster.log());
}

#[test]
fn errors_have_no_backtrace_even_if_the_environment_of_the_server_asks_for_one() {
    let surroundings = Surroundings { script: "export RUST_BACKTRACE=1; exec \"$@\"", mounts: false };
    let cluster = Cluster::start_within(Some(surroundings), &[]);
    let mut client = cluster.create_database("frames");
    for wrong in ["hydra.webhook_emit('no.such', '{}')", "hydra._add_secret(NULL, NULL)"] {
        let refusal = refusal(&mut client, &format!("SELECT {wrong}"));
        assert!(!refusal.detail.contains("panic") && !refusal.detail.contains("0:"), "{refusal:?}");
    }
    assert!(!cluster.log().contains("backtrace"), "{}", cluster.log());
}

#[test]
fn functions_that_are_not_for_users_refuse_odd_arguments_with_an_error_of_their_own() {
    let mut bench = bench("internal");
    for call in [
        "_check_watch('pg_class'::regclass, ARRAY[NULL]::text[], true, true)",
        "_check_watch('pg_class'::regclass, '{}', true, true)",
        "_check_watch('pg_class'::regclass, '{a.b,colour,x}', true, true)",
        "_check_watch(0, '{a.b,entity,new.id}', true, true)",
        "_check_watch(4294967295, '{a.b,entity,new.id}', true, true)",
    ] {
        let refusal = refusal(&mut bench.client, &format!("SELECT hydra.{call}"));
        assert!(refusal.code != "XX000" && !refusal.hint.is_empty(), "{call}: {refusal:?}");
    }
    for (call, problem) in [
        ("_watch_details(ARRAY[NULL]::text[], '', '{}')", true),
        ("_watch_details('{a.b,colour,x}', '', ARRAY[NULL]::text[])", true),
        ("_watch_details('{a.b,column,x}', '', ARRAY[NULL]::text[])", false),
    ] {
        let found: Option<String> = bench.ask(&format!("SELECT problem FROM hydra.{call}"));
        assert_eq!(found.is_some(), problem, "{call}");
    }
}
