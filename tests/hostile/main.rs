//! Receivers that misbehave in different ways, all at the same time, and one that does not.

mod behaviours;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use testkit::receiver::{Receiver, Request, entity_numbers};
use testkit::{Cluster, ask, rounds, run, subscribe, wait_until};

use behaviours::{Authorities, Behaviour, plain_behaviours, serve};

/// The timeout of each attempt, and how late a busy machine may be.
const LIMIT: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_secs(3);

/// The interval of events for the healthy receiver.
const HEALTHY_EVERY: Duration = Duration::from_millis(30);

/// How much memory the dispatcher may use for all of them, in kB.
const MEMORY: u64 = 32 << 10;

/// The maximum number of threads that make requests.
const SENDER_THREADS: u64 = 4;

const PATIENCE: Duration = Duration::from_secs(300);

/// A line of `/proc/…/status`: a number of kB, or of threads.
fn vital(pid: i32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the dispatcher lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a known line");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// How many TCP connections of this process are open.
fn tcp_sockets(pid: i32) -> usize {
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("the dispatcher lives");
    let ours = fs::read_dir(format!("/proc/{pid}/fd")).expect("the dispatcher lives");
    let links: BTreeSet<String> = ours
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    table.lines().filter(|line| line.split_whitespace().nth(9).is_some_and(|inode| links.contains(inode))).count()
}

/// Emits events for the healthy receiver until `stop` is set. Returns how long each took to arrive.
fn latencies(cluster: &Cluster, receiver: &Receiver, stop: &AtomicBool) -> Vec<Duration> {
    let mut client = cluster.connect("hostile");
    let mut emitted = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let entity = format!("{{\"id\": \"{}\"}}", emitted.len());
        emitted.push(Instant::now());
        run(&mut client, &format!("SELECT hydra.webhook_emit('ticket.resolved', '{entity}')"));
        thread::sleep(HEALTHY_EVERY);
    }
    let requests = receiver.wait_for("/", emitted.len(), PATIENCE);
    let numbers = entity_numbers(&requests).into_iter();
    let took = |(number, request): (usize, &Arc<Request>)| request.arrived.saturating_duration_since(emitted[number]);
    let mut taken: Vec<Duration> = numbers.zip(&requests).map(took).collect();
    assert_eq!(taken.len(), emitted.len(), "each once");
    taken.sort();
    taken
}

/// By subscription: what the history says of its attempts, their number and the longest time.
fn outcomes(client: &mut Client) -> BTreeMap<i64, (BTreeSet<String>, i64, Duration)> {
    let sql = "SELECT subscription_id, array_agg(DISTINCT coalesce(status_code::text, error_class)), count(*),
                      max(response_ms)
               FROM hydra.webhook_history WHERE event = 'ticket.created' GROUP BY subscription_id";
    let rows = client.query(sql, &[]).expect("the history can be read");
    let row = |row: &postgres::Row| {
        let words: Vec<String> = row.get(1);
        (row.get(0), (words.into_iter().collect(), row.get(2), Duration::from_millis(row.get::<_, i32>(3) as u64)))
    };
    rows.iter().map(row).collect()
}

/// `HYDRA_ROUNDS=25` makes it a long one.
#[test]
fn receivers_that_misbehave_fail_one_attempt_each_and_delay_no_other_receiver() {
    let rounds = rounds(2) as i64;
    let cluster = Cluster::start(&[]);
    let authorities = Authorities::new();
    let authority = cluster.directory().join("authority.pem");
    fs::write(&authority, authorities.trusted.pem()).expect("the cluster's directory is ours");
    cluster.set(&[("hydra_webhooks.ca_file", authority.to_str().expect("a UTF-8 name"))]);
    let mut client = cluster.create_database("hostile");
    let healthy = Receiver::start();
    subscribe(&mut client, &healthy.url("/"), "ticket.resolved", &[]);

    let limit = format!("timeout => '{} s'", LIMIT.as_secs());
    let more = [limit.as_str(), "retry_schedule => '{}'", "log_successes => true"];
    let behaviours = plain_behaviours().into_iter().chain(authorities.behaviours());
    let expected: BTreeMap<i64, (&str, &str)> = behaviours
        .map(|Behaviour { name, outcome, scheme, conduct }| {
            let url = format!("{scheme}://{}/", serve(conduct));
            (subscribe(&mut client, &url, "ticket.created", &more).0, (name, outcome))
        })
        .collect();

    let dispatcher = cluster.dispatcher_pid("hostile");
    run(&mut client, "SELECT hydra.webhook_emit('ticket.resolved', '{\"id\": \"first\"}')");
    healthy.wait_for("/", 1, PATIENCE);
    healthy.clear();
    let before = vital(dispatcher, "VmRSS");

    let stop = AtomicBool::new(false);
    let latencies = thread::scope(|scope| {
        let latencies = scope.spawn(|| latencies(&cluster, &healthy, &stop));
        run(
            &mut client,
            &format!(
                "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', n)) FROM generate_series(1, {rounds}) n"
            ),
        );
        wait_until("every attempt has ended", PATIENCE, || {
            ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE event = 'ticket.created'")
                == rounds * expected.len() as i64
        });
        stop.store(true, Ordering::Relaxed);
        latencies.join().expect("it has not panicked")
    });

    let outcomes = outcomes(&mut client);
    let slowest = outcomes.values().map(|(_, _, slowest)| *slowest).max().expect("there are some");
    let differs = |(id, (name, expected)): (&i64, &(&str, &str))| {
        let (words, attempts, _) = &outcomes[id];
        let as_expected = words.iter().eq([expected]) && *attempts == rounds;
        (!as_expected).then(|| format!("one that {name}: {expected} expected, {attempts} times {words:?}"))
    };
    let different: Vec<String> = expected.iter().filter_map(differs).collect();
    assert!(different.is_empty() && slowest <= LIMIT + LATE, "slowest {slowest:?}, {different:#?}");
    let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    let grown = vital(dispatcher, "VmHWM").saturating_sub(before);
    println!(
        "{} behaviours x {rounds}: slowest attempt {slowest:?} of {LIMIT:?}, memory {before} kB and {grown} kB more, \
         {} requests to the healthy one: p50 {p50:?}, p99 {p99:?}, slowest {:?}",
        expected.len(),
        latencies.len(),
        latencies[latencies.len() - 1]
    );
    // A pause of the machine delays many of them, but none by the time limit of the others.
    assert!(p50 < Duration::from_secs(1) && p99 < LIMIT, "{p50:?} and {p99:?} to the healthy one");
    assert!(grown < MEMORY, "{grown} kB more");
    assert_eq!(cluster.find_dispatcher("hostile"), Some(dispatcher), "it has not been restarted");
    wait_until("all connections are gone, and all threads but those of the sender", PATIENCE, || {
        tcp_sockets(dispatcher) == 0 && vital(dispatcher, "Threads") <= 1 + SENDER_THREADS
    });
}
