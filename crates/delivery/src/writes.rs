//! Collects the decisions of the dispatcher until they are written.
//!
//! Decisions are made in memory when outcomes arrive, and written in batches, one transaction for each batch. A batch
//! is kept until it has committed, so that it can be written again if its transaction fails, and nothing is lost.
//! Several decisions about one delivery between two batches are merged into one write: a row that would be inserted and
//! deleted at once is never written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use wire::attempt::ErrorClass;
use wire::ids::{DeliveryId, SubscriptionId};

use crate::stored_event::EventRow;
use crate::subscription::{DisabledReason, Failing};
use crate::work::Work;

#[derive(Debug, Default)]
pub struct Writes {
    /// Rows of `hydra.event` to delete: all their deliveries are done or have their own rows now.
    pub finished_events: Vec<EventRow>,
    /// Rows of `hydra.delivery` to insert, update or delete.
    pub rows: HashMap<DeliveryId, RowWrite>,
    /// Rows to insert into `hydra.attempt`, in order of completion.
    pub attempts: Vec<AttemptRecord>,
    /// Subscriptions that were deleted. Their remaining rows are removed: some may have been inserted while the
    /// subscription was being deleted.
    pub deleted: Vec<SubscriptionId>,
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
}

impl Verdicts {
    pub fn is_empty(&self) -> bool {
        self.failing.is_empty() && self.disabled.is_empty() && self.faults.is_empty()
    }
}

#[derive(Debug)]
pub enum RowWrite {
    Insert(Arc<Work>, RowState),
    Update(SubscriptionId, RowState),
    Delete,
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

/// A row of the history.
#[derive(Debug)]
pub struct AttemptRecord {
    pub work: Arc<Work>,
    pub attempt: u32,
    pub status: Option<u16>,
    /// Class and message of the error, if the attempt failed.
    pub error: Option<(ErrorClass, String)>,
    pub excerpt: Option<String>,
    pub response_ms: Option<i32>,
    pub at: SystemTime,
    pub next_at: Option<SystemTime>,
}

impl Writes {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.finished_events.len() + self.rows.len() + self.attempts.len() + self.deleted.len()
    }

    /// Inserts a row for the delivery, claimed by this dispatcher.
    pub fn insert(&mut self, work: Arc<Work>) {
        self.rows.insert(work.delivery, RowWrite::Insert(work, RowState::Claimed));
    }

    /// Changes the state of the row of a delivery.
    pub fn update(&mut self, work: &Work, state: RowState) {
        self.rows
            .entry(work.delivery)
            .and_modify(|write| {
                if let RowWrite::Insert(_, was) | RowWrite::Update(_, was) = write {
                    *was = state;
                }
            })
            .or_insert(RowWrite::Update(work.subscription, state));
    }

    /// Deletes the row of a delivery. A row that is not written yet is not inserted.
    pub fn delete(&mut self, work: &Work) {
        match self.rows.remove(&work.delivery) {
            Some(RowWrite::Insert(..)) => {}
            Some(RowWrite::Update(..) | RowWrite::Delete) | None => {
                self.rows.insert(work.delivery, RowWrite::Delete);
            }
        }
    }
}
