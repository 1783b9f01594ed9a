//! How far reading events has come: each is found exactly once, whatever the order in which transactions commit.
//!
//! Ids and clocks run ahead of commits, so "everything after the last one" loses events. What is new is instead a
//! *stretch*, the difference of two snapshots: events of transactions that the newer one sees and the older one did
//! not. They began after the older snapshot, or were in progress in it; both are ranges of the primary key, so dead rows
//! of events long finished are never stepped over. A stretch is read in pages; when a page comes short, its newer
//! snapshot becomes the older one of the next stretch. The first begins at a snapshot that saw nothing.
//!
//! A transaction that emitted a great many makes a stretch so long that all who commit after it would wait. So what is
//! not read through after [`LONG`] is *set aside*: the next stretch begins where it ends, and the two are read in turns,
//! a page each.
//!
//! Not everything may be read out of turn. Subscriptions with one request at a time were promised an order, and for an
//! event that is only for those whom the flood is for, nothing is gained. Such events are *held*: passed over until
//! all that was set aside has been read, and then read from where the first stretch that was set aside ended.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use foldhash::HashSet;

use crate::event::Event;
use crate::snapshot::{Snapshot, Xid8};

#[cfg(test)]
mod tests;

/// How long all may wait for one stretch.
const LONG: Duration = Duration::from_millis(100);

/// More stretches are not set aside: a database that has so many has more to send than it can.
const MOST_ASIDE: usize = 16;

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
    pub cursor: (Xid8, i64),
    part: Part,
}

impl Stretch {
    fn after(done: Snapshot, part: Part) -> Self {
        Self { done, target: None, cursor: Default::default(), part }
    }
}

/// What is not read out of turn.
#[derive(Debug)]
struct Held {
    /// What this saw, or what was read together with it, is not held any more.
    from: Snapshot,
    /// Subscriptions that were promised an order.
    in_order: HashSet<i64>,
    /// Those whom the flood is for.
    flooded: HashSet<i64>,
}

impl Held {
    fn holds(&self, event: &Event) -> bool {
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
    /// Whom the latest page of it was for that was full.
    targets: HashSet<i64>,
    aside: VecDeque<Stretch>,
    /// Whom the latest page of the first of these was for.
    flooding: HashSet<i64>,
    /// As long as something is set aside, or held.
    held: Option<Held>,
    latest: Which,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            newest: Stretch::after(Snapshot::empty(), Part::Everything),
            long_at: None,
            targets: HashSet::default(),
            aside: VecDeque::new(),
            flooding: HashSet::default(),
            held: None,
            latest: Which::Newest,
        }
    }

    /// Whether a part of the newest stretch was read, so that there is more without a wake.
    pub fn has_begun(&self) -> bool {
        self.newest.target.is_some()
    }

    /// Whom the flood is for that the newest stretch overtakes, if it does.
    pub fn overtaken(&self) -> Option<&HashSet<i64>> {
        self.held.as_ref().map(|_| &self.flooding)
    }

    /// When there is something to set aside.
    pub fn long_at(&self) -> Option<Instant> {
        self.long_at
    }

    /// The newest snapshot there was.
    pub fn latest_snapshot(&self) -> &Snapshot {
        self.newest.target.as_ref().unwrap_or(&self.newest.done)
    }

    /// Of which stretch to read a page, given that the newest has more and may be read, and that others may.
    pub fn choose(&self, newest: bool, aside: bool) -> Option<Which> {
        match (newest, aside && !self.aside.is_empty()) {
            (true, true) if self.latest == Which::Newest => Some(Which::Aside),
            (true, _) => Some(Which::Newest),
            (false, true) => Some(Which::Aside),
            (false, false) => None,
        }
    }

    pub fn stretch(&self, which: Which) -> &Stretch {
        match which {
            Which::Newest => &self.newest,
            Which::Aside => &self.aside[0],
        }
    }

    /// Takes in a page of a stretch, which was read up to this target; `is_full` if there may be more. Gives back the
    /// events whose turn it is.
    pub fn advance(
        &mut self,
        which: Which,
        target: Snapshot,
        mut page: Vec<Event>,
        is_full: bool,
        now: Instant,
    ) -> Vec<Event> {
        let part = self.stretch(which).part;
        match page.last().filter(|_| is_full) {
            Some(last) => {
                let cursor = (Xid8(last.xid), last.id);
                self.go_on(which, target, cursor, now);
                let targets = page.iter().flat_map(|event| event.targets.iter().copied()).collect();
                match which {
                    Which::Newest => self.targets = targets,
                    Which::Aside => self.flooding = targets,
                }
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

    fn go_on(&mut self, which: Which, target: Snapshot, cursor: (Xid8, i64), now: Instant) {
        let stretch = match which {
            Which::Newest => {
                self.long_at.get_or_insert(now + LONG);
                &mut self.newest
            }
            Which::Aside => &mut self.aside[0],
        };
        stretch.target = Some(target);
        stretch.cursor = cursor;
    }

    fn finish(&mut self, which: Which, target: Snapshot) {
        match which {
            Which::Newest => {
                self.newest = Stretch::after(target, self.newest.part);
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
            self.aside.push_back(Stretch { target: Some(target), ..Stretch::after(done, Part::Held) });
        } else if !self.has_begun() {
            self.held = None;
            self.newest.part = Part::Everything;
        }
    }

    /// Sets the newest stretch aside if it is long. `in_order` are the subscriptions that were promised an order.
    pub fn set_aside(&mut self, now: Instant, in_order: impl FnOnce() -> HashSet<i64>) {
        if self.long_at.is_none_or(|at| now < at) {
            return;
        }
        // If it stays, that is looked at again then.
        self.long_at = Some(now + LONG);
        let Some(target) = self.newest.target.clone() else { return };
        let in_order = in_order();
        match &self.held {
            // What is held does not change while something is: each event is either passed over and read later, or not.
            Some(held) if self.aside.len() >= MOST_ASIDE || !in_order.is_subset(&held.in_order) => return,
            Some(_) => {}
            None => {
                self.flooding = mem::take(&mut self.targets);
                self.held = Some(Held { from: target.clone(), in_order, flooded: self.flooding.clone() });
            }
        }
        let next = Stretch::after(target, Part::AllButHeld);
        self.aside.push_back(mem::replace(&mut self.newest, next));
        self.long_at = None;
    }
}
