//! What is known of the runner of one database: its process, and when it has something to do.
//!
//! Whoever leaves something to do notes when it is due. The launcher starts a runner when that time comes. A runner takes the
//! note before it looks into the tables, so that what is left meanwhile is noted anew.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;

use super::{my_latch, set_latch};

/// The time of which nothing is due.
const NEVER: i64 = i64::MAX;

pub struct RunnerSlot {
    /// The process of the runner (0 if there is none), its latch, and when it started, in microseconds since 1970.
    pid: AtomicI32,
    latch: AtomicUsize,
    since: AtomicI64,
    /// When there is something to do, in microseconds since 1970.
    due: AtomicI64,
    /// Until when old rows wait that could not be removed, in microseconds since 1970.
    removal_waits: AtomicI64,
    trouble: AtomicU32,
    /// Whether the process has ended because there was nothing more to do, or because it was asked to.
    has_ended_well: AtomicBool,
}

/// Why there is no runner although something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Trouble {
    None,
    /// There is no free background worker slot.
    NoWorker,
    /// It has failed several times in a row; the launcher starts it again later.
    Resting,
}

const TROUBLES: [Trouble; 3] = [Trouble::None, Trouble::NoWorker, Trouble::Resting];

impl Default for RunnerSlot {
    fn default() -> Self {
        Self {
            pid: AtomicI32::new(0),
            latch: AtomicUsize::new(0),
            since: AtomicI64::new(0),
            due: AtomicI64::new(NEVER),
            removal_waits: AtomicI64::new(0),
            trouble: AtomicU32::new(Trouble::None as u32),
            has_ended_well: AtomicBool::new(true),
        }
    }
}

impl RunnerSlot {
    /// Forgets what was known of another database.
    pub fn reset(&self) {
        self.due.store(NEVER, Ordering::Release);
        self.let_removal_wait(SystemTime::UNIX_EPOCH);
        self.set_trouble(Trouble::None);
        self.has_ended_well.store(true, Ordering::Release);
    }

    /// Records that the calling process is the runner from now on. Sequentially consistent with
    /// [`Slot::park`](super::Slot::park), as a dispatcher is.
    pub fn enter(&self, now: SystemTime) {
        self.since.store(micros(now), Ordering::Release);
        self.has_ended_well.store(false, Ordering::Release);
        self.latch.store(my_latch(), Ordering::SeqCst);
        self.pid.store(std::process::id() as i32, Ordering::SeqCst);
    }

    /// Records that the runner ends.
    pub fn leave(&self) {
        self.latch.store(0, Ordering::SeqCst);
        self.pid.store(0, Ordering::SeqCst);
    }

    pub fn end_well(&self) {
        self.has_ended_well.store(true, Ordering::Release);
    }

    pub fn has_ended_well(&self) -> bool {
        self.has_ended_well.load(Ordering::Acquire)
    }

    /// Returns the process id of the runner; `None` if there is none.
    pub fn pid(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::SeqCst)).filter(|pid| *pid != 0)
    }

    /// Returns when the runner started.
    pub fn since(&self) -> SystemTime {
        time(self.since.load(Ordering::Acquire))
    }

    /// Returns when there is something to do; `None`: nothing is known.
    pub fn due(&self) -> Option<SystemTime> {
        Some(self.due.load(Ordering::Acquire)).filter(|due| *due != NEVER).map(time)
    }

    /// Notes that there is something to do at this time.
    pub fn note(&self, due: SystemTime) {
        self.due.fetch_min(micros(due), Ordering::AcqRel);
    }

    /// Clears the note. To be called before the tables are read.
    pub fn take_due(&self) {
        self.due.store(NEVER, Ordering::Release);
    }

    /// Notes that old rows could not be removed, and are not to be tried before this time: what cannot be removed keeps no runner.
    pub fn let_removal_wait(&self, until: SystemTime) {
        self.removal_waits.store(micros(until), Ordering::Release);
    }

    /// Returns until when old rows wait.
    pub fn removal_waits(&self) -> SystemTime {
        time(self.removal_waits.load(Ordering::Acquire))
    }

    /// Makes a runner that waits look for something to do.
    pub fn wake(&self) {
        set_latch(self.latch.load(Ordering::SeqCst));
    }

    /// Asks the runner to end, and cancels what it runs.
    pub fn end(&self) {
        if let Some(pid) = self.pid() {
            // SAFETY: looks a number up in the array of processes, and sends the signal that ends a worker.
            unsafe {
                if !pg_sys::BackendPidGetProc(pid).is_null() {
                    libc::kill(pid, libc::SIGTERM);
                }
            }
        }
    }

    pub fn trouble(&self) -> Trouble {
        TROUBLES[self.trouble.load(Ordering::Acquire) as usize]
    }

    pub fn set_trouble(&self, trouble: Trouble) {
        self.trouble.store(trouble as u32, Ordering::Release);
    }
}

fn micros(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros().try_into().unwrap_or(NEVER - 1)
}

fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.try_into().unwrap_or(0))
}
