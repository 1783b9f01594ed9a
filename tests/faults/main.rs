//! Faults: processes that end, servers that crash or run short, databases that come and go.
//!
//! What was committed is delivered, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use testkit::receiver::{Receiver, Request};
use testkit::{Bench, Cluster, StopWhenDropped, ask, millis, run, subscribe, wait_for_empty_queue};

mod clock;
mod databases;
mod dispatcher;
mod doctor;
mod durability;
mod entry;
mod extension;
mod kept;
mod kills;
mod launcher;
mod max_pending;
mod memory;
mod reporting;
mod resources;
mod restores;
mod row_security;
mod settings;
mod standby;
mod tables;
mod transactions;
mod unwritable;
mod upgrade;

const PATH: &str = "/tickets";

/// The default of `max_in_flight`.
const IN_FLIGHT: usize = 64;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[]))
}

/// A bench with a table in which every new row is an event, and a subscription to these events.
fn tickets<'a>(cluster: &'a Cluster, database: &str, more: &[&str]) -> Bench<'a> {
    let mut bench = Bench::new(cluster, database);
    prepare(&mut bench.client, &bench.receiver, more);
    bench
}

/// Creates the table and the subscription.
#[track_caller]
fn prepare(client: &mut Client, receiver: &Receiver, more: &[&str]) -> i64 {
    run(
        client,
        "CREATE TABLE ticket (id bigint PRIMARY KEY);
         CREATE TRIGGER emit AFTER INSERT ON ticket
         FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created')",
    );
    let (id, secret) = subscribe(client, &receiver.url(PATH), "ticket.created", more);
    receiver.secret(PATH, &secret);
    id
}

fn insert(from: usize, to: usize) -> String {
    format!("INSERT INTO ticket SELECT generate_series({from}, {to})")
}

/// Sessions that write about two hundred tickets a second, one per transaction, until `meanwhile` returns. When the
/// server ends they connect again.
fn under_load(bench: &Bench, settings: &str, meanwhile: impl FnOnce()) {
    let highest: i64 = ask(&mut bench.session(), "SELECT coalesce(max(id), 0) FROM ticket");
    let (stop, next) = (AtomicBool::new(false), AtomicU64::new(highest as u64 + 1));
    let (cluster, database) = (bench.cluster, &*bench.database);
    let write_tickets = || -> Result<(), postgres::Error> {
        let mut client = cluster.try_connect_as(database, "postgres")?;
        client.batch_execute(settings)?;
        while !stop.load(Ordering::Relaxed) {
            let id = next.fetch_add(1, Ordering::Relaxed);
            client.batch_execute(&format!("INSERT INTO ticket VALUES ({id})"))?;
            thread::sleep(millis(14));
        }
        Ok(())
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // An error means that the server has ended. Whether the last commit succeeded is seen later.
                    let _ = write_tickets();
                    thread::sleep(millis(20));
                }
            });
        }
        let _stop = StopWhenDropped(&stop);
        meanwhile();
    });
}

/// Once the queue is empty: exactly the tickets in the table were received. Returns how many requests were repeated,
/// each with the same bytes.
#[track_caller]
fn settle(bench: &Bench) -> usize {
    let mut client = bench.session();
    wait_for_empty_queue(&mut client);
    let written = client.query("SELECT id FROM ticket", &[]).expect("the table can be read");
    let written: BTreeSet<i64> = written.iter().map(|row| row.get(0)).collect();
    assert!(!written.is_empty());
    let requests = bench.receiver.requests(PATH);
    let received: BTreeSet<i64> = requests.iter().map(|request| ticket(request)).collect();
    let lost: Vec<_> = written.difference(&received).take(10).collect();
    let invented: Vec<_> = received.difference(&written).take(10).collect();
    assert!(lost.is_empty() && invented.is_empty(), "lost {lost:?}, invented {invented:?}");
    let mut bodies: BTreeMap<&str, &Request> = BTreeMap::new();
    for request in &requests {
        let first = bodies.entry(request.delivery_id()).or_insert(request);
        assert_eq!(first.body, request.body, "delivery {}", request.delivery_id());
    }
    assert_eq!(bodies.len(), written.len(), "a delivery per ticket");
    requests.len() - written.len()
}

fn ticket(request: &Request) -> i64 {
    request.json()["data"]["entity"]["id"].as_i64().expect("tickets are numbered")
}

fn launcher(client: &mut Client) -> Option<i32> {
    ask(client, "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'hydra_webhooks launcher'")
}

/// Returns when the server reports that the process has ended.
#[track_caller]
fn terminate(client: &mut Client, pid: i32) {
    assert!(ask::<bool>(client, &format!("SELECT pg_terminate_backend({pid}, 10000)")), "{pid} does not end");
}

/// No process of the server crashed, which would end all others.
#[track_caller]
fn assert_no_crash(cluster: &Cluster) {
    let log = cluster.log();
    for sign in ["terminated by signal", "PANIC", "all server processes terminated"] {
        assert!(!log.contains(sign), "the log says {sign:?}");
    }
}

#[track_caller]
fn assert_quick(what: &str, limit: Duration, action: impl FnOnce()) {
    let start = Instant::now();
    action();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    assert!(took < limit, "{what} took {took:?}");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
