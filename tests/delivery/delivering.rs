//! Deliveries: what an endpoint receives, when, and what is told about it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver as Inbox};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use postgres::Client;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use testkit::authority::Authority;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver, Request, Signature};
use testkit::{PATIENCE, ask, run, start_shared_cluster, subscribe, wait_for_empty_queue};

/// By how much a request may be late on a busy machine. It is never early.
const LATE: Duration = Duration::from_millis(700);

/// One cluster for all tests here: none of them disturbs the server.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

/// A database and a receiver of one's own.
struct Bench {
    client: Client,
    receiver: Receiver,
}

/// A row of `hydra.webhook_history`.
#[derive(Debug)]
struct Told {
    delivery: String,
    subscription: i64,
    event_id: i64,
    event: String,
    attempt: i32,
    status: Option<i32>,
    class: Option<String>,
    error: Option<String>,
    excerpt: Option<String>,
    ms: Option<i32>,
    at: SystemTime,
    next_at: Option<SystemTime>,
}

impl Bench {
    fn new(database: &str) -> Bench {
        Bench { client: cluster().create_database(database), receiver: Receiver::start() }
    }

    #[track_caller]
    fn run(&mut self, sql: &str) {
        run(&mut self.client, sql);
    }

    /// A subscription to `ticket.created` at a path, which checks its signatures.
    #[track_caller]
    fn subscribe(&mut self, path: &str, more: &[&str]) -> i64 {
        let (id, secret) = subscribe(&mut self.client, &self.receiver.url(path), "ticket.created", more);
        self.receiver.secret(path, &secret);
        id
    }

    /// One event; its id, or nothing when nobody wants it.
    #[track_caller]
    fn emit(&mut self, entity: usize) -> Option<i64> {
        ask(&mut self.client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{entity}\"}}')"))
    }

    /// Events of one transaction.
    #[track_caller]
    fn emit_many(&mut self, from: usize, to: usize) {
        self.run(&format!(
            "SELECT count(hydra.webhook_emit('ticket.created', jsonb_build_object('id', n::text)))
             FROM generate_series({from}, {to}) AS n"
        ));
    }

    #[track_caller]
    fn column(&mut self, id: i64, column: &str) -> String {
        ask(
            &mut self.client,
            &format!("SELECT coalesce({column}::text, '') FROM hydra.webhook_subscriptions WHERE id = {id}"),
        )
    }

    #[track_caller]
    fn wait_for_column(&mut self, id: i64, column: &str, value: &str) {
        wait_until(format!("{column} of subscription {id} is {value}"), PATIENCE, || self.column(id, column) == value);
    }

    #[track_caller]
    fn count(&mut self, view: &str) -> i64 {
        ask(&mut self.client, &format!("SELECT count(*) FROM hydra.{view}"))
    }

    #[track_caller]
    fn wait_for_count(&mut self, view: &str, count: i64) {
        wait_until(format!("{view} has {count} rows"), PATIENCE, || self.count(view) == count);
    }

    fn history(&mut self) -> Vec<Told> {
        let sql =
            "SELECT delivery_id::text, subscription_id, event_id, event, attempt, status_code, error_class, error,
                          response_excerpt, response_ms, attempted_at, next_attempt_at
                   FROM hydra.webhook_history ORDER BY subscription_id, event_id, attempt";
        let rows = self.client.query(sql, &[]).expect("the history can be read");
        let told = rows.iter().map(|row| Told {
            delivery: row.get(0),
            subscription: row.get(1),
            event_id: row.get(2),
            event: row.get(3),
            attempt: row.get(4),
            status: row.get(5),
            class: row.get(6),
            error: row.get(7),
            excerpt: row.get(8),
            ms: row.get(9),
            at: row.get(10),
            next_at: row.get(11),
        });
        told.collect()
    }

    #[track_caller]
    fn wait_for_history(&mut self, rows: i64) -> Vec<Told> {
        self.wait_for_count("webhook_history", rows);
        self.history()
    }

    /// What the one delivery that failed is called.
    #[track_caller]
    fn failed_delivery(&mut self) -> String {
        self.wait_for_count("webhook_failed", 1);
        ask(&mut self.client, "SELECT delivery_id::text FROM hydra.webhook_failed")
    }

    #[track_caller]
    fn wait_for(&self, path: &str, requests: usize) -> Vec<Arc<Request>> {
        self.receiver.wait_for(path, requests, PATIENCE)
    }

    fn settle(&mut self) {
        wait_for_empty_queue(&mut self.client);
    }
}

/// Which entity a request is about.
fn entity(request: &Request) -> usize {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
    body["data"]["entity_id"].as_str().and_then(|id| id.parse().ok()).expect("our entities are numbered")
}

fn entities(requests: &[Arc<Request>]) -> Vec<usize> {
    requests.iter().map(|request| entity(request)).collect()
}

