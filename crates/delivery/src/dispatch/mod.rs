//! Decides about deliveries: which to send next, and what to write about their outcomes.
//!
//! *Each unfinished delivery is stored in exactly one place.* An event begins as a row of `hydra.event`. As long as
//! this row stands for its unfinished deliveries, the event is *open*, and the deliveries themselves exist only in
//! memory. When the last of them has succeeded, the row is deleted. If one of them fails or has to wait, the event
//! *moves*: each delivery that has not succeeded gets a row in `hydra.delivery`, the *retry queue*, and the same
//! transaction deletes the row of the event. An event that is still open after [`STRAGGLER`] is a *straggler*, and
//! moves too.
//!
//! A dispatcher *claims* rows of the retry queue: it marks them as its own, reads them into memory and sends them. If
//! it does not send such a delivery after all, it *releases* the row: the row is no longer claimed, and otherwise
//! unchanged.
//!
//! Nothing here uses Postgres, a clock or random numbers. Rows come in as
//! [`StoredEvent`](crate::stored_event::StoredEvent) and [`Work`], outcomes as [`Attempt`](wire::attempt::Attempt).
//! Requests are returned by [`Dispatch::hand_out`], and decisions are left in [`Dispatch::writes`].
//!
//! | module | what it does |
//! |---|---|
//! | `intake` | queues deliveries of events that were read, and of rows that were claimed |
//! | `sending` | hands deliveries out as requests, and processes the outcomes |
//! | `judgement` | decides what an outcome means |
//! | `moving` | finishes events, and moves events |
//! | `open_events` | keeps the open events with their unfinished deliveries |
//! | `subscriptions` | applies changes of subscriptions |

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use foldhash::{HashMap, HashSet};
use wire::ids::{DeliveryId, SubscriptionId};

use crate::lanes::{Lanes, UNWRITTEN_ENOUGH};
use crate::retry;
use crate::tally::Tally;
use crate::work::Work;
use crate::writes::{Part, RowState, Verdicts, Writes};
use open_events::OpenEvents;

mod intake;
mod judgement;
mod moving;
mod open_events;
mod sending;
mod subscriptions;
#[cfg(test)]
mod tests;

/// How long an event may be open before it moves. This bounds the number of deliveries that a crash repeats.
pub const STRAGGLER: Duration = Duration::from_secs(2);

/// A delivery that was handed out.
#[derive(Debug)]
struct UnderWay {
    work: Arc<Work>,
    /// What [`Dispatch::counted`] was when it was handed out.
    counted: u64,
    /// Whether the delivery goes back to its table if its request does not start.
    is_recalled: bool,
}

#[derive(Debug, Default)]
pub struct Dispatch {
    lanes: Lanes,
    open: OpenEvents,
    under_way: HashMap<DeliveryId, UnderWay>,
    /// Ids of subscriptions that were targets of events and no longer exist. An id is never used again.
    gone: HashSet<SubscriptionId>,
    /// When this dispatcher began to send, or the latest interruption ended. Earlier time is not counted when
    /// deliveries expire or endpoints are stale. `None` before it has begun.
    sending_since: Option<Instant>,
    /// The number of faults that were counted. A request that was handed out before the latest fault of its lane was
    /// counted was under way together with it, and is no further fault.
    counted: u64,
    pub writes: Writes,
    pub verdicts: Verdicts,
    pub tally: Tally,
}

impl Dispatch {
    /// Records that deliveries are sent from `now` on, and that none could be sent for a while before.
    pub fn begin_sending(&mut self, now: Instant) {
        self.sending_since = Some(now);
    }

    /// Lets subscriptions that wait because of a fault on this side try again. To be called when settings have changed.
    pub fn end_faults(&mut self) {
        self.lanes.end_faults();
    }

    /// The number of subscriptions that wait because of a fault on this side.
    pub fn faulty(&self) -> usize {
        self.lanes.faulty()
    }

    /// Whether a delivery of this subscription cannot have been planned to be due at `due`, which is too far away.
    pub fn is_too_far(&self, id: SubscriptionId, due: SystemTime, now: SystemTime) -> bool {
        self.lanes.get(id).is_some_and(|lane| due > now + retry::longest_wait(&lane.subscription.schedule))
    }

    /// The number of deliveries that are queued in memory.
    pub fn queued(&self) -> usize {
        self.lanes.queued()
    }

    /// The number of requests that were handed over and have no outcome so far.
    pub fn in_flight(&self) -> usize {
        self.lanes.in_flight()
    }

    /// Whether more events should be read. Unread events wait in the table. A lane that has been crowded for too long
    /// begins to overflow.
    pub fn has_room(&mut self, now: Instant) -> bool {
        for id in self.lanes.stuck(now) {
            self.empty_lane(id);
        }
        self.lanes.have_room(now) && self.writes.bytes() < UNWRITTEN_ENOUGH
    }

    /// Whether more events should be read although lanes are crowded. True if only lanes of a flood are crowded, and
    /// these lanes still have room.
    pub fn has_room_beside(&self, is_flooded: impl Fn(SubscriptionId) -> bool) -> bool {
        self.lanes.have_room_beside(is_flooded) && self.writes.bytes() < UNWRITTEN_ENOUGH
    }

    /// The next time at which something changes without a new event or outcome: the oldest event has to move, a crowded
    /// lane overflows, or a lane with a rate limit may send again.
    pub fn next_change(&self) -> Option<Instant> {
        let straggler = self.open.oldest().map(|since| since + STRAGGLER);
        straggler.into_iter().chain(self.lanes.next_overflow()).chain(self.lanes.next_pause_end()).min()
    }

    /// To be called when a part of the decisions has been written. Notes when the written rows are due.
    pub fn written(&mut self, part: &Part, now: SystemTime) {
        self.writes.written(part);
        let inserts = part.moves.iter().flat_map(|step| &step.deliveries);
        let inserts = inserts.map(|(work, state)| (work.subscription, *state));
        let updates = part.changes.iter().filter_map(|change| Some((change.of.subscription, change.state?)));
        for (id, state) in inserts.chain(updates) {
            match state {
                RowState::Released => self.lanes.add_due(id, now),
                RowState::Due { due_at, .. } => self.lanes.add_due(id, due_at),
                RowState::Claimed | RowState::Failed { .. } => {}
            }
        }
    }

    /// The subscriptions that have due rows in the retry queue and room for them, each with the number of rows to
    /// claim. Those with decisions that are not written yet wait: their rows in the table are not all that they have.
    pub fn to_claim(&self, now: SystemTime) -> Vec<(SubscriptionId, i32)> {
        self.lanes.to_claim(now, |id| !self.writes.are_unwritten(id))
    }

    /// Whether there are due rows in the retry queue and room for them.
    pub fn may_claim(&self, now: SystemTime) -> bool {
        !self.lanes.to_claim(now, |_| true).is_empty()
    }

    /// When the next rows of the retry queue become due after `now`.
    pub fn next_due_after(&self, now: SystemTime) -> Option<SystemTime> {
        self.lanes.next_due_after(now)
    }

    /// Sets when the earliest row of a subscription in the retry queue is due. `None` if it has no row. While a row is
    /// due already, or rows are not written yet, the lane overflows.
    pub fn set_next_due(&mut self, id: SubscriptionId, due: Option<SystemTime>, now: SystemTime) {
        self.lanes.set_next_due(id, due);
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.overflowing = due.is_some_and(|due| due <= now) || self.writes.are_unwritten(id);
        }
    }
}
