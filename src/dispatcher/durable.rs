//! Makes sure that no request is made before the commit of its event is on disk.
//!
//! If the application uses `synchronous_commit = off`, a commit is visible before it is on disk. A request that is made
//! at that time could report a transaction that a crash undoes. So the write-ahead log is flushed up to the commits of
//! a page before any event of the page is sent.

use delivery::stored_event::StoredEvent;
use delivery::xid::Xid8;
use pgrx::prelude::*;

use crate::backend::{Failure, transaction};

/// If a transaction began at most this many transactions ago, Postgres knows the position of its commit in the
/// write-ahead log. Positions of older transactions may be forgotten.
const RECENT: u64 = 50_000;

/// Returns where the commits of these events are in the write-ahead log. `latest` is the newest transaction id.
/// Postgres stores one position for a group of neighbouring transactions, so the position may be later than the commit
/// itself. It may be the position of a commit of the dispatcher, which is asynchronous. No other session waits for that
/// commit, so the dispatcher may have to flush it itself.
pub fn commits_of(events: &[StoredEvent], latest: Xid8) -> Commits {
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

/// Where in the write-ahead log commits are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// At or before this position. Zero means that nothing has to be flushed.
    UpTo(pg_sys::XLogRecPtr),
    /// Unknown: a transaction that began long ago may have committed a moment ago.
    Somewhere,
}

impl Commits {
    pub fn are_on_disk(self) -> bool {
        match self {
            // SAFETY: reads how far the write-ahead log was flushed.
            Self::UpTo(position) => position == 0 || !unsafe { pg_sys::XLogNeedsFlush(position) },
            Self::Somewhere => false,
        }
    }

    /// Flushes the write-ahead log up to these commits.
    pub fn flush(self) -> Result<(), Failure> {
        transaction(c"flush the write-ahead log", || match self {
            // SAFETY: a position inside the log; returns at once if it is on disk.
            Self::UpTo(position) => unsafe { pg_sys::XLogFlush(position) },
            // SAFETY: inside a transaction. Its commit comes after all visible ones, and waits for the disk.
            Self::Somewhere => unsafe {
                pg_sys::GetCurrentTransactionId();
                pg_sys::ForceSyncCommit();
            },
        })
    }
}
