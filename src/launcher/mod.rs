//! Finds the databases that have the extension, and keeps a dispatcher running in each.
//!
//! A worker can connect to only one database in its life. So the launcher does not connect to any. It starts a
//! dispatcher in each database one time. If the dispatcher finds no extension, it records that in its slot, and ends.
//! After that, the launcher starts a dispatcher in this database only if it is asked to: by CREATE EXTENSION, or by an
//! emit in a database without a dispatcher. Once a minute it looks for new databases. It skips template databases,
//! because a connection to one would block CREATE DATABASE.

mod catalog;
mod run;

use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;

use crate::backend::activity::{self, LAUNCHER as NAME};
use crate::backend::crash_loop::{self, CrashLoop, REST};
use crate::backend::{Failure, signals, transaction};
use crate::slots::{MAX_DATABASES, Shared, Slot, State, shared};
use catalog::{Catalog, read_catalog};
use run::Run;

const LOOK_FOR_NEW_DATABASES: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(1);

/// A dispatcher that ended is started again at the earliest this long after its previous start.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// Registers the launcher as a background worker. To be called while the postmaster loads the library.
pub fn register() {
    BackgroundWorkerBuilder::new(NAME)
        .set_type(NAME)
        .set_library("hydra_webhooks")
        .set_function("hydra_webhooks_launcher_main")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(1)))
        .load();
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn hydra_webhooks_launcher_main(_arg: pg_sys::Datum) {
    signals::attach();
    // SAFETY: called first in the life of the worker; without a database, shared catalogs can be read.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    let Some(shared) = shared() else { return };
    activity::introduce(NAME);
    shared.enter_launcher();
    let crash_loop = CrashLoop::of_launcher();
    if !crash_loop.may_start() {
        warning!("{NAME} {}; next start in {} min, or on a reload", crash_loop::description(), REST.as_secs() / 60);
        rest();
    }
    log!("{NAME} started");
    run(Launcher::new(shared), &crash_loop);
    log!("{NAME} stopped");
    // SAFETY: the regular way for a worker to end. After exit code 0 it would never be started again.
    unsafe { pg_sys::proc_exit(1) }
}

fn run(mut launcher: Launcher, crash_loop: &CrashLoop) {
    let mut is_first = true;
    while !signals::stop_requested() {
        signals::reload_requested();
        if let Err(failure) = launcher.look() {
            failure.warn(NAME, 0);
        }
        if mem::take(&mut is_first) {
            crash_loop.end();
        }
        signals::wait(None, TICK);
    }
}

/// Waits for [`REST`], or until a reload or the end of the process is requested.
fn rest() {
    // Discards a reload that was requested before; only a later one ends the wait.
    signals::reload_requested();
    let end = Instant::now() + REST;
    while !signals::stop_requested() && !signals::reload_requested() && Instant::now() < end {
        signals::wait(None, TICK);
    }
}

struct Launcher {
    shared: &'static Shared,
    /// What is known of each dispatcher, by the index of its slot.
    runs: HashMap<usize, Run>,
    /// Databases that were looked at and do not have the extension.
    absent: HashSet<pg_sys::Oid>,
    next_look: Instant,
}

impl Launcher {
    fn new(shared: &'static Shared) -> Self {
        Self { shared, runs: HashMap::new(), absent: HashSet::new(), next_look: Instant::now() }
    }

    /// Starts dispatchers where they are needed.
    fn look(&mut self) -> Result<(), Failure> {
        fault::point("launcher");
        let now = Instant::now();
        let restart = self.slots_to_restart(now);
        // Hints are the databases that backends have asked the launcher to look at. Take them after slots were freed,
        // so that no CREATE EXTENSION is missed. If it committed before its slot was freed, it set the wake flag of the
        // slot, which `settle_absent` checks. If it committed later, it found no slot and left a hint.
        let hints = self.shared.take_hints();
        self.absent.retain(|database| !hints.contains(database));
        if hints.is_empty() && restart.is_empty() && now < self.next_look {
            return Ok(());
        }
        let Some(catalog) = transaction(c"read the list of databases", read_catalog)? else {
            return Ok(());
        };
        for index in restart {
            self.restart(index, &catalog);
        }
        self.forget_dropped(&catalog.existing);
        self.absent.retain(|oid| catalog.databases.contains(oid));
        for database in catalog.databases {
            if self.shared.slot_of(database).is_none() && !self.absent.contains(&database) {
                self.start_in(database, catalog.worker_role);
            }
        }
        self.next_look = now + LOOK_FOR_NEW_DATABASES;
        Ok(())
    }

