//! Finds the databases that have the extension and keeps a dispatcher running in each.
//!
//! A worker can connect to one database in its life, so the launcher connects to none and looks by sending somebody:
//! it starts a dispatcher in each database once, and one that finds no extension ends and says so. After that it looks
//! again where it is told to (CREATE EXTENSION, an emit where nobody listens) and, each minute, in databases that are
//! new. Template databases are left alone: a connection to one would be in the way of CREATE DATABASE.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker};
use pgrx::prelude::*;

use crate::first_steps::FirstSteps;
use crate::process;
use crate::slots::{MAX_DATABASES, Shared, Slot, State, shared};

/// Role that dispatchers connect as; there is none as long as the extension was never created in this cluster.
const WORKER_ROLE: &std::ffi::CStr = c"hydra_worker";

const LOOK_FOR_NEW_DATABASES: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(1);

/// A dispatcher that ends is started again no sooner than this after its start.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// What `datconnlimit` is for a database that was being dropped when the server went down.
const DROPPED: i32 = -2;

/// So many failures in so much time, and a dispatcher rests: a cluster that restarts all the time lets no client in.
const FAILURES: usize = 3;
const FAILURES_WITHIN: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_secs(300);

/// To be called while the postmaster loads us.
pub fn register() {
    BackgroundWorkerBuilder::new("hydra_webhooks launcher")
        .set_type("hydra_webhooks launcher")
        .set_library("hydra_webhooks")
        .set_function("hydra_webhooks_launcher_main")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(1)))
        .load();
}

#[pg_guard]
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
pub extern "C-unwind" fn hydra_webhooks_launcher_main(_arg: pg_sys::Datum) {
    process::attach_signals();
    // SAFETY: first thing in the life of the worker; without a database, shared catalogs can be read.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    let Some(shared) = shared() else { return };
    shared.enter_launcher();
    let first_steps = FirstSteps::of_launcher();
    if !first_steps.may_begin() {
        warning!("hydra_webhooks: the launcher crashed again and again, and rests for some minutes or until a reload");
        rest();
    }
    let mut launcher = Launcher::new(shared);
    let mut in_first_steps = true;
    while !process::stop_requested() {
        process::reload_requested();
        if let Err(error) = launcher.look() {
            warning!("hydra_webhooks launcher: {error}");
        }
        if mem::take(&mut in_first_steps) {
            first_steps.are_done();
        }
        process::wait(None, TICK);
    }
    // Exit code 0 would mean never to be started again.
    // SAFETY: the regular way for a worker to end.
    unsafe { pg_sys::proc_exit(1) }
}

fn rest() {
    // What was asked for before it began.
    process::reload_requested();
    let end = Instant::now() + REST;
    while !process::stop_requested() && !process::reload_requested() && Instant::now() < end {
        process::wait(None, TICK);
    }
}

struct Launcher {
    shared: &'static Shared,
    runs: HashMap<usize, Run>,
    /// Databases that were looked at and have no extension.
    absent: HashSet<pg_sys::Oid>,
    next_look: Instant,
}

/// What the launcher remembers of a slot.
struct Run {
    worker: Option<DynamicBackgroundWorker>,
    started: Instant,
    failures: Vec<Instant>,
}

impl Launcher {
    fn new(shared: &'static Shared) -> Self {
        Self { shared, runs: HashMap::new(), absent: HashSet::new(), next_look: Instant::now() }
    }

    fn look(&mut self) -> Result<(), String> {
        fault::point("launcher");
        let now = Instant::now();
        let restart = self.settle_slots(now);
        // After slots were freed: a wake that still went to a slot was seen there.
        let hints = self.shared.take_hints();
        self.absent.retain(|database| !hints.contains(database));
        if hints.is_empty() && restart.is_empty() && now < self.next_look {
            return Ok(());
        }
        let Some(Catalog { worker_role, databases, existing }) = process::transaction(read_catalog)? else {
            return Ok(());
        };
        for index in restart {
            self.restart(index, &databases, worker_role);
        }
        self.forget_dropped(&existing);
        self.absent.retain(|oid| databases.contains(oid));
        for database in databases {
            if self.shared.slot_of(database).is_none() && !self.absent.contains(&database) {
                self.start_in(database, worker_role);
            }
        }
        self.next_look = now + LOOK_FOR_NEW_DATABASES;
        Ok(())
    }

    /// Takes note of dispatchers that ended; says which slots want a new one.
    fn settle_slots(&mut self, now: Instant) -> Vec<usize> {
        (0..MAX_DATABASES).filter(|index| self.settle_slot(*index, now)).collect()
    }

    fn settle_slot(&mut self, index: usize, now: Instant) -> bool {
        let slot = &self.shared.slots[index];
        let Some(database) = slot.database() else { return false };
        let run = self.runs.entry(index).or_insert_with(|| Run { worker: None, started: now, failures: Vec::new() });
        if is_alive(slot, run.worker.as_ref()) {
            return false;
        }
        if slot.is_parked() {
            slot.set_state(State::Ended);
            return false;
        }
        match slot.state() {
            State::Absent => {
                // A wake that nobody took in: the extension may have come back since the dispatcher looked.
                if !slot.take_wake() {
                    self.absent.insert(database);
                    self.runs.remove(&index);
                    slot.free();
                    return false;
                }
                slot.set_state(State::Ended);
                false
            }
            State::Ended | State::NoWorker => now >= run.started + RESTART_DELAY,
            State::Resting => now >= run.started + REST,
            State::Starting | State::Running | State::Off | State::Foreign | State::Failed => {
                slot.set_state(run.state_after_failure(now));
                false
            }
        }
    }

