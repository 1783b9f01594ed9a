//! Reads pages of new events, and queues their deliveries when their commits are on disk. [`Progress`] decides which
//! page comes next.

use std::time::{Duration, Instant};

use delivery::dispatch::Dispatch;
use delivery::reading::{PAGE_BYTES, Progress, Snapshot, Which};
use delivery::stored_event::StoredEvent;
use wire::ids::SubscriptionId;

use super::durable::{Commits, commits_of};
use crate::backend::{Failure, transaction};
use crate::store::{Page, PageEvents, Store};

/// How long to wait before the dispatcher flushes the write-ahead log itself. Most often another session flushes it
/// within that time.
pub const LOG_WAIT: Duration = Duration::from_millis(2);

pub struct Reader {
    progress: Progress,
    /// Whether there may be events that were not read.
    has_unread: bool,
    /// A page that was read, and whose deliveries are not queued yet.
    found: Option<Found>,
}

/// A page that was read.
struct Found {
    which: Which,
    target: Snapshot,
    events: Vec<StoredEvent>,
    is_full: bool,
    /// The commits of the events. They must be on disk before any of the events is sent.
    commits: Commits,
    /// When the dispatcher flushes the write-ahead log itself.
    flush_at: Instant,
}

impl Reader {
    pub fn new() -> Self {
        Self { progress: Progress::new(), has_unread: true, found: None }
    }

    /// Notes that there may be new events.
    pub fn look_again(&mut self) {
        self.has_unread = true;
    }

    /// To be called when the subscriptions of `dispatch` changed.
    pub fn set_subscriptions(&mut self, dispatch: &Dispatch) {
        self.progress.set_subscriptions(dispatch.in_order(), dispatch.active_others());
    }

    /// To be called when these subscriptions of `dispatch` changed.
    pub fn change_subscriptions(&mut self, dispatch: &Dispatch, changed: &[SubscriptionId]) {
        for id in changed {
            let (is_in_order, is_active) =
                dispatch.subscription(*id).map_or((false, false), |known| (known.is_in_order(), known.active));
            self.progress.set_subscription(*id, is_in_order, is_active);
        }
    }

    /// Reads the page that waits again, if deliveries of its events may have been cancelled since.
    pub fn read_again_if(&mut self, is_cancelled: bool) {
        if is_cancelled && self.found.take().is_some() {
            self.has_unread = true;
        }
    }

    /// Returns whether a page waits for [`take_in`](Self::take_in).
    pub fn has_page(&self) -> bool {
        self.found.is_some()
    }

    /// Returns when a stretch becomes long, so that it may have to be set aside.
    pub fn long_at(&self) -> Option<Instant> {
        self.progress.long_at()
    }

    /// Reads the next page, if there is room for its events and no page waits already.
    pub fn find(&mut self, store: &Store, dispatch: &mut Dispatch) -> Result<(), Failure> {
        if self.found.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        self.progress.set_aside(now);
        let Some(which) = self.next_page(dispatch, now) else { return Ok(()) };
        self.found = Some(self.read(store, which)?);
        if which == Which::Newest {
            // If this page belongs to a stretch that was already begun, it was read up to an older snapshot, so there
            // may be later commits.
            self.has_unread = self.progress.has_begun();
        }
        Ok(())
    }

    fn read(&self, store: &Store, which: Which) -> Result<Found, Failure> {
        let stretch = self.progress.stretch(which);
        let latest = self.progress.latest_snapshot().xmax;
        let (page, target, commits) = transaction(c"read new events", || {
            let target = stretch.target.clone().unwrap_or_else(|| store.read.snapshot());
            let page = Page {
                done: &stretch.done,
                target: &target,
                cursor: stretch.cursor,
                rows: stretch.rows,
                bytes: PAGE_BYTES,
            };
            let page = if target == stretch.done { PageEvents::default() } else { store.read.events(&page) };
            let unsure = if stretch.is_on_disk { &[] } else { &page.events[..] };
            let commits = commits_of(unsure, latest.max(target.xmax));
            (page, target, commits)
        })?;
        let PageEvents { events, is_full } = page;
        Ok(Found { which, target, events, is_full, commits, flush_at: Instant::now() + LOG_WAIT })
    }

    /// Returns which page to read next; `None` if there is nothing to read or no room for it.
    pub fn next_page(&self, dispatch: &mut Dispatch, now: Instant) -> Option<Which> {
        let room = dispatch.has_room(now);
        // Newer events may be read while the lanes of a flood are still crowded.
        let room_beside =
            room || self.progress.overtakes() && dispatch.has_room_beside(|lane| self.progress.is_flooded(lane));
        self.progress.choose(self.has_unread && room_beside, room)
    }

    /// Returns whether a page waits whose commits are on disk. Flushes the write-ahead log if no request is in flight,
    /// or if the page has waited for [`LOG_WAIT`].
    pub fn has_durable_page(&self, in_flight: usize) -> Result<bool, Failure> {
        let Some(found) = &self.found else { return Ok(false) };
        if !found.commits.are_on_disk() {
            if in_flight > 0 && Instant::now() < found.flush_at {
                return Ok(false);
            }
            found.commits.flush()?;
        }
        Ok(true)
    }

    /// Returns the subscriptions that the page has events for and that are not loaded yet.
    pub fn strangers(&self, dispatch: &Dispatch) -> Vec<SubscriptionId> {
        self.found.as_ref().map(|found| dispatch.strangers(&found.events)).unwrap_or_default()
    }

    /// Queues the deliveries of the page that waits.
    pub fn take_in(&mut self, dispatch: &mut Dispatch, now: Instant) {
        let Some(found) = self.found.take() else { return };
        fault::point("accept");
        let which = found.which;
        // If subscriptions have changed since the page was read, the page may have to be read again later.
        let may_be_taken = self.progress.may_take_in(which);
        if may_be_taken {
            self.accept(found, dispatch, now);
        }
        if which == Which::Newest {
            self.has_unread |= !may_be_taken || self.progress.has_begun();
        }
    }

    fn accept(&mut self, found: Found, dispatch: &mut Dispatch, now: Instant) {
        if found.commits == Commits::Somewhere {
            self.progress.note_on_disk(found.which);
        }
        let events = self.progress.take_in(found.which, found.target, found.events, found.is_full, now);
        events.iter().for_each(|event| dispatch.accept_event(event, now));
    }
}
