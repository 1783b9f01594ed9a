//! Emits the events of the extension itself: `webhook.delivery_failed`, `webhook.subscription_failing` and
//! `webhook.subscription_disabled`.
//!
//! They are emitted after the transaction that records what happened, in separate transactions, because filters of users
//! are evaluated for them: no filter keeps a result from being recorded. If the dispatcher crashes between the two
//! transactions, these events are not emitted; what happened is recorded all the same.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::ids::{DeliveryId, SubscriptionId};

use crate::backend::{Failure, transaction};
use crate::store::Store;

/// No transaction is begun later than this in one turn of the dispatcher, and each emits at most this many events.
const TURN: Duration = Duration::from_millis(50);
const AT_ONCE: usize = 32;

/// The maximum number of events that wait. If more wait because they cannot be emitted, the oldest are dropped.
const WAITING: usize = 10_000;

#[derive(Default)]
pub struct OwnEvents {
    failed: VecDeque<DeliveryId>,
    disabled: VecDeque<SubscriptionId>,
    failing: VecDeque<SubscriptionId>,
    /// Whether the latest transaction failed. Then the next one emits one event, so that an event that cannot be
    /// emitted is found.
    alone: bool,
}

impl OwnEvents {
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.disabled.is_empty() && self.failing.is_empty()
    }

    pub fn note_failed(&mut self, failed: impl IntoIterator<Item = DeliveryId>) {
        note(&mut self.failed, failed);
    }

    pub fn note_disabled(&mut self, disabled: impl IntoIterator<Item = SubscriptionId>) {
        note(&mut self.disabled, disabled);
    }

    pub fn note_failing(&mut self, failing: impl IntoIterator<Item = SubscriptionId>) {
        note(&mut self.failing, failing);
    }

    /// Emits what waits, until all is emitted or the time of this turn is over.
    pub fn emit(&mut self, store: &Store) -> Result<(), Failure> {
        let start = Instant::now();
        while !self.is_empty() && start.elapsed() < TURN {
            let most = if self.alone { 1 } else { AT_ONCE };
            let emitted = if !self.disabled.is_empty() {
                emit_some(&mut self.disabled, most, |ids| store.write.emit_subscription_disabled(ids))
            } else if !self.failing.is_empty() {
                emit_some(&mut self.failing, most, |ids| store.write.emit_subscription_failing(ids))
            } else {
                emit_some(&mut self.failed, most, |ids| store.write.emit_delivery_failed(ids))
            };
            self.alone = emitted.is_err();
            emitted?;
        }
        Ok(())
    }
}

fn note<T>(waiting: &mut VecDeque<T>, more: impl IntoIterator<Item = T>) {
    waiting.extend(more);
    waiting.drain(..waiting.len().saturating_sub(WAITING));
}

/// Emits events of one type, at most this many. If one event alone cannot be emitted, and the reason is its content, it
/// is dropped.
fn emit_some<T>(waiting: &mut VecDeque<T>, most: usize, emit: impl FnOnce(&[T])) -> Result<(), Failure> {
    let count = waiting.len().min(most);
    let ids = &waiting.make_contiguous()[..count];
    let emitted = transaction(c"emit events of the extension", || emit(ids));
    if emitted.as_ref().map_or_else(|failure| count == 1 && failure.is_about_rows(), |()| true) {
        waiting.drain(..count);
    }
    emitted
}
