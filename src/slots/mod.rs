//! The extension's shared memory: one slot for each database that sends, how to reach the launcher, and what is known of
//! the gateway that the server runs.
//!
//! A *slot* is the entry of one database in an array in shared memory; it is not a replication slot. While no
//! dispatcher runs for the database, the slot belongs to the launcher. From before the first read of the queue until
//! the dispatcher exits, the slot belongs to the dispatcher. Backends set wake flags and latches, count the events that
//! they drop, and park the dispatcher.
//!
//! All fields are atomic and private, so that the memory ordering of each access is chosen in one method. No field
//! points into the memory of one process: a latch is in shared memory of Postgres, at the same address in every
//! process. If its process has ended, another process may have the latch by now; setting the latch then wakes that
//! process unnecessarily, which is harmless.

pub mod gateway;
mod latch;
pub mod runner;
mod slot;
mod text;
pub mod wake;
pub mod watch_errors;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgAtomic, pg_shmem_init};

pub use slot::{Slot, State, trouble};

use gateway::Gateway;
use latch::{my_latch, set_latch};

/// The maximum number of databases of one cluster that can send.
pub const MAX_DATABASES: usize = 128;

pub struct Shared {
    launcher_latch: AtomicUsize,
    /// Databases that the launcher should look at; 0 in an empty entry.
    hints: [AtomicU32; MAX_DATABASES],
    slots: [Slot; MAX_DATABASES],
    gateway: Gateway,
}

// SAFETY: made of atomics alone. The latches are addresses in shared memory of Postgres, the same in every process.
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
            gateway: Gateway::default(),
        }
    }
}

/// Requests the shared memory. To be called while the postmaster loads the library.
pub fn init() {
    pg_shmem_init!(SHARED);
    gateway::init();
    watch_errors::init();
    PRELOADED.store(true, Ordering::Relaxed);
}

/// Returns the shared memory; `None` if the extension was not preloaded. Then there is no dispatcher to wake.
pub fn shared() -> Option<&'static Shared> {
    PRELOADED.load(Ordering::Relaxed).then(|| SHARED.get())
}

/// Returns the slot of this backend's database.
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
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// Returns all slots with their indexes.
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

    /// Makes the launcher look at the slots.
    pub fn wake_launcher(&self) {
        set_latch(self.launcher_latch.load(Ordering::Acquire));
    }

    fn hint(&self, database: pg_sys::Oid) {
        let oid = database.to_u32();
        for hint in &self.hints {
            match hint.compare_exchange(0, oid, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                // Whoever left it wakes the launcher. One of a database that is left out stays.
                Err(there) if there == oid => return,
                Err(_) => {}
            }
        }
        self.wake_launcher();
    }

    /// Returns the databases that the launcher was asked to look at, and clears the list. The hints of databases that are
    /// left out stay, so that the commits in such a database do not wake the launcher each time; but they leave half of the
    /// list to others.
    pub fn take_hints(&self, left_out: &HashSet<pg_sys::Oid>) -> Vec<pg_sys::Oid> {
        let (mut taken, mut staying) = (Vec::new(), 0);
        for hint in &self.hints {
            let database = pg_sys::Oid::from(hint.load(Ordering::Acquire));
            if left_out.contains(&database) && staying < MAX_DATABASES / 2 {
                staying += 1;
            } else {
                taken.push(hint.swap(0, Ordering::AcqRel));
            }
        }
        taken.into_iter().filter(|oid| *oid != 0).map(pg_sys::Oid::from).collect()
    }
}
