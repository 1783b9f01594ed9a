//! Decides which events to read next. Each event is found exactly once, in whatever order transactions commit.
//!
//! An event gets its id and its time before its transaction commits, and transactions commit in another order. So
//! reading everything after the last event would miss some. Instead, events are read in *stretches*. A stretch is the
//! difference of two snapshots: the events of transactions that the newer snapshot sees and the older one does not see.
//! The id of such a transaction is not less than `xmax` of the older snapshot, or it is in that snapshot's list of
//! running transactions. In both cases the events are found by ranges of the primary key, so that dead rows of events
//! that were finished long ago are not scanned. A stretch is read in *pages*. When a page is not full, the stretch has
//! been read, and its newer snapshot becomes the older one of the next stretch. The first stretch begins at a snapshot
//! that sees nothing.
//!
//! A *flood* is a transaction that emitted very many events. Its stretch is so long that all transactions that commit
//! after it would wait. So a stretch that has not been read to its end after `LONG` (0.1 s) is *set aside*, if that
//! helps any subscription: the next stretch begins where it ends, and from then on these stretches are read in turns,
//! one page in each turn.
//!
//! Two kinds of events are not read out of turn: events for subscriptions with one request at a time, which were
//! promised an order, and events that are only for subscriptions of the flood, which have enough to send already. Such
//! events are *held*: they are skipped at first. The first stretch that was set aside is read completely, so only
//! events after its end are held. They are read when no stretch is set aside any longer. Which events are held is
//! decided when the first stretch is set aside, and does not change after that. So each event that is skipped is read
//! later, and no event is read twice.

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
pub use stretch::{Key, PAGE_BYTES, Stretch};

#[cfg(test)]
mod tests;

/// For how long one stretch may make all other events wait.
const LONG: Duration = Duration::from_millis(100);

/// The maximum number of stretches that are set aside. With more floods than this, the database emits more than can be
/// sent anyway.
const MOST_ASIDE: usize = 16;

/// When events have been held for this long, no more stretches are set aside, so that the held events get read.
const HELD_FOR: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The stretch that begins where all others end.
    Newest,
    /// The first of the stretches that were set aside, or a stretch of held events.
    Aside,
}

/// What has been read, and what remains to be read.
#[derive(Debug)]
pub struct Progress {
    newest: Stretch,
    /// When the newest stretch is to be set aside. `None` until one page of it was full.
    long_at: Option<Instant>,
    aside: VecDeque<Stretch>,
    /// Present while a stretch is set aside or events are held.
    held: Option<Held>,
    /// The stretch that the latest page was read from.
    latest: Which,
    /// Subscriptions that were promised an order.
    in_order: HashSet<SubscriptionId>,
    /// Active subscriptions that were not promised an order.
    others: HashSet<SubscriptionId>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// The state in which nothing has been read.
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

    /// Notes that one subscription has changed: whether it was promised an order, and whether it is active. Both are
    /// false if it was deleted.
    pub fn set_subscription(&mut self, id: SubscriptionId, is_in_order: bool, is_active: bool) {
        if let Some(held) = &mut self.held {
            held.is_closed |= is_in_order && !held.in_order.contains(&id);
        }
        set(&mut self.in_order, id, is_in_order);
        set(&mut self.others, id, is_active && !is_in_order);
    }

    /// Whether the newest stretch was read in part, so that there is more to read even if no session wakes the
    /// dispatcher.
    pub fn has_begun(&self) -> bool {
        self.newest.has_begun()
    }

    /// When the newest stretch may have to be set aside.
    pub fn long_at(&self) -> Option<Instant> {
        self.long_at
    }

    /// The newest snapshot that was taken.
    pub fn latest_snapshot(&self) -> &Snapshot {
        self.newest.target.as_ref().unwrap_or(&self.newest.done)
    }

    /// Whether events of the newest stretch are read before older events, which are set aside or held.
    pub fn overtakes(&self) -> bool {
        self.held.is_some()
    }

    /// Whether a stretch that was set aside has events for this subscription. Only its latest page is considered.
    pub fn is_flooded(&self, id: SubscriptionId) -> bool {
        self.aside.iter().any(|stretch| stretch.targets.contains(&id))
    }

    /// Chooses the stretch to read a page of. `newest`: whether the newest stretch may have more events and there is
    /// room for them. `aside`: whether there is room for events of the other stretches.
    pub fn choose(&self, newest: bool, aside: bool) -> Option<Which> {
        let newest = newest && self.may_take_in(Which::Newest);
        match (newest, self.aside.front().filter(|_| aside)) {
            // Held events are read up to the beginning of the newest stretch. If the newest stretch were always read
            // first, its beginning would move on each time, and the held events would never be read up to there.
            (true, Some(next)) if next.part == Part::Held && !next.has_begun() => Some(Which::Aside),
            (true, Some(_)) if self.latest == Which::Newest => Some(Which::Aside),
            (true, _) => Some(Which::Newest),
            (false, Some(_)) => Some(Which::Aside),
            (false, None) => None,
        }
    }

    /// Whether a page of this stretch may be taken in, given the subscriptions that are known now.
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

    /// Records that all commits of this stretch are on disk.
    pub fn note_on_disk(&mut self, which: Which) {
        self.stretch_mut(which).is_on_disk = true;
    }

    /// Takes in a page of a stretch that was read up to `target`. `is_full`: whether the stretch may have more events.
    /// Returns the events of the page that are to be delivered now. The others are held, or were delivered before.
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
                stretch.cursor = (last.row.xid, last.row.event.id);
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
            // These stretches are read in turns. This keeps the promised order, because the events of a subscription
            // that was promised an order are in at most one of them.
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

    /// When no stretch is set aside any longer, begins a stretch of held events. When no held event is left, stops
    /// holding events.
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

    /// Sets the newest stretch aside if it has been read for too long.
    pub fn set_aside(&mut self, now: Instant) {
        if self.long_at.is_none_or(|at| now < at) {
            return;
        }
        // If the stretch cannot be set aside now, try again after `LONG`.
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

    /// Whether the newest stretch may be set aside, and whether that helps any subscription.
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

fn set(ids: &mut HashSet<SubscriptionId>, id: SubscriptionId, is_in: bool) {
    if is_in {
        ids.insert(id);
    } else {
        ids.remove(&id);
    }
}
