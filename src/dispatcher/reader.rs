//! Reads pages of new events. Which ones come next is for [`Progress`] to say.

use std::time::{Duration, Instant};

use delivery::reading::{Progress, Snapshot, Which};
use delivery::stored_event::StoredEvent;
use delivery::xid::Xid8;
use pgrx::prelude::*;

use crate::process;
use crate::store::{Page, Store};

/// How far back a transaction may have begun for Postgres to surely know where in the log its commit is. Of older ones
/// it may have forgotten.
const RECENT: u64 = 50_000;

/// For so long others, who commit and write the log all the time, are left to do it for us.
pub const LOG_WAIT: Duration = Duration::from_millis(2);

/// A page of events, not taken in yet.
pub struct Found {
    pub which: Which,
    target: Snapshot,
    pub events: Vec<StoredEvent>,
    is_full: bool,
    /// What has to be on disk before anything is sent for them, and when to see to it ourselves.
    pub commits: Commits,
    pub flush_at: Instant,
}

pub struct Reader {
    pub progress: Progress,
}

impl Reader {
    pub fn new() -> Self {
        Self { progress: Progress::new() }
    }

    /// Finds the next events of a stretch.
    pub fn read(&self, store: &Store, which: Which) -> Result<Found, String> {
        let stretch = self.progress.stretch(which);
        let latest = self.progress.latest_snapshot().xmax;
        let (events, target, commits) = process::transaction(|| {
            let target = stretch.target.clone().unwrap_or_else(|| store.snapshot());
            let page = Page { done: &stretch.done, target: &target, cursor: stretch.cursor, rows: stretch.rows };
            let events = if target == stretch.done { Vec::new() } else { store.events(&page) };
            let unsure = if stretch.is_on_disk { &[] } else { &events[..] };
            let commits = commits_of(unsure, latest.max(target.xmax));
            (events, target, commits)
        })?;
        let is_full = events.len() == stretch.rows;
        Ok(Found { which, target, events, is_full, commits, flush_at: Instant::now() + LOG_WAIT })
    }

    /// The events among them whose turn it is.
    pub fn take_in(&mut self, found: Found, now: Instant) -> Vec<StoredEvent> {
        if found.commits == Commits::Somewhere {
            self.progress.note_on_disk(found.which);
        }
        self.progress.take_in(found.which, found.target, found.events, found.is_full, now)
    }
}

/// A commit is visible before it is on disk where the application runs with `synchronous_commit = off`: a request for
/// it would be one for a transaction that a crash undoes. Postgres knows where in the log it is, to the nearest of some
/// neighbours, one of which may be a deletion of our own that nobody waits for.
#[allow(unsafe_code)]
fn commits_of(events: &[StoredEvent], latest: Xid8) -> Commits {
    let mut last = 0;
    let mut end = 0;
    for xid in events.iter().map(|event| event.row.xid.0) {
        if xid + RECENT <= latest.0 {
            return Commits::Somewhere;
        }
        if xid != last {
            last = xid;
            // SAFETY: a normal transaction id, too young to be forgotten.
            end = end.max(unsafe { pg_sys::TransactionIdGetCommitLSN((xid as u32).into()) });
        }
    }
    Commits::UpTo(end)
}

/// Where in the write-ahead log the commits of some events are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// Before this position; zero: its beginning.
    UpTo(pg_sys::XLogRecPtr),
    /// A transaction that began long ago may have ended just now.
    Somewhere,
}

impl Commits {
    #[allow(unsafe_code)]
    pub fn are_on_disk(self) -> bool {
        match self {
            // SAFETY: looks at how far the log was written.
            Self::UpTo(position) => position == 0 || !unsafe { pg_sys::XLogNeedsFlush(position) },
            Self::Somewhere => false,
        }
    }

    /// Writes the log up to there.
    #[allow(unsafe_code)]
    pub fn flush(self) -> Result<(), String> {
        process::transaction(|| match self {
            // SAFETY: a position that was written to the log; returns at once if it is on disk.
            Self::UpTo(position) => unsafe { pg_sys::XLogFlush(position) },
            // SAFETY: inside a transaction. Its commit comes after all that are visible, and waits for the disk.
            Self::Somewhere => unsafe {
                pg_sys::GetCurrentTransactionId();
                pg_sys::ForceSyncCommit();
            },
        })
    }
}
