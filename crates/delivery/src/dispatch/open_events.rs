//! Keeps the open events: those whose unfinished deliveries are stored only as the row of the event in `hydra.event`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use smallvec::SmallVec;
use wire::ids::EventId;

use crate::stored_event::EventRow;
use crate::work::Work;

/// Deliveries of one event. Most events have only one, which is stored inline, without an allocation.
pub type Deliveries = SmallVec<[Arc<Work>; 1]>;

#[derive(Debug)]
pub struct OpenEvent {
    pub row: EventRow,
    /// The deliveries that are not done.
    pub remaining: Deliveries,
    /// The number of deliveries that the event had when it was read.
    deliveries: usize,
}

#[derive(Debug, Default)]
pub struct OpenEvents {
    open: HashMap<EventId, OpenEvent>,
    /// Events in order of age. Some of them may no longer be open.
    ages: VecDeque<(Instant, EventId)>,
}

/// What is to be deleted when a delivery ends.
#[derive(Debug)]
pub enum Ended {
    /// The own row of the delivery, because its event is not open, or the delivery has moved.
    OwnRow,
    /// Nothing yet, because other deliveries of the event remain.
    OthersRemain,
    /// The row of the event, because this was its last delivery.
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

    /// Removes a delivery that needs no further attempts from its event.
    pub fn end(&mut self, work: &Work) -> Ended {
        let Some(open) = self.open.get_mut(&work.event) else { return Ended::OwnRow };
        let before = open.remaining.len();
        open.remaining.retain(|other| other.delivery != work.delivery);
        // The former dispatcher may have moved a part of the event.
        if open.remaining.len() == before {
            return Ended::OwnRow;
        }
        if !open.remaining.is_empty() {
            return Ended::OthersRemain;
        }
        let row = open.row;
        self.open.remove(&work.event);
        Ended::Last(row)
    }

    /// When the oldest event was read. This event may no longer be open.
    pub fn oldest(&self) -> Option<Instant> {
        self.ages.front().map(|(since, _)| *since)
    }

    /// Takes the next event that has been open for `age`. Each event is returned once.
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

    /// The events of which some deliveries are done and others are not.
    pub fn half_delivered(&self) -> Vec<EventId> {
        let half = |(_, open): &(&EventId, &OpenEvent)| open.remaining.len() < open.deliveries;
        self.open.iter().filter(half).map(|(event, _)| *event).collect()
    }
}
