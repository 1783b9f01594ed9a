//! `webhook_park` and `webhook_unpark`: no process of ours in this database, so that it can be renamed, copied or dropped.
//!
//! Both work at once, whatever becomes of the transaction, and are remembered in shared memory: a restart of the server
//! forgets them, as nothing could be read of a database without connecting to it.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::status::is_standby;
use crate::backend::refuse::refuse;
use crate::process;
use crate::slots::{self, Slot, State};

/// A dispatcher lets its requests finish for a moment and writes what they came to.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[pg_extern]
fn webhook_park() {
    if slots::shared().is_none() || is_standby() {
        notice!("nothing of hydra_webhooks runs in this database");
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The launcher gives a database its slot.
        slots::hint_here();
        let slot = wait_for(deadline, slots::here).unwrap_or_else(|| refuse_without_slot());
        slot.park();
        wait_for(deadline, || slot.is_vacant().then_some(())).unwrap_or_else(|| refuse_busy());
        // Unless the launcher was just about to take the slot away.
        if slots::here().is_some_and(Slot::is_parked) {
            return;
        }
    }
}

#[pg_extern]
fn webhook_unpark() {
    let Some(slot) = slots::here() else { return };
    // First, while nobody can be started in it; one that is still there ends, or goes on.
    if slot.is_vacant() && (slot.is_parked() || slot.state() == State::Resting) {
        slot.set_state(State::Ended);
    }
    slot.unpark();
    slots::hint_here();
}

/// `None` at the deadline.
fn wait_for<T>(deadline: Instant, condition: impl Fn() -> Option<T>) -> Option<T> {
    loop {
        let found = condition();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        process::wait_as_backend(None, LOOK_EVERY);
    }
}

fn refuse_without_slot() -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the launcher has not come to this database",
        "It leaves out templates, and databases to which hydra_worker may not connect. Nothing runs here, and nothing is parked.",
        "The server log says if more databases have the extension than it can serve.",
    )
}

fn refuse_busy() -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
        "the dispatcher of this database has not ended yet",
        "It was told to, and will not be started again.",
        "Look at hydra.webhook_worker_status in a moment: without a pid it has ended.",
    )
}
