//! Emitting: what becomes of an event in the application's own transaction, and what a receiver then gets.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postgres::Client;
use serde_json::Value;
use testkit::cluster::{Cluster, StopMode, wait_until};
use testkit::receiver::{Receiver, Request, Signature};
use testkit::{PATIENCE, ask, refusal, refused, run, start_shared_cluster, subscribe, wait_for_empty_queue};

/// Where the subscription of every bench goes.
const PATH: &str = "/all";

/// A number that takes a few bytes in `jsonb` and 131 kB as text.
const LONG_NUMBER: &str = "1e131071";

/// One cluster for all tests that change nothing about the server.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

/// A database of its own, with one subscription to all tickets and parts.
struct Bench {
    database: &'static str,
    client: Client,
    receiver: Receiver,
    subscription: i64,
    secret: String,
}

impl Bench {
    fn new(database: &'static str) -> Bench {
        Bench::in_cluster(cluster(), database)
    }

    fn in_cluster(cluster: &Cluster, database: &'static str) -> Bench {
        let mut client = cluster.create_database(database);
        let receiver = Receiver::start();
        let types = "ticket.created,ticket.resolved,part.created,part.updated,part.deleted";
        let (subscription, secret) = subscribe(&mut client, &receiver.url(PATH), types, &[]);
        receiver.secret(PATH, &secret);
        Bench { database, client, receiver, subscription, secret }
    }

    fn session(&self) -> Client {
        cluster().connect(self.database)
    }

    /// A session of a new role that nothing is granted to but `roles`.
    fn session_of(&mut self, role: &str, roles: &[&str]) -> Client {
        run(&mut self.client, &format!("CREATE ROLE {role} LOGIN"));
        for granted in roles {
            run(&mut self.client, &format!("GRANT {granted} TO {role}"));
        }
        cluster().connect_as(self.database, role)
    }

    #[track_caller]
    fn run(&mut self, sql: &str) {
        run(&mut self.client, sql);
    }

    /// A table whose every new row is a `ticket.created`.
    #[track_caller]
    fn watch(&mut self, columns: &str) {
        self.run(&format!("CREATE TABLE ticket ({columns}); {}", trigger("ticket", "ticket.created")));
    }

    /// All requests, once every committed event is delivered.
    #[track_caller]
    fn settle(&mut self) -> Vec<Arc<Request>> {
        wait_for_empty_queue(&mut self.client);
        let requests = self.receiver.requests(PATH);
        assert!(requests.iter().all(|request| request.signature == Signature::Verified), "{requests:#?}");
        requests
    }

    /// The one request there is, as JSON.
    #[track_caller]
    fn settle_one(&mut self) -> Value {
        let requests = self.settle();
        assert_eq!(requests.len(), 1, "one event is one request");
        self.receiver.clear();
        body(&requests[0])
    }

    /// Entity ids in the order of arrival.
    #[track_caller]
    fn settle_ids(&mut self) -> Vec<String> {
        let requests = self.settle();
        requests.iter().map(|request| text(&body(request)["data"]["entity_id"])).collect()
    }

    /// What was received, none of it twice.
    #[track_caller]
    fn settle_set(&mut self) -> BTreeSet<String> {
        let ids = self.settle_ids();
        let set: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(set.len(), ids.len(), "something was delivered twice: {ids:?}");
        set
    }
}

fn trigger(table: &str, event: &str) -> String {
    format!(
        "CREATE TRIGGER emit AFTER INSERT ON {table}
         FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('{event}')"
    )
}

fn emit(id: &str) -> String {
    format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{id}\"}}')")
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_else(|error| panic!("{error}: {}", request.text()))
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).into()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// The body with its timestamp taken out, and that timestamp, which is the end of every body.
#[track_caller]
fn split_timestamp(request: &Request) -> (&str, &str) {
    let body = request.text();
    let cut = body.rfind(",\"timestamp\":\"").unwrap_or_else(|| panic!("{body} has no timestamp"));
    let timestamp = body[cut..].strip_prefix(",\"timestamp\":\"").and_then(|rest| rest.strip_suffix("\"}"));
    (&body[..cut], timestamp.unwrap_or_else(|| panic!("{body} does not end with its timestamp")))
}

/// Nothing is left behind in the session: it works, and in no transaction.
#[track_caller]
fn assert_usable(client: &mut Client) {
    let fresh: bool = ask(client, "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL");
    assert!(fresh, "the session is still inside a transaction");
    run(client, "BEGIN; CREATE TEMPORARY TABLE usable (); ROLLBACK");
}

// ---- what is sent

#[test]
fn a_row_trigger_sends_the_new_row_and_for_a_delete_the_old_one() {
    let mut bench = Bench::new("rows");
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
        let requests = bench.settle();
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
    assert_eq!(bench.settle_set(), expected, "one request for each row");
}

#[test]
fn every_way_to_write_a_row_emits() {
    let mut bench = Bench::new("ways");
    bench.watch("id text PRIMARY KEY, name text");
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
    assert_eq!(bench.settle_set(), expected);
}

