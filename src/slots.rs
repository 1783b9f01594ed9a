//! Shared memory: one slot per database that sends, and how to reach the launcher.
//!
//! A slot belongs to the launcher while nobody runs in it, and to its dispatcher from before that one's first read of
//! the queue until it exits. Backends set wake flags and latches, count what they drop, and park it. Everything is atomic
//! and nothing points into a process: a latch lives in Postgres's own shared memory, at the same address in every
//! process, and setting the latch of a process that is gone wakes somebody for nothing.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};

use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgAtomic, pg_shmem_init};

/// Databases of one cluster that can send.
pub const MAX_DATABASES: usize = 128;

pub struct Shared {
    launcher_latch: AtomicUsize,
    /// Databases that the launcher should look at; 0 where there is none.
    hints: [AtomicU32; MAX_DATABASES],
    pub slots: [Slot; MAX_DATABASES],
}

#[derive(Default)]
pub struct Slot {
    /// OID of the database; 0 in a free slot.
    database: AtomicU32,
    state: AtomicU32,
    latch: AtomicUsize,
    wake: AtomicBool,
    pub pid: AtomicI32,
    /// When the dispatcher started, in microseconds since 1970.
    pub since: AtomicI64,
    pub in_flight: AtomicU32,
    pub queued: AtomicU32,
    /// Subscriptions that nothing is sent to because their secrets cannot be read.
    pub unreadable: AtomicU32,
    /// Whether somebody wants no dispatcher in it.
    parked: AtomicBool,
    /// About how many events and deliveries wait, when last counted.
    pub pending: AtomicI64,
    /// Events that were dropped because too many waited.
    pub dropped: AtomicI64,
}

/// What goes on in a slot.
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
    /// The dispatcher was told to end.
    Ended,
    /// The dispatcher ended by itself.
    Failed,
    /// There is no free background worker slot for the dispatcher.
    NoWorker,
    /// It failed again and again: the launcher leaves it alone for a while.
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
#[allow(unsafe_code)]
unsafe impl PGRXSharedMemory for Shared {}

// SAFETY: the name is ours.
#[allow(unsafe_code)]
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
#[allow(unsafe_code)]
pub fn init() {
    pg_shmem_init!(SHARED);
    PRELOADED.store(true, Ordering::Relaxed);
}

/// `None` when the extension was not preloaded: then nobody is there to wake.
pub fn shared() -> Option<&'static Shared> {
    PRELOADED.load(Ordering::Relaxed).then(|| SHARED.get())
}

/// The slot of this backend's database.
#[allow(unsafe_code)]
pub fn here() -> Option<&'static Slot> {
    // SAFETY: set when the backend connected, and never changed.
    shared()?.slot_of(unsafe { pg_sys::MyDatabaseId })
}

/// Asks the launcher to look for the extension in this backend's database.
#[allow(unsafe_code)]
pub fn hint_here() {
    if let Some(shared) = shared() {
        // SAFETY: as above.
        shared.hint(unsafe { pg_sys::MyDatabaseId });
    }
}

impl Shared {
    pub fn slot_of(&self, database: pg_sys::Oid) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.database() == Some(database))
    }

    pub fn free_slot(&self) -> Option<(usize, &Slot)> {
        self.slots.iter().enumerate().find(|(_, slot)| slot.database().is_none())
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

    /// The calling process is the dispatcher from here on.
    pub fn enter(&self, pid: i32, now_micros: i64) {
        self.since.store(now_micros, Ordering::Release);
        self.latch.store(my_latch(), Ordering::SeqCst);
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// The dispatcher is gone.
    pub fn leave(&self) {
        self.latch.store(0, Ordering::Release);
        self.pid.store(0, Ordering::Release);
        self.in_flight.store(0, Ordering::Relaxed);
        self.queued.store(0, Ordering::Relaxed);
        self.unreadable.store(0, Ordering::Relaxed);
    }

    /// Whether no dispatcher runs in it, not yet or no more.
    pub fn is_vacant(&self) -> bool {
        self.pid.load(Ordering::SeqCst) == 0
    }

    /// Has the dispatcher end, and none start. Sequentially consistent with `enter`: either a dispatcher that starts sees this,
    /// or whoever waits for it to be gone sees that one.
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

    /// Wakes the dispatcher, unless somebody did since it last looked.
    pub fn wake(&self) {
        if !self.wake.swap(true, Ordering::AcqRel) {
            set_latch(self.latch.load(Ordering::Acquire));
        }
    }

    /// Whether there was a wake since the last call; to be asked before the queue is read.
    pub fn take_wake(&self) -> bool {
        self.wake.swap(false, Ordering::AcqRel)
    }
}

#[allow(unsafe_code)]
fn my_latch() -> usize {
    // SAFETY: set before any of our code runs; the latch of a process lives in shared memory.
    unsafe { pg_sys::MyLatch as usize }
}

#[allow(unsafe_code)]
fn set_latch(latch: usize) {
    if latch != 0 {
        // SAFETY: it was some process's MyLatch, which lives in shared memory for as long as that does.
        unsafe { pg_sys::SetLatch(latch as *mut pg_sys::Latch) };
    }
}
