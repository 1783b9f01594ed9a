//! Starts a runner in each database in which something is due.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker};
use pgrx::prelude::*;

use super::catalog::read_catalog;
use super::failures::{self, Failures};
use super::{NAME, RESTART_DELAY};
use crate::backend::activity::{self, RUNNER};
use crate::backend::crash_loop::REST;
use crate::backend::{Failure, database_lock, stopping, transaction};
use crate::dispatcher::Start;
use crate::slots::runner::Trouble;
use crate::slots::{Shared, Slot};

/// How long a statement that needs a database without sessions waits for a flow. It fails after five seconds.
const PATIENCE: Duration = Duration::from_secs(1);

pub struct Runners {
    shared: &'static Shared,
    /// What is known of each runner, by the index of the slot of its database.
    known: HashMap<usize, Known>,
}

struct Known {
    database: pg_sys::Oid,
    worker: Option<DynamicBackgroundWorker>,
    /// The earliest time of the next start.
    next_start: Instant,
    was_alive: bool,
    /// Since when a statement needs the database without sessions.
    hinders_since: Option<Instant>,
    failures: Failures,
}

impl Runners {
    pub fn new(shared: &'static Shared) -> Self {
        Self { shared, known: HashMap::new() }
    }

    /// Starts runners where they are needed.
    pub fn look(&mut self) -> Result<(), Failure> {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let shared = self.shared;
        let wanting: Vec<(usize, pg_sys::Oid)> = shared
            .slots()
            .filter_map(|(index, slot)| Some((index, slot, slot.database()?)))
            .filter(|(index, slot, database)| self.wants_runner(*index, slot, *database, now, wall))
            .map(|(index, _, database)| (index, database))
            .collect();
        if wanting.is_empty() || stopping::is_stopping() {
            return Ok(());
        }
        let Some(catalog) = transaction(c"read the list of databases", read_catalog)? else { return Ok(()) };
        for (index, database) in wanting {
            if let Some(start) = catalog.databases.iter().find(|start| start.database == database) {
                self.start(index, start);
            }
        }
        Ok(())
    }

    /// Returns whether a runner is to be started. Records its end if it has ended.
    fn wants_runner(
        &mut self,
        index: usize,
        slot: &Slot,
        database: pg_sys::Oid,
        now: Instant,
        wall: SystemTime,
    ) -> bool {
        let runner = slot.runner();
        let is_due = runner.due().is_some_and(|due| due <= wall);
        if self.known.get(&index).is_some_and(|known| known.database != database) {
            self.known.remove(&index);
        }
        if let Some(known) = self.known.get_mut(&index) {
            let is_alive = known.is_alive(slot);
            if known.was_alive && !is_alive {
                known.note_end(slot, now);
            }
            known.was_alive = is_alive;
            known.give_way(slot, now);
            if is_alive || now < known.next_start {
                return false;
            }
        }
        // A statement that needs the database without sessions goes first.
        is_due && slot.has_extension() && !slot.is_parked() && !runs_in(slot) && database_lock::is_free(database)
    }

    fn start(&mut self, index: usize, start: &Start) {
        let runner = self.shared.slot(index).runner();
        let worker = BackgroundWorkerBuilder::new(&activity::title(RUNNER, &start.name))
            .set_type(RUNNER)
            .set_library("hydra_webhooks")
            .set_function("hydra_webhooks_runner_main")
            .enable_spi_access()
            .set_argument(Some(pg_sys::Datum::from(index)))
            .set_extra(&start.to_extra())
            .set_notify_pid(std::process::id() as i32)
            .load_dynamic();
        let known = self.known.entry(index).or_insert_with(|| Known::new(start.database));
        known.worker = worker.ok();
        known.next_start = Instant::now() + RESTART_DELAY;
        known.was_alive = known.worker.is_some();
        if known.was_alive {
            runner.set_trouble(Trouble::None);
        } else if runner.trouble() != Trouble::NoWorker {
            runner.set_trouble(Trouble::NoWorker);
            let name = &start.name;
            warning!(
                "{NAME}: no background worker slot is free for the runner of database \"{name}\": raise max_worker_processes"
            );
        }
    }
}

impl Known {
    fn new(database: pg_sys::Oid) -> Self {
        let (now, failures) = (Instant::now(), Failures::default());
        Self { database, worker: None, next_start: now, was_alive: false, hinders_since: None, failures }
    }

    /// Returns whether the runner runs, or is about to run.
    fn is_alive(&self, slot: &Slot) -> bool {
        match self.worker.as_ref().map(DynamicBackgroundWorker::pid) {
            Some(Ok(_) | Err(BackgroundWorkerStatus::NotYetStarted)) => true,
            Some(Err(_)) => false,
            None => runs_in(slot),
        }
    }

    /// Ends a runner that a statement waits for. The runner looks for that too, but not while it runs a flow.
    fn give_way(&mut self, slot: &Slot, now: Instant) {
        let hinders = self.was_alive && !database_lock::is_free(self.database);
        self.hinders_since = hinders.then(|| self.hinders_since.unwrap_or(now));
        if self.hinders_since.is_some_and(|since| now >= since + PATIENCE) {
            self.hinders_since = None;
            slot.runner().end();
        }
    }

    /// Records the end of a runner. One that has failed several times is started again later.
    fn note_end(&mut self, slot: &Slot, now: Instant) {
        let rests = match slot.runner().has_ended_well() {
            true => slot.runner().trouble() == Trouble::Resting,
            false => self.failures.are_too_many(now),
        };
        if rests {
            if slot.runner().trouble() != Trouble::Resting {
                let (failed, rest) = (failures::description(), REST.as_secs() / 60);
                let database = self.database.to_u32();
                warning!("{NAME}: the runner of the database with OID {database} {failed}; next start in {rest} min");
                slot.runner().set_trouble(Trouble::Resting);
            }
            self.next_start = now + REST;
        }
    }
}

/// Returns whether a runner runs in the database of this slot.
fn runs_in(slot: &Slot) -> bool {
    // SAFETY: looks a number up in the array of processes.
    slot.runner().pid().is_some_and(|pid| unsafe { !pg_sys::BackendPidGetProc(pid).is_null() })
}
