//! Keeps a worker that crashes at each start from being started again at once.
//!
//! When a process crashes, Postgres restarts the whole server at once, with new shared memory. A worker that crashes at
//! each start would prevent all clients from connecting, and nothing in memory would show that it has crashed before.
//! So each start of a worker is recorded in a file. The worker removes the file after its first useful work (the
//! dispatcher: it has written to the database; the launcher: it has looked at the databases; the supervisor: the gateway
//! listens; the runner: it has finished something), and when it ends without a crash. What remains in the file are starts that were followed by a crash before
//! any useful work.
//!
//! If the file cannot be written, nothing is recorded and the worker goes on.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::slots::Slot;

/// After this many crashes within this time a worker does not start again at once.
const CRASHES: usize = 3;
const WITHIN: Duration = Duration::from_secs(15);

/// How long a worker that failed several times in a row is not started. (A crash of a worker restarts the whole server,
/// and no client can connect during a restart.)
pub const REST: Duration = Duration::from_secs(300);

/// Returns the reason why a worker is not started, for the log.
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

    pub fn of_runner(slot: &Slot) -> Self {
        Self::of(format_args!("runner.{}", slot.database().map_or(0, pgrx::pg_sys::Oid::to_u32)))
    }

    pub fn of_supervisor() -> Self {
        Self::of("supervisor")
    }

    /// The file is in the data directory, where server processes run, in a folder that backups leave out.
    fn of(worker: impl Display) -> Self {
        Self { file: format!("pg_stat_tmp/hydra_webhooks.{worker}").into() }
    }

    /// Records a start, and returns whether the worker may go on. To be called once in the life of the process, before
    /// it does anything else.
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

    /// Removes the file. To be called after the first useful work of the process, and when it ends without a crash.
    pub fn end(&self) {
        let _ = fs::remove_file(&self.file);
    }
}