    /// Records which dispatchers have ended, and returns the slots in which a dispatcher is to be started again.
    fn slots_to_restart(&mut self, now: Instant) -> Vec<usize> {
        (0..MAX_DATABASES).filter(|index| self.wants_restart(*index, now)).collect()
    }

    /// Returns whether a dispatcher is to be started again in this slot. If the dispatcher has ended, updates the
    /// state.
    fn wants_restart(&mut self, index: usize, now: Instant) -> bool {
        let slot = self.shared.slot(index);
        let Some(database) = slot.database() else { return false };
        let run = self.runs.entry(index).or_insert_with(|| Run::new(now));
        if run.is_alive(slot) {
            return false;
        }
        if slot.is_parked() {
            slot.set_state(State::Ended);
            return false;
        }
        match slot.state() {
            State::Absent => {
                self.settle_absent(index, slot, database);
                false
            }
            State::Ended | State::NoWorker => now >= run.started + RESTART_DELAY,
            State::Resting => now >= run.started + REST,
            State::Starting | State::Running | State::Off | State::Foreign | State::Failed => {
                slot.set_state(run.state_after_failure(now, database));
                false
            }
        }
    }

    /// Frees the slot of a database that does not have the extension.
    fn settle_absent(&mut self, index: usize, slot: &Slot, database: pg_sys::Oid) {
        // If the wake flag is set, no dispatcher has seen that commit: the extension may have been created again after
        // the dispatcher looked for it.
        if slot.take_wake() {
            slot.set_state(State::Ended);
        } else {
            self.absent.insert(database);
            self.runs.remove(&index);
            slot.free();
        }
    }

    fn restart(&mut self, index: usize, catalog: &Catalog) {
        let slot = self.shared.slot(index);
        let Some(database) = slot.database() else { return };
        if catalog.databases.contains(&database) {
            self.start(index, database, catalog.worker_role);
        } else {
            self.runs.remove(&index);
            slot.free();
        }
    }

    /// Frees the slots of parked databases that were dropped. Other slots are freed when their dispatcher is to be
    /// started again.
    fn forget_dropped(&mut self, existing: &[pg_sys::Oid]) {
        for (index, slot) in self.shared.slots() {
            let exists = slot.database().is_none_or(|database| existing.contains(&database));
            let is_alive = self.runs.get(&index).map_or_else(|| run::runs_in(slot), |run| run.is_alive(slot));
            if slot.is_parked() && !exists && !is_alive {
                self.runs.remove(&index);
                slot.free();
            }
        }
    }

    fn start_in(&mut self, database: pg_sys::Oid, worker_role: pg_sys::Oid) {
        match self.shared.free_slot() {
            Some((index, slot)) => {
                slot.assign(database);
                self.start(index, database, worker_role);
            }
            None => warning!("{NAME}: more than {MAX_DATABASES} databases have the extension"),
        }
    }

    fn start(&mut self, index: usize, database: pg_sys::Oid, worker_role: pg_sys::Oid) {
        let slot = self.shared.slot(index);
        let had_no_worker = slot.state() == State::NoWorker;
        slot.set_state(State::Starting);
        let run = self.runs.entry(index).or_insert_with(|| Run::new(Instant::now()));
        if !run.start(index, database, worker_role) {
            // The launcher tries again each second.
            slot.set_state(State::NoWorker);
            if !had_no_worker {
                let oid = database.to_u32();
                warning!("{NAME}: no background worker slot is free for database {oid}: raise max_worker_processes");
            }
        }
    }
}
