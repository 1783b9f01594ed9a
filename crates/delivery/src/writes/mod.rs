//! Collects the decisions of the dispatcher until they are written.
//!
//! Decisions are made in memory when outcomes arrive, and written in batches. A batch is written in [`Part`]s, one
//! transaction for each, because it may be large: an event that moves gets a row with its body for each of its
//! deliveries. What a transaction could not write is put back, so that nothing is lost. Several decisions about one
//! delivery between two batches are merged into one write: a row that would be inserted and deleted at once is never
//! written.
//!
//! An event of which only some deliveries fit into a part moves in steps: the rows of these deliveries are inserted,
//! and their subscriptions are removed from the row of the event. So after each step each delivery is stored in exactly
//! one place.
//!
//! A delivery that is kept after its success is finished in the same transaction that keeps it, or in a later one. So a
//! crash in between can cause it to be sent and kept again, as the same row, and it is never finished without being kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use wire::attempt::ErrorClass;
use wire::ids::{DeliveryId, EventKey, SubscriptionId};

use crate::bodies::Bodies;
use crate::stored_event::EventRow;
use crate::subscription::{DisabledReason, Failing};
use crate::work::Work;

mod delivered;
mod part;

pub use delivered::Delivered;
pub(crate) use part::ROWS;
pub use part::{Move, Part};

/// The key of decisions about one delivery. They are written in the order of events.
pub type Key = (EventKey, DeliveryId);

#[derive(Debug, Default)]
pub struct Writes {
    /// Rows of `hydra.event` to delete: all their deliveries are done.
    pub finished_events: Vec<EventRow>,
    /// Rows of `hydra.event` to delete when all their deliveries of `inserts` have been inserted.
    pub moved: BTreeMap<EventKey, EventRow>,
    /// Rows of `hydra.delivery` to insert.
    pub inserts: BTreeMap<Key, (Arc<Work>, RowState)>,
    /// Rows of `hydra.delivery` to update or delete.
    pub changes: BTreeMap<Key, Change>,
    /// Rows to insert into `hydra.attempt`, in order of completion.
    pub attempts: Vec<AttemptRecord>,
    /// Rows to insert into `hydra.delivered`.
    delivered: BTreeMap<Key, Delivered>,
    /// The size of these rows. A body is counted for each of them.
    delivered_bytes: usize,
    /// Subscriptions that were deleted. Their remaining rows are removed: some may have been inserted while the
    /// subscription was being deleted.
    pub deleted: Vec<SubscriptionId>,
    /// The bodies of `inserts`.
    bodies: Bodies,
    /// The number of entries of `inserts` and `changes` for each subscription that has any.
    unwritten: HashMap<SubscriptionId, usize>,
}

/// Changes of the health of subscriptions: their failures since the last success, and which of them are disabled.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// The failures since the last success, of subscriptions for which they changed.
    pub failing: HashMap<SubscriptionId, Failing>,
    /// Subscriptions that are disabled, with the reason.
    pub disabled: HashMap<SubscriptionId, DisabledReason>,
    /// What is wrong on this side, so that the deliveries of a subscription wait; `None` if nothing is any more.
    pub faults: HashMap<SubscriptionId, Option<String>>,
    /// Subscriptions that have failed for half of what disables them.
    pub halfway: HashSet<SubscriptionId>,
    /// Subscriptions whose endpoints began to fail (true) or answer again (false).
    pub turned: HashMap<SubscriptionId, bool>,
}

impl Verdicts {
    pub fn is_empty(&self) -> bool {
        let Self { failing, disabled, faults, halfway, turned } = self;
        failing.is_empty() && disabled.is_empty() && faults.is_empty() && halfway.is_empty() && turned.is_empty()
    }

    /// Takes out what one transaction writes: all that is known about some subscriptions. Thousands may change at the
    /// same time, and events must be read in between.
    pub fn take_part(&mut self) -> Verdicts {
        let mut ids: HashSet<SubscriptionId> = HashSet::default();
        let Self { failing, disabled, faults, halfway, turned } = self;
        for id in disabled.keys().chain(failing.keys()).chain(faults.keys()).chain(halfway.iter()).chain(turned.keys())
        {
            if ids.len() == ROWS {
                break;
            }
            ids.insert(*id);
        }
        Verdicts {
            failing: ids.iter().filter_map(|id| self.failing.remove_entry(id)).collect(),
            disabled: ids.iter().filter_map(|id| self.disabled.remove_entry(id)).collect(),
            faults: ids.iter().filter_map(|id| self.faults.remove_entry(id)).collect(),
            halfway: ids.iter().filter_map(|id| self.halfway.take(id)).collect(),
            turned: ids.iter().filter_map(|id| self.turned.remove_entry(id)).collect(),
        }
    }

    /// Puts back a part that could not be written, before anything else is decided.
    pub fn put_back(&mut self, part: Verdicts) {
        self.failing.extend(part.failing);
        self.disabled.extend(part.disabled);
        self.faults.extend(part.faults);
        self.halfway.extend(part.halfway);
        self.turned.extend(part.turned);
    }

    /// Notes that an endpoint began to fail, or answers again. If neither is written yet, nothing has changed.
    pub fn turn(&mut self, id: SubscriptionId, fails: bool) {
        if self.turned.remove(&id).is_none_or(|before| before == fails) {
            self.turned.insert(id, fails);
        }
    }
}

/// A change of the row of a delivery.
#[derive(Debug)]
pub struct Change {
    pub of: Names,
    /// `None`: the row is deleted.
    pub state: Option<RowState>,
}

