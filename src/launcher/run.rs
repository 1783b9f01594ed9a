//! What the launcher knows of one dispatcher: its process, when it was started, how often it failed.

use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker};
use pgrx::prelude::*;

use crate::backend::activity::{DISPATCHER, LAUNCHER as NAME};
use crate::backend::crash_loop::REST;
use crate::slots::{Slot, State};

/// After this many failures within this time a dispatcher is not started again for [`REST`].
const FAILURES: usize = 3;
const FAILURES_WITHIN: Duration = Duration::from_secs(60);

pub struct Run {
    worker: Option<DynamicBackgroundWorker>,
    pub started: Instant,
    failures: Vec<Instant>,
}

impl Run {
    pub fn new(now: Instant) -> Self {
        Self { worker: None, started: now, failures: Vec::new() }
    }

    /// Starts a dispatcher. Returns false if there is no free background worker slot (`max_worker_processes`).
    pub fn start(&mut self, index: usize, database: pg_sys::Oid, worker_role: pg_sys::Oid) -> bool {
        let worker = BackgroundWorkerBuilder::new(DISPATCHER)
            .set_type(DISPATCHER)
            .set_library("hydra_webhooks")
            .set_function("hydra_webhooks_dispatcher_main")
            .enable_spi_access()
            .set_argument(Some(pg_sys::Datum::from(index)))
            .set_extra(&format!("{} {}", database.to_u32(), worker_role.to_u32()))
            .set_notify_pid(std::process::id() as i32)
            .load_dynamic();
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

    /// Records that the dispatcher ended without being asked to. Returns the state that decides when it is started
    /// again.
    pub fn state_after_failure(&mut self, now: Instant, database: pg_sys::Oid) -> State {
        self.failures.retain(|failure| now.duration_since(*failure) < FAILURES_WITHIN);
        self.failures.push(now);
        if self.failures.len() < FAILURES {
            return State::Ended;
        }
        self.failures.clear();
        self.started = now;
        let (database, within, rest) = (database.to_u32(), FAILURES_WITHIN.as_secs(), REST.as_secs() / 60);
        warning!(
            "{NAME}: the dispatcher of database {database} failed {FAILURES} times in {within} s; next start in {rest} min"
        );
        State::Resting
    }
}

/// Returns whether a dispatcher runs in this slot. If only the launcher was restarted, it has no handles of the
/// dispatchers that were started before; it knows them by their process ids.
pub fn runs_in(slot: &Slot) -> bool {
    // SAFETY: looks a number up in the array of processes.
    slot.pid().is_some_and(|pid| unsafe { !pg_sys::BackendPidGetProc(pid).is_null() })
}
