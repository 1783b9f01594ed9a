//! Reads pages of new events. Which ones come next is for [`Progress`] to say.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use crate::event::Event;
use crate::process;
use crate::progress::{Progress, Which};
use crate::snapshot::Xid8;
use crate::store::{Page, Store};

/// A page has so many rows at most, and fewer where events are large or go to many: about so many bytes, or deliveries.
const PAGE_ROWS: usize = 500;
const PAGE_BYTES: usize = 8 << 20;
const PAGE_DELIVERIES: usize = 500;

/// How far back a transaction may lie and its commit still not be on disk: unflushed commits are less than a second
/// old. Of much older ones Postgres has forgotten where they are in the log.
const RECENT: u64 = 50_000;

/// For so long others, who commit and write the log all the time, are left to do it for us.
pub const LOG_WAIT: Duration = Duration::from_millis(2);

/// A page of events.
pub struct Found {
    pub events: Vec<Event>,
    /// Up to where the log has to be on disk before anything is sent for them, and when to see to it ourselves.
    pub commits: LogPosition,
    pub flush_at: Instant,
}

pub struct Reader {
    pub progress: Progress,
    /// Rows of the next page.
    rows: usize,
}

impl Reader {
    pub fn new() -> Self {
        Self { progress: Progress::new(), rows: PAGE_ROWS }
    }

    /// The next events of a stretch.
    pub fn read(&mut self, store: &Store, which: Which) -> Result<Found, String> {
        let stretch = self.progress.stretch(which);
        let latest = self.progress.latest_snapshot().xmax;
        let (events, target, commits) = process::transaction(|| {
            let target = stretch.target.clone().unwrap_or_else(|| store.snapshot());
            let page = Page { done: &stretch.done, target: &target, cursor: stretch.cursor, rows: self.rows };
            let events = if target == stretch.done { Vec::new() } else { store.events(&page) };
            let commits = commits_of(&events, latest.max(target.xmax));
            (events, target, commits)
        })?;
        let is_full = events.len() == self.rows;
        self.size_next_page(&events);
        let now = Instant::now();
        let events = self.progress.advance(which, target, events, is_full, now);
        Ok(Found { events, commits, flush_at: now + LOG_WAIT })
    }

    fn size_next_page(&mut self, events: &[Event]) {
        let bytes: usize = events.iter().filter_map(|event| event.entity.as_ref()).map(String::len).sum();
        let deliveries: usize = events.iter().map(|event| event.targets.len()).sum();
        if !events.is_empty() {
            let rows = |limit: usize, sum: usize| limit * events.len() / sum.max(1);
            self.rows = rows(PAGE_BYTES, bytes).min(rows(PAGE_DELIVERIES, deliveries)).clamp(10, PAGE_ROWS);
        }
    }
}

/// A commit is visible before it is on disk where the application runs with `synchronous_commit = off`: a request for
/// it would be one for a transaction that a crash undoes. Postgres knows where in the log it is, to the nearest of some
/// neighbours, one of which may be a deletion of our own that nobody waits for.
#[allow(unsafe_code)]
fn commits_of(events: &[Event], latest: Xid8) -> LogPosition {
    let mut last = 0;
    let mut end = 0;
    for xid in events.iter().map(|event| event.xid).filter(|xid| xid + RECENT > latest.0) {
        if xid != last {
            last = xid;
            // SAFETY: a normal transaction id, too young to be forgotten.
            end = end.max(unsafe { pg_sys::TransactionIdGetCommitLSN((xid as u32).into()) });
        }
    }
    LogPosition(end)
}

/// A position in the write-ahead log; zero: its beginning.
#[derive(Clone, Copy)]
pub struct LogPosition(pg_sys::XLogRecPtr);

impl LogPosition {
    #[allow(unsafe_code)]
    pub fn is_on_disk(self) -> bool {
        // SAFETY: looks at how far the log was written.
        self.0 == 0 || !unsafe { pg_sys::XLogNeedsFlush(self.0) }
    }

    /// Writes the log up to here.
    #[allow(unsafe_code)]
    pub fn flush(self) -> Result<(), String> {
        // SAFETY: a position that was written to the log; returns at once if it is on disk.
        process::transaction(|| unsafe { pg_sys::XLogFlush(self.0) })
    }
}
