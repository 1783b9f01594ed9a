//! Subscriptions: creating, choosing, changing and copying them.

use std::sync::OnceLock;

use postgres::Client;
use testkit::{Bench, Cluster, ask};

mod adoption;
mod changing;
mod choosing;
mod copies;
mod creating;
mod dumps;
mod event_types;
mod missed;
mod names;
mod presets;
mod states;
mod test_requests;

/// A failed delivery stays in the retry queue while a test runs.
const RETRY_LATER: &str = "retry_schedule => '{1 h}'";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[]))
}

fn bench(database: &str) -> Bench<'static> {
    Bench::new(cluster(), database)
}

/// The whole row of a subscription, as text.
fn all_of(client: &mut Client, id: i64) -> String {
    ask(client, &format!("SELECT to_jsonb(s)::text FROM hydra.subscription AS s WHERE id = {id}"))
}
