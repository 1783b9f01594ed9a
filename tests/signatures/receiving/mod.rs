//! The receivers, statements and tables of docs/receiving.md, taken from the page, with requests of the extension.

use std::collections::BTreeSet;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use postgres::{Client, SimpleQueryMessage};
use testkit::run;

use crate::forgeries::{Case, HYDRA};
use crate::{PATH, Signed, bench};
use program::{Language, Program};

mod page;
mod program;

/// Seconds for which a receiver accepts a request.
const TOLERANCE: u64 = 300;

/// A receiver of the page, and a subscription that leads to it.
struct Received {
    signed: Signed,
    program: Program,
    /// A request that was made for a delivery before, which the receiver has not seen.
    genuine: Case,
}

impl Received {
    fn new(database: &str, language: Language, code: &str) -> Received {
        let mut signed =
            Signed::new(database, &["keep_bodies => '1 day'", "retry_schedule => '{0.2 s,1 s,10 s,1 min}'"]);
        signed.bench.run(page::block("sql", 0));
        let genuine = Case::of(&signed.request(), &signed.secret);
        signed.bench.wait_for_count("webhook_delivered", 1);
        let program = Program::start(language, code, &signed.bench, &signed.secret);
        let (id, url) = (signed.subscription, program.url());
        signed.bench.run(&format!("SELECT hydra.webhook_update({id}, url => '{url}')"));
        Received { signed, program, genuine }
    }

    fn effects(&mut self) -> i64 {
        self.signed.bench.ask("SELECT count(*) FROM task")
    }

    /// Emits an event, and waits until the receiver has answered with success.
    fn deliver(&mut self, entity: &str) {
        self.signed.bench.emit("ticket.created", entity);
        self.signed.bench.wait_for_empty_queue();
    }

    /// Makes the latest delivery again, and waits until the receiver has answered with success.
    fn deliver_again(&mut self, attempts: i32) {
        let bench = &mut self.signed.bench;
        let latest = "SELECT delivery_id::text FROM hydra.webhook_delivered ORDER BY emitted_at DESC LIMIT 1";
        let id: String = bench.ask(latest);
        assert_eq!(bench.ask::<i64>(&format!("SELECT hydra.webhook_retry('{id}')")), 1);
        let condition = format!("delivery_id = '{id}' AND attempts = {attempts} AND status_code = 200");
        bench.wait_for_count(&format!("webhook_delivered WHERE {condition}"), 1);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}

fn assert_takes_each_delivery_once(received: &mut Received) {
    let (program, genuine) = (&received.program, &received.genuine);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| program.post(genuine))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(statuses, [200; 8]);
    assert_eq!(received.effects(), 1, "the same delivery came eight times at a time");
    for attempts in 2..=3 {
        received.deliver_again(attempts);
    }
    assert_eq!(received.effects(), 1, "and twice more");
    let body: String = received.signed.bench.ask("SELECT body::text FROM task");
    assert_eq!(body, received.genuine.body);
}

