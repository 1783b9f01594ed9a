//! The process around the runner's loop: starts it, connects it to the database, and records its end.

use std::time::SystemTime;

use pgrx::prelude::*;

use super::turn::Runner;
use crate::backend::activity::RUNNER as NAME;
use crate::backend::crash_loop::{self, CrashLoop, REST};
use crate::backend::database_lock::DatabaseLock;
use crate::backend::{extension_lock, setting, signals, transaction};
use crate::dispatcher::Start;
use crate::identity::Identity;
use crate::slots::runner::Trouble;
use crate::slots::{Slot, shared};

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn hydra_webhooks_runner_main(arg: pg_sys::Datum) {
    signals::attach();
    let shared = shared().expect("only the launcher starts runners");
    let slot = shared.slot(arg.value());
    // SAFETY: the callback is guarded; its argument is the index of the slot.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), arg) };
    // Before it connects, as a dispatcher does, so that webhook_park() sees it.
    slot.runner().enter(SystemTime::now());
    if !slot.is_parked() {
        serve(slot);
    }
    slot.runner().end_well();
    // SAFETY: the regular way for a worker to end.
    unsafe { pg_sys::proc_exit(0) }
}

/// Connects to the database and runs the loop, unless the runner has crashed too often, a statement needs the database
/// without sessions, there is no extension, or the database is a copy that was not adopted.
fn serve(slot: &'static Slot) {
    let start = Start::of_this_worker();
    let crash_loop = CrashLoop::of_runner(slot);
    if !crash_loop.may_start() {
        let (database, crashed, rest) = (&start.name, crash_loop::description(), REST.as_secs() / 60);
        warning!("{NAME} of database \"{database}\" {crashed}; next start in {rest} min");
        return slot.runner().set_trouble(Trouble::Resting);
    }
    let lock = DatabaseLock::try_take(start.database);
    if lock.is_none() || !start.exists() {
        return;
    }
    connect(&start);
    drop(lock);
    match transaction(c"look for the extension", may_run) {
        Ok(true) => Runner::new(slot, crash_loop).run(),
        Ok(false) => slot.runner().take_due(),
        Err(failure) => failure.warn(NAME, 0),
    }
}

fn may_run() -> bool {
    extension_lock::find().is_some() && Identity::read().is_here()
}

/// Connects to the database as the role of the workers, and sets the parameters on which the runner depends.
fn connect(start: &Start) {
    start.connect(NAME);
    setting::pin_no_transaction_timeout();
    // For its own statements. Flows run with that of requests.
    setting::pin(c"lock_timeout", c"5s");
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: i32, arg: pg_sys::Datum) {
    let Some(slot) = shared().map(|shared| shared.slot(arg.value())) else { return };
    CrashLoop::of_runner(slot).end();
    // What was noted may have been taken already.
    if !slot.runner().has_ended_well() {
        slot.runner().note(SystemTime::now());
    }
    slot.runner().leave();
    if let Some(shared) = shared() {
        shared.wake_launcher();
    }
}
