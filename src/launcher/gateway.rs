//! Decides which database the gateway of this server serves, and keeps a supervisor running there.
//!
//! The administrator names the database, or it is the only one with the extension. If another database gets the extension
//! later, the gateway stays where it is until the server restarts, so that nobody who creates an extension stops it.

use std::mem;
use std::time::Instant;

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker};
use pgrx::prelude::*;

use super::catalog::{Catalog, read_catalog};
use super::failures::{self, Failures};
use super::{NAME, RESTART_DELAY};
use crate::backend::activity::{self, SUPERVISOR};
use crate::backend::crash_loop::REST;
use crate::backend::{Failure, database_lock, stopping, transaction};
use crate::dispatcher::Start;
use crate::settings;
use crate::slots::gateway::{Decision, GatewayState as State};
use crate::slots::{Shared, Slot};

pub struct GatewayRun {
    shared: &'static Shared,
    worker: Option<DynamicBackgroundWorker>,
    /// The earliest time of the next start of a supervisor.
    next_start: Instant,
    failures: Failures,
    /// The databases with the extension when the decision was made, and whether they are parked.
    known: Vec<(pg_sys::Oid, bool)>,
    was_alive: bool,
}

impl GatewayRun {
    pub fn new(shared: &'static Shared) -> Self {
        Self {
            shared,
            worker: None,
            next_start: Instant::now(),
            failures: Failures::default(),
            known: Vec::new(),
            was_alive: false,
        }
    }

    /// Starts or ends the supervisor. `knows_all`: all databases were looked at. `is_reloaded`: settings may have changed.
    pub fn look(&mut self, knows_all: bool, is_reloaded: bool) -> Result<(), Failure> {
        let gateway = self.shared.gateway();
        let now = Instant::now();
        let is_alive = self.is_alive();
        if self.was_alive && !is_alive {
            self.note_end(now);
        }
        self.was_alive = is_alive;
        if is_reloaded {
            self.next_start = now;
        }
        if settings::gateway::listen().is_none() {
            gateway.decide(Decision::Off, None, false);
            return Ok(());
        }
        let known = self.shared.slots().filter(|(_, slot)| slot.has_extension());
        let known = known.filter_map(|(_, slot)| Some((slot.database()?, slot.is_parked()))).collect();
        let is_changed = mem::replace(&mut self.known, known) != self.known || is_reloaded;
        if !is_changed && (is_alive || now < self.next_start) {
            return Ok(());
        }
        let Some(catalog) = transaction(c"read the list of databases", read_catalog)? else {
            gateway.decide(Decision::Looking, None, false);
            return Ok(());
        };
        let (decision, database) = self.decide(&catalog, knows_all);
        let is_ambiguous = settings::gateway::database().is_none() && self.known.len() > 1;
        gateway.decide(decision, database, is_ambiguous);
        let start = catalog.databases.iter().find(|start| Some(start.database) == database);
        if let Some(start) = start.filter(|_| !is_alive && now >= self.next_start) {
            self.start(start);
        }
        Ok(())
    }

    fn decide(&self, catalog: &Catalog, knows_all: bool) -> (Decision, Option<pg_sys::Oid>) {
        let has_extension = |oid: pg_sys::Oid| self.known.iter().any(|(known, _)| *known == oid);
        let found = match settings::gateway::database() {
            Some(name) => match catalog.databases.iter().find(|start| start.name == name) {
                None => Err(Decision::Unknown),
                Some(start) if has_extension(start.database) => Ok(start.database),
                Some(_) if knows_all => Err(Decision::WithoutExtension),
                Some(_) => Err(Decision::Looking),
            },
            None => match (self.shared.gateway().wanted(), &self.known[..]) {
                (Some(served), _) if has_extension(served) => Ok(served),
                (_, [(only, _)]) if knows_all => Ok(*only),
                (_, [_, _, ..]) => Err(Decision::Several),
                _ => Err(Decision::Looking),
            },
        };
        match found {
            Ok(database) if catalog.databases.iter().any(|start| start.database == database) => {
                (Decision::Serve, Some(database))
            }
            Ok(_) => (Decision::Unknown, None),
            Err(decision) => (decision, None),
        }
    }

    fn start(&mut self, start: &Start) {
        // A statement that needs the database without sessions goes first, and so does the end of the server. A parked
        // database is left alone.
        let is_parked = self.shared.slot_of(start.database).is_some_and(Slot::is_parked);
        if is_parked || !database_lock::is_free(start.database) || stopping::is_stopping() {
            return;
        }
        let worker = BackgroundWorkerBuilder::new(&activity::title(SUPERVISOR, &start.name))
            .set_type(SUPERVISOR)
            .set_library("hydra_webhooks")
            .set_function("hydra_webhooks_supervisor_main")
            .enable_spi_access()
            .set_extra(&start.to_extra())
            .set_notify_pid(std::process::id() as i32)
            .load_dynamic();
        self.worker = worker.ok();
        self.next_start = Instant::now() + RESTART_DELAY;
        let gateway = self.shared.gateway();
        if self.worker.is_some() {
            self.was_alive = true;
        } else if gateway.state() != State::NoWorker {
            gateway.set_state(State::NoWorker);
            warning!("{NAME}: no background worker slot is free for the gateway: raise max_worker_processes");
        }
    }

    /// Records the end of a supervisor. One that has failed several times is started again later.
    fn note_end(&mut self, now: Instant) {
        let gateway = self.shared.gateway();
        let rests = match gateway.state() {
            State::Ended => false,
            State::Resting => true,
            _ => {
                self.failures.are_too_many(now) && {
                    let (failed, rest) = (failures::description(), REST.as_secs() / 60);
                    warning!("{NAME}: the supervisor of the gateway {failed}; next start in {rest} min");
                    gateway.set_state(State::Resting);
                    true
                }
            }
        };
        self.next_start = now + if rests { REST } else { RESTART_DELAY };
    }

    /// Returns whether a supervisor runs, or is about to run. After a restart of the launcher alone, it is known by its
    /// process id.
    fn is_alive(&self) -> bool {
        match self.worker.as_ref().map(DynamicBackgroundWorker::pid) {
            Some(Ok(_) | Err(BackgroundWorkerStatus::NotYetStarted)) => true,
            Some(Err(_)) => false,
            // SAFETY: looks a number up in the array of processes.
            None => self
                .shared
                .gateway()
                .supervisor()
                .is_some_and(|pid| unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }),
        }
    }
}
