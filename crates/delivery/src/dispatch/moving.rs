//! Where deliveries have their home: events that are finished, and events that move.

use std::time::Instant;

use wire::ids::{EventId, SubscriptionId};

use super::open_events::{Ended, OpenEvent};
use super::{Dispatch, STRAGGLER};
use crate::work::Work;
use crate::writes::RowState;

impl Dispatch {
    /// A delivery is done. Its row is deleted, or the row of its event if it was the last one.
    pub(super) fn finish(&mut self, work: &Work) {
        match self.open.end(work) {
            Ended::OwnRow => self.writes.delete(work),
            Ended::OthersRemain => {}
            Ended::Last(row) => self.writes.finished_events.push(row),
        }
    }

    /// Gives each delivery of an event that has not succeeded its own row, unless they have one already.
    pub(super) fn move_event(&mut self, event: EventId) {
        if let Some(open) = self.open.remove(event) {
            self.writes.finished_events.push(open.row);
            for work in open.remaining {
                self.writes.insert(work);
            }
        }
    }

    /// Moves events that are unfinished for too long, and empties the lanes that they wait for: deliveries to a slow endpoint
    /// wait in the table.
    pub fn move_stragglers(&mut self, now: Instant) {
        while let Some(event) = self.open.next_older_than(STRAGGLER, now) {
            let waiting: Vec<SubscriptionId> =
                self.open.get(event).into_iter().flat_map(|open| self.not_under_way(open)).collect();
            self.move_event(event);
            waiting.into_iter().for_each(|id| self.empty_lane(id));
        }
    }

    fn not_under_way(&self, open: &OpenEvent) -> impl Iterator<Item = SubscriptionId> {
        let waiting = open.remaining.iter().filter(|work| !self.under_way.contains_key(&work.delivery));
        waiting.map(|work| work.subscription)
    }

    /// Moves events that some subscriptions have received already. Otherwise the next dispatcher would send them to these
    /// again.
    pub fn move_half_delivered(&mut self) {
        self.open.half_delivered().into_iter().for_each(|event| self.move_event(event));
    }

    /// Lets a lane overflow, and gives what it has queued back to the table.
    pub(super) fn empty_lane(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.overflowing = true;
        }
        self.release_queue(id);
    }

    /// Gives back to the table what is queued for a subscription.
    pub(super) fn release_queue(&mut self, id: SubscriptionId) {
        for work in self.lanes.take_queue(id) {
            self.move_event(work.event);
            self.writes.update(&work, RowState::Released);
        }
    }
}
