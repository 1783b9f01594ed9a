//! Finishes events whose deliveries are done, and moves events: their unfinished deliveries become rows of the retry
//! queue.

use std::time::Instant;

use wire::ids::{EventKey, SubscriptionId};

use super::open_events::{Ended, OpenEvent};
use super::{Dispatch, STRAGGLER};
use crate::work::Work;
use crate::writes::RowState;

impl Dispatch {
    /// Ends a delivery that is done. Its own row is deleted or, if it was the last delivery of an open event, the row
    /// of the event.
    pub(super) fn finish(&mut self, work: &Work) {
        match self.open.end(work) {
            Ended::OwnRow => self.writes.delete(work),
            Ended::OthersRemain => {}
            Ended::Last(row) => self.writes.finished_events.push(row),
        }
    }

    /// Moves an event: inserts a row for each of its unfinished deliveries. Does nothing if the event is not open.
    pub(super) fn move_event(&mut self, event: EventKey) {
        if let Some(open) = self.open.remove(event) {
            self.writes.move_event(open.row, open.into_remaining());
        }
    }

    /// Moves stragglers, and empties the lanes in which their deliveries are still queued: deliveries to a slow
    /// endpoint wait in the table.
    pub fn move_stragglers(&mut self, now: Instant) {
        while let Some(event) = self.open.next_older_than(STRAGGLER, now) {
            let waiting: Vec<SubscriptionId> =
                self.open.get(event).into_iter().flat_map(|open| self.not_under_way(open)).collect();
            self.move_event(event);
            waiting.into_iter().for_each(|id| self.empty_lane(id));
        }
    }

    /// The subscriptions whose delivery of this event has not been handed out.
    fn not_under_way(&self, open: &OpenEvent) -> impl Iterator<Item = SubscriptionId> {
        let waiting = open.remaining().filter(|work| !self.under_way.contains_key(&work.delivery));
        waiting.map(|work| work.subscription)
    }

    /// Moves events that only some of their subscriptions have received. Otherwise the next dispatcher would send such
    /// an event again to the subscriptions that have received it.
    pub fn move_half_delivered(&mut self) {
        self.open.half_delivered().into_iter().for_each(|event| self.move_event(event));
    }

    /// Lets a lane overflow, and releases its queued deliveries.
    pub(super) fn empty_lane(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.overflowing = true;
        }
        self.release_queue(id);
    }

    /// Releases the queued deliveries of a subscription. Those of open events become rows of the retry queue first.
    pub(super) fn release_queue(&mut self, id: SubscriptionId) {
        for work in self.lanes.take_queue(id) {
            self.move_event(work.event);
            self.writes.update(&work, RowState::Released);
        }
    }
}
