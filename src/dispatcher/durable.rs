//! No request before the commit of its event is durable.
//!
//! Where the application runs with `synchronous_commit = off`, a commit is visible before it is on disk. A request made
//! then could be for a transaction that a crash undoes. So the log is flushed up to the commits of a page before
//! anything of it is sent.

use delivery::stored_event::StoredEvent;
use delivery::xid::Xid8;
use pgrx::prelude::*;

use crate::backend::{Failure, transaction};

/// Postgres certainly knows the position of the commit of a transaction that began at most this many transactions ago.
/// It may have forgotten those of older ones.
const RECENT: u64 = 50_000;

/// Where the commits of these events are, given the newest transaction id. Postgres knows the position of a commit in
/// the log up to that of some neighbours, one of which may be a deletion of ours that no client waits for.
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
    /// Before this position, or at the beginning if it is zero.
    UpTo(pg_sys::XLogRecPtr),
    /// Unknown: a transaction that began long ago may have committed a moment ago.
    Somewhere,
}

impl Commits {
    pub fn are_on_disk(self) -> bool {
        match self {
            // SAFETY: reads how far the log was flushed.
            Self::UpTo(position) => position == 0 || !unsafe { pg_sys::XLogNeedsFlush(position) },
            Self::Somewhere => false,
        }
    }

    /// Flushes the log up to there.
    pub fn flush(self) -> Result<(), Failure> {
        transaction(c"flush the log", || match self {
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
