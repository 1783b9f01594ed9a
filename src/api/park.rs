//! `webhook_park` and `webhook_unpark`: no process of ours in this database, so that it can be renamed, copied or dropped.
//!
//! Both work at once, whatever becomes of the transaction, and are remembered in shared memory: a restart of the server
//! forgets them, as nothing could be read of a database without connecting to it.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use crate::process;
use crate::refuse::refuse;
use crate::slots::{self, State};

/// A dispatcher lets its requests finish for a moment and writes what they came to.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[pg_extern]
fn webhook_park() {
    if slots::shared().is_none() {
        notice!("hydra_webhooks is not preloaded, so nothing runs in this database");
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    // The launcher gives a database its slot.
    slots::hint_here();
    let slot = wait_for(deadline, slots::here);
    slot.park();
    wait_for(deadline, || slot.is_vacant().then_some(()));
}

#[pg_extern]
fn webhook_unpark() {
    let Some(slot) = slots::here() else { return };
    let parked = slot.unpark();
    if parked || (slot.is_vacant() && slot.state() == State::Resting) {
        slot.set_state(State::Ended);
    }
    slots::hint_here();
}

fn wait_for<T>(deadline: Instant, condition: impl Fn() -> Option<T>) -> T {
    loop {
        if let Some(found) = condition() {
            return found;
        }
        if Instant::now() >= deadline {
            refuse(
                PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                "the dispatcher of this database has not ended yet",
                "It was told to, and will not be started again.",
                "Look at hydra.webhook_worker_status in a moment: without a pid it has ended.",
            );
        }
        process::wait_as_backend(None, LOOK_EVERY);
    }
}
