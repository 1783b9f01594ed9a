//! Whether dispatchers, or the launcher, crash before they get anything done.
//!
//! When a process crashes, Postgres starts all over, at once, and with fresh shared memory: a dispatcher that crashed each
//! time it starts would let no client in, and nobody would know that it was not the first one. So a file tells of starts
//! after which nothing was written to the database yet, or by the launcher nothing looked at. It is removed as soon as
//! something is, and when a dispatcher ends in any other way than by a crash.
//!
//! A file that cannot be written must not keep anybody from sending; then nothing is remembered.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::slots::Slot;

/// So many crashes in so much time are no coincidence.
const CRASHES: usize = 3;
const WITHIN: Duration = Duration::from_secs(15);

/// Those of one process.
pub struct FirstSteps {
    file: PathBuf,
}

impl FirstSteps {
    pub fn of_launcher() -> Self {
        Self::of("launcher")
    }

    pub fn of_dispatcher(slot: &Slot) -> Self {
        Self::of(slot.database().map_or(0, pgrx::pg_sys::Oid::to_u32))
    }

    /// Below the data directory, where server processes live, and left out of backups.
    fn of(who: impl Display) -> Self {
        Self { file: format!("pg_stat_tmp/hydra_webhooks.{who}").into() }
    }

    /// To be called once in the life of the process, before it does anything. Says whether it may go on.
    pub fn may_begin(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let starts = fs::read_to_string(&self.file).unwrap_or_default();
        let seconds = starts.lines().filter_map(|line| line.parse().ok());
        let mut recent: Vec<u64> = seconds.filter(|start| now.as_secs().abs_diff(*start) <= WITHIN.as_secs()).collect();
        if recent.len() >= CRASHES {
            return false;
        }
        recent.push(now.as_secs());
        let lines: String = recent.iter().map(|start| format!("{start}\n")).collect();
        let _ = fs::write(&self.file, lines);
        true
    }

    /// It got something done, or ends.
    pub fn are_done(&self) {
        let _ = fs::remove_file(&self.file);
    }
}
