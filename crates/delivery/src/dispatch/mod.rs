//! The life of deliveries: what to send next, and what to write about what was sent.
//!
//! *One event, one home.* An event starts as a row of `hydra.event`. While all goes well its deliveries exist only in
//! memory, and when the last of them has succeeded the row is deleted. If one of them fails or has to wait, or if the event
//! is unfinished after [`STRAGGLER`], the event *moves*: every delivery without a success gets a row in `hydra.delivery`,
//! and the same transaction deletes the row of the event. So the home of a delivery is the row of its event while the event
//! is open, and a separate row afterwards.
//!
//! Nothing here knows Postgres, a clock or randomness. Rows come in as [`StoredEvent`](crate::stored_event::StoredEvent) and
//! [`Work`], outcomes as [`Attempt`](wire::attempt::Attempt). Requests go out through
//! [`Dispatch::hand_out`], and decisions are left in [`Dispatch::writes`].
//!
//! | file | what happens to deliveries |
//! |---|---|
//! | `intake` | they come from events, or from rows that were claimed |
//! | `sending` | they are handed out, and outcomes come back |
//! | `judgement` | what an outcome means |
//! | `moving` | their event is finished, or moves |
//! | `subscriptions` | their subscription changes |

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use foldhash::{HashMap, HashSet};
use wire::ids::{DeliveryId, SubscriptionId};

use crate::lanes::Lanes;
use crate::tally::Tally;
use crate::work::Work;
use crate::writes::{RowState, RowWrite, Verdicts, Writes};
use open_events::OpenEvents;

mod intake;
mod judgement;
mod moving;
mod open_events;
mod sending;
mod subscriptions;
#[cfg(test)]
mod tests;

/// How long an event may be unfinished before it moves. This bounds the deliveries that a crash repeats.
pub const STRAGGLER: Duration = Duration::from_secs(2);

/// A delivery that was handed out.
#[derive(Debug)]
struct UnderWay {
    work: Arc<Work>,
    /// Whether its thread is free after it.
    last: bool,
}

#[derive(Debug)]
pub struct Dispatch {
    /// What delivery ids are derived from.
    namespace: [u8; 16],
    lanes: Lanes,
    open: OpenEvents,
    under_way: HashMap<DeliveryId, UnderWay>,
    /// Subscriptions that events named and that do not exist any more. Ids are not used again.
    gone: HashSet<SubscriptionId>,
    /// Since when deliveries are sent. The time before does not count against any.
    sending_since: SystemTime,
    pub writes: Writes,
    pub verdicts: Verdicts,
    pub tally: Tally,
}

impl Dispatch {
    pub fn new(namespace: [u8; 16]) -> Self {
        Self {
            namespace,
            lanes: Lanes::default(),
            open: OpenEvents::default(),
            under_way: HashMap::default(),
            gone: HashSet::default(),
            sending_since: SystemTime::UNIX_EPOCH,
            writes: Writes::default(),
            verdicts: Verdicts::default(),
            tally: Tally::default(),
        }
    }

    /// The installation has another identity: deliveries of new events get other ids.
    pub fn set_namespace(&mut self, namespace: [u8; 16]) {
        self.namespace = namespace;
    }

    /// Deliveries are sent from now on.
    pub fn begin_sending(&mut self, now: SystemTime) {
        self.sending_since = now;
    }

    pub fn queued(&self) -> usize {
        self.lanes.queued()
    }

    pub fn in_flight(&self) -> usize {
        self.lanes.in_flight()
    }

    /// Whether more should be read. What is not read waits in the tables.
    pub fn has_room(&mut self, now: Instant) -> bool {
        self.lanes.have_room(now)
    }

    /// Whether more should be read although the lanes of a flood are crowded.
    pub fn has_room_beside(&self, is_flooded: impl Fn(SubscriptionId) -> bool) -> bool {
        self.lanes.have_room_beside(is_flooded)
    }

    /// When time alone changes something: the oldest open event is due to move, a crowded lane overflows, or a lane with a
    /// rate limit may send again.
    pub fn next_change(&self) -> Option<Instant> {
        let straggler = self.open.oldest().map(|since| since + STRAGGLER);
        straggler.into_iter().chain(self.lanes.next_overflow()).chain(self.lanes.next_pause_end()).min()
    }

    /// The decisions so far have been written.
    pub fn written(&mut self, now: SystemTime) {
        let writes = std::mem::take(&mut self.writes);
        for (_, write) in writes.rows {
            match write {
                RowWrite::Insert(work, RowState::Released) => self.lanes.add_due(work.subscription, now),
                RowWrite::Update(id, RowState::Released) => self.lanes.add_due(id, now),
                RowWrite::Insert(work, RowState::Due { due_at, .. }) => self.lanes.add_due(work.subscription, due_at),
                RowWrite::Update(id, RowState::Due { due_at, .. }) => self.lanes.add_due(id, due_at),
                _ => {}
            }
        }
    }

    /// Subscriptions that have rows due in the table and room for them: id and number of rows.
    pub fn to_claim(&self, now: SystemTime) -> Vec<(SubscriptionId, i32)> {
        self.lanes.to_claim(now)
    }

    pub fn next_due_after(&self, now: SystemTime) -> Option<SystemTime> {
        self.lanes.next_due_after(now)
    }

    /// Sets when the earliest row of a subscription in the table is due.
    pub fn set_next_due(&mut self, id: SubscriptionId, due: Option<SystemTime>, now: SystemTime) {
        self.lanes.set_next_due(id, due);
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.overflowing = due.is_some_and(|due| due <= now);
        }
    }
}