/// A delivery is recorded only together with its effect.
fn assert_has_the_effect_later_if_it_fails(received: &mut Received) {
    let before = received.effects();
    received.signed.bench.run("ALTER TABLE task RENAME TO away");
    received.signed.bench.emit("ticket.created", r#"{"id": 8}"#);
    received.signed.bench.wait_for_failed_attempt(1);
    let answers = "SELECT DISTINCT status_code FROM hydra.webhook_history WHERE error IS NOT NULL";
    assert_eq!(received.signed.bench.ask::<i32>(answers), 500);
    received.signed.bench.run("ALTER TABLE away RENAME TO task");
    received.signed.bench.wait_for_empty_queue();
    assert_eq!(received.effects(), before + 1);
}

fn assert_refuses_what_is_not_genuine(received: &mut Received) {
    let before = received.effects();
    let Received { signed, program, genuine } = received;
    assert_eq!(program.post(&genuine.signed_at(now())), 200, "what the test signs is genuine");
    let mut cases = genuine.tampered(&HYDRA);
    // The receiver has one secret: with another one, the request is signed.
    for case in cases.iter_mut().filter(|case| case.secret != signed.secret) {
        *case = case.signed_at(now());
    }
    // Far from the tolerance by more than a busy machine takes.
    cases.extend([now() - TOLERANCE - 1, now() + TOLERANCE + 60].map(|time| genuine.signed_at(time)));
    let digest = &genuine.headers["x-hydra-signature"].split_once("v1=").expect("a signature").1;
    let headers = [
        String::new(),
        "t=,v1=,=,".into(),
        format!("v1={digest}"),
        format!("t={}", now()),
        format!("t={},v1=", now()),
        format!("t={},v1={}", now(), &digest[1..]),
        format!("t=99999999999999999999,v1={digest}"),
        format!("t={}", ",v1=".repeat(1000)),
    ];
    cases.extend(headers.map(|header| genuine.with_header("x-hydra-signature", |_| header)));
    let mut unsigned = genuine.clone();
    unsigned.headers.remove("x-hydra-signature");
    cases.extend([unsigned, Case { body: String::new(), headers: Default::default(), ..genuine.clone() }]);
    for case in cases {
        assert_eq!(program.post(&case), 401, "{case:?}");
    }
    assert_eq!(received.effects(), before);
}

fn assert_takes_large_events_and_those_signed_with_two_secrets(received: &mut Received) {
    let before = received.effects();
    // An entity has at most 256 kB by default.
    received.deliver(&format!(r#"{{"id": 9, "text": "{}"}}"#, "é".repeat(125_000)));
    assert_eq!(received.effects(), before + 1);
    received.signed.rotate("1 hour");
    received.deliver(r#"{"id": 10}"#);
    assert_eq!(received.effects(), before + 2);
}

/// An empty secret is one that everybody knows.
fn assert_accepts_nothing_without_a_secret(language: Language, code: &str, received: &mut Received) {
    let before = received.effects();
    if let Ok(program) = Program::try_start(language, code, &received.signed.bench, "") {
        let forged = Case { secret: String::new(), ..received.genuine.clone() }.signed_at(now());
        assert_eq!(program.post(&forged), 500);
    }
    assert_eq!(received.effects(), before);
}

fn assert_receives(language: Language, database: &str) {
    let code = page::block(language.name(), 0);
    let mut received = Received::new(database, language, code);
    assert_takes_each_delivery_once(&mut received);
    assert_has_the_effect_later_if_it_fails(&mut received);
    assert_refuses_what_is_not_genuine(&mut received);
    assert_takes_large_events_and_those_signed_with_two_secrets(&mut received);
    assert_accepts_nothing_without_a_secret(language, code, &mut received);
    assert_eq!(received.signed.bench.receiver.received(PATH), 1, "all other requests went to the receiver of the page");
}

#[test]
fn the_receiver_in_node_of_the_page_takes_each_delivery_once_and_refuses_forged_ones() {
    assert_receives(Language::Node, "receiving_node");
}

#[test]
fn the_receiver_in_python_of_the_page_takes_each_delivery_once_and_refuses_forged_ones() {
    assert_receives(Language::Python, "receiving_python");
}

#[test]
fn the_receiver_in_php_of_the_page_takes_each_delivery_once_and_refuses_forged_ones() {
    assert_receives(Language::Php, "receiving_php");
}

#[test]
fn the_receiver_in_ruby_of_the_page_takes_each_delivery_once_and_refuses_forged_ones() {
    assert_receives(Language::Ruby, "receiving_ruby");
}

#[test]
fn a_receiver_whose_key_is_the_event_id_takes_an_event_once_from_two_subscriptions() {
    let code = page::block("python", 0).replace("X-Hydra-Delivery", "X-Hydra-Event-Id");
    let mut received = Received::new("receiving_events", Language::Python, &code);
    let (secret, url) = (received.signed.secret.clone(), received.program.url());
    let second = "SELECT hydra.webhook_create($1, '{ticket.created}', secret => $2, keep_bodies => '1 day')::text";
    received.signed.bench.client.query_one(second, &[&url, &secret]).expect("a subscription");
    for events in 1..=2 {
        received.deliver(r#"{"id": 7}"#);
        // One was delivered before the receiver was started.
        received.signed.bench.wait_for_count("webhook_delivered", 1 + 2 * events);
        assert_eq!(received.effects(), events);
    }
}

/// The first column of the rows of a statement, as text.
fn rows(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

#[test]
fn workers_take_different_tasks_with_the_statement_of_the_page_and_one_that_fails_leaves_its_task() {
    let mut bench = bench("receiving_tasks");
    bench.run(page::block("sql", 0));
    bench.run("INSERT INTO task (body) VALUES ('1'), ('2')");
    let take = page::block("sql", 1);
    let mut workers = [(); 3].map(|()| bench.session());
    let taken = workers.each_mut().map(|worker| {
        run(worker, "BEGIN");
        rows(worker, take)
    });
    assert_eq!(taken, [vec!["1"], vec!["2"], vec![]]);
    let [fails, succeeds, goes_on] = &mut workers;
    run(fails, "ROLLBACK");
    run(succeeds, "COMMIT");
    assert_eq!(rows(goes_on, take), ["1"]);
    run(goes_on, "COMMIT");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM task"), 0);
}

#[test]
fn in_whatever_order_events_arrive_the_statement_of_the_page_keeps_the_newest_state() {
    let mut bench = bench("receiving_order");
    bench.subscribe(PATH, "ticket.*", &[]);
    bench.run(
        "CREATE TABLE tickets (id bigint PRIMARY KEY, subject text);
         SELECT hydra.webhook_watch('tickets', 'ticket.created', 'insert or update or delete');
         INSERT INTO tickets VALUES (7, 'first');
         UPDATE tickets SET subject = 'second';
         DELETE FROM tickets",
    );
    let events = bench.wait_for(PATH, 3).into_iter().map(|request| {
        let header = |name| request.header(name).unwrap_or_else(|| panic!("{name} is missing")).to_owned();
        let body = request.json();
        let (id, entity) = (request.entity_id(), body["data"]["entity"].to_string());
        let is_deleted = header("X-Hydra-Operation") == "delete";
        let entity = if is_deleted { "NULL".into() } else { format!("'{entity}'") };
        (is_deleted, format!("EXECUTE keep('{id}', {entity}, '{}')", header("X-Hydra-Event-Time")))
    });
    let events: Vec<(bool, String)> = events.collect();
    assert_eq!(events.iter().filter(|event| event.0).count(), 1);
    bench.run(page::block("sql", 2));
    bench.run(&format!("PREPARE keep (text, jsonb, timestamptz) AS {}", page::block("sql", 3)));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        bench.run("TRUNCATE ticket_copy");
        for event in order {
            bench.run(&events[event].1);
        }
        assert_eq!(bench.ask::<i64>("SELECT count(*) FROM ticket_copy WHERE entity IS NULL"), 1, "{order:?}");
        assert_eq!(bench.ask::<i64>("SELECT count(*) FROM ticket_copy"), 1, "{order:?}");
    }
}

#[test]
fn the_page_for_receivers_names_the_headers_of_each_preset() {
    let mut bench = bench("receiving_headers");
    bench.run(
        "CREATE TABLE tickets (id bigint PRIMARY KEY);
         SELECT hydra.webhook_watch('tickets', 'ticket.created', 'insert')",
    );
    let presets = ["hydra", "x_webhook", "standard"];
    for preset in presets {
        bench.subscribe(&format!("/{preset}"), "ticket.created", &[&format!("preset => '{preset}'")]);
    }
    bench.run("INSERT INTO tickets VALUES (7)");
    let table = page::table("| | `hydra` (default) | `x_webhook` | `standard` |");
    for (column, preset) in presets.iter().enumerate() {
        let request = bench.wait_for(&format!("/{preset}"), 1)[0].clone();
        let is_ours =
            |name: &&str| ["X-Hydra-", "X-Webhook-", "webhook-"].iter().any(|prefix| name.starts_with(prefix));
        let sent: BTreeSet<&str> = request.headers.iter().map(|(name, _)| &**name).filter(is_ours).collect();
        let named: BTreeSet<&str> =
            table.iter().flat_map(|row| row[column + 1].split('`').skip(1).step_by(2)).filter(is_ours).collect();
        assert_eq!(named, sent, "{preset}");
    }
}

#[test]
fn the_page_for_receivers_has_the_time_limit_and_the_delays_of_each_preset() {
    let mut bench = bench("receiving_defaults");
    let table = page::table("| `preset` | time limit | delays before retries | disabled after |");
    assert_eq!(table.len() as i64, bench.count("preset"));
    for row in table {
        let [preset, timeout, delays, disabled] = row[..] else { panic!("{row:?}") };
        let holds = format!(
            "SELECT timeout = '{timeout}' AND retry_schedule = '{{{delays}}}' AND '{disabled}' = coalesce(
                 disable_after || ' consecutive failures', stale_after || ' without a success', 'never')
             FROM hydra.preset WHERE name = '{}'",
            preset.trim_matches('`')
        );
        assert!(bench.ask::<bool>(&holds), "{row:?}");
    }
}

#[test]
fn each_block_of_the_page_for_receivers_is_run_by_a_test() {
    let languages: Vec<&str> = page::blocks().iter().map(|block| block.0).collect();
    assert_eq!(languages, ["sql", "js", "python", "php", "ruby", "sql", "sql", "sql"]);
}
