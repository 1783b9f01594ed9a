//! Finds out whether the server is being stopped in smart mode.
//!
//! In this mode Postgres waits until all clients have disconnected, and tells background workers nothing before that. It
//! only notes in a file that it stops.

use std::fs;

/// The number of the line with the state of the postmaster, from 0.
const STATE_LINE: usize = 7;

/// Returns whether the server waits for its clients to disconnect, or stops in another way.
pub fn is_stopping() -> bool {
    // In the data directory, where server processes run.
    let file = fs::read_to_string("postmaster.pid").unwrap_or_default();
    file.lines().nth(STATE_LINE).is_some_and(|state| state.trim() == "stopping")
}
