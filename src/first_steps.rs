//! Whether dispatchers crash before they get anything done.
//!
//! When a process crashes, Postgres starts all over, at once, and with fresh shared memory: a dispatcher that crashed each
//! time it starts would let no client in, and nobody would know that it was not the first one. So a file tells of starts
//! after which nothing was written to the database yet. It is removed as soon as something is, and when a dispatcher ends
//! in any other way than by a crash.
//!
//! A file that cannot be written must not keep anybody from sending; then nothing is remembered.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::slots::Slot;

/// So many crashes in so much time are no coincidence.
const CRASHES: usize = 3;
const WITHIN: Duration = Duration::from_secs(15);

/// To be called once in the life of a dispatcher, before it reads anything. Says whether it may go on.
pub fn may_begin(slot: &Slot) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let starts = fs::read_to_string(file(slot)).unwrap_or_default();
    let seconds = starts.lines().filter_map(|line| line.parse().ok());
    let mut recent: Vec<u64> = seconds.filter(|start| now.as_secs().abs_diff(*start) <= WITHIN.as_secs()).collect();
    if recent.len() >= CRASHES {
        return false;
    }
    recent.push(now.as_secs());
    let lines: String = recent.iter().map(|start| format!("{start}\n")).collect();
    let _ = fs::write(file(slot), lines);
    true
}

/// The dispatcher got something done, or ends.
pub fn are_done(slot: &Slot) {
    let _ = fs::remove_file(file(slot));
}

/// Below the data directory, where server processes live, and left out of backups.
fn file(slot: &Slot) -> PathBuf {
    let database = slot.database().map_or(0, pgrx::pg_sys::Oid::to_u32);
    PathBuf::from(format!("pg_stat_tmp/hydra_webhooks.{database}"))
}
