//! Finds the databases that have the extension, and keeps a dispatcher running in each, the supervisor of the gateway in one,
//! and a runner in those in which something is due.
//!
//! A worker can connect to only one database in its life. So the launcher does not connect to any. It *probes* each
//! database one time: it starts a dispatcher. If the dispatcher finds no extension, it records that in its slot, and
//! ends. After that, the launcher starts a dispatcher in this database only if it is asked to: by CREATE EXTENSION, or by
//! an emit in a database without a dispatcher. Once a minute it looks for new databases. It skips template databases,
//! because a connection to one would block CREATE DATABASE, and databases that the worker may not enter. When one of
//! these opens, it looks there at once.
//!
//! A probe takes a background worker slot, which others need too, such as parallel queries. So there are few at a time.
//! Nothing is logged about a database before it is known to have the extension.

mod catalog;
mod failures;
mod gateway;
mod news;
mod run;
mod runners;

use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;

use crate::backend::activity::{self, LAUNCHER as NAME};
use crate::backend::complaints::Complaints;
use crate::backend::crash_loop::{self, CrashLoop, REST};
use crate::backend::{Failure, database_lock, setting, signals, transaction};
use crate::dispatcher::Start;
use crate::slots::{MAX_DATABASES, Shared, Slot, State, shared};
use catalog::{Catalog, read_catalog};
use gateway::GatewayRun;
use run::Run;
use runners::Runners;

const LOOK_FOR_NEW_DATABASES: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(1);

/// A dispatcher that ended is started again at the earliest this long after its previous start.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// The maximum number of probes at a time.
const PROBES: usize = 2;

/// A warning is logged if probes have waited for a background worker slot for this long.
const PROBES_WAIT: Duration = Duration::from_secs(10);

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
    setting::pin_no_transaction_timeout();
    // SAFETY: called first in the life of the worker; without a database, shared catalogs can be read.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    let Some(shared) = shared() else { return };
    activity::introduce(NAME);
    news::listen();
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
    let mut complaints = Complaints::new(NAME);
    while !signals::stop_requested() {
        let is_reloaded = signals::reload_requested();
        // An error of one keeps none of the others from being looked after.
        let looked = [launcher.look(is_reloaded), launcher.look_after_gateway(is_reloaded), launcher.runners.look()];
        looked.into_iter().filter_map(Result::err).for_each(|failure| complaints.warn(&failure));
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
    /// Databases that the worker could not enter when they were last looked at.
    closed: HashSet<pg_sys::Oid>,
    /// Databases that `hydra_webhooks.databases` left out when they were last looked at.
    left_out: HashSet<pg_sys::Oid>,
    /// Databases that have the extension and for which there is no slot.
    surplus: HashSet<pg_sys::Oid>,
    /// Since when there is no background worker slot for a probe, and whether that was logged.
    probes_wait: Option<(Instant, bool)>,
    next_look: Instant,
    /// Whether databases wait to be looked at.
    is_behind: bool,
    gateway: GatewayRun,
    runners: Runners,
}

impl Launcher {
    fn new(shared: &'static Shared) -> Self {
        Self {
            shared,
            runs: HashMap::new(),
            absent: HashSet::new(),
            closed: HashSet::new(),
            left_out: HashSet::new(),
            surplus: HashSet::new(),
            probes_wait: None,
            next_look: Instant::now(),
            is_behind: true,
            gateway: GatewayRun::new(shared),
            runners: Runners::new(shared),
        }
    }

    fn look_after_gateway(&mut self, is_reloaded: bool) -> Result<(), Failure> {
        let knows_all = !self.is_behind && self.probes() == 0;
        self.gateway.look(knows_all, is_reloaded)
    }

    /// Starts dispatchers where they are needed.
    fn look(&mut self, is_reloaded: bool) -> Result<(), Failure> {
        fault::point("launcher");
        let now = Instant::now();
        if is_reloaded {
            self.left_out.clear();
            self.next_look = now;
        }
        let restart = self.slots_to_restart(now);
        // Hints are the databases that backends have asked the launcher to look at. Take them after slots were freed,
        // so that no CREATE EXTENSION is missed. If it committed before its slot was freed, it set the wake flag of the
        // slot, which `settle_absent` checks. If it committed later, it found no slot and left a hint.
        let hints = self.shared.take_hints(&self.left_out);
        self.absent.retain(|database| !hints.contains(database));
        // Only functions of the extension leave hints.
        hints.iter().filter_map(|database| self.shared.slot_of(*database)).for_each(Slot::set_has_extension);
        let only_opened = hints.is_empty() && restart.is_empty() && now < self.next_look;
        if !news::take()? && only_opened {
            return Ok(());
        }
        let Some(catalog) = transaction(c"read the list of databases", read_catalog)? else {
            return Ok(());
        };
        for (_, slot) in self.shared.slots() {
            slot.set_left_out(slot.database().is_some_and(|database| catalog.left_out.contains(&database)));
        }
        for index in restart {
            self.restart(index, &catalog);
        }
        self.forget_dropped(&catalog.existing);
        let may_start = |oid: &pg_sys::Oid| catalog.databases.iter().any(|start| start.database == *oid);
        self.absent.retain(may_start);
        self.surplus.retain(|oid| catalog.existing.contains(oid));
        self.left_out.clone_from(&catalog.left_out);
        let closed = catalog.existing.iter().copied().filter(|oid| !may_start(oid)).collect();
        let was_closed = mem::replace(&mut self.closed, closed);
        // A database that was just created may be about to be renamed, copied or dropped: it has time.
        let may_enter = |oid: &pg_sys::Oid| !only_opened || was_closed.contains(oid);
        let is_new = |oid: &pg_sys::Oid| self.shared.slot_of(*oid).is_none();
        let new: Vec<&Start> =
            catalog.databases.iter().filter(|start| is_new(&start.database) && may_enter(&start.database)).collect();
        let waiting = new.into_iter().filter(|start| !self.take_on(start, hints.contains(&start.database))).count();
        if waiting > 0 {
            self.next_look = now;
        } else if !only_opened {
            self.next_look = now + LOOK_FOR_NEW_DATABASES;
        }
        self.is_behind = waiting > 0;
        self.complain_of_waiting(waiting, now);
        Ok(())
    }

