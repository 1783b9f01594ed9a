//! Events that were read and are left in their table for now, because an endpoint that they are for has plenty to do.
//!
//! A flood for one endpoint that takes it as fast as it can is not worth moving out of the way; but it must not stand
//! between the others and what is new for them. So reading goes on past it, and of what is meant for the flooded endpoint
//! only the keys are remembered: they are read again, in their order, when there is room.
//!
//! Once something of a subscription is set aside, all that comes later for it is as well, so that its order stays; and
//! with an event all subscriptions that want it. They are free again when nothing is left aside. A crash forgets the
//! keys, and the next dispatcher reads everything anyway.

use std::collections::VecDeque;

use foldhash::HashSet;

use crate::event::{Event, EventRow};

/// How many keys are remembered at most, of 24 bytes each. Behind more than that, everybody waits.
const KEYS: usize = 1_000_000;

#[derive(Debug, Default)]
pub struct Aside {
    rows: VecDeque<EventRow>,
    /// Whom they are for.
    subscriptions: HashSet<i64>,
}

impl Aside {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn has_room(&self) -> bool {
        self.rows.len() < KEYS
    }

    /// Whether something of this subscription is set aside, so that what comes later for it would overtake that.
    pub fn is_for(&self, subscription: i64) -> bool {
        self.subscriptions.contains(&subscription)
    }

    pub fn push(&mut self, event: &Event) {
        self.rows.push_back(event.row());
        self.subscriptions.extend(&event.targets);
    }

    /// The first so many.
    pub fn first(&self, count: usize) -> Vec<EventRow> {
        self.rows.iter().take(count).copied().collect()
    }

    /// Forgets the first so many, which were taken in.
    pub fn remove_first(&mut self, count: usize) {
        self.rows.drain(..count);
        if self.rows.is_empty() {
            self.subscriptions.clear();
        }
    }
}
