//! Shared memory: one slot per database that sends, and how to reach the launcher.
//!
//! A slot belongs to the launcher while no dispatcher runs in it. It belongs to the dispatcher from before its first
//! read of the queue until its exit. Backends set wake flags and latches, count what they drop, and park the dispatcher.
//! All fields are atomic and private, so that each ordering stands in one method. Nothing points into a process: a
//! latch lives in shared memory of Postgres, at the same address in every process. Setting the latch of a process that
//! has ended wakes another process for nothing.

pub mod wake;

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgAtomic, pg_shmem_init};

/// The maximum number of databases of one cluster that can send.
pub const MAX_DATABASES: usize = 128;

pub struct Shared {
    launcher_latch: AtomicUsize,
    /// Databases that the launcher should look at; 0 in an empty entry.
    hints: [AtomicU32; MAX_DATABASES],
    slots: [Slot; MAX_DATABASES],
}

#[derive(Default)]
pub struct Slot {
    /// OID of the database; 0 in a free slot.
    database: AtomicU32,
    state: AtomicU32,
    latch: AtomicUsize,
    wake: AtomicBool,
    /// The dispatcher's process; 0 if there is none.
    pid: AtomicI32,
    /// When the dispatcher started, in microseconds since 1970.
    since: AtomicI64,
    in_flight: AtomicU32,
    queued: AtomicU32,
    unreadable: AtomicU32,
    /// Whether no dispatcher is to run in it.
    parked: AtomicBool,
    pending: AtomicI64,
    dropped: AtomicI64,
}

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    Starting,
    Running,
    /// `hydra_webhooks.enabled` is off.
    Off,
    /// The database is a copy that nobody has adopted.
    Foreign,
    /// The database has no extension.
    Absent,
    /// The dispatcher ended because it was asked to.
    Ended,
    /// The dispatcher ended without being asked to.
    Failed,
    /// There is no free background worker slot for the dispatcher.
    NoWorker,
    /// It failed several times in a row; the launcher starts it again later.
    Resting,
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

// SAFETY: made of atomics alone, and of no pointer that a process could follow.
unsafe impl PGRXSharedMemory for Shared {}

// SAFETY: the name is ours.
static SHARED: PgAtomic<Shared> = unsafe { PgAtomic::new(c"hydra_webhooks_slots") };

static PRELOADED: AtomicBool = AtomicBool::new(false);

impl Default for Shared {
    fn default() -> Self {
        Self {
            launcher_latch: AtomicUsize::new(0),
            hints: std::array::from_fn(|_| AtomicU32::new(0)),
            slots: std::array::from_fn(|_| Slot::default()),
        }
    }
}

/// To be called while the postmaster loads us.
pub fn init() {
    pg_shmem_init!(SHARED);
    PRELOADED.store(true, Ordering::Relaxed);
}

/// `None` when the extension was not preloaded: then there is no dispatcher to wake.
pub fn shared() -> Option<&'static Shared> {
    PRELOADED.load(Ordering::Relaxed).then(|| SHARED.get())
}

/// The slot of this backend's database.
pub fn here() -> Option<&'static Slot> {
    // SAFETY: set when the backend connected, and never changed.
    shared()?.slot_of(unsafe { pg_sys::MyDatabaseId })
}

/// Asks the launcher to look for the extension in this backend's database.
pub fn hint_here() {
    if let Some(shared) = shared() {
        // SAFETY: as above.
        shared.hint(unsafe { pg_sys::MyDatabaseId });
    }
}

impl Shared {
    pub fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// All slots, with their indexes.
    pub fn slots(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate()
    }

    pub fn slot_of(&self, database: pg_sys::Oid) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.database() == Some(database))
    }

    pub fn free_slot(&self) -> Option<(usize, &Slot)> {
        self.slots().find(|(_, slot)| slot.database().is_none())
    }

    pub fn enter_launcher(&self) {
        self.launcher_latch.store(my_latch(), Ordering::Release);
    }

    fn hint(&self, database: pg_sys::Oid) {
        let oid = database.to_u32();
        for hint in &self.hints {
            let was = hint.compare_exchange(0, oid, Ordering::AcqRel, Ordering::Acquire);
            if was.is_ok() || was == Err(oid) {
                break;
            }
        }
        set_latch(self.launcher_latch.load(Ordering::Acquire));
    }

    pub fn take_hints(&self) -> Vec<pg_sys::Oid> {
        let taken = self.hints.iter().map(|hint| hint.swap(0, Ordering::AcqRel));
        taken.filter(|oid| *oid != 0).map(pg_sys::Oid::from).collect()
    }
}

