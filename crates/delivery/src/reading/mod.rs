//! Which events to read next: each is found exactly once, in whatever order transactions commit.
//!
//! Ids and clocks run ahead of commits, so reading everything after the last event would miss some. Instead, new events are
//! found as a *stretch*, the difference of two snapshots: events of transactions that the newer snapshot sees and the older
//! one did not. Such a transaction began after the older snapshot, or was in progress in it. Both are ranges of the primary
//! key, so that dead rows of events finished long ago are not scanned. A stretch is read in pages. When a page is not full,
//! the newer snapshot becomes the older one of the next stretch. The first stretch begins at a snapshot that saw nothing.
//!
//! A transaction that emitted very many events (a *flood*) makes a stretch so long that all transactions that commit after
//! it would wait. So a stretch that is not read to its end after `LONG` (0.1 s) is *set aside*, if that helps any subscription:
//! the next stretch begins where it ends, and all of them are read in turns, a page in each turn.
//!
//! Some events may not be read out of turn. Subscriptions with one request at a time were promised an order. And for an event
//! that is only for the subscriptions of the flood, nothing is gained. Such events are *held*: passed over until all that was
//! set aside has been read, and then read from where the first stretch that was set aside ended. Which events are held is
//! fixed when the first stretch is set aside, so that each event is either passed over and read later, or neither.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use foldhash::HashSet;
use wire::ids::SubscriptionId;

use crate::stored_event::StoredEvent;
use stretch::{Held, PAGE_ROWS, Part, rows_after};

mod snapshot;
mod stretch;

pub use snapshot::Snapshot;
pub use stretch::{Key, Stretch};

#[cfg(test)]
mod tests;

/// How long all events may wait for one stretch.
const LONG: Duration = Duration::from_millis(100);

/// No more stretches than this are set aside: a database with so many floods has more to send than it can.
const MOST_ASIDE: usize = 16;

/// No more stretches are set aside when an event has been held for this long, so that it is read at last.
const HELD_FOR: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The stretch that begins where all others end.
    Newest,
    /// The first of the stretches that were set aside.
    Aside,
}

#[derive(Debug)]
pub struct Progress {
    newest: Stretch,
    /// When the newest is to be set aside, if one page of it was not all of it.
    long_at: Option<Instant>,
    aside: VecDeque<Stretch>,
    /// While something is set aside or held.
    held: Option<Held>,
    latest: Which,
    in_order: HashSet<SubscriptionId>,
    others: HashSet<SubscriptionId>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Nothing has been read.
    pub fn new() -> Self {
        Self {
            newest: Stretch::after(Snapshot::empty(), Part::Everything, PAGE_ROWS),
            long_at: None,
            aside: VecDeque::new(),
            held: None,
            latest: Which::Newest,
            in_order: HashSet::default(),
            others: HashSet::default(),
        }
    }

    /// Sets the subscriptions: those that were promised an order, and the active ones among the others.
    pub fn set_subscriptions(&mut self, in_order: HashSet<SubscriptionId>, others: HashSet<SubscriptionId>) {
        if let Some(held) = &mut self.held {
            held.is_closed |= !in_order.is_subset(&held.in_order);
        }
        (self.in_order, self.others) = (in_order, others);
    }

    /// Whether the newest stretch was read in part, so that there is more to read without a wake.
    pub fn has_begun(&self) -> bool {
        self.newest.has_begun()
    }

    /// When there may be something to set aside.
    pub fn long_at(&self) -> Option<Instant> {
        self.long_at
    }

    /// The newest snapshot that was taken.
    pub fn latest_snapshot(&self) -> &Snapshot {
        self.newest.target.as_ref().unwrap_or(&self.newest.done)
    }

    /// Whether the newest stretch overtakes what was set aside.
    pub fn overtakes(&self) -> bool {
        self.held.is_some()
    }

    /// Whether something is set aside for this subscription.
    pub fn is_flooded(&self, id: SubscriptionId) -> bool {
        self.aside.iter().any(|stretch| stretch.targets.contains(&id))
    }

    /// Which stretch to read a page of. `newest` is whether the newest has more and may be read, `aside` whether others may.
    pub fn choose(&self, newest: bool, aside: bool) -> Option<Which> {
        let newest = newest && self.may_take_in(Which::Newest);
        match (newest, self.aside.front().filter(|_| aside)) {
            // Held events end where the newest stretch begins. If that moved on, their end would never be reached.
            (true, Some(next)) if next.part == Part::Held && !next.has_begun() => Some(Which::Aside),
            (true, Some(_)) if self.latest == Which::Newest => Some(Which::Aside),
            (true, _) => Some(Which::Newest),
            (false, Some(_)) => Some(Which::Aside),
            (false, None) => None,
        }
    }