    /// Starts a dispatcher in a database without a slot, unless it is known not to have the extension. Returns false if
    /// the database has to wait.
    fn take_on(&mut self, start: &Start, has_extension: bool) -> bool {
        if self.absent.contains(&start.database) {
            return true;
        }
        if !has_extension && self.probes() >= PROBES || !database_lock::is_free(start.database) {
            return false;
        }
        let Some((index, slot)) = self.shared.free_slot() else {
            if has_extension && self.surplus.insert(start.database) {
                let name = &start.name;
                warning!(
                    "{NAME}: nothing is sent from database \"{name}\": {MAX_DATABASES} others have the extension, which is the maximum"
                );
            }
            return true;
        };
        self.surplus.remove(&start.database);
        slot.assign(start.database, has_extension);
        self.start(index, start);
        slot.database().is_some()
    }

    /// Returns the number of running probes.
    fn probes(&self) -> usize {
        let is_probe = |index: usize, run: &Run| {
            let slot = self.shared.slot(index);
            !slot.has_extension() && run.is_alive(slot)
        };
        self.runs.iter().filter(|(index, run)| is_probe(**index, run)).count()
    }

    /// Warns if databases cannot be looked at, because there has been no background worker slot for some time.
    fn complain_of_waiting(&mut self, waiting: usize, now: Instant) {
        match &mut self.probes_wait {
            wait if waiting == 0 => *wait = None,
            Some((since, is_logged)) if !*is_logged && now >= *since + PROBES_WAIT => {
                *is_logged = true;
                ereport!(
                    PgLogLevel::WARNING,
                    PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                    format!(
                        "{NAME}: no background worker slot is free to look for the extension in {waiting} databases"
                    ),
                    "Raise max_worker_processes; hydra.webhook_doctor() says how many are needed."
                );
            }
            _ => {}
        }
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
            // A probe that gave way. The database is looked at again.
            State::Ended if !slot.has_extension() && !run.has_failed() => {
                self.forget(index);
                self.next_look = now;
                false
            }
            State::Ended | State::NoWorker => now >= run.started + RESTART_DELAY,
            State::Resting => now >= run.started + REST,
            State::Starting | State::Running | State::Off | State::Foreign | State::Failed => {
                slot.set_state(run.state_after_failure(now, slot));
                false
            }
        }
    }

    /// Frees the slot of a database that does not have the extension.
    fn settle_absent(&mut self, index: usize, slot: &Slot, database: pg_sys::Oid) {
        // If the wake flag is set, no dispatcher has seen that commit: the extension may have been created again after
        // the dispatcher looked for it.
        if slot.take_wake() {
            slot.set_has_extension();
            slot.set_state(State::Ended);
        } else {
            self.absent.insert(database);
            self.forget(index);
        }
    }

    /// Frees a slot.
    fn forget(&mut self, index: usize) {
        self.runs.remove(&index);
        self.shared.slot(index).free();
    }

    fn restart(&mut self, index: usize, catalog: &Catalog) {
        let slot = self.shared.slot(index);
        let Some(database) = slot.database() else { return };
        match catalog.databases.iter().find(|start| start.database == database) {
            // While a statement needs the database without sessions, the launcher tries again each second.
            Some(_) if !database_lock::is_free(database) => {}
            Some(start) => self.start(index, start),
            None => self.forget(index),
        }
    }

    /// Frees the slots of parked databases that were dropped. Other slots are freed when their dispatcher is to be
    /// started again.
    fn forget_dropped(&mut self, existing: &[pg_sys::Oid]) {
        for (index, slot) in self.shared.slots() {
            let exists = slot.database().is_none_or(|database| existing.contains(&database));
            let is_alive = self.runs.get(&index).map_or_else(|| run::runs_in(slot), |run| run.is_alive(slot));
            if slot.is_parked() && !exists && !is_alive {
                self.forget(index);
            }
        }
    }

    fn start(&mut self, index: usize, start: &Start) {
        let slot = self.shared.slot(index);
        let had_no_worker = slot.state() == State::NoWorker;
        slot.set_state(State::Starting);
        let run = self.runs.entry(index).or_insert_with(|| Run::new(Instant::now()));
        if run.start(index, start) {
            self.probes_wait = self.probes_wait.filter(|_| slot.has_extension());
            return;
        }
        // The launcher tries again each second.
        if !slot.has_extension() {
            self.probes_wait.get_or_insert((Instant::now(), false));
            return self.forget(index);
        }
        slot.set_state(State::NoWorker);
        if !had_no_worker {
            let name = &start.name;
            warning!("{NAME}: no background worker slot is free for database \"{name}\": raise max_worker_processes");
        }
    }
}
