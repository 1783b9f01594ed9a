//! What test files share: clusters, receivers, and how to ask a session.

pub mod authority;
pub mod cluster;
pub mod receiver;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postgres::Client;
use postgres::types::FromSqlOwned;

use cluster::{Cluster, wait_until};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A number that the environment may ask for, such as of rounds in the long form of a test.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// How often a test does what it is about.
pub fn rounds(by_default: u64) -> u64 {
    number("HYDRA_ROUNDS").unwrap_or(by_default)
}

/// Says that it is over also where a test fails, which would otherwise wait for ever for those who go on until then.
pub struct StopWhenDropped<'a>(pub &'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A cluster that many tests share, each with a database of its own.
pub fn start_shared_cluster(settings: &[(&str, &str)]) -> Cluster {
    // Each database has a dispatcher, which takes a worker process.
    let cluster = Cluster::start(&[&[("max_worker_processes", "64")], settings].concat());
    // Makes the roles, so that no two tests make them at the same time.
    cluster.create_database("first");
    cluster
}

/// The four parts of an error as a user sees it.
#[derive(Debug)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
}

/// The one value that a query returns.
#[track_caller]
pub fn ask<T: FromSqlOwned>(client: &mut Client, sql: &str) -> T {
    client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

#[track_caller]
pub fn run(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The error of a statement that must fail.
#[track_caller]
pub fn refusal(client: &mut Client, sql: &str) -> Refusal {
    let Err(error) = client.batch_execute(sql) else { panic!("{sql} was accepted") };
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql} ended the session: {error:?}"));
    Refusal {
        code: error.code().code().into(),
        message: error.message().into(),
        detail: error.detail().unwrap_or_default().into(),
        hint: error.hint().unwrap_or_default().into(),
    }
}

/// A statement that must fail with this SQLSTATE, and with a message, a detail and a hint.
#[track_caller]
pub fn refused(client: &mut Client, sql: &str, code: &str) -> Refusal {
    let refusal = refusal(client, sql);
    let whole = [&refusal.message, &refusal.detail, &refusal.hint].iter().all(|part| !part.is_empty());
    assert!(refusal.code == code && whole, "{sql}: expected SQLSTATE {code} with detail and hint, got {refusal:#?}");
    refusal
}

/// A new subscription: its id and its secret. `more` are further arguments, `name => value`.
#[track_caller]
pub fn subscribe(client: &mut Client, url: &str, event_types: &str, more: &[&str]) -> (i64, String) {
    let more: String = more.iter().map(|argument| format!(", {argument}")).collect();
    let sql = format!("SELECT id, secret FROM hydra.webhook_create('{url}', '{{{event_types}}}'{more})");
    let row = client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    (row.get(0), row.get(1))
}

/// Waits until everything that was committed has been delivered or given up.
#[track_caller]
pub fn wait_for_empty_queue(client: &mut Client) {
    const EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM hydra.event)
                            AND NOT EXISTS (SELECT FROM hydra.delivery WHERE state = 'pending')";
    wait_until("the queue is empty", PATIENCE, || ask(client, EMPTY));
}
