//! `webhook_park` ends the processes of the extension in this database and prevents others from starting, so that the
//! database can be renamed, copied or dropped. `webhook_unpark` allows them again.
//!
//! Both functions take effect at once, and a rollback does not undo them. The state is kept only in shared memory, so
//! it is lost at a restart of the server. It cannot be stored in the database, because the launcher would have to
//! connect to the database to read it.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::status::is_standby;
use crate::backend::refuse::refuse;
use crate::backend::signals;
use crate::serve::rehearse;
use crate::settings;
use crate::slots::{self, Slot, State};

/// How long to wait for the dispatcher to end: it first waits a moment for its requests to finish, and writes their
/// outcomes.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[pg_extern]
fn webhook_park() {
    rehearse::refuse_in_rehearsal("hydra.webhook_park");
    let Some(shared) = slots::shared().filter(|_| !is_standby() && !settings::is_left_out()) else {
        notice!("nothing of hydra_webhooks runs in this database");
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The launcher assigns a slot to the database if it has none.
        slots::hint_here();
        let slot = wait_for(deadline, slots::here).unwrap_or_else(|| refuse_without_slot());
        slot.park();
        shared.gateway().wake();
        // SAFETY: set when the backend connected, and never changed.
        let is_served = || shared.gateway().occupies(unsafe { pg_sys::MyDatabaseId });
        wait_for(deadline, || (slot.is_vacant() && slot.runner().pid().is_none() && !is_served()).then_some(()))
            .unwrap_or_else(|| refuse_busy());
        // If this is no longer the slot of the database, the launcher has freed it meanwhile: try again.
        if slots::here().is_some_and(Slot::is_parked) {
            return;
        }
    }
}

#[pg_extern]
fn webhook_unpark() {
    rehearse::refuse_in_rehearsal("hydra.webhook_unpark");
    let Some(slot) = slots::here() else { return };
    // Set the state before unparking: until then no dispatcher can start in the slot, so this cannot overwrite the
    // state of a new one. If a dispatcher is still running, leave its state alone.
    if slot.is_vacant() && (slot.is_parked() || slot.state() == State::Resting) {
        slot.set_state(State::Ended);
    }
    slot.unpark();
    slots::hint_here();
}

/// Waits until `condition` returns a value; returns `None` if the deadline passes first.
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
        "It skips template databases, and databases to which hydra_worker may not connect. The database was not parked.",
        "If more databases have the extension than the launcher can serve, the server log says so.",
    )
}

fn refuse_busy() -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
        "the dispatcher, the runner or the gateway of this database has not ended yet",
        "They were asked to end, and will not be started again.",
        "Look at hydra.webhook_worker_status, hydra.runner_status and hydra.gateway_status in a moment: if pid is null in all, they have ended.",
    )
}
