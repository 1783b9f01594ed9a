//! Deliveries: what an endpoint receives, when, and what is recorded.

use std::sync::OnceLock;
use std::time::Duration;

use postgres::Client;
use testkit::cluster::cpu_time;
use testkit::{Bench, Cluster, PATIENCE, ask, run, wait_until};

mod answers;
mod bursts;
mod by_hand;
mod counts;
mod destinations;
mod finding;
mod history;
mod isolation;
mod kept;
mod order;
mod outages;
mod own_events;
mod own_faults;
mod ready_queries;
mod sets;
mod statistics;
mod tls;

/// How late a request may be on a busy machine, or on one that pauses. It is never early.
const LATE: Duration = Duration::from_secs(3);

/// For all tests that leave the server alone.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[]))
}

fn bench(database: &str) -> Bench<'static> {
    Bench::new(cluster(), database)
}

/// Waits until a test can count within one hour. There is a row for each hour.
fn wait_for_time_within_an_hour(bench: &mut Bench) {
    const WITHIN: &str = "SELECT date_trunc('hour', now()) = date_trunc('hour', now() + interval '50 s')";
    wait_until("the hour does not end soon", 2 * PATIENCE, || bench.ask(WITHIN));
}

/// Starts the dispatcher again, which writes its counts when it ends.
fn write_counts(bench: &mut Bench) {
    let former = bench.cluster.dispatcher_pid(&bench.database);
    bench.run(&format!("SELECT pg_terminate_backend({former})"));
    bench.cluster.new_dispatcher_pid(&bench.database, Some(former));
}

#[track_caller]
/// Returns the least time that the processor works for a query. That other tests load the machine does not count.
fn least_time(client: &mut Client, mut query: impl FnMut(&mut Client)) -> Duration {
    run(client, "SET max_parallel_workers_per_gather = 0");
    let pid = ask(client, "SELECT pg_backend_pid()");
    let time = |_| {
        let before = cpu_time(pid);
        query(client);
        cpu_time(pid) - before
    };
    (0..7).map(time).min().expect("it ran")
}

fn assert_within(what: &str, value: Duration, least: Duration, most: Duration) {
    assert!(value >= least && value <= most, "{what}: {value:?} is not between {least:?} and {most:?}");
}
