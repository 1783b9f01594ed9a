//! Keeps the open events: those whose unfinished deliveries are stored only as the row of the event in `hydra.event`.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use smallvec::SmallVec;
use wire::ids::{EventKey, SubscriptionId};

use crate::stored_event::EventRow;
use crate::work::Work;

/// Deliveries of one event. Most events have only one, which is stored inline, without an allocation.
pub type Deliveries = SmallVec<[Arc<Work>; 1]>;

#[derive(Debug)]
pub struct OpenEvent {
    pub row: EventRow,
    /// The deliveries that the event had when it was read, in the order of their subscriptions, so that one of many
    /// thousand is found at once. `None` if the delivery is done.
    deliveries: SmallVec<[(SubscriptionId, Option<Arc<Work>>); 1]>,
    /// The number of deliveries that are not done.
    remaining: usize,
}

impl OpenEvent {
    fn new(row: EventRow, deliveries: Deliveries) -> Self {
        let mut deliveries: SmallVec<_> = deliveries.into_iter().map(|work| (work.subscription, Some(work))).collect();
        deliveries.sort_unstable_by_key(|(subscription, _)| *subscription);
        Self { row, remaining: deliveries.len(), deliveries }
    }

    /// The deliveries that are not done.
    pub fn remaining(&self) -> impl Iterator<Item = &Arc<Work>> {
        self.deliveries.iter().filter_map(|(_, work)| work.as_ref())
    }

    pub fn into_remaining(self) -> impl Iterator<Item = Arc<Work>> {
        self.deliveries.into_iter().filter_map(|(_, work)| work)
    }

    /// Returns the place of a delivery that is not done.
    fn find(&mut self, of: &Work) -> Option<&mut Option<Arc<Work>>> {
        let place = self.deliveries.binary_search_by_key(&of.subscription, |(subscription, _)| *subscription).ok()?;
        let work = &mut self.deliveries[place].1;
        work.as_ref().is_some_and(|work| work.delivery == of.delivery).then_some(work)
    }
}

#[derive(Debug, Default)]
pub struct OpenEvents {
    open: HashMap<EventKey, OpenEvent>,
    /// Events in order of age. Some of them may no longer be open.
    ages: VecDeque<(Instant, EventKey)>,
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
        self.ages.push_back((now, row.event));
        self.open.insert(row.event, OpenEvent::new(row, deliveries));
    }

    pub fn get(&self, event: EventKey) -> Option<&OpenEvent> {
        self.open.get(&event)
    }

    pub fn remove(&mut self, event: EventKey) -> Option<OpenEvent> {
        self.open.remove(&event)
    }

    /// Removes a delivery that needs no further attempts from its event.
    pub fn end(&mut self, work: &Work) -> Ended {
        let Entry::Occupied(mut entry) = self.open.entry(work.event) else { return Ended::OwnRow };
        let open = entry.get_mut();
        // The former dispatcher may have moved a part of the event.
        let Some(found) = open.find(work) else { return Ended::OwnRow };
        *found = None;
        open.remaining -= 1;
        if open.remaining > 0 {
            return Ended::OthersRemain;
        }
        Ended::Last(entry.remove().row)
    }

    /// When the oldest event was read. This event may no longer be open.
    pub fn oldest(&self) -> Option<Instant> {
        self.ages.front().map(|(since, _)| *since)
    }

    /// Takes the next event that has been open for `age`. Each event is returned once.
    pub fn next_older_than(&mut self, age: Duration, now: Instant) -> Option<EventKey> {
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
    pub fn half_delivered(&self) -> Vec<EventKey> {
        let half = |(_, open): &(&EventKey, &OpenEvent)| open.remaining < open.deliveries.len();
        self.open.iter().filter(half).map(|(event, _)| *event).collect()
    }
}