/// The `t` of a signature.
fn signed_at(request: &Request) -> u64 {
    let header = request.header("X-Hydra-Signature").expect("it is signed");
    let time = header.split(',').find_map(|part| part.strip_prefix("t="));
    time.and_then(|time| time.parse().ok()).expect("it says when")
}

fn gaps(requests: &[Arc<Request>]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].arrived - pair[0].arrived).collect()
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Lets time pass, where its passing is what is tested.
fn let_pass(time: Duration) {
    thread::sleep(time);
}

#[track_caller]
fn assert_within(what: &str, value: Duration, least: Duration, most: Duration) {
    assert!(value >= least && value <= most, "{what}: {value:?} is not between {least:?} and {most:?}");
}

/// All events from the first to the last, each once.
#[track_caller]
fn assert_in_order(received: &[usize], last: usize) {
    let misplaced = received.iter().zip(1..).position(|(received, expected)| *received != expected);
    let around = misplaced.map(|place| &received[place.saturating_sub(2)..(place + 5).min(received.len())]);
    assert_eq!(around, None, "the third of these is out of order");
    assert_eq!(received.len(), last);
}

/// An address where nobody listens.
fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound")
}

// ---- what a delivery leaves behind ----------------------------------------------------------------------------------

#[test]
fn a_first_attempt_that_succeeds_leaves_nothing_behind() {
    let mut bench = Bench::new("first_success");
    bench.subscribe("/", &[]);
    bench.receiver.answer("/", Answer::status(204));
    let event = bench.emit(1);
    assert!(event.is_some());
    bench.settle();
    assert_eq!(bench.wait_for("/", 1).len(), 1);
    assert_eq!(bench.count("webhook_pending"), 0);
    assert_eq!(bench.count("webhook_failed"), 0);
    assert!(bench.history().is_empty());
}

#[test]
fn with_log_successes_a_first_attempt_that_succeeds_leaves_one_row() {
    let mut bench = Bench::new("logged_success");
    let id = bench.subscribe("/", &["log_successes => true"]);
    bench.receiver.answer("/", Answer::status(201).with_body("stored"));
    let event = bench.emit(1);
    let told = bench.wait_for_history(1);
    let request = &bench.wait_for("/", 1)[0];
    assert_eq!((told[0].subscription, Some(told[0].event_id), told[0].attempt), (id, event, 1));
    assert_eq!(told[0].delivery, request.delivery_id());
    assert_eq!((told[0].status, told[0].excerpt.as_deref()), (Some(201), Some("stored")));
    assert_eq!((&told[0].class, &told[0].error, told[0].next_at), (&None, &None, None));
    assert_eq!(bench.count("webhook_pending"), 0);
}

#[test]
fn a_failing_endpoint_gets_six_attempts_on_schedule_and_the_history_tells_each() {
    const DELAYS: [u64; 5] = [300, 600, 900, 400, 1200];
    let mut bench = Bench::new("six_attempts");
    let schedule = DELAYS.map(|delay| format!("{delay} ms")).join(",");
    let id = bench.subscribe("/", &[&format!("retry_schedule => '{{{schedule}}}'")]);
    bench.receiver.answer("/", Answer::status(500).with_body("no, <&> \u{e9}").after(millis(50)));
    let event = bench.emit(1).expect("it is wanted");

    let requests = bench.wait_for("/", 6);
    let told = bench.wait_for_history(6);
    for (place, (request, told)) in requests.iter().zip(&told).enumerate() {
        assert_eq!(request.signature, Signature::Verified, "attempt {place}");
        assert_eq!(told.attempt as usize, place + 1);
        assert_eq!(told.delivery, request.delivery_id());
        assert_eq!((told.subscription, told.event_id, told.event.as_str()), (id, event, "ticket.created"));
        assert_eq!((told.status, told.class.as_deref()), (Some(500), Some("status")));
        assert!(told.error.as_ref().is_some_and(|error| error.contains("500")), "{:?}", told.error);
        assert_eq!(told.excerpt.as_deref(), Some("no, <&> \u{e9}"));

        // The receiver answers after 50 ms; both clocks are the same machine's.
        let took = millis(told.ms.expect("it took a time") as u64);
        assert_within("response_ms", took, millis(49), millis(50) + LATE);
        let until_arrival = request.time.duration_since(told.at).expect("it started before it arrived");
        assert_within("attempted_at", until_arrival, Duration::ZERO, LATE);
        assert!(signed_at(request).abs_diff(unix_seconds(told.at)) <= 1);

        let planned = DELAYS.get(place).map(|delay| millis(*delay));
        assert_eq!(told.next_at.is_some(), planned.is_some(), "attempt {place}");
        if let (Some(planned), Some(next_at)) = (planned, told.next_at) {
            let delay = next_at.duration_since(told.at + took).expect("the next attempt is later");
            // Counted from when the dispatcher learnt of the failure, and response_ms is cut to whole ones.
            assert_within("delay", delay, planned.mul_f64(0.9), planned.mul_f64(1.1) + millis(150));
            let late = requests[place + 1].time.duration_since(next_at).expect("never early");
            assert_within("lateness", late, Duration::ZERO, LATE);
        }
    }
    assert!(requests.iter().all(|request| request.body == requests[0].body), "every attempt has the same bytes");
    let times: BTreeSet<u64> = requests.iter().map(|request| signed_at(request)).collect();
    assert!(times.len() >= 3, "each attempt is signed with its own time: {times:?}");

    assert_eq!(bench.failed_delivery(), requests[0].delivery_id());
    assert_eq!(bench.count("webhook_pending"), 0);
    let body: String = ask(&mut bench.client, "SELECT body FROM hydra.webhook_failed");
    assert_eq!(body, requests[0].text());
    assert_eq!(bench.receiver.received("/"), 6);
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).expect("we live after 1970").as_secs()
}