    fn restart(&mut self, index: usize, databases: &[pg_sys::Oid], worker_role: pg_sys::Oid) {
        let slot = &self.shared.slots[index];
        let Some(database) = slot.database() else { return };
        if databases.contains(&database) {
            self.start(index, database, worker_role);
        } else {
            self.runs.remove(&index);
            slot.free();
        }
    }

    /// Of those that are parked, which nobody would try to start again and find gone.
    fn forget_dropped(&mut self, existing: &[pg_sys::Oid]) {
        for (index, slot) in self.shared.slots.iter().enumerate() {
            let exists = slot.database().is_none_or(|database| existing.contains(&database));
            let worker = self.runs.get(&index).and_then(|run| run.worker.as_ref());
            if slot.is_parked() && !exists && !is_alive(slot, worker) {
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
            None => warning!("hydra_webhooks: more than {MAX_DATABASES} databases have the extension"),
        }
    }

    fn start(&mut self, index: usize, database: pg_sys::Oid, worker_role: pg_sys::Oid) {
        let slot = &self.shared.slots[index];
        let had_no_worker = slot.state() == State::NoWorker;
        slot.set_state(State::Starting);
        let worker = BackgroundWorkerBuilder::new("hydra_webhooks dispatcher")
            .set_type("hydra_webhooks dispatcher")
            .set_library("hydra_webhooks")
            .set_function("hydra_webhooks_dispatcher_main")
            .enable_spi_access()
            .set_argument(Some(pg_sys::Datum::from(index)))
            .set_extra(&format!("{} {}", database.to_u32(), worker_role.to_u32()))
            .set_notify_pid(std::process::id() as i32)
            .load_dynamic();
        if worker.is_err() {
            // Tried again each second, and no fault of a dispatcher.
            slot.set_state(State::NoWorker);
            if !had_no_worker {
                let database = database.to_u32();
                warning!(
                    "hydra_webhooks: no background worker slot is free for database {database}: raise max_worker_processes"
                );
            }
        }
        let run = self.runs.entry(index).or_insert_with(|| Run {
            worker: None,
            started: Instant::now(),
            failures: Vec::new(),
        });
        run.started = Instant::now();
        run.worker = worker.ok();
    }
}

impl Run {
    /// A dispatcher ended by itself: whether to start it again at once.
    fn state_after_failure(&mut self, now: Instant) -> State {
        self.failures.retain(|failure| now.duration_since(*failure) < FAILURES_WITHIN);
        self.failures.push(now);
        if self.failures.len() < FAILURES {
            return State::Ended;
        }
        self.failures.clear();
        self.started = now;
        warning!("hydra_webhooks: a dispatcher failed {FAILURES} times within a minute and rests for five minutes");
        State::Resting
    }
}

/// A launcher that was restarted has no handle of the dispatchers that its predecessor started; those it knows by pid.
#[allow(unsafe_code)]
fn is_alive(slot: &Slot, worker: Option<&DynamicBackgroundWorker>) -> bool {
    match worker.map(DynamicBackgroundWorker::pid) {
        Some(Ok(_) | Err(BackgroundWorkerStatus::NotYetStarted)) => true,
        Some(Err(_)) => false,
        None => match slot.pid.load(Ordering::Acquire) {
            0 => false,
            // SAFETY: looks a number up in the process array.
            pid => unsafe { !pg_sys::BackendPidGetProc(pid).is_null() },
        },
    }
}

/// CREATE EXTENSION grants it, so where it may not there is nothing to look for.
#[allow(unsafe_code)]
fn may_connect(database: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    #[allow(clippy::useless_conversion)] // wider from PostgreSQL 16 on
    let connect = pg_sys::ACL_CONNECT.into();
    // SAFETY: looks a right up in a catalog, in a transaction.
    let result = unsafe {
        #[cfg(feature = "pg15")]
        {
            pg_sys::pg_database_aclcheck(database, role, connect)
        }
        #[cfg(not(feature = "pg15"))]
        {
            pg_sys::object_aclcheck(pg_sys::DatabaseRelationId, database, role, connect)
        }
    };
    result == pg_sys::AclResult::ACLCHECK_OK
}

struct Catalog {
    worker_role: pg_sys::Oid,
    /// Those that can be connected to and are no templates.
    databases: Vec<pg_sys::Oid>,
    /// All that there are.
    existing: Vec<pg_sys::Oid>,
}

/// `None` when the worker's role does not exist.
#[allow(unsafe_code)]
fn read_catalog() -> Option<Catalog> {
    let (mut databases, mut existing) = (Vec::new(), Vec::new());
    // SAFETY: a sequential scan of a shared catalog, in a transaction, closed before it ends. SPI is out of reach
    // without a database.
    unsafe {
        let worker_role = pg_sys::get_role_oid(WORKER_ROLE.as_ptr(), true);
        if worker_role == pg_sys::InvalidOid {
            return None;
        }
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let (index, snapshot, keys) = (pg_sys::InvalidOid, std::ptr::null_mut(), std::ptr::null_mut());
        let scan = pg_sys::systable_beginscan(relation, index, false, snapshot, 0, keys);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            // A database that was being dropped when the server went down can be seen and not used.
            if row.datconnlimit == DROPPED {
                continue;
            }
            existing.push(row.oid);
            if row.datallowconn && !row.datistemplate && may_connect(row.oid, worker_role) {
                databases.push(row.oid);
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        Some(Catalog { worker_role, databases, existing })
    }
}
