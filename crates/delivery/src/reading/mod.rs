//! How far reading events has come: each is found exactly once, whatever the order in which transactions commit.
//!
//! Ids and clocks run ahead of commits, so "everything after the last one" loses events. What is new is instead a
//! *stretch*, the difference of two snapshots: events of transactions that the newer one sees and the older one did
//! not. They began after the older snapshot, or were in progress in it; both are ranges of the primary key, so dead rows
//! of events long finished are not stepped over. A stretch is read in pages; when a page comes short, its newer
//! snapshot becomes the older one of the next stretch. The first begins at a snapshot that saw nothing.
//!
//! A transaction that emitted a great many makes a stretch so long that all who commit after it would wait. So what is
//! not read through after [`LONG`] is *set aside*, if there is anybody who gains by it: the next stretch begins where it
//! ends, and all are read in turns, a page each.
//!
//! Not everything may be read out of turn. Subscriptions with one request at a time were promised an order, and for an
//! event that is only for those whom the flood is for, nothing is gained. Such events are *held*: passed over until
//! all that was set aside has been read, and then read from where the first stretch that was set aside ended. Who is
//! held is settled at the beginning: an event is either passed over and read later, or neither.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use foldhash::HashSet;
use wire::ids::{EventId, SubscriptionId};

use crate::stored_event::StoredEvent;
use crate::xid::Xid8;

mod snapshot;

pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;

/// How long all may wait for one stretch.
const LONG: Duration = Duration::from_millis(100);

/// More stretches are not set aside: a database that has so many has more to send than it can.
const MOST_ASIDE: usize = 16;

/// Nothing more is set aside while anything is held for so long.
const HELD_FOR: Duration = Duration::from_secs(10);

/// A page has so many rows at most, and fewer where events are large or go to many: about so many bytes, or deliveries.
const PAGE_ROWS: usize = 500;
const PAGE_BYTES: usize = 8 << 20;
const PAGE_DELIVERIES: usize = 500;
const FEWEST_ROWS: usize = 10;

/// The primary key of `hydra.event`; the default is before the first.
pub type Key = (Xid8, EventId);

/// What of a stretch is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Everything,
    AllButHeld,
    Held,
}

/// Events that `target` sees and `done` did not; those up to `cursor` were read.
#[derive(Debug)]
pub struct Stretch {
    pub done: Snapshot,
    /// What is visible when its first page is read, unless that is known.
    pub target: Option<Snapshot>,
    pub cursor: Key,
    /// Whether all of its commits are known to be on disk.
    pub is_on_disk: bool,
    /// How many its next page has at most.
    pub rows: usize,
    part: Part,
    /// Whom its latest page was for.
    targets: HashSet<SubscriptionId>,
}

impl Stretch {
    fn after(done: Snapshot, part: Part, rows: usize) -> Self {
        let targets = HashSet::default();
        Self { done, target: None, cursor: Default::default(), is_on_disk: false, rows, part, targets }
    }

    fn has_begun(&self) -> bool {
        self.cursor != Default::default()
    }
}

/// What is not read out of turn.
#[derive(Debug)]
struct Held {
    since: Instant,
    /// Nothing that this saw is held any more.
    from: Snapshot,
    /// Subscriptions that were promised an order.
    in_order: HashSet<SubscriptionId>,
    /// Those whom the flood is for.
    flooded: HashSet<SubscriptionId>,
    /// Others were promised an order since. No stretch is begun out of turn any more.
    is_closed: bool,
}

impl Held {
    fn holds(&self, event: &StoredEvent) -> bool {
        event.targets.iter().any(|id| self.in_order.contains(id))
            || event.targets.iter().all(|id| self.flooded.contains(id))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that begins where all others end.
    Newest,
    /// The first of those that were set aside.
    Aside,
}

#[derive(Debug)]
pub struct Progress {
    newest: Stretch,
    /// When the newest is to be set aside, if a page of it was not all.
    long_at: Option<Instant>,
    aside: VecDeque<Stretch>,
    /// As long as something is set aside, or held.
    held: Option<Held>,
    latest: Which,
    in_order: HashSet<SubscriptionId>,
    others: HashSet<SubscriptionId>,
}

impl Progress {
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

    /// Subscriptions are these from now on: those that were promised an order, and those of the others that are active.
    pub fn set_subscriptions(&mut self, in_order: HashSet<SubscriptionId>, others: HashSet<SubscriptionId>) {
        if let Some(held) = &mut self.held {
            held.is_closed |= !in_order.is_subset(&held.in_order);
        }
        (self.in_order, self.others) = (in_order, others);
    }

    /// Whether a part of the newest stretch was read, so that there is more without a wake.
    pub fn has_begun(&self) -> bool {
        self.newest.has_begun()
    }

    /// When there may be something to set aside.
    pub fn long_at(&self) -> Option<Instant> {
        self.long_at
    }

    /// The newest snapshot there was.
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

    /// Of which stretch to read a page, given that the newest has more and may be read, and that others may.
    pub fn choose(&self, newest: bool, aside: bool) -> Option<Which> {
        let newest = newest && self.may_take_in(Which::Newest);
        match (newest, self.aside.front().filter(|_| aside)) {
            // What is held ends at the beginning of the newest stretch. While that moves on, it would never be the end.
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

    /// Takes in a page of a stretch, which was read up to this target; `is_full` if there may be more. Gives back the
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
            // In turns. Those with an order have their events in one of them at most.
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

    /// Reads what was held once nothing else is set aside, until there is no more.
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
        // If it stays, that is looked at again then.
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

/// How many rows the page after this one should have, if that can be told.
fn rows_after(page: &[StoredEvent]) -> Option<usize> {
    let bytes: usize = page.iter().filter_map(|event| event.event.entity.as_ref()).map(String::len).sum();
    let deliveries: usize = page.iter().map(|event| event.targets.len()).sum();
    let rows = |limit: usize, sum: usize| limit * page.len() / sum.max(1);
    let fitting = rows(PAGE_BYTES, bytes).min(rows(PAGE_DELIVERIES, deliveries)).clamp(FEWEST_ROWS, PAGE_ROWS);
    (!page.is_empty()).then_some(fitting)
}
