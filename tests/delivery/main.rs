//! Deliveries: what an endpoint receives, when, and what is recorded.

use std::sync::OnceLock;
use std::time::Duration;

use testkit::{Bench, Cluster};

mod answers;
mod bursts;
mod by_hand;
mod destinations;
mod history;
mod isolation;
mod order;
mod outages;
mod own_events;
mod own_faults;
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

#[track_caller]
fn assert_within(what: &str, value: Duration, least: Duration, most: Duration) {
    assert!(value >= least && value <= most, "{what}: {value:?} is not between {least:?} and {most:?}");
}