impl Slot {
    pub fn database(&self) -> Option<pg_sys::Oid> {
        Some(self.database.load(Ordering::Acquire)).filter(|oid| *oid != 0).map(pg_sys::Oid::from)
    }

    pub fn assign(&self, database: pg_sys::Oid) {
        self.set_state(State::Starting);
        self.parked.store(false, Ordering::Release);
        self.pending.store(0, Ordering::Relaxed);
        self.dropped.store(0, Ordering::Relaxed);
        self.database.store(database.to_u32(), Ordering::Release);
    }

    pub fn free(&self) {
        self.database.store(0, Ordering::Release);
    }

    pub fn state(&self) -> State {
        STATES[self.state.load(Ordering::Acquire) as usize]
    }

    pub fn set_state(&self, state: State) {
        self.state.store(state as u32, Ordering::Release);
    }

    /// The calling process is the dispatcher from now on.
    pub fn enter(&self, pid: i32, now: SystemTime) {
        let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.since.store(micros as i64, Ordering::Release);
        self.latch.store(my_latch(), Ordering::SeqCst);
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// The dispatcher ends.
    pub fn leave(&self) {
        self.latch.store(0, Ordering::Release);
        self.pid.store(0, Ordering::Release);
        self.in_flight.store(0, Ordering::Relaxed);
        self.queued.store(0, Ordering::Relaxed);
        self.unreadable.store(0, Ordering::Relaxed);
    }

    /// The process of its dispatcher, if one runs.
    pub fn pid(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::SeqCst)).filter(|pid| *pid != 0)
    }

    /// When its dispatcher started.
    pub fn since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.since.load(Ordering::Acquire).try_into().unwrap_or(0))
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How many deliveries the dispatcher holds in memory.
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    pub fn report_load(&self, in_flight: usize, queued: usize) {
        self.in_flight.store(in_flight as u32, Ordering::Relaxed);
        self.queued.store(queued as u32, Ordering::Relaxed);
    }

    /// How many subscriptions wait because their signing secrets cannot be read.
    pub fn unreadable(&self) -> u32 {
        self.unreadable.load(Ordering::Relaxed)
    }

    pub fn report_unreadable(&self, subscriptions: usize) {
        self.unreadable.store(subscriptions as u32, Ordering::Relaxed);
    }

    /// About how many events and deliveries waited when they were last counted.
    pub fn pending(&self) -> i64 {
        self.pending.load(Ordering::Relaxed)
    }

    pub fn report_pending(&self, pending: i64) {
        self.pending.store(pending, Ordering::Relaxed);
    }

    /// How many events were dropped because too many waited.
    pub fn dropped(&self) -> i64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no dispatcher runs in it.
    pub fn is_vacant(&self) -> bool {
        self.pid().is_none()
    }

    /// Makes the dispatcher end, and keeps another from starting. Sequentially consistent with `enter`: either a
    /// dispatcher that starts sees this, or the caller that waits for the slot to be vacant sees that dispatcher.
    pub fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        set_latch(self.latch.load(Ordering::SeqCst));
    }

    pub fn unpark(&self) {
        self.parked.store(false, Ordering::SeqCst);
    }

    pub fn is_parked(&self) -> bool {
        self.parked.load(Ordering::SeqCst)
    }

    /// Wakes the dispatcher, unless it was woken since it last looked.
    pub fn wake(&self) {
        if !self.wake.swap(true, Ordering::AcqRel) {
            set_latch(self.latch.load(Ordering::Acquire));
        }
    }

    /// Whether there was a wake since the last call; to be called before the queue is read.
    pub fn take_wake(&self) -> bool {
        self.wake.swap(false, Ordering::AcqRel)
    }
}

fn my_latch() -> usize {
    // SAFETY: set before any of our code runs; the latch of a process lives in shared memory.
    unsafe { pg_sys::MyLatch as usize }
}

fn set_latch(latch: usize) {
    if latch != 0 {
        // SAFETY: it was MyLatch of some process, which lives in shared memory as long as the server runs.
        unsafe { pg_sys::SetLatch(latch as *mut pg_sys::Latch) };
    }
}
