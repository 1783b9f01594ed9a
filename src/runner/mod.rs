//! The runner: a background worker that does what requests have left. It runs the flows of inbound events that failed or
//! took too long, rehearses flows in testing, and removes events, runs and mail older than `hydra_webhooks.inbound_retention`.
//!
//! There is one for each database, and only while there is something to do. Whoever leaves something to do notes when, in
//! the slot of the database, at commit. The launcher starts the runner then, and the runner ends after a minute of nothing.
//! Should a note be lost, the dispatcher, which is always there, looks into the tables once a minute. It is never the
//! dispatcher that runs flows: they may take long, and may fail in any way.
//!
//! Each attempt is counted in a transaction of its own before it begins, together with the time of the next one. So an event
//! that ends the process, or the server, delays no other event, and is not tried forever. An attempt itself is one
//! transaction: [`run_again`](crate::inbound::again::run_again) sets state and error of the event, and leaves attempts and `due_at` of an event that failed as
//! they are. What comes of a rehearsal is recorded in the same way.
//!
//! Flows run one after the other, each within its time limit.
//!
//! | file | what it does |
//! |---|---|
//! | `entry` | starts the process, connects to the database, and ends the process |
//! | `turn` | does what is due, and waits |
//! | `events`, `chores` | process inbound events; remove old ones |
//! | `note` | notes when there is something to do |
//! | `status` | describes the runner for people |

mod chores;
mod entry;
mod events;
mod note;
pub mod status;
mod turn;

use std::ffi::CStr;

use crate::backend::{Failure, extension_lock, transaction};
pub use note::{at_commit, note_next};

/// Runs a transaction of the runner's own statements. Like a request, it begins with the lock on the extension, so that it is
/// never in a deadlock with DROP EXTENSION.
fn own_transaction<R>(step: &'static CStr, body: impl FnOnce() -> R) -> Result<R, Failure> {
    transaction(step, || {
        extension_lock::hold();
        body()
    })
}
