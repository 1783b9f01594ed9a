//! Subscribing to events, and waiting until all of them are delivered.

use postgres::Client;

use crate::{PATIENCE, ask, wait_until};

/// Creates a subscription and returns its id and secret. `more` are further arguments, `name => value`.
#[track_caller]
pub fn subscribe(client: &mut Client, url: &str, event_types: &str, more: &[&str]) -> (i64, String) {
    let more: String = more.iter().map(|argument| format!(", {argument}")).collect();
    let sql = format!("SELECT id, secret FROM hydra.webhook_create('{url}', '{{{event_types}}}'{more})");
    let row = client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    (row.get(0), row.get(1))
}

/// Waits until every committed event has been delivered or given up.
#[track_caller]
pub fn wait_for_empty_queue(client: &mut Client) {
    const EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM hydra.event)
                            AND NOT EXISTS (SELECT FROM hydra.delivery WHERE state = 'pending')";
    wait_until("the queue is empty", PATIENCE, || ask(client, EMPTY));
}
