//! The slot of one database: the state of its dispatcher, and what sessions and the launcher tell each other about it.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;

use super::latch::{my_latch, set_latch};
use super::runner::RunnerSlot;

/// For how long the status shows an error. Those that last occur every second.
const ERROR_LASTS: Duration = Duration::from_secs(10);

/// The entry of one database.
#[derive(Default)]
pub struct Slot {
    /// OID of the database; 0 in a free slot.
    database: AtomicU32,
    state: AtomicU32,
    latch: AtomicUsize,
    /// Set to wake the dispatcher; cleared before it reads the queue.
    wake: AtomicBool,
    /// The dispatcher's process; 0 if there is none.
    pid: AtomicI32,
    /// When the dispatcher started, in microseconds since 1970.
    since: AtomicI64,
    in_flight: AtomicU32,
    queued: AtomicU32,
    unreadable: AtomicU32,
    /// The SQLSTATE of the latest error, packed, and when it occurred, in microseconds since 1970.
    error: AtomicI64,
    error_at: AtomicI64,
    faulty: AtomicU32,
    troubles: AtomicU32,
    /// Whether the database is known to have the extension. If not, the dispatcher finds out.
    has_extension: AtomicBool,
    /// Set by `webhook_park()`: no dispatcher may run for this database.
    parked: AtomicBool,
    /// Whether `hydra_webhooks.databases` leaves this database out, so that no dispatcher may run for it.
    left_out: AtomicBool,
    pending: AtomicI64,
    missed: AtomicI64,
    dropped: AtomicI64,
    runner: RunnerSlot,
}

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    Starting,
    Running,
    /// `hydra_webhooks.enabled` is off.
    Off,
    /// The database is a copy that was not adopted.
    Foreign,
    /// The database has no extension.
    Absent,
    /// The dispatcher ended because it was asked to.
    Ended,
    /// The dispatcher ended without being asked to.
    Failed,
    /// There is no free background worker slot for the dispatcher.
    NoWorker,
    /// The dispatcher failed several times in a row; the launcher starts it again later.
    Resting,
}

/// What is wrong although a dispatcher runs, as bits of a number.
pub mod trouble {
    /// `hydra_webhooks.ca_file` cannot be used, or not all of it.
    pub const CA_FILE: u32 = 1;
    /// `hydra_webhooks.key_file` cannot be used.
    pub const KEY_FILE: u32 = 2;
    /// The dispatcher lacks a privilege on a table, or row level security hides rows from it.
    pub const PRIVILEGE: u32 = 4;
}

const STATES: [State; 9] = [
    State::Starting,
    State::Running,
    State::Off,
    State::Foreign,
    State::Absent,
    State::Ended,
    State::Failed,
    State::NoWorker,
    State::Resting,
];

impl Slot {
    pub fn database(&self) -> Option<pg_sys::Oid> {
        Some(self.database.load(Ordering::Acquire)).filter(|oid| *oid != 0).map(pg_sys::Oid::from)
    }

    pub fn assign(&self, database: pg_sys::Oid, has_extension: bool) {
        self.set_state(State::Starting);
        self.has_extension.store(has_extension, Ordering::Release);
        self.parked.store(false, Ordering::Release);
        self.left_out.store(false, Ordering::Release);
        self.report_pending(0, 0);
        self.dropped.store(0, Ordering::Relaxed);
        self.runner.reset();
        self.database.store(database.to_u32(), Ordering::Release);
    }

    pub fn runner(&self) -> &RunnerSlot {
        &self.runner
    }

    pub fn free(&self) {
        self.database.store(0, Ordering::Release);
    }

    pub fn has_extension(&self) -> bool {
        self.has_extension.load(Ordering::Acquire)
    }

    /// Records that the database has the extension.
    pub fn set_has_extension(&self) {
        self.has_extension.store(true, Ordering::Release);
    }

    pub fn state(&self) -> State {
        STATES[self.state.load(Ordering::Acquire) as usize]
    }

    pub fn set_state(&self, state: State) {
        self.state.store(state as u32, Ordering::Release);
    }

