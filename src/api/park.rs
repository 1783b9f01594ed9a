//! `webhook_park` and `webhook_unpark`: whether the extension runs a process in this database. Without one, the database
//! can be renamed, copied or dropped.
//!
//! Both take effect at once, even if the transaction is rolled back. The state is kept in shared memory, so a restart of
//! the server forgets it: it could not be read from the database without connecting to it.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::status::is_standby;
use crate::backend::refuse::refuse;
use crate::backend::signals;
use crate::slots::{self, Slot, State};

/// A dispatcher that ends waits a moment for its requests to finish, and writes their outcomes.
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
        // The launcher assigns a slot to the database.
        slots::hint_here();
        let slot = wait_for(deadline, slots::here).unwrap_or_else(|| refuse_without_slot());
        slot.park();
        wait_for(deadline, || slot.is_vacant().then_some(())).unwrap_or_else(|| refuse_busy());
        // Otherwise the launcher has just taken the slot away.
        if slots::here().is_some_and(Slot::is_parked) {
            return;
        }
    }
}

#[pg_extern]
fn webhook_unpark() {
    let Some(slot) = slots::here() else { return };
    // Before unparking, while no dispatcher can be started in the slot. One that is still running ends, or goes on.
    if slot.is_vacant() && (slot.is_parked() || slot.state() == State::Resting) {
        slot.set_state(State::Ended);
    }
    slot.unpark();
    slots::hint_here();
}

/// `None` if the deadline has passed.
fn wait_for<T>(deadline: Instant, condition: impl Fn() -> Option<T>) -> Option<T> {
    loop {
        let found = condition();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        signals::wait_as_backend(None, LOOK_EVERY);
    }
}

fn refuse_without_slot() -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the launcher has not reached this database yet",
        "It skips templates, and databases to which hydra_worker may not connect. Nothing runs here, and nothing is parked.",
        "If more databases have the extension than the launcher can serve, the server log says so.",
    )
}

fn refuse_busy() -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
        "the dispatcher of this database has not ended yet",
        "It was asked to end, and will not be started again.",
        "Look at hydra.webhook_worker_status in a moment: if pid is null, it has ended.",
    )
}
