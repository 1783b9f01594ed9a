//! Events whose home is their row in `hydra.event`, with their deliveries that have not succeeded yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use smallvec::SmallVec;
use wire::ids::EventId;

use crate::stored_event::EventRow;
use crate::work::Work;

/// Deliveries of one event. Most events have one, which is stored in place.
pub type Deliveries = SmallVec<[Arc<Work>; 1]>;

#[derive(Debug)]
pub struct OpenEvent {
    pub row: EventRow,
    /// Deliveries without a success.
    pub remaining: Deliveries,
    /// How many deliveries it had at first.
    deliveries: usize,
}

#[derive(Debug, Default)]
pub struct OpenEvents {
    open: HashMap<EventId, OpenEvent>,
    /// Events by age, also some that are not open any more.
    ages: VecDeque<(Instant, EventId)>,
}

/// What the end of a delivery means for its home.
#[derive(Debug)]
pub enum Ended {
    /// Its event is not open: the delivery has its own row.
    OwnRow,
    /// Other deliveries of its event remain.
    OthersRemain,
    /// It was the last one: the row of its event is finished.
    Last(EventRow),
}

impl OpenEvents {
    pub fn insert(&mut self, row: EventRow, deliveries: Deliveries, now: Instant) {
        self.ages.push_back((now, row.id));
        self.open.insert(row.id, OpenEvent { row, deliveries: deliveries.len(), remaining: deliveries });
    }

    pub fn get(&self, event: EventId) -> Option<&OpenEvent> {
        self.open.get(&event)
    }

    pub fn remove(&mut self, event: EventId) -> Option<OpenEvent> {
        self.open.remove(&event)
    }

    /// A delivery needs no more attempts.
    pub fn end(&mut self, work: &Work) -> Ended {
        let Some(open) = self.open.get_mut(&work.event) else { return Ended::OwnRow };
        open.remaining.retain(|other| other.delivery != work.delivery);
        if !open.remaining.is_empty() {
            return Ended::OthersRemain;
        }
        let row = open.row;
        self.open.remove(&work.event);
        Ended::Last(row)
    }

    /// Since when the oldest event is known. It may be one that is not open any more.
    pub fn oldest(&self) -> Option<Instant> {
        self.ages.front().map(|(since, _)| *since)
    }

    /// The next event that has been open for `age`. Each is returned once.
    pub fn next_older_than(&mut self, age: Duration, now: Instant) -> Option<EventId> {
        while let Some((since, event)) = self.ages.front().copied() {
            let is_open = self.open.contains_key(&event);
            if is_open && now.duration_since(since) < age {
                return None;
            }
            self.ages.pop_front();
            if is_open {
                return Some(event);
            }
        }
        None
    }

    /// Events of which some deliveries have succeeded and others have not.
    pub fn half_delivered(&self) -> Vec<EventId> {
        let half = |(_, open): &(&EventId, &OpenEvent)| open.remaining.len() < open.deliveries;
        self.open.iter().filter(half).map(|(event, _)| *event).collect()
    }
}
