//! Workers that crash each time they start.
//!
//! When a process crashes, Postgres restarts the whole cluster at once, with new shared memory. A dispatcher that
//! crashes each time it starts would keep all clients out, and nothing in memory would show that it has crashed before.
//! So a file records the starts after which the dispatcher wrote nothing to the database, or the launcher did not look
//! at the databases. The file is removed as soon as the process has done that, and when it ends without a crash.
//!
//! If the file cannot be written, nothing is recorded and the process goes on.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::slots::Slot;

/// After this many crashes within this time a worker does not start again at once.
const CRASHES: usize = 3;
const WITHIN: Duration = Duration::from_secs(15);

/// What a worker that may not start did, for its log line.
pub fn description() -> String {
    format!("crashed {CRASHES} times in {} s", WITHIN.as_secs())
}

/// The recorded starts of one worker.
pub struct CrashLoop {
    file: PathBuf,
}

impl CrashLoop {
    pub fn of_launcher() -> Self {
        Self::of("launcher")
    }

    pub fn of_dispatcher(slot: &Slot) -> Self {
        Self::of(slot.database().map_or(0, pgrx::pg_sys::Oid::to_u32))
    }

    /// Below the data directory, where server processes run, in a folder that backups leave out.
    fn of(worker: impl Display) -> Self {
        Self { file: format!("pg_stat_tmp/hydra_webhooks.{worker}").into() }
    }

    /// Records a start; to be called once in the life of the process, before it does anything. Returns whether it may
    /// go on.
    pub fn may_start(&self) -> bool {
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

    /// The process has done its work once, or ends without a crash.
    pub fn end(&self) {
        let _ = fs::remove_file(&self.file);
    }
}