#[test]
fn jitter_spreads_retries_over_a_tenth_of_the_delay_to_either_side() {
    let mut bench = Bench::new("jitter");
    bench.subscribe("/", &["retry_schedule => '{1000 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit_many(1, 40);
    let told = bench.wait_for_history(40);
    let delays = told.iter().map(|told| told.next_at.unwrap().duration_since(told.at).unwrap().as_secs_f64());
    let delays: Vec<f64> = delays.collect();
    assert!(delays.iter().all(|delay| (899.0..1110.0).contains(delay)), "{delays:?}");
    let early = delays.iter().filter(|delay| **delay < 980.0).count();
    let late = delays.iter().filter(|delay| **delay > 1020.0).count();
    // Forty throws of which none lands on one side: one run in some hundred thousand.
    assert!(early > 0 && late > 0, "{delays:?}");
}

#[test]
fn a_retry_that_succeeds_leaves_a_row_and_nothing_pending() {
    let mut bench = Bench::new("flaky");
    bench.subscribe("/", &["retry_schedule => '{0.1 s,0.1 s,0.1 s}'"]);
    bench.receiver.answer_first("/", 2, Answer::status(502));
    bench.emit(1);
    let told = bench.wait_for_history(3);
    bench.settle();
    let statuses: Vec<_> = told.iter().map(|told| (told.attempt, told.status, told.class.as_deref())).collect();
    assert_eq!(
        statuses,
        [(1, Some(502), Some("status")), (2, Some(502), Some("status")), (3, Some(200), None)],
        "{told:#?}"
    );
    assert_eq!((&told[2].error, told[2].next_at), (&None, None));
    assert_eq!(bench.count("webhook_pending") + bench.count("webhook_failed"), 0);
    assert_eq!(bench.receiver.received("/"), 3);
}

#[test]
fn a_failed_delivery_retried_by_hand_has_a_fresh_schedule_and_the_same_id_and_body() {
    let mut bench = Bench::new("retried");
    bench.subscribe("/", &["retry_schedule => '{0.1 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit(1);
    let id = bench.failed_delivery();
    assert_eq!(bench.receiver.received("/"), 2);

    // Fails again: two more attempts.
    bench.run(&format!("SELECT hydra.webhook_retry('{id}')"));
    let told = bench.wait_for_history(4);
    assert_eq!(bench.failed_delivery(), id);
    assert!(told.iter().map(|told| told.attempt).eq([1, 2, 3, 4]));
    assert!(told[2].next_at.is_some() && told[3].next_at.is_none());

    // And now it is received.
    bench.receiver.answer("/", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_retry('{id}')"));
    bench.wait_for_count("webhook_failed", 0);
    bench.settle();
    let requests = bench.wait_for("/", 5);
    assert_eq!(requests.len(), 5);
    assert!(requests.iter().all(|request| request.delivery_id() == id && request.body == requests[0].body));
}

#[test]
fn a_cancelled_delivery_is_not_sent_again_and_keeps_its_history() {
    let mut bench = Bench::new("cancelled");
    bench.subscribe("/", &["retry_schedule => '{1 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit(1);
    let told = bench.wait_for_history(1);
    bench.run(&format!("SELECT hydra.webhook_cancel('{}')", told[0].delivery));
    assert_eq!(bench.count("webhook_pending"), 0);
    let_pass(millis(1600));
    assert_eq!(bench.receiver.received("/"), 1);
    assert_eq!(bench.history().len(), 1);
}

#[test]
fn a_deleted_subscription_receives_nothing_more_and_keeps_its_history() {
    let mut bench = Bench::new("deleted");
    let id = bench.subscribe("/", &["retry_schedule => '{0.5 s,0.5 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit(1);
    bench.wait_for_history(1);
    bench.run(&format!("SELECT hydra.webhook_delete({id})"));
    assert_eq!(bench.count("webhook_pending"), 0);
    assert_eq!(bench.emit(2), None);
    let_pass(millis(1200));
    assert_eq!(bench.receiver.received("/"), 1);
    assert_eq!(bench.history().len(), 1);
}

// ---- pause, disable, resume -----------------------------------------------------------------------------------------

#[test]
fn after_a_pause_no_retry_starts_and_a_resume_goes_on_with_them() {
    const EVENTS: usize = 20;
    let mut bench = Bench::new("pause_retries");
    let schedule = ["0.2 s"; 50].join(",");
    let id = bench.subscribe("/", &[&format!("retry_schedule => '{{{schedule}}}'")]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit_many(1, EVENTS);
    bench.wait_for("/", 2 * EVENTS);

    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    let paused = Instant::now();
    assert_eq!(bench.emit(1000), None, "no new events are queued");
    let_pass(millis(2200));
    let requests = bench.receiver.requests("/");
    let last = requests.iter().map(|request| request.arrived).max().expect("there were some");
    assert!(last < paused + Duration::from_secs(1), "a request came {:?} after the pause", last - paused);
    assert_eq!(bench.column(id, "pending"), EVENTS.to_string());
    assert_eq!(bench.column(id, "status"), "paused");

    bench.receiver.answer("/", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    bench.settle();
    assert_eq!(bench.column(id, "status"), "active");
    assert_eq!(bench.column(id, "failed"), "0");
    let delivered: Vec<_> = bench.receiver.requests("/").into_iter().filter(|request| request.status == 200).collect();
    let mut received = entities(&delivered);
    received.sort_unstable();
    assert_eq!(received, (1..=EVENTS).collect::<Vec<_>>(), "each once, and nothing of the pause");
}

#[test]
fn what_was_matched_before_a_pause_stays_queued_and_is_sent_in_order_after_it() {
    let mut bench = Bench::new("pause_queue");
    let id = bench.subscribe("/", &["max_in_flight => 1"]);
    bench.receiver.answer("/", Answer::ok().after(millis(50)));
    bench.emit_many(1, 20);
    bench.wait_for("/", 3);
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    let paused = Instant::now();
    let_pass(millis(1500));
    let before = bench.receiver.requests("/");
    assert!(before.len() < 20 && before.iter().all(|request| request.arrived < paused + Duration::from_secs(1)));
    let pending: i64 = ask(&mut bench.client, "SELECT count(*) FROM hydra.webhook_pending");
    assert_eq!(pending as usize, 20 - before.len());

    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    bench.emit_many(21, 30);
    bench.settle();
    assert_eq!(entities(&bench.receiver.requests("/")), (1..=30).collect::<Vec<_>>());
}

#[test]
fn gone_disables_a_subscription_and_a_resume_goes_on() {
    let mut bench = Bench::new("gone");
    let id = bench.subscribe("/", &["retry_schedule => '{0.2 s,0.2 s}'"]);
    bench.receiver.answer("/", Answer::gone());
    bench.emit(1);
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "gone");
    assert_eq!(bench.emit(2), None);
    let told = bench.wait_for_history(1);
    assert_eq!((told[0].status, told[0].class.as_deref()), (Some(410), Some("status")));
    let_pass(millis(800));
    assert_eq!(bench.receiver.received("/"), 1, "its retries stop");
    assert_eq!(bench.column(id, "pending"), "1");

    bench.receiver.answer("/", Answer::ok());
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    bench.settle();
    assert_eq!(entities(&bench.wait_for("/", 2)), [1, 1]);
    assert_eq!(bench.column(id, "disabled_reason"), "");
}

#[test]
fn failures_in_a_row_over_any_deliveries_disable_a_subscription_and_a_success_starts_the_count_again() {
    let mut bench = Bench::new("disable_after");
    let id = bench.subscribe("/", &["disable_after => 3", "retry_schedule => '{1 h}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.receiver.answer_first("/", 2, Answer::status(500));
    bench.receiver.answer_first("/", 1, Answer::ok());
    for event in 1..=5 {
        bench.emit(event);
        bench.wait_for("/", event);
    }
    bench.wait_for_column(id, "consecutive_failures", "2");
    assert_eq!(bench.column(id, "status"), "active", "four failures, and no three in a row");
    bench.emit(6);
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "failures");
    assert_eq!(bench.column(id, "consecutive_failures"), "3");

    // Resumed, it has three failures to its credit again.
    bench.run(&format!("SELECT hydra.webhook_resume({id})"));
    assert_eq!(bench.column(id, "consecutive_failures"), "0");
    for event in 7..=8 {
        bench.emit(event);
        bench.wait_for("/", event);
    }
    bench.wait_for_column(id, "consecutive_failures", "2");
    assert_eq!(bench.column(id, "status"), "active");
    bench.emit(9);
    bench.wait_for_column(id, "status", "disabled");
}

// ---- answers --------------------------------------------------------------------------------------------------------

#[test]
fn retry_after_moves_an_attempt_later_but_not_earlier_and_not_beyond_the_longest_delay() {
    let mut bench = Bench::new("retry_after");
    bench.subscribe("/", &["retry_schedule => '{0.4 s,0.4 s,0.4 s,0.4 s,1.5 s}'"]);
    bench.receiver.answer_first("/", 1, Answer::retry_after("1"));
    bench.receiver.answer_first("/", 1, Answer::status(429).with_header("Retry-After", "0"));
    bench.receiver.answer_first("/", 1, Answer::retry_after("3600"));
    bench.receiver.answer_first("/", 1, Answer::status(500).with_header("Retry-After", "3600"));
    bench.emit(1);
    let gaps = gaps(&bench.wait_for("/", 5));
    assert_within("later", gaps[0], millis(1000), millis(1000) + LATE);
    assert_within("not earlier", gaps[1], millis(360), millis(440) + LATE);
    assert_within("at most the longest delay", gaps[2], millis(1500), millis(1500) + LATE);
    assert_within("only with 429 and 503", gaps[3], millis(360), millis(440) + LATE);
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    let mut bench = Bench::new("redirect");
    bench.subscribe("/", &["retry_schedule => '{}'"]);
    bench.receiver.answer("/", Answer::redirect(&bench.receiver.url("/elsewhere")));
    bench.emit(1);
    bench.failed_delivery();
    let told = bench.history();
    assert_eq!((told.len(), told[0].status, told[0].class.as_deref()), (1, Some(302), Some("status")));
    assert_eq!((bench.receiver.received("/"), bench.receiver.received("/elsewhere")), (1, 0));
}

#[test]
fn the_time_limit_covers_the_whole_exchange_and_each_attempt_that_meets_it_counts_once() {
    const LIMIT: Duration = Duration::from_millis(500);
    let mut bench = Bench::new("timeouts");
    let hostile = [
        ("/hang", Answer::hang(), &["timeout"][..]),
        ("/drip", Answer::drip(millis(100)), &["timeout"]),
        ("/late", Answer::ok().after(Duration::from_secs(5)), &["timeout"]),
        ("/headers", Answer::endless_headers(), &["protocol"]),
        ("/interim", Answer::endless_informational(), &["protocol", "timeout"]),
    ];
    for (path, answer, _) in &hostile {
        bench.subscribe(path, &["timeout => '500 ms'", "retry_schedule => '{1 s}'"]);
        bench.receiver.answer(path, answer.clone());
    }
    bench.emit(1);
    let told = bench.wait_for_history(2 * hostile.len() as i64);
    bench.settle();
    for ((path, _, classes), told) in hostile.iter().zip(told.chunks(2)) {
        assert_eq!(bench.receiver.received(path), 2, "{path}");
        for told in told {
            assert!(told.class.as_deref().is_some_and(|class| classes.contains(&class)), "{path}: {told:?}");
            assert_eq!((told.status, told.excerpt.as_deref()), (None, None), "{path}");
            let took = millis(told.ms.expect("it took a time") as u64);
            assert!(took <= LIMIT + LATE, "{path}: {took:?}");
            assert!(classes != &["timeout"] || took >= LIMIT, "{path}: {took:?}");
        }
    }
    bench.wait_for_count("webhook_failed", hostile.len() as i64);
}

#[test]
fn a_receiver_that_has_answered_with_success_need_not_finish_its_answer() {
    let mut bench = Bench::new("endless_body");
    bench.subscribe("/", &["timeout => '500 ms'", "log_successes => true"]);
    bench.receiver.answer("/", Answer::endless_body());
    bench.emit(1);
    let told = bench.wait_for_history(1);
    bench.settle();
    assert_eq!((told[0].status, told[0].class.as_deref()), (Some(200), None));
    assert!(told[0].excerpt.as_ref().is_some_and(|excerpt| excerpt.len() <= 1024 && excerpt.starts_with("0123456789")));
    assert_eq!(bench.receiver.received("/"), 1);
}

#[test]
fn an_answer_that_is_none_says_what_was_wrong_with_it() {
    let mut bench = Bench::new("no_answers");
    let cases = [
        ("/garbage", Some(Answer::garbage()), "protocol"),
        ("/old", Some(Answer::raw(b"HTTP/0.9 200 OK\r\n\r\n")), "protocol"),
        ("/closed", Some(Answer::close()), "connection"),
        ("/refused", None, "connection"),
    ];
    for (path, answer, _) in &cases {
        match answer {
            Some(answer) => {
                bench.subscribe(path, &["retry_schedule => '{}'"]);
                bench.receiver.answer(path, answer.clone());
            }
            None => {
                let url = format!("http://{}/", closed_port());
                subscribe(&mut bench.client, &url, "ticket.created", &["retry_schedule => '{}'"]);
            }
        }
    }
    bench.emit(1);
    let told = bench.wait_for_history(cases.len() as i64);
    for ((path, answer, class), told) in cases.iter().zip(&told) {
        assert_eq!((told.status, told.class.as_deref()), (None, Some(*class)), "{path}: {told:?}");
        assert!(told.error.as_ref().is_some_and(|error| !error.contains("SSH")), "{path}: {told:?}");
        if answer.is_some() {
            assert_eq!(bench.receiver.received(path), 1, "{path}: an attempt is one request");
        }
    }
    bench.wait_for_count("webhook_failed", cases.len() as i64);
}

// ---- how many at a time, in which order ------------------------------------------------------------------------------

#[test]
fn after_five_failures_an_endpoint_gets_one_request_at_a_time_until_one_succeeds() {
    let mut bench = Bench::new("one_at_a_time");
    let id = bench.subscribe("/", &["retry_schedule => '{1 h}'"]);
    bench.receiver.answer("/", Answer::status(500).after(millis(30)));
    bench.emit_many(1, 5);
    bench.wait_for_column(id, "consecutive_failures", "5");
    bench.receiver.clear();

    bench.emit_many(6, 20);
    bench.wait_for_column(id, "consecutive_failures", "20");
    assert_eq!((bench.receiver.received("/"), bench.receiver.most_in_flight("/")), (15, 1));
    bench.receiver.clear();

    bench.receiver.answer("/", Answer::ok().after(millis(30)));
    bench.emit_many(21, 40);
    bench.wait_for("/", 20);
    wait_until("the successes are counted", PATIENCE, || bench.column(id, "consecutive_failures") == "0");
    assert!(bench.receiver.most_in_flight("/") > 1);
}

#[test]
fn with_one_request_in_flight_the_events_of_a_session_arrive_in_order() {
    let mut bench = Bench::new("in_order");
    bench.subscribe("/", &["max_in_flight => 1"]);
    (1..=500).for_each(|event| {
        bench.emit(event);
    });
    bench.settle();
    let requests = bench.receiver.requests("/");
    assert_eq!(entities(&requests), (1..=500).collect::<Vec<_>>());
    assert_eq!(bench.receiver.most_in_flight("/"), 1);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
}

#[test]
fn behind_a_flood_other_endpoints_do_not_wait_and_one_with_one_request_in_flight_keeps_its_order() {
    const FLOOD: usize = 60_000;
    let mut bench = Bench::new("flood");
    bench.subscribe("/in_order", &["max_in_flight => 1"]);
    for (path, event_type) in [("/flooded", "ticket.resolved"), ("/other", "ticket.assigned")] {
        subscribe(&mut bench.client, &bench.receiver.url(path), event_type, &[]);
    }
    bench.run("BEGIN");
    bench.run(&format!("SELECT count(hydra.webhook_emit('ticket.resolved', '{{}}')) FROM generate_series(1, {FLOOD})"));
    bench.emit(1);
    bench.run("COMMIT");
    bench.wait_for("/flooded", FLOOD / 20);
    bench.run("SELECT hydra.webhook_emit('ticket.assigned', '{}')");
    bench.wait_for("/other", 1);
    assert!(bench.receiver.received("/flooded") < FLOOD, "the other endpoint waited for all of the flood");
    bench.emit(2);
    bench.settle();
    assert_eq!(entities(&bench.receiver.requests("/in_order")), [1, 2]);
    assert_eq!(bench.receiver.received("/flooded"), FLOOD);
}

#[test]
fn no_more_requests_are_in_flight_than_the_subscription_allows_and_no_fewer() {
    let mut bench = Bench::new("three_at_a_time");
    bench.subscribe("/", &["max_in_flight => 3"]);
    bench.receiver.answer("/", Answer::ok().after(millis(20)));
    bench.emit_many(1, 60);
    bench.settle();
    assert_eq!((bench.receiver.received("/"), bench.receiver.most_in_flight("/")), (60, 3));
}

#[test]
fn five_thousand_events_for_one_slow_endpoint_all_arrive_in_order() {
    const EVENTS: usize = 5000;
    let mut bench = Bench::new("overflow");
    bench.subscribe("/", &["max_in_flight => 1"]);
    bench.receiver.answer("/", Answer::ok().after(millis(1)));
    // Two transactions: the second comes while the first waits in the table already.
    bench.emit_many(1, EVENTS - 1000);
    bench.wait_for("/", 100);
    bench.emit_many(EVENTS - 999, EVENTS);
    bench.settle();
    assert_in_order(&entities(&bench.receiver.requests("/")), EVENTS);
    assert!(bench.history().is_empty());
}

#[test]
fn events_that_wait_behind_a_slow_endpoint_for_seconds_arrive_in_order() {
    const EVENTS: usize = 1500;
    let mut bench = Bench::new("slow_in_order");
    bench.subscribe("/", &["max_in_flight => 1"]);
    bench.receiver.answer("/", Answer::ok().after(millis(3)));
    // Those that are read first fill the memory, and are still there when later ones are in the table.
    bench.emit_many(1, EVENTS);
    bench.settle();
    assert_in_order(&entities(&bench.receiver.requests("/")), EVENTS);
}

// ---- one endpoint and the others -------------------------------------------------------------------------------------

#[test]
fn of_ten_subscriptions_of_which_one_is_dead_the_others_receive_each_event_once_and_at_once() {
    const EVENTS: usize = 20;
    let mut bench = Bench::new("fan_out");
    let paths: Vec<String> = (0..10).map(|number| format!("/{number}")).collect();
    for path in &paths {
        bench.subscribe(path, &["timeout => '2.5 s'", "retry_schedule => '{}'"]);
    }
    bench.receiver.answer("/9", Answer::hang());
    let start = Instant::now();
    bench.emit_many(1, EVENTS);
    for path in &paths[..9] {
        bench.wait_for(path, EVENTS);
    }
    assert!(start.elapsed() < Duration::from_secs(2), "the living waited for the dead: {:?}", start.elapsed());

    // Meanwhile the events have moved to the retry queue and been given up for the dead one.
    bench.wait_for_count("webhook_failed", EVENTS as i64);
    bench.settle();
    for path in &paths[..9] {
        let mut received = entities(&bench.receiver.requests(path));
        received.sort_unstable();
        assert_eq!(received, (1..=EVENTS).collect::<Vec<_>>(), "{path}");
    }
    assert_eq!(bench.history().len(), EVENTS);
}

/// How long after its emit each event arrived, the slowest last.
fn latencies(bench: &mut Bench, events: std::ops::RangeInclusive<usize>) -> Vec<Duration> {
    let mut emitted = BTreeMap::new();
    for event in events {
        bench.emit(event);
        emitted.insert(event, Instant::now());
        let_pass(millis(5));
    }
    let received = |bench: &Bench| bench.receiver.requests("/healthy");
    wait_until("the healthy one has all", PATIENCE, || {
        received(bench).iter().filter(|request| emitted.contains_key(&entity(request))).count() >= emitted.len()
    });
    let requests = received(bench);
    let arrivals = requests.iter().filter_map(|request| Some((emitted.get(&entity(request))?, request.arrived)));
    let mut latencies: Vec<Duration> =
        arrivals.map(|(sent, arrived)| arrived.saturating_duration_since(*sent)).collect();
    latencies.sort_unstable();
    latencies
}

#[track_caller]
fn assert_prompt(latencies: &[Duration]) {
    let p99 = latencies[latencies.len() * 99 / 100 - 1];
    assert!(p99 < Duration::from_millis(400), "p99 {p99:?}, worst {:?}", latencies.last());
}

#[test]
fn an_endpoint_that_hangs_does_not_delay_another_one() {
    let mut bench = Bench::new("one_hangs");
    bench.subscribe("/hangs", &["timeout => '3 s'", "retry_schedule => '{0.5 s,0.5 s}'"]);
    bench.subscribe("/healthy", &[]);
    bench.receiver.answer("/hangs", Answer::hang());
    bench.emit_many(1, 300);
    bench.wait_for("/healthy", 300);
    assert_prompt(&latencies(&mut bench, 301..=500));
}

#[test]
fn many_endpoints_that_hang_do_not_delay_another_one() {
    let mut bench = Bench::new("many_hang");
    for number in 0..8 {
        let path = format!("/hangs/{number}");
        bench.subscribe(&path, &["timeout => '4 s'", "retry_schedule => '{}'"]);
        bench.receiver.answer(&path, Answer::hang());
    }
    bench.emit_many(1, 100);
    bench.wait_for("/hangs/7", 10);
    bench.subscribe("/healthy", &[]);
    assert_prompt(&latencies(&mut bench, 101..=200));
}

#[test]
fn an_endpoint_that_is_slow_does_not_delay_another_one() {
    let mut bench = Bench::new("one_is_slow");
    bench.subscribe("/slow", &["max_in_flight => 2"]);
    bench.subscribe("/healthy", &[]);
    bench.receiver.answer("/slow", Answer::ok().after(millis(100)));
    bench.emit_many(1, 3000);
    bench.wait_for("/healthy", 3000);
    assert_prompt(&latencies(&mut bench, 3001..=3200));
}

// ---- changes of a subscription ---------------------------------------------------------------------------------------

#[test]
fn a_changed_url_applies_from_the_next_attempt() {
    let mut bench = Bench::new("new_url");
    let id = bench.subscribe("/old", &["retry_schedule => '{1 s}'"]);
    bench.receiver.answer("/old", Answer::status(500));
    bench.emit(1);
    bench.wait_for_history(1);
    let url = bench.receiver.url("/new");
    bench.run(&format!("SELECT hydra.webhook_update({id}, url => '{url}')"));
    let new = bench.wait_for("/new", 1);
    bench.settle();
    assert_eq!(bench.receiver.received("/old"), 1);
    assert_eq!(new[0].delivery_id(), bench.receiver.requests("/old")[0].delivery_id());
}

#[test]
fn a_new_secret_signs_from_the_next_attempt() {
    let mut bench = Bench::new("new_secret");
    let (id, old) =
        subscribe(&mut bench.client, &bench.receiver.url("/"), "ticket.created", &["retry_schedule => '{1 s}'"]);
    bench.receiver.answer_first("/", 1, Answer::status(500));
    bench.emit(1);
    bench.wait_for_history(1);
    let new: String = ask(&mut bench.client, &format!("SELECT hydra.webhook_rotate_secret({id})"));
    let requests = bench.wait_for("/", 2);
    assert_eq!(requests[0].signed_with(&old), Signature::Verified);
    assert_eq!(requests[1].signed_with(&new), Signature::Verified);
    assert_ne!(requests[1].signed_with(&old), Signature::Verified);
    assert_eq!(requests[1].body, requests[0].body);
}

#[test]
fn a_changed_schedule_applies_from_the_next_attempt() {
    let mut bench = Bench::new("new_schedule");
    let id = bench.subscribe("/", &["retry_schedule => '{0.6 s,0.1 s,0.1 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit(1);
    bench.wait_for_history(1);
    bench.run(&format!("SELECT hydra.webhook_update({id}, retry_schedule => '{{0.6 s}}')"));
    bench.failed_delivery();
    assert_eq!(bench.history().len(), 2);
}

#[test]
fn a_delivery_unfinished_at_twice_the_sum_of_its_schedule_is_failed_as_expired() {
    const EVENTS: i64 = 12;
    let mut bench = Bench::new("expired");
    // All time out at once; their retries go one at a time, and most come too late.
    bench.subscribe("/", &["timeout => '500 ms'", "retry_schedule => '{0.4 s,0.4 s}'"]);
    bench.receiver.answer("/", Answer::hang());
    bench.emit_many(1, EVENTS as usize);
    bench.wait_for_count("webhook_failed", EVENTS);
    let told = bench.history();
    let expired: Vec<&Told> = told.iter().filter(|told| told.class.as_deref() == Some("expired")).collect();
    assert!(expired.len() >= 6, "{told:#?}");
    assert!(expired.iter().all(|told| told.status.is_none() && told.ms.is_none() && told.next_at.is_none()));
    let of_view: i64 = ask(
        &mut bench.client,
        "SELECT count(*) FROM hydra.webhook_failed WHERE error_class = 'expired' AND error <> ''",
    );
    assert_eq!(of_view as usize, expired.len());
    assert_eq!(bench.receiver.received("/"), told.len() - expired.len(), "an expired one makes no request");
    for expired in expired {
        let first = told.iter().find(|told| told.delivery == expired.delivery && told.attempt == 1);
        let lived = expired.at.duration_since(first.expect("it was tried").at).expect("it began before it ended");
        assert!(lived >= millis(1600), "{lived:?}");
    }
}

// ---- TLS ------------------------------------------------------------------------------------------------------------

/// Receives requests over TLS, with a certificate of an authority of its own, and hands on what it read.
fn start_tls_receiver() -> (SocketAddr, String, Inbox<String>) {
    let authority = Authority::new();
    let config = authority.server();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let (send, inbox) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, send) = (config.clone(), send.clone());
            // One who does not trust us goes away in the middle of the handshake.
            thread::spawn(move || serve_tls(stream, config).map(|request| send.send(request)));
        }
    });
    (address, authority.pem(), inbox)
}

/// Reads one request, as far as it comes in one piece, and accepts it.
fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>) -> Option<String> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\"}") {
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    String::from_utf8(request).ok()
}

#[test]
fn an_https_endpoint_is_trusted_once_its_authority_is_in_ca_file() {
    let mut bench = Bench::new("tls");
    let (address, authority, inbox) = start_tls_receiver();
    let more = ["retry_schedule => '{}'"];
    subscribe(&mut bench.client, &format!("https://{address}/in"), "ticket.created", &more);
    bench.emit(1);
    let delivery = bench.failed_delivery();
    let told = bench.history();
    assert_eq!((told[0].status, told[0].class.as_deref()), (None, Some("tls")));
    assert!(told[0].error.as_ref().is_some_and(|error| error.contains("authority")), "{told:?}");

    let file = cluster().directory().join("authority.pem");
    std::fs::write(&file, authority).expect("the cluster's directory is ours");
    cluster().set(&[("hydra_webhooks.ca_file", file.to_str().expect("a UTF-8 name"))]);
    // The dispatcher takes the setting up in a moment of its own; until then an attempt fails as before.
    wait_until("the endpoint is trusted", PATIENCE, || {
        if bench.count("webhook_failed") == 1 {
            bench.run(&format!("SELECT hydra.webhook_retry('{delivery}')"));
        }
        bench.settle();
        bench.count("webhook_failed") == 0
    });
    let request = inbox.recv_timeout(PATIENCE).expect("it was received");
    assert!(request.starts_with("POST /in HTTP/1.1\r\n") && request.contains(&delivery), "{request}");
}