    /// Records that the calling process is the dispatcher from now on.
    pub fn enter(&self, pid: i32, now: SystemTime) {
        let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.since.store(micros as i64, Ordering::Release);
        self.latch.store(my_latch(), Ordering::SeqCst);
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// Records that the dispatcher ends.
    pub fn leave(&self) {
        self.latch.store(0, Ordering::Release);
        self.pid.store(0, Ordering::Release);
        self.in_flight.store(0, Ordering::Relaxed);
        self.queued.store(0, Ordering::Relaxed);
        self.unreadable.store(0, Ordering::Relaxed);
        self.error_at.store(0, Ordering::Relaxed);
        self.faulty.store(0, Ordering::Relaxed);
        self.troubles.store(0, Ordering::Relaxed);
    }

    /// Returns the process id of the dispatcher; `None` if no dispatcher runs.
    pub fn pid(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::SeqCst)).filter(|pid| *pid != 0)
    }

    /// Returns when the dispatcher started.
    pub fn since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.since.load(Ordering::Acquire).try_into().unwrap_or(0))
    }

    /// Returns the number of requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the number of deliveries that the dispatcher has in memory.
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    pub fn report_load(&self, in_flight: usize, queued: usize) {
        self.in_flight.store(in_flight as u32, Ordering::Relaxed);
        self.queued.store(queued as u32, Ordering::Relaxed);
    }

    /// Returns the number of subscriptions that wait because their signing secrets cannot be read.
    pub fn unreadable(&self) -> u32 {
        self.unreadable.load(Ordering::Relaxed)
    }

    pub fn report_unreadable(&self, subscriptions: usize) {
        self.unreadable.store(subscriptions as u32, Ordering::Relaxed);
    }

    /// Returns the SQLSTATE of an error that occurred within the last `ERROR_LASTS`.
    pub fn error(&self, now: SystemTime) -> Option<String> {
        let at = UNIX_EPOCH + Duration::from_micros(self.error_at.load(Ordering::Acquire).try_into().unwrap_or(0));
        let is_recent = now.duration_since(at).is_ok_and(|age| age < ERROR_LASTS);
        let code = self.error.load(Ordering::Relaxed).to_be_bytes();
        is_recent.then(|| code[3..].iter().map(|byte| char::from(*byte)).collect())
    }

    /// Records an error by its SQLSTATE, which has five characters.
    pub fn report_error(&self, code: &str, now: SystemTime) {
        let packed = code.bytes().fold(0, |packed, byte| packed << 8 | i64::from(byte));
        let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.error.store(packed, Ordering::Relaxed);
        self.error_at.store(micros as i64, Ordering::Release);
    }

    /// Returns the number of subscriptions that wait because of a fault on this side.
    pub fn faulty(&self) -> u32 {
        self.faulty.load(Ordering::Relaxed)
    }

    /// Returns what is wrong, as bits of [`trouble`].
    pub fn troubles(&self) -> u32 {
        self.troubles.load(Ordering::Relaxed)
    }

    pub fn report_health(&self, faulty: usize, troubles: u32) {
        self.faulty.store(faulty as u32, Ordering::Relaxed);
        self.troubles.store(troubles, Ordering::Relaxed);
    }

    /// Returns about how many events and deliveries waited when they were last counted.
    pub fn pending(&self) -> i64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Returns about how many deliveries subscriptions had missed then. They are not among those that wait.
    pub fn missed(&self) -> i64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub fn report_pending(&self, pending: i64, missed: i64) {
        self.pending.store(pending, Ordering::Relaxed);
        self.missed.store(missed, Ordering::Relaxed);
    }

    /// Returns the number of events that were dropped because too many waited.
    pub fn dropped(&self) -> i64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns true if no dispatcher runs for this database.
    pub fn is_vacant(&self) -> bool {
        self.pid().is_none()
    }

    /// Makes the dispatcher and the runner end, and prevents others from starting. This is sequentially consistent with `enter`:
    /// either a dispatcher that starts sees the flag, or the caller, which waits until the slot is vacant, sees that
    /// dispatcher.
    pub fn park(&self) {
        // The caller is a function of the extension.
        self.set_has_extension();
        self.parked.store(true, Ordering::SeqCst);
        set_latch(self.latch.load(Ordering::SeqCst));
        self.runner.end();
    }

    pub fn unpark(&self) {
        self.parked.store(false, Ordering::SeqCst);
    }

    pub fn is_parked(&self) -> bool {
        self.parked.load(Ordering::SeqCst)
    }

    /// Records whether the database is left out. If so, makes the dispatcher and the runner end.
    pub fn set_left_out(&self, left_out: bool) {
        if !self.left_out.swap(left_out, Ordering::AcqRel) && left_out {
            set_latch(self.latch.load(Ordering::Acquire));
            self.runner.end();
        }
    }

    pub fn is_left_out(&self) -> bool {
        self.left_out.load(Ordering::Acquire)
    }

    /// Wakes the dispatcher. Does nothing if the dispatcher was woken already and has not looked since.
    pub fn wake(&self) {
        if !self.wake.swap(true, Ordering::AcqRel) {
            set_latch(self.latch.load(Ordering::Acquire));
        }
    }

    /// Returns whether the dispatcher was woken, and clears the flag. To be called before the queue is read, so that a
    /// commit during the read sets the flag again.
    pub fn take_wake(&self) -> bool {
        self.wake.swap(false, Ordering::AcqRel)
    }
}