#[test]
fn an_emit_by_hand_sends_the_envelope_of_the_product_page() {
    let mut bench = Bench::new("by_hand");
    bench.run("SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid', 'purchase', 'number')");
    let url = bench.receiver.url(PATH);
    let (_, secret) = subscribe(&mut bench.client, &url, "order.paid", &[]);
    bench.receiver.secret(PATH, &secret);
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
        let id: Option<i64> = ask(&mut bench.client, &format!("SELECT hydra.webhook_emit({arguments})"));
        assert!(id.is_some(), "{arguments} has a taker");
        let requests = bench.receiver.wait_for(PATH, 1, PATIENCE);
        let (rest, timestamp) = split_timestamp(&requests[0]);
        let event = arguments.split('\'').nth(1).expect("the event type comes first");
        assert_eq!(rest, format!("{{\"event\":\"{event}\",\"tenant_id\":{expected}"), "{arguments}");

        assert_eq!(timestamp.len(), "2026-04-29T18:33:00Z".len(), "{timestamp} has whole seconds");
        assert!(timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T', "{timestamp} is RFC 3339 in UTC");
        let epoch: f64 =
            ask(&mut bench.client, &format!("SELECT extract(epoch FROM '{timestamp}'::timestamptz)::float8"));
        let emitted = UNIX_EPOCH + Duration::from_secs_f64(epoch);
        let second = Duration::from_secs(1);
        assert!(emitted + second > before && emitted <= SystemTime::now(), "{timestamp} is the clock at emit");
    }
}