    /// Whether a page of this stretch may be taken in, as far as is known now.
    pub fn may_take_in(&self, which: Which) -> bool {
        let is_closed = self.held.as_ref().is_some_and(|held| held.is_closed);
        which == Which::Aside || !is_closed || self.has_begun()
    }

    pub fn stretch(&self, which: Which) -> &Stretch {
        match which {
            Which::Newest => &self.newest,
            Which::Aside => &self.aside[0],
        }
    }

    fn stretch_mut(&mut self, which: Which) -> &mut Stretch {
        match which {
            Which::Newest => &mut self.newest,
            Which::Aside => &mut self.aside[0],
        }
    }

    /// All commits of this stretch are on disk.
    pub fn note_on_disk(&mut self, which: Which) {
        self.stretch_mut(which).is_on_disk = true;
    }

    /// Takes in a page of a stretch that was read up to this target. `is_full` is whether there may be more. Returns the
    /// events whose turn it is.
    pub fn take_in(
        &mut self,
        which: Which,
        target: Snapshot,
        mut page: Vec<StoredEvent>,
        is_full: bool,
        now: Instant,
    ) -> Vec<StoredEvent> {
        let stretch = self.stretch_mut(which);
        let part = stretch.part;
        stretch.rows = rows_after(&page).unwrap_or(stretch.rows);
        match page.last().filter(|_| is_full) {
            Some(last) => {
                stretch.cursor = (last.row.xid, last.row.id);
                stretch.target = Some(target);
                stretch.targets = page.iter().flat_map(|event| event.targets.iter().copied()).collect();
                self.go_on(which, now);
            }
            None => self.finish(which, target),
        }
        self.latest = which;
        if let Some(held) = self.held.as_ref().filter(|_| part != Part::Everything) {
            page.retain(|event| held.holds(event) == (part == Part::Held));
        }
        self.take_up_held();
        page
    }

    fn go_on(&mut self, which: Which, now: Instant) {
        match which {
            Which::Newest => {
                self.long_at.get_or_insert(now + LONG);
            }
            // In turns. Subscriptions with an order have their events in at most one of them.
            Which::Aside => self.aside.rotate_left(1),
        }
    }

    fn finish(&mut self, which: Which, target: Snapshot) {
        match which {
            Which::Newest => {
                self.newest = Stretch::after(target, self.newest.part, self.newest.rows);
                self.long_at = None;
            }
            Which::Aside => {
                self.aside.pop_front();
            }
        }
    }

    /// Reads the held events once nothing else is set aside, until there are no more.
    fn take_up_held(&mut self) {
        let Some(held) = self.held.as_mut().filter(|_| self.aside.is_empty()) else { return };
        if held.from != self.newest.done {
            let target = self.newest.done.clone();
            let done = mem::replace(&mut held.from, target.clone());
            let stretch = Stretch::after(done, Part::Held, self.newest.rows);
            self.aside.push_back(Stretch { target: Some(target), ..stretch });
        } else if !self.has_begun() {
            self.held = None;
            self.newest.part = Part::Everything;
        }
    }

    /// Sets the newest stretch aside if it is long.
    pub fn set_aside(&mut self, now: Instant) {
        if self.long_at.is_none_or(|at| now < at) {
            return;
        }
        // If it is not set aside now, look again then.
        self.long_at = Some(now + LONG);
        let Some(target) = self.newest.target.clone().filter(|_| self.may_set_aside(now)) else { return };
        self.held.get_or_insert_with(|| Held {
            since: now,
            from: target.clone(),
            in_order: self.in_order.clone(),
            flooded: self.newest.targets.clone(),
            is_closed: false,
        });
        let next = Stretch::after(target, Part::AllButHeld, self.newest.rows);
        self.aside.push_back(mem::replace(&mut self.newest, next));
        self.long_at = None;
    }

    fn may_set_aside(&self, now: Instant) -> bool {
        match &self.held {
            Some(held) => {
                let is_old = now.duration_since(held.since) >= HELD_FOR;
                !is_old && !held.is_closed && self.aside.len() < MOST_ASIDE
            }
            None => !self.others.is_subset(&self.newest.targets),
        }
    }
}
