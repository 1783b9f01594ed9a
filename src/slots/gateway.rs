//! What is known of the gateway that the server runs: which database it serves, its processes, its state.
//!
//! The launcher decides which database it serves. The supervisor writes the rest. Any session reads it. A server runs at
//! most one gateway.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgLwLock, pg_shmem_init};

use super::text::Text;
use super::{my_latch, set_latch};

#[derive(Default)]
pub struct Gateway {
    decision: AtomicU32,
    /// The database that is to be served, by its OID; 0 if there is none.
    wanted: AtomicU32,
    /// Whether the database was found without being named, and is no longer the only one with the extension.
    is_ambiguous: AtomicBool,
    /// The supervisor: its process id (0 if there is none), the database that it is connected to, its latch.
    pid: AtomicI32,
    database: AtomicU32,
    latch: AtomicUsize,
    state: AtomicU32,
    /// The process id of the gateway; 0 if it does not run.
    gateway_pid: AtomicI32,
    /// When it started, in microseconds since 1970.
    since: AtomicI64,
}

/// What the launcher has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Decision {
    /// `hydra_webhooks.listen` is empty.
    Off,
    /// It is not known yet which databases have the extension.
    Looking,
    /// Several databases have the extension, and `gateway_database` names none of them.
    Several,
    /// The database that is to be served does not exist, or the worker may not enter it.
    Unknown,
    /// The database that `gateway_database` names does not have the extension.
    WithoutExtension,
    /// Serve a database.
    Serve,
}

const DECISIONS: [Decision; 6] = [
    Decision::Off,
    Decision::Looking,
    Decision::Several,
    Decision::Unknown,
    Decision::WithoutExtension,
    Decision::Serve,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum GatewayState {
    /// The supervisor ended because it was asked to, or has not started.
    Ended,
    Starting,
    Listening,
    /// The gateway cannot listen or cannot log in, or its program cannot be started.
    Failed,
    /// The gateway ended without being asked to.
    Crashed,
    /// The supervisor ended without being asked to.
    SupervisorFailed,
    /// The supervisor failed several times in a row; the launcher starts it again later.
    Resting,
    /// There is no free background worker slot for the supervisor.
    NoWorker,
}

const STATES: [GatewayState; 8] = [
    GatewayState::Ended,
    GatewayState::Starting,
    GatewayState::Listening,
    GatewayState::Failed,
    GatewayState::Crashed,
    GatewayState::SupervisorFailed,
    GatewayState::Resting,
    GatewayState::NoWorker,
];

/// What the gateway has reported, for people.
#[derive(Clone, Copy, Default)]
struct Texts {
    address: Text<256>,
    detail: Text<1024>,
    hint: Text<1024>,
}

// SAFETY: plain bytes, which no process reads or writes without the lock.
unsafe impl PGRXSharedMemory for Texts {}

// SAFETY: the name is ours.
static TEXTS: PgLwLock<Texts> = unsafe { PgLwLock::new(c"hydra_webhooks_gateway") };

/// Requests the shared memory of the texts. To be called while the postmaster loads the library.
pub fn init() {
    pg_shmem_init!(TEXTS);
}

impl Gateway {
    /// Records a decision of the launcher. A supervisor that is no longer wanted ends.
    pub fn decide(&self, decision: Decision, wanted: Option<pg_sys::Oid>, is_ambiguous: bool) {
        let oid = wanted.map_or(0, pg_sys::Oid::to_u32);
        self.is_ambiguous.store(is_ambiguous, Ordering::Relaxed);
        self.decision.store(decision as u32, Ordering::Release);
        if self.wanted.swap(oid, Ordering::AcqRel) != oid {
            self.wake();
        }
    }

    pub fn decision(&self) -> Decision {
        DECISIONS[self.decision.load(Ordering::Acquire) as usize]
    }

    pub fn wanted(&self) -> Option<pg_sys::Oid> {
        Some(self.wanted.load(Ordering::Acquire)).filter(|oid| *oid != 0).map(pg_sys::Oid::from)
    }

    pub fn is_ambiguous(&self) -> bool {
        self.is_ambiguous.load(Ordering::Relaxed)
    }

    /// Records that the calling process is the supervisor from now on, and is about to connect to this database.
    /// Sequentially consistent with [`Slot::park`](super::Slot::park), as a dispatcher is.
    pub fn enter(&self, database: pg_sys::Oid) {
        self.latch.store(my_latch(), Ordering::SeqCst);
        self.database.store(database.to_u32(), Ordering::SeqCst);
        self.pid.store(std::process::id() as i32, Ordering::SeqCst);
    }

    /// Records that the supervisor ends.
    pub fn leave(&self) {
        self.gateway_pid.store(0, Ordering::Release);
        self.latch.store(0, Ordering::SeqCst);
        self.database.store(0, Ordering::SeqCst);
        self.pid.store(0, Ordering::SeqCst);
    }

    /// Returns the process id of the supervisor; `None` if there is none.
    pub fn supervisor(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::SeqCst)).filter(|pid| *pid != 0)
    }

    /// Returns whether a supervisor is connected to this database, or about to be.
    pub fn occupies(&self, database: pg_sys::Oid) -> bool {
        self.supervisor().is_some() && self.database.load(Ordering::SeqCst) == database.to_u32()
    }

    /// Makes the supervisor look whether it has to end.
    pub fn wake(&self) {
        set_latch(self.latch.load(Ordering::SeqCst));
    }

    pub fn state(&self) -> GatewayState {
        STATES[self.state.load(Ordering::Acquire) as usize]
    }

    pub fn set_state(&self, state: GatewayState) {
        self.state.store(state as u32, Ordering::Release);
    }

    /// Sets the state, and what people are told of it.
    pub fn report(&self, state: GatewayState, address: &str, detail: &str, hint: &str) {
        *TEXTS.exclusive() = Texts { address: Text::new(address), detail: Text::new(detail), hint: Text::new(hint) };
        self.set_state(state);
    }

    /// Returns address, detail and hint of the latest report.
    pub fn texts(&self) -> (String, String, String) {
        let texts = *TEXTS.share();
        (texts.address.read(), texts.detail.read(), texts.hint.read())
    }

    /// Records that the gateway runs, or that it does not.
    pub fn set_gateway(&self, pid: Option<u32>, now: SystemTime) {
        let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.since.store(micros as i64, Ordering::Release);
        self.gateway_pid.store(pid.map_or(0, |pid| pid as i32), Ordering::Release);
    }

    /// Returns the process id of the gateway, and when it started; `None` if it does not run.
    pub fn gateway(&self) -> Option<(i32, SystemTime)> {
        let pid = Some(self.gateway_pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)?;
        let micros = self.since.load(Ordering::Acquire).try_into().unwrap_or(0);
        Some((pid, UNIX_EPOCH + Duration::from_micros(micros)))
    }
}
