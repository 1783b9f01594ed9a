//! What the launcher knows of one dispatcher: its process, when it was started, how often it failed.

use std::time::Instant;

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker};
use pgrx::prelude::*;

use super::failures::{self, Failures};
use crate::backend::activity::{self, DISPATCHER, LAUNCHER as NAME};
use crate::backend::crash_loop::REST;
use crate::dispatcher::Start;
use crate::slots::{Slot, State};

pub struct Run {
    /// The name of the database. Unknown if only the launcher was restarted, until it starts the dispatcher itself.
    name: Option<String>,
    worker: Option<DynamicBackgroundWorker>,
    pub started: Instant,
    failures: Failures,
}

impl Run {
    pub fn new(now: Instant) -> Self {
        Self { name: None, worker: None, started: now, failures: Failures::default() }
    }

    /// Starts a dispatcher. Returns false if there is no free background worker slot (`max_worker_processes`).
    pub fn start(&mut self, index: usize, start: &Start) -> bool {
        let worker = BackgroundWorkerBuilder::new(&activity::title(DISPATCHER, &start.name))
            .set_type(DISPATCHER)
            .set_library("hydra_webhooks")
            .set_function("hydra_webhooks_dispatcher_main")
            .enable_spi_access()
            .set_argument(Some(pg_sys::Datum::from(index)))
            .set_extra(&start.to_extra())
            .set_notify_pid(std::process::id() as i32)
            .load_dynamic();
        self.name = Some(start.name.clone());
        self.started = Instant::now();
        self.worker = worker.ok();
        self.worker.is_some()
    }

    /// Returns whether the dispatcher runs, or is about to run.
    pub fn is_alive(&self, slot: &Slot) -> bool {
        match self.worker.as_ref().map(DynamicBackgroundWorker::pid) {
            Some(Ok(_) | Err(BackgroundWorkerStatus::NotYetStarted)) => true,
            Some(Err(_)) => false,
            None => runs_in(slot),
        }
    }

    pub fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Records that the dispatcher ended without being asked to. Returns the state that decides when it is started
    /// again.
    pub fn state_after_failure(&mut self, now: Instant, slot: &Slot) -> State {
        if !self.failures.are_too_many(now) {
            return State::Ended;
        }
        self.started = now;
        if slot.has_extension() {
            let (database, failed, rest) = (self.database(slot), failures::description(), REST.as_secs() / 60);
            warning!("{NAME}: the dispatcher of database {database} {failed}; next start in {rest} min");
        }
        State::Resting
    }

    /// Returns what messages call the database.
    fn database(&self, slot: &Slot) -> String {
        match &self.name {
            Some(name) => format!("\"{name}\""),
            None => format!("with OID {}", slot.database().map_or(0, pg_sys::Oid::to_u32)),
        }
    }
}

/// Returns whether a dispatcher runs in this slot. If only the launcher was restarted, it has no handles of the
/// dispatchers that were started before; it knows them by their process ids.
pub fn runs_in(slot: &Slot) -> bool {
    // SAFETY: looks a number up in the array of processes.
    slot.pid().is_some_and(|pid| unsafe { !pg_sys::BackendPidGetProc(pid).is_null() })
}
