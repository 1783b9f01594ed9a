//! Emitting: what happens to an event in the transaction of the application, and what a receiver gets.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use testkit::receiver::{Request, Signature, entity_ids};
use testkit::{Bench, Cluster};

mod altered;
mod casts;
mod changing;
mod kept;
mod lifetime;
mod payloads;
mod refusals;
mod roles;
mod sent;
mod transactions;
mod wanted;

/// The path that the subscription of each bench sends to.
const PATH: &str = "/all";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[]))
}

/// With one subscription to events of tickets and parts.
fn bench(database: &str) -> Bench<'static> {
    bench_in(cluster(), database)
}

fn bench_in<'a>(cluster: &'a Cluster, database: &str) -> Bench<'a> {
    let mut bench = Bench::new(cluster, database);
    bench.subscribe(PATH, "ticket.created,ticket.resolved,part.created,part.updated,part.deleted", &[]);
    bench
}

/// Creates a table in which every new row emits `ticket.created`.
#[track_caller]
fn watch(bench: &mut Bench, columns: &str) {
    bench.run(&format!("CREATE TABLE ticket ({columns}); {}", trigger("ticket", "ticket.created")));
}

/// All requests, once every committed event is delivered.
#[track_caller]
fn settle(bench: &mut Bench) -> Vec<Arc<Request>> {
    bench.wait_for_empty_queue();
    let requests = bench.receiver.requests(PATH);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified), "{requests:#?}");
    requests
}

/// The body of the only request.
#[track_caller]
fn settle_one(bench: &mut Bench) -> Value {
    let requests = settle(bench);
    assert_eq!(requests.len(), 1, "one event is one request");
    bench.receiver.clear();
    requests[0].json()
}

/// Entity ids in the order of arrival.
#[track_caller]
fn settle_ids(bench: &mut Bench) -> Vec<String> {
    entity_ids(&settle(bench))
}

/// The entity ids of all requests, none of which came twice.
#[track_caller]
fn settle_set(bench: &mut Bench) -> BTreeSet<String> {
    let ids = settle_ids(bench);
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(set.len(), ids.len(), "something was delivered twice: {ids:?}");
    set
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

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).into()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Splits the timestamp, which is at the end of every body, from the rest.
#[track_caller]
fn split_timestamp(request: &Request) -> (&str, &str) {
    let body = request.text();
    let cut = body.rfind(",\"timestamp\":\"").unwrap_or_else(|| panic!("{body} has no timestamp"));
    let timestamp = body[cut..].strip_prefix(",\"timestamp\":\"").and_then(|rest| rest.strip_suffix("\"}"));
    (&body[..cut], timestamp.unwrap_or_else(|| panic!("{body} does not end with its timestamp")))
}
