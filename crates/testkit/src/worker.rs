//! The one row of `hydra.webhook_worker_status`.

use postgres::Client;

use crate::{PATIENCE, ask, wait_until};

/// Returns a column as text.
#[track_caller]
pub fn worker_status(client: &mut Client, column: &str) -> String {
    ask(client, &format!("SELECT {column}::text FROM hydra.webhook_worker_status"))
}

#[track_caller]
pub fn wait_for_state(client: &mut Client, state: &str) {
    wait_until(format!("the worker is {state}"), PATIENCE, || worker_status(client, "state") == state);
}