#[test]
fn a_timestamp_is_the_clock_at_emit_and_not_the_start_of_the_transaction() {
    let mut bench = Bench::new("clock");
    bench.run("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'; BEGIN");
    let start: String =
        ask(&mut bench.client, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    const LATER: &str = "SELECT date_trunc('second', clock_timestamp()) > now()";
    wait_until("the next second has begun", PATIENCE, || ask(&mut bench.client, LATER));
    bench.run(&emit("late"));
    bench.run("COMMIT");
    let requests = bench.settle();
    assert_eq!(requests.len(), 1);
    assert!(split_timestamp(&requests[0]).1 > start.as_str(), "{} is later than {start}", requests[0].text());
}

// ---- whether anything is written

#[test]
fn an_event_that_nobody_wants_writes_nothing_at_all() {
    let mut bench = Bench::new("nobody");
    bench.run("SELECT hydra.webhook_delete(id) FROM hydra.webhook_subscriptions");
    let url = bench.receiver.url(PATH);
    subscribe(&mut bench.client, &url, "ticket.resolved", &[]);
    let (_, secret) = subscribe(&mut bench.client, &url, "ticket.created", &["tenant_id => 'acme'"]);
    bench.receiver.secret(PATH, &secret);
    let (paused, _) = subscribe(&mut bench.client, &url, "ticket.created", &[]);
    bench.run(&format!("SELECT hydra.webhook_pause({paused})"));
    for arguments in [
        "'ticket.created', '{\"id\": 1}'",
        "'ticket.created', '{\"id\": 1, \"tenant_id\": \"globex\"}'",
        "'ticket.created', '{\"id\": 1, \"tenant_id\": \"acme\"}', 'globex'",
        "'part.created', NULL",
    ] {
        bench.run("BEGIN");
        let id: Option<i64> = ask(&mut bench.client, &format!("SELECT hydra.webhook_emit({arguments})"));
        assert_eq!(id, None, "{arguments}");
        let untouched: bool = ask(
            &mut bench.client,
            "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL AND NOT EXISTS (SELECT FROM hydra.event)",
        );
        assert!(untouched, "{arguments} wrote something");
        bench.run("COMMIT");
    }
    let id: Option<i64> =
        ask(&mut bench.client, "SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1, \"tenant_id\": \"acme\"}')");
    assert!(id.is_some());
    assert_eq!(bench.settle_ids(), ["1"]);
}

#[test]
fn an_event_type_that_does_not_exist_is_named_and_one_learns_how_to_register_it() {
    let mut bench = Bench::new("unknown_type");
    let unknown = refused(&mut bench.client, "SELECT hydra.webhook_emit('ticket.exploded', '{}')", "42704");
    assert!(unknown.message.contains("\"ticket.exploded\""), "{unknown:?}");
    assert!(unknown.hint.contains("hydra.webhook_register_event_type('ticket.exploded'"), "{unknown:?}");
    // The hint can be followed to the letter.
    bench.run(&unknown.hint);
    bench.run("SELECT hydra.webhook_emit('ticket.exploded', '{}')");

    let quoted = refused(&mut bench.client, "SELECT hydra.webhook_emit('o''neill.created', '{}')", "42704");
    assert!(quoted.hint.contains("'o''neill.created'"), "{quoted:?}");
    refused(&mut bench.client, "SELECT hydra.webhook_emit(NULL, '{}')", "22004");
    refused(&mut bench.client, "SELECT hydra.webhook_emit('', '{}')", "42704");
    for own in ["webhook.test", "webhook.anything"] {
        refused(&mut bench.client, &format!("SELECT hydra.webhook_emit('{own}', '{{}}')"), "42939");
    }

    bench.watch("id int");
    bench.run(&format!("CREATE TABLE bad (id int); {}", trigger("bad", "part.exploded")));
    let unknown = refused(&mut bench.client, "INSERT INTO bad VALUES (1)", "42704");
    assert!(unknown.message.contains("\"part.exploded\""), "{unknown:?}");
    assert_eq!(ask::<i64>(&mut bench.client, "SELECT count(*) FROM bad"), 0);
}

#[test]
fn a_read_only_transaction_cannot_emit() {
    let mut bench = Bench::new("read_only");
    for event in ["ticket.created", "account.created"] {
        let sql = format!("BEGIN READ ONLY; SELECT hydra.webhook_emit('{event}', '{{}}')");
        assert_eq!(refusal(&mut bench.client, &sql).code, "25006", "whether or not somebody wants {event}");
        bench.run("ROLLBACK");
    }
}

#[test]
fn the_trigger_function_refuses_a_trigger_that_it_cannot_serve() {
    let mut bench = Bench::new("misuse");
    bench.run("CREATE TABLE part (id int); CREATE VIEW seen AS SELECT * FROM part");
    let wrong = [
        ("BEFORE INSERT ON part FOR EACH ROW", "'part.created'"),
        ("AFTER INSERT ON part FOR EACH STATEMENT", "'part.created'"),
        ("AFTER INSERT ON part FOR EACH ROW", ""),
        ("AFTER INSERT ON part FOR EACH ROW", "'part.created', 'acme'"),
        ("INSTEAD OF INSERT ON seen FOR EACH ROW", "'part.created'"),
    ];
    for (when, arguments) in wrong {
        let table = if when.contains("seen") { "seen" } else { "part" };
        bench.run(&format!("CREATE TRIGGER emit {when} EXECUTE FUNCTION hydra.webhook_emit_row({arguments})"));
        let refusal = refused(&mut bench.client, &format!("INSERT INTO {table} VALUES (1)"), "39P01");
        assert!(refusal.hint.contains("AFTER INSERT"), "{refusal:?}");
        bench.run(&format!("DROP TRIGGER emit ON {table}"));
    }
    bench.run(
        "CREATE TRIGGER emit AFTER TRUNCATE ON part
         FOR EACH STATEMENT EXECUTE FUNCTION hydra.webhook_emit_row('part.deleted')",
    );
    refused(&mut bench.client, "TRUNCATE part", "39P01");
}

// ---- transactions

#[test]
fn the_events_received_are_those_of_what_was_committed() {
    let mut bench = Bench::new("transactions");
    bench.watch("id text");
    let rounds = [
        "INSERT INTO ticket VALUES ('committed')",
        "BEGIN; INSERT INTO ticket VALUES ('rolled back'); ROLLBACK",
        "BEGIN; INSERT INTO ticket VALUES ('before savepoint'); SAVEPOINT s; INSERT INTO ticket VALUES ('lost'); \
         ROLLBACK TO s; INSERT INTO ticket VALUES ('after savepoint'); COMMIT",
        "BEGIN; SAVEPOINT s; INSERT INTO ticket VALUES ('released'); RELEASE s; COMMIT",
        "BEGIN; SAVEPOINT a; SAVEPOINT b; INSERT INTO ticket VALUES ('inner'); RELEASE b; ROLLBACK TO a; COMMIT",
        "DO $$ BEGIN
             INSERT INTO ticket VALUES ('outside');
             BEGIN INSERT INTO ticket VALUES ('caught'); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
         END $$",
        "DO $$ BEGIN
             FOR n IN 1..4 LOOP
                 INSERT INTO ticket VALUES ('loop ' || n);
                 IF n % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
             END LOOP;
         END $$",
        "BEGIN; INSERT INTO ticket VALUES ('prepared'); PREPARE TRANSACTION 'kept'",
        "BEGIN; INSERT INTO ticket VALUES ('never'); PREPARE TRANSACTION 'dropped'",
        "ROLLBACK PREPARED 'dropped'",
    ];
    for round in rounds {
        // Each statement on its own, since several in one message are one transaction.
        for statement in statements(round) {
            bench.run(statement);
        }
    }
    refusal(&mut bench.client, "INSERT INTO ticket VALUES ('failed statement'), ((1 / 0)::text)");
    let mut ends = bench.session();
    run(&mut ends, "BEGIN; INSERT INTO ticket VALUES ('client went away')");
    drop(ends);

    let mut expected =
        set(&["committed", "before savepoint", "after savepoint", "released", "outside", "loop 2", "loop 4"]);
    assert_eq!(bench.settle_set(), expected, "a prepared transaction is not committed yet");

    // Another session may finish it: the event is there nevertheless.
    run(&mut bench.session(), "COMMIT PREPARED 'kept'");
    expected.insert("prepared".into());
    assert_eq!(bench.settle_set(), expected);
    let committed: BTreeSet<String> =
        bench.client.query("SELECT id FROM ticket", &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(committed, expected);
}

/// Blocks in `DO` hold semicolons of their own.
fn statements(round: &str) -> Vec<&str> {
    match round.contains("$$") {
        true => vec![round],
        false => round.split("; ").collect(),
    }
}

#[test]
fn a_prepared_transaction_outlives_the_server_and_is_sent_when_committed() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::in_cluster(&cluster, "prepared");
    bench.run("BEGIN");
    bench.run(&emit("in doubt"));
    bench.run("PREPARE TRANSACTION 'in doubt'");
    bench.run(&emit("before the crash"));
    bench.receiver.wait_for(PATH, 1, PATIENCE);
    cluster.stop(StopMode::Immediate);
    cluster.start_again();
    bench.client = cluster.connect("prepared");
    // The first may be repeated by a crash; the second must not come before its commit.
    bench.run(&emit("after the crash"));
    let known = set(&["before the crash", "after the crash"]);
    let received = |bench: &mut Bench| bench.settle_ids().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(received(&mut bench), known);
    bench.run("COMMIT PREPARED 'in doubt'");
    assert_eq!(received(&mut bench), set(&["before the crash", "after the crash", "in doubt"]));
}

#[test]
fn serializable_transactions_that_emit_at_the_same_time_both_commit() {
    let mut bench = Bench::new("serializable");
    let mut other = bench.session();
    for client in [&mut bench.client, &mut other] {
        run(client, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    }
    bench.run(&emit("one"));
    run(&mut other, &emit("two"));
    run(&mut other, "COMMIT");
    bench.run("COMMIT");
    assert_eq!(bench.settle_set(), set(&["one", "two"]));
}

#[test]
fn a_repeatable_read_transaction_emits_to_a_subscription_created_after_its_snapshot() {
    let mut bench = Bench::new("repeatable");
    for (level, number) in [("REPEATABLE READ", 1), ("SERIALIZABLE", 2)] {
        let mut old = bench.session();
        // One backend that has emitted before, and so knows subscriptions already; one that knows nothing yet.
        if number == 1 {
            run(&mut old, "SELECT hydra.webhook_emit('booking.created', '{}')");
        }
        run(&mut old, &format!("BEGIN ISOLATION LEVEL {level}"));
        let before: i64 = ask(&mut old, "SELECT count(*) FROM hydra.subscription");
        let path = format!("/late{number}");
        let url = bench.receiver.url(&path);
        subscribe(&mut bench.client, &url, "booking.created", &[]);
        let seen: i64 = ask(&mut old, "SELECT count(*) FROM hydra.subscription");
        assert_eq!(seen, before, "the transaction's own snapshot is older");
        run(&mut old, "SELECT hydra.webhook_emit('booking.created', '{\"id\": 1}')");
        run(&mut old, "COMMIT");
        assert_eq!(bench.receiver.wait_for(&path, 1, PATIENCE).len(), 1, "{level}");
    }
}

#[test]
fn a_subscription_gets_events_of_its_own_transaction_that_come_after_it() {
    let mut bench = Bench::new("same_transaction");
    let url = bench.receiver.url("/new");
    let create = format!("SELECT hydra.webhook_create('{url}', '{{booking.created}}')");
    let booking = |id: &str| format!("SELECT hydra.webhook_emit('booking.created', '{{\"id\": \"{id}\"}}')");
    let emitted = |bench: &mut Bench, id: &str| ask::<Option<i64>>(&mut bench.client, &booking(id));

    bench.run("BEGIN");
    assert_eq!(emitted(&mut bench, "before"), None);
    bench.run(&create);
    assert!(emitted(&mut bench, "after").is_some());
    bench.run("SAVEPOINT s");
    bench.run(&create);
    bench.run(&booking("both, but undone"));
    bench.run("ROLLBACK TO s");
    assert!(emitted(&mut bench, "first one only").is_some());
    bench.run("COMMIT");
    bench.settle();
    let requests = bench.receiver.requests("/new");
    let ids: BTreeSet<String> = requests.iter().map(|request| text(&body(request)["data"]["entity_id"])).collect();
    assert_eq!((requests.len(), ids), (2, set(&["after", "first one only"])));

    bench.run(
        "SELECT hydra.webhook_delete(id) FROM hydra.webhook_subscriptions WHERE 'booking.created' = ANY (event_types)",
    );
    bench.run("BEGIN");
    bench.run(&create);
    assert!(emitted(&mut bench, "undone").is_some());
    bench.run("ROLLBACK");
    assert_eq!(emitted(&mut bench, "nobody is left"), None);

    // One call that makes a subscription and emits: a single statement of the application.
    bench.run(&format!("DO $$ BEGIN PERFORM hydra.webhook_create('{url}', '{{booking.created}}'); PERFORM hydra.webhook_emit('booking.created', '{{}}'); END $$"));
    bench.settle();
    assert_eq!(bench.receiver.received("/new"), 3);
}

#[test]
fn a_long_transaction_sees_at_its_next_emit_what_other_sessions_did_to_subscriptions() {
    let mut bench = Bench::new("other_session");
    let mut long = bench.session();
    let id = bench.subscription;
    let emitted = |long: &mut Client| ask::<Option<i64>>(long, &emit("x")).is_some();
    run(&mut long, "BEGIN");
    assert!(emitted(&mut long));
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    assert!(!emitted(&mut long), "paused");
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    assert!(emitted(&mut long), "resumed");
    bench.run("BEGIN");
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    assert!(emitted(&mut long), "a pause that is not committed yet is none");
    bench.run("ROLLBACK");
    assert!(emitted(&mut long), "a pause that was rolled back is none");
    bench.run(&format!("SELECT hydra.webhook_update({id}, event_types => '{{ticket.resolved}}')"));
    assert!(!emitted(&mut long), "wants something else now");
    bench.run(&format!("SELECT hydra.webhook_update({id}, event_types => '{{ticket.created}}')"));
    bench.run("BEGIN");
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    bench.run("PREPARE TRANSACTION 'pause'");
    assert!(emitted(&mut long), "a prepared pause is none yet");
    bench.run("COMMIT PREPARED 'pause'");
    assert!(!emitted(&mut long), "and then it is one");
    run(&mut long, "SELECT hydra.webhook_register_event_type('late.comer')");
    assert_eq!(ask::<Option<i64>>(&mut long, "SELECT hydra.webhook_emit('late.comer', '{}')"), None);
    run(&mut long, "COMMIT");
}

#[test]
fn replicated_changes_do_not_emit_and_never_break() {
    let mut bench = Bench::new("replica");
    bench.watch("id text");
    bench.run("SET session_replication_role = replica");
    bench.run("INSERT INTO ticket VALUES ('quiet')");
    // A trigger that fires nevertheless must not stop the replication of the application's tables, and where they come from
    // has sent the event already.
    bench.run("ALTER TABLE ticket ENABLE ALWAYS TRIGGER emit");
    bench.run("INSERT INTO ticket VALUES ('always')");
    bench.run("RESET session_replication_role");
    bench.run("INSERT INTO ticket VALUES ('loud')");
    let received = bench.settle_set();
    assert!(received.iter().eq(["loud"]), "{received:?}");
    assert_eq!(ask::<i64>(&mut bench.client, "SELECT count(*) FROM ticket"), 3);
}

// ---- payloads

#[test]
fn a_row_is_sent_as_postgres_writes_it_as_json() {
    let mut bench = Bench::new("payloads");
    bench.run(
        r#"CREATE TYPE mood AS ENUM ('sad "but" true', 'ok');
           CREATE TYPE point3 AS (x int, "Y y" text, z numeric[]);
           CREATE DOMAIN positive AS int CHECK (VALUE > 0);
           CREATE DOMAIN document AS jsonb;"#,
    );
    bench.watch(
        r#"id uuid DEFAULT gen_random_uuid(), plain json, nested jsonb, "f4" float4, f8 float8, n numeric, t text, b bytea,
           "Ünï ""cödé""" text, "with space" int, "a'b\c" text, "SELECT" text, arr int[], texts text[][], comp point3,
           comps point3[], m mood, moods mood[], p positive, d document, ts timestamptz, ds date, iv interval,
           r int4range, mr int4multirange, bits bit varying, ip inet, x xml, tsv tsvector, tid tid, c "char",
           g int GENERATED ALWAYS AS (1 + 1) STORED, gone int, bool bool, money money, tenant_id int"#,
    );
    bench.run("ALTER TABLE ticket DROP COLUMN gone");
    bench.run("ALTER TABLE ticket ADD COLUMN late text DEFAULT 'filled in'");
    let rows = [
        "(id) VALUES (DEFAULT)".to_owned(),
        r#"(plain) VALUES ('{"z": "\u0000", "a" : 1, "a":2}')"#.into(),
        r#"(plain) VALUES (E'{\n\t"k":\n  "\\ud83d\\ude00"}')"#.into(),
        format!("(nested) VALUES ('{}1{}')", "[".repeat(3000), "]".repeat(3000)),
        format!("(nested) VALUES ('{}1{}')", "{\"a\":".repeat(3000), "}".repeat(3000)),
        format!("(plain) VALUES ('{}1{}')", "[".repeat(3000), "]".repeat(3000)),
        "(f4, f8, n) VALUES ('NaN', 'Infinity', 'NaN')".into(),
        "(f4, f8, n) VALUES ('-Infinity', '-0', '-Infinity')".into(),
        format!("(n) VALUES ({LONG_NUMBER})"),
        format!("(nested) VALUES ('[{LONG_NUMBER}, 1.500, -0]')"),
        r#"(t, b) VALUES (E'\u0001\u001f\u007f\u2028"\\/ é😀', '\x00ff')"#.into(),
        r#"("Ünï ""cödé""", "with space", "a'b\c", "SELECT") VALUES ('x', 1, 'y', 'z')"#.into(),
        "(arr, texts) VALUES ('{1,NULL,3}', '{{a,\"b,\\\"c\"},{NULL,\"\"}}')".into(),
        "(comp, comps) VALUES (ROW(1, 'a', '{1.0}'), ARRAY[ROW(1, NULL, NULL)::point3, NULL])".into(),
        "(m, moods, p, d) VALUES ('sad \"but\" true', '{ok}', 3, '{\"deep\": [1]}')".into(),
        "(ts, ds, iv) VALUES ('infinity', '-infinity', '1 mon -1 day')".into(),
        "(ts, ds, iv) VALUES ('0044-03-15 BC', '0044-03-15 BC', '0')".into(),
        "(r, mr, bits, ip, x, tsv, tid, c) VALUES ('[1,)', '{[1,2),[4,)}', B'101', '::1', '<a>&amp;</a>', 'a:1', '(1,2)', 'q')".into(),
        "(tenant_id, money, bool) VALUES (42, 12.5, true)".into(),
    ];
    for row in rows {
        bench.run("TRUNCATE ticket");
        bench.run(&format!("INSERT INTO ticket {row}"));
        let expected: String = ask(&mut bench.client, "SELECT row_to_json(ticket)::text FROM ticket");
        let requests = bench.settle();
        assert_eq!(requests.len(), 1, "{row}");
        let (rest, _) = split_timestamp(&requests[0]);
        assert!(rest.ends_with(&format!(",\"entity\":{expected}}}")), "{row}: got {rest}");
        bench.receiver.clear();
    }
}

#[test]
fn identity_and_tenant_come_from_columns_of_any_type() {
    let mut bench = Bench::new("columns");
    bench.run("SELECT hydra.webhook_register_event_type('ticket.created', id_key => 'Ticket \"No\"')");
    bench.watch(r#""Ticket ""No""" numeric, id int, tenant_id uuid"#);
    bench.run("INSERT INTO ticket VALUES (1.50, 3, '00000000-0000-0000-0000-00000000000a')");
    let sent = bench.settle_one();
    assert_eq!(sent["data"]["entity_id"], "1.50");
    assert_eq!(sent["tenant_id"], "00000000-0000-0000-0000-00000000000a");
    bench.run(
        "ALTER TABLE ticket DROP COLUMN tenant_id, DROP COLUMN \"Ticket \"\"No\"\"\"; INSERT INTO ticket VALUES (4)",
    );
    let sent = bench.settle_one();
    assert_eq!((&sent["data"]["entity_id"], &sent["tenant_id"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_entity_that_is_too_large_is_sent_thin_or_refused_as_the_setting_says() {
    let mut bench = Bench::new("oversize");
    bench.run("CREATE DOMAIN document AS jsonb; CREATE TYPE wrapped AS (inner_document jsonb)");
    bench.watch("id int, tenant_id text, t text, j json, b jsonb, d document, w wrapped, bs jsonb[], n numeric[]");
    let numbers = format!("(SELECT jsonb_agg({LONG_NUMBER}) FROM generate_series(1, 1000))");
    let size: i32 = ask(&mut bench.client, &format!("SELECT pg_column_size({numbers})"));
    assert!(size < 64 * 1024, "{size} bytes are far below the limit before they are written out");
    let ten_megabytes = "repeat('x', 10 * 1024 * 1024)";
    let values = [
        ("t", ten_megabytes.to_owned()),
        ("t", "repeat('x', 300 * 1024)".into()),
        ("j", format!("to_json({ten_megabytes})")),
        ("b", format!("to_jsonb({ten_megabytes})")),
        ("b", numbers.clone()),
        ("d", numbers.clone()),
        ("w", format!("ROW({numbers})::wrapped")),
        ("bs", format!("ARRAY[{numbers}]")),
        ("n", format!("array_fill({LONG_NUMBER}::numeric, ARRAY[1000])")),
    ];
    for (column, value) in &values {
        let insert = format!("INSERT INTO ticket (id, tenant_id, {column}) VALUES (7, 'acme', {value})");
        bench.run(&insert);
        assert_thin(&bench.settle_one(), "larger than 256 kB");

        bench.run("SET hydra_webhooks.on_entity_error = error");
        let refusal = refused(&mut bench.client, &insert, "54000");
        assert!(refusal.message.contains("ticket.created"), "{refusal:?}");
        bench.run("RESET hydra_webhooks.on_entity_error");
    }

    for value in [format!("to_jsonb({ten_megabytes})"), numbers] {
        let call = format!(
            "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', 7, 'zzzzzzzzzz', {value}), 'acme')"
        );
        bench.run(&call);
        assert_thin(&bench.settle_one(), "larger than 256 kB");
        bench.run("SET hydra_webhooks.on_entity_error = error");
        refused(&mut bench.client, &call, "54000");
        bench.run("RESET hydra_webhooks.on_entity_error");
    }

    // The setting is one of superusers, and so is the limit.
    bench.run("SET hydra_webhooks.max_entity_size = '1MB'");
    bench.run("INSERT INTO ticket (id, t) VALUES (8, repeat('x', 300 * 1024))");
    let whole = bench.settle_one();
    assert_eq!(whole["data"]["entity"]["t"].as_str().map(str::len), Some(300 * 1024));
}

#[track_caller]
fn assert_thin(sent: &Value, problem: &str) {
    assert_eq!(sent["data"]["entity"], Value::Null);
    let error = text(&sent["data"]["entity_error"]);
    assert!(error.contains(problem), "{error}");
    assert_eq!(sent["data"]["entity_id"], "7", "who it is about is known nevertheless");
    assert_eq!(sent["tenant_id"], "acme");
}

#[test]
fn an_entity_that_is_too_large_still_reaches_the_subscription_of_its_tenant() {
    let mut bench = Bench::new("oversize_tenant");
    let id = bench.subscription;
    bench.run("SELECT hydra.webhook_register_event_type('ticket.created', id_key => 'ticket_number')");
    let url = bench.receiver.url("/acme");
    subscribe(&mut bench.client, &url, "ticket.created", &["tenant_id => 'acme'"]);
    // In jsonb shorter keys come first: the large value before id and tenant.
    let emitted: Option<i64> = ask(
        &mut bench.client,
        "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object(
             'ticket_number', 7, 'tenant_id', 'acme', 'text', repeat('x', 300 * 1024)))",
    );
    assert!(emitted.is_some());
    let sent = bench.settle();
    assert_thin(&body(&sent[0]), "larger than 256 kB");
    assert_eq!(bench.receiver.received("/acme"), 1, "as well as {id}, which takes every tenant's");
}

#[test]
fn an_id_or_tenant_of_any_size_keeps_the_body_small() {
    let mut bench = Bench::new("oversize_id");
    bench.watch("id text, tenant_id text");
    for column in ["id", "tenant_id"] {
        bench.run(&format!("INSERT INTO ticket ({column}) VALUES (repeat('x', 10 * 1024 * 1024))"));
        let requests = bench.settle();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].body.len() < 1024 * 1024, "{column}: a body of {} bytes was sent", requests[0].body.len());
        bench.receiver.clear();
    }
}

/// A type whose cast to json is the application's own function.
fn cast_to_json(function_body: &str) -> String {
    format!(
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN {function_body} END $$;
         CREATE CAST (mood AS json) WITH FUNCTION mood_to_json(mood);"
    )
}

#[test]
fn a_row_that_cannot_be_rendered_never_fails_the_application() {
    let mut bench = Bench::new("unrenderable");
    bench.run(&cast_to_json("IF $1 = 'sad' THEN RAISE EXCEPTION 'top secret'; END IF; RETURN '\"fine\"';"));
    bench.watch("id text, m mood");
    bench.run("BEGIN");
    bench.run("INSERT INTO ticket VALUES ('before', 'ok'), ('sad', 'sad'), ('after', 'ok')");
    bench.run("INSERT INTO ticket VALUES ('again', 'sad')");
    bench.run("SAVEPOINT s");
    bench.run("INSERT INTO ticket VALUES ('undone', 'sad')");
    bench.run("ROLLBACK TO s");
    bench.run("COMMIT");
    assert_eq!(ask::<i64>(&mut bench.client, "SELECT count(*) FROM ticket"), 4);
    let requests = bench.settle();
    let mut ids = BTreeSet::new();
    for request in &requests {
        let sent = body(request);
        let id = text(&sent["data"]["entity_id"]);
        if id == "sad" || id == "again" {
            assert_eq!(sent["data"]["entity"], Value::Null);
            assert!(text(&sent["data"]["entity_error"]).contains("P0001"));
            assert!(!request.text().contains("top secret"), "the receiver is not told what the code said");
        } else {
            assert_eq!(sent["data"]["entity"]["m"], "fine");
        }
        ids.insert(id);
    }
    assert_eq!((requests.len(), ids), (4, set(&["before", "sad", "after", "again"])));

    bench.run("SET hydra_webhooks.on_entity_error = error");
    refused(&mut bench.client, "INSERT INTO ticket VALUES ('refused', 'sad')", "54000");
    assert_usable(&mut bench.client);
    bench.run("INSERT INTO ticket VALUES ('accepted', 'ok')");
}

#[test]
fn cancelling_a_statement_that_renders_cancels_it_and_leaves_the_session_sound() {
    let mut bench = Bench::new("cancelled");
    bench.run(&cast_to_json("IF $1 = 'sad' THEN PERFORM pg_sleep(600); END IF; RETURN '\"fine\"';"));
    bench.watch("id text, m mood");
    bench.run("SET statement_timeout = '200ms'");
    let start = Instant::now();
    assert_eq!(refusal(&mut bench.client, "INSERT INTO ticket VALUES ('alone', 'sad')").code, "57014");
    assert!(start.elapsed() < PATIENCE);
    assert_usable(&mut bench.client);

    bench.run("BEGIN");
    bench.run("INSERT INTO ticket VALUES ('kept', 'ok')");
    bench.run("SAVEPOINT s");
    assert_eq!(refusal(&mut bench.client, "INSERT INTO ticket VALUES ('in savepoint', 'sad')").code, "57014");
    bench.run("ROLLBACK TO s");
    bench.run("COMMIT");
    assert_usable(&mut bench.client);

    // PL/pgSQL may catch a cancel; what it rolls back is its own block and no more.
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
    assert_usable(&mut bench.client);
    bench.run("RESET statement_timeout");
    assert_eq!(bench.settle_set(), set(&["kept", "outer", "handler"]));
}

// ---- privileges and search_path

#[test]
fn a_cast_runs_as_the_user_whose_transaction_it_is() {
    let mut bench = Bench::new("casts");
    bench.run("CREATE TABLE who (name text); GRANT INSERT ON who TO PUBLIC");
    bench.run(&cast_to_json("INSERT INTO who VALUES (current_user); RETURN '\"fine\"';"));
    bench.watch("id text, m mood");
    bench.run("GRANT INSERT ON ticket TO PUBLIC");
    let mut application = bench.session_of("casts_app", &[]);
    run(&mut application, "INSERT INTO ticket VALUES ('mine', 'ok')");
    assert_eq!(ask::<String>(&mut bench.client, "SELECT string_agg(DISTINCT name, ',') FROM who"), "casts_app");
    assert_eq!(bench.settle_ids(), ["mine"]);
}

#[test]
fn an_application_emits_with_the_emitter_role_and_reads_nothing() {
    let mut bench = Bench::new("emitter");
    let mut application = bench.session_of("emitter_app", &["hydra_emitter"]);
    let id: Option<i64> = ask(&mut application, &emit("by the application"));
    assert!(id.is_some());
    run(&mut application, "BEGIN");
    run(&mut application, &emit("in a transaction"));
    run(&mut application, "COMMIT");
    assert_eq!(bench.settle_set(), set(&["by the application", "in a transaction"]));
    assert_reads_nothing(&mut bench.client, &mut application);
}

#[test]
fn an_application_without_any_role_emits_through_a_trigger_of_the_tables_owner() {
    let mut bench = Bench::new("stranger");
    let mut owner = bench.session_of("stranger_owner", &["hydra_emitter"]);
    bench.run("CREATE SCHEMA shop AUTHORIZATION stranger_owner");
    run(&mut owner, &format!("CREATE TABLE shop.ticket (id text); {}", trigger("shop.ticket", "ticket.created")));
    let mut application = bench.session_of("stranger_app", &[]);
    run(&mut owner, "GRANT USAGE ON SCHEMA shop TO stranger_app; GRANT INSERT ON shop.ticket TO stranger_app");
    run(&mut application, "INSERT INTO shop.ticket VALUES ('sold')");
    assert_eq!(bench.settle_ids(), ["sold"]);
    assert_eq!(refusal(&mut application, &emit("by hand")).code, "42501");
    assert_reads_nothing(&mut bench.client, &mut application);
}

/// Every table, view and sequence of the schema is refused.
#[track_caller]
fn assert_reads_nothing(superuser: &mut Client, application: &mut Client) {
    const RELATIONS: &str =
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind IN ('r', 'v', 'S')";
    let relations = superuser.query(RELATIONS, &[]).unwrap();
    assert!(relations.len() > 10, "there is something to refuse");
    for relation in relations {
        let name: String = relation.get(0);
        assert_eq!(refusal(application, &format!("SELECT * FROM hydra.{name}")).code, "42501", "{name}");
    }
}

// ---- the server around it

#[test]
fn events_emitted_while_sending_is_off_are_delivered_later() {
    let cluster = Cluster::start(&[("hydra_webhooks.enabled", "off")]);
    let mut bench = Bench::in_cluster(&cluster, "helpdesk");
    wait_until("the status says off", PATIENCE, || {
        ask::<String>(&mut bench.client, "SELECT state FROM hydra.webhook_worker_status") == "off"
    });
    bench.run(&emit("one"));
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    bench.client = cluster.connect("helpdesk");
    bench.run(&emit("two"));
    assert_eq!(ask::<i64>(&mut bench.client, "SELECT count(*) FROM hydra.webhook_pending"), 2);
    assert_eq!(bench.receiver.received(PATH), 0);
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    bench.receiver.wait_for(PATH, 2, PATIENCE);
    assert_eq!(bench.settle_set(), set(&["one", "two"]));
}

#[test]
fn without_preloading_events_are_kept_and_the_status_says_so() {
    let cluster = Cluster::start(&[("shared_preload_libraries", "")]);
    let mut bench = Bench::in_cluster(&cluster, "helpdesk");
    let state: String = ask(&mut bench.client, "SELECT state FROM hydra.webhook_worker_status");
    assert_eq!(state, "not preloaded");
    bench.watch("id text");
    bench.run("INSERT INTO ticket VALUES ('kept')");
    assert_eq!(ask::<i64>(&mut bench.client, "SELECT count(*) FROM hydra.webhook_pending"), 1);
    cluster.set(&[("shared_preload_libraries", "hydra_webhooks")]);
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    bench.client = cluster.connect("helpdesk");
    bench.receiver.wait_for(PATH, 1, PATIENCE);
    assert_eq!(bench.settle_ids(), ["kept"]);
}

#[test]
fn a_dispatcher_comes_soon_after_the_extension_was_created_and_again_after_it_was_made_anew() {
    // Well below the minute after which the launcher looks around by itself.
    const SOON: Duration = Duration::from_secs(20);
    let mut bench = Bench::new("comes_soon");
    let url = bench.receiver.url(PATH);
    for round in 0..8 {
        let receiver = &bench.receiver;
        run(&mut bench.client, &emit("x"));
        receiver.wait_for(PATH, round + 1, SOON);
        // Quicker than the former dispatcher takes to see that it is over.
        run(&mut bench.client, "DROP EXTENSION hydra_webhooks");
        run(&mut bench.client, "CREATE EXTENSION hydra_webhooks");
        subscribe(&mut bench.client, &url, "ticket.created", &[]);
    }

    let mut quiet = cluster().create_database("quiet");
    wait_until("an extension that nobody uses yet has a dispatcher", SOON, || {
        ask::<String>(&mut quiet, "SELECT state FROM hydra.webhook_worker_status") == "running"
    });
}

#[test]
fn a_session_goes_on_emitting_after_the_extension_was_dropped_and_made_again() {
    let mut bench = Bench::new("again");
    bench.run(&emit("old"));
    assert_eq!(bench.settle_ids(), ["old"]);
    bench.receiver.clear();
    let mut other = bench.session();
    run(&mut other, &emit("old too"));
    bench.settle();
    bench.receiver.clear();

    bench.run("DROP EXTENSION hydra_webhooks");
    assert_eq!(refusal(&mut other, &emit("nowhere")).code, "42883", "there is no such function any more");
    bench.run("CREATE EXTENSION hydra_webhooks");
    let nobody: Option<i64> = ask(&mut bench.client, &emit("nobody wants it"));
    assert_eq!(nobody, None);
    let url = bench.receiver.url(PATH);
    let (_, secret) = subscribe(&mut bench.client, &url, "ticket.created", &[]);
    bench.receiver.secret(PATH, &secret);
    assert_ne!(secret, bench.secret);
    bench.run(&emit("new"));
    run(&mut other, &emit("new too"));
    bench.receiver.wait_for(PATH, 2, PATIENCE);
    assert_eq!(bench.settle_set(), set(&["new", "new too"]));

    // In one transaction as well, and back again.
    bench.run("BEGIN");
    bench.run("DROP EXTENSION hydra_webhooks");
    bench.run("CREATE EXTENSION hydra_webhooks");
    let nobody: Option<i64> = ask(&mut bench.client, &emit("nobody wants it"));
    assert_eq!(nobody, None);
    bench.run("ROLLBACK");
    bench.run(&emit("still there"));
    assert_eq!(bench.settle_set(), set(&["new", "new too", "still there"]));
}