/// What identifies a delivery in the history, and its event.
#[derive(Debug, Clone)]
pub struct Names {
    pub delivery: DeliveryId,
    pub subscription: SubscriptionId,
    pub event: EventKey,
    pub event_type: Arc<str>,
    pub entity_type: Arc<str>,
    pub entity_id: Option<Arc<str>>,
    pub tenant_id: Option<Arc<str>>,
    pub emitted_at: SystemTime,
}

/// Whether a text fits into an index of Postgres. No event that was emitted has a longer id, but somebody may have written its row
/// by hand. The tables of results leave such a text out.
pub(crate) fn is_indexable(text: &str) -> bool {
    text.len() <= 1024
}

impl Names {
    pub fn of(work: &Work) -> Self {
        Self {
            delivery: work.delivery,
            subscription: work.subscription,
            event: work.event,
            event_type: Arc::clone(&work.event_type),
            entity_type: Arc::clone(&work.entity_type),
            entity_id: work.entity_id.clone().filter(|id| is_indexable(id)),
            tenant_id: work.tenant_id.clone().filter(|id| is_indexable(id)),
            emitted_at: work.emitted_at,
        }
    }

    fn key(&self) -> Key {
        (self.event, self.delivery)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// In the memory of this dispatcher, queued or in flight.
    Claimed,
    /// No longer claimed, and otherwise unchanged. Due at once if there was no attempt yet.
    Released,
    /// The latest attempt failed or could not be made, and the delivery is due again at `due_at`.
    Due { attempts: u32, scheduled_at: Option<SystemTime>, due_at: SystemTime },
    /// The delivery was given up.
    Failed { attempts: u32 },
}

impl RowState {
    /// The number of attempts that have been made. `None` if it has not changed.
    pub fn attempts(self) -> Option<u32> {
        match self {
            Self::Due { attempts, .. } | Self::Failed { attempts } => Some(attempts),
            Self::Claimed | Self::Released => None,
        }
    }
}

/// A row of the history.
#[derive(Debug)]
pub struct AttemptRecord {
    pub of: Names,
    pub attempt: u32,
    pub status: Option<u16>,
    /// Class and message of the error, if the attempt failed.
    pub error: Option<(ErrorClass, String)>,
    pub excerpt: Option<String>,
    pub response_ms: Option<i32>,
    pub at: SystemTime,
    pub next_at: Option<SystemTime>,
}

impl AttemptRecord {
    /// Returns the row of the history for a delivery that was given up although no request was made. It counts as an
    /// attempt, so that each row of the history has its own number.
    pub fn given_up(of: Names, attempt: u32, reason: &str, at: SystemTime) -> Self {
        let error = Some((ErrorClass::Internal, reason.to_owned()));
        Self { of, attempt, status: None, error, excerpt: None, response_ms: None, at, next_at: None }
    }
}

impl Writes {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        let Self { finished_events, moved, inserts, changes, attempts, delivered, deleted, .. } = self;
        let rows = finished_events.len() + moved.len() + inserts.len() + changes.len() + attempts.len();
        rows + delivered.len() + deleted.len()
    }

    /// Whether rows of this subscription are not written yet. Then its rows in the table are not all that it has.
    pub fn are_unwritten(&self, id: SubscriptionId) -> bool {
        self.unwritten.contains_key(&id)
    }

    /// The bytes of the bodies that are to be inserted, and of deliveries that are to be kept.
    pub fn bytes(&self) -> usize {
        self.bodies.bytes() + self.delivered_bytes
    }

    /// Deletes an event, and inserts a row for each of these deliveries, claimed by this dispatcher.
    pub fn move_event(&mut self, row: EventRow, deliveries: impl IntoIterator<Item = Arc<Work>>) {
        self.moved.insert(row.event, row);
        for work in deliveries {
            self.insert(work, RowState::Claimed);
        }
    }

    fn insert(&mut self, work: Arc<Work>, state: RowState) {
        let id = work.subscription;
        self.bodies.add(&work.body);
        if self.inserts.insert((work.event, work.delivery), (work, state)).is_none() {
            self.count(id);
        }
    }

    /// Changes the state of the row of a delivery.
    pub fn update(&mut self, work: &Work, state: RowState) {
        match self.inserts.get_mut(&(work.event, work.delivery)) {
            Some((_, was)) => *was = state,
            None => self.change(Names::of(work), Some(state)),
        }
    }

    /// Deletes the row of a delivery. A row that is not written yet is not inserted.
    pub fn delete(&mut self, work: &Work) {
        match self.inserts.remove(&(work.event, work.delivery)) {
            Some((work, _)) => {
                self.bodies.remove(&work.body);
                self.uncount(work.subscription);
            }
            None => self.change(Names::of(work), None),
        }
    }

    /// A later change replaces an earlier one, but a deleted row stays deleted.
    fn change(&mut self, of: Names, state: Option<RowState>) {
        let id = of.subscription;
        match self.changes.get_mut(&of.key()) {
            Some(Change { state: None, .. }) => {}
            Some(known) => known.state = state,
            None => {
                self.changes.insert(of.key(), Change { of, state });
                self.count(id);
            }
        }
    }

    fn count(&mut self, id: SubscriptionId) {
        *self.unwritten.entry(id).or_default() += 1;
    }

    fn uncount(&mut self, id: SubscriptionId) {
        if let Some(count) = self.unwritten.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.unwritten.remove(&id);
            }
        }
    }
}
