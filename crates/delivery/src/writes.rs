//! Decisions of the dispatcher that are not written yet.
//!
//! Decisions are made in memory when outcomes arrive, and written in batches, one transaction for each. A batch is kept until
//! it has committed, so a transaction that failed is tried again and loses nothing. Several decisions about one delivery
//! between two batches fold into one write: a row that would be inserted and deleted at once is never written.

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
    /// Rows of `hydra.event` to delete: their deliveries are done, or have their own rows now.
    pub finished_events: Vec<EventRow>,
    /// Rows of `hydra.delivery`.
    pub rows: HashMap<DeliveryId, RowWrite>,
    /// Rows for `hydra.attempt`, in order of completion.
    pub attempts: Vec<AttemptRecord>,
    /// Subscriptions that were deleted: rows that became pending while they were being deleted are deleted too.
    pub deleted: Vec<SubscriptionId>,
}

/// What was decided about subscriptions.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// How they fail, if that changed.
    pub failing: HashMap<SubscriptionId, Failing>,
    pub disabled: HashMap<SubscriptionId, DisabledReason>,
}

impl Verdicts {
    pub fn is_empty(&self) -> bool {
        self.failing.is_empty() && self.disabled.is_empty()
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
    /// Being sent by this dispatcher, or in its memory to be sent.
    Claimed,
    /// Given back unchanged. Due at once if it was never tried.
    Released,
    /// Failed, and due again.
    Due { attempts: u32, scheduled_at: SystemTime, due_at: SystemTime },
    /// Given up.
    Failed { attempts: u32 },
}

#[derive(Debug)]
pub struct AttemptRecord {
    pub work: Arc<Work>,
    pub attempt: u32,
    pub status: Option<u16>,
    /// Kind and message of a failure.
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

    /// The delivery gets a row, claimed by this dispatcher.
    pub fn insert(&mut self, work: Arc<Work>) {
        self.rows.insert(work.delivery, RowWrite::Insert(work, RowState::Claimed));
    }

    /// The row of a delivery changes.
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

    /// The delivery is done.
    pub fn delete(&mut self, work: &Work) {
        match self.rows.remove(&work.delivery) {
            Some(RowWrite::Insert(..)) => {}
            Some(RowWrite::Update(..) | RowWrite::Delete) | None => {
                self.rows.insert(work.delivery, RowWrite::Delete);
            }
        }
    }
}
