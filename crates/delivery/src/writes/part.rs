//! A part of the decisions, which is written in one transaction.

use std::mem::take;
use std::sync::Arc;

use wire::ids::{DeliveryId, EventKey, SubscriptionId};

use super::{AttemptRecord, Change, Delivered, RowState, Writes};
use crate::stored_event::EventRow;
use crate::work::Work;

/// A part has at most this many rows of each table, except `hydra.event`, and this many bytes of rows to insert into one,
/// or a single row. So a part takes some hundred milliseconds at most, and the queue is looked at in between.
pub(crate) const ROWS: usize = 500;
const BYTES: usize = 4 << 20;

/// The same for finished events: their rows are only deleted.
const FINISHED: usize = 5_000;

#[derive(Debug, Default)]
pub struct Part {
    pub moves: Vec<Move>,
    pub changes: Vec<Change>,
    pub finished_events: Vec<EventRow>,
    pub deleted: Vec<SubscriptionId>,
    pub attempts: Vec<AttemptRecord>,
    pub delivered: Vec<Delivered>,
}

/// An event that moves, or a step of its move.
#[derive(Debug)]
pub struct Move {
    pub row: EventRow,
    /// The deliveries whose rows are inserted.
    pub deliveries: Vec<(Arc<Work>, RowState)>,
    /// Subscriptions whose deliveries were given up because their rows cannot be inserted.
    pub given_up: Vec<SubscriptionId>,
    /// Whether no other delivery of the event remains, so that its row is deleted. If not, only the subscriptions of
    /// these deliveries are removed from it.
    pub is_last: bool,
}

impl Move {
    /// The subscriptions to remove from the row of the event.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.deliveries.iter().map(|(work, _)| work.subscription).chain(self.given_up.iter().copied())
    }
}

impl Part {
    pub fn is_empty(&self) -> bool {
        let Self { moves, changes, finished_events, deleted, attempts, delivered } = self;
        let is_beside = attempts.is_empty() && delivered.is_empty();
        is_beside && moves.is_empty() && changes.is_empty() && finished_events.is_empty() && deleted.is_empty()
    }

    /// The deliveries that were given up.
    pub fn failed(&self) -> impl Iterator<Item = DeliveryId> {
        let inserts = self.moves.iter().flat_map(|step| &step.deliveries).map(|(work, state)| (work.delivery, *state));
        let updates = self.changes.iter().filter_map(|change| Some((change.of.delivery, change.state?)));
        inserts.chain(updates).filter(|(_, state)| matches!(state, RowState::Failed { .. })).map(|(id, _)| id)
    }

    /// Takes the second half of this part, which has no rows of the history and keeps nothing, out of it. It must be written after the first half: it may delete an event of
    /// which the first half has deliveries. Returns `None` if this part has only one row.
    pub fn split(&mut self) -> Option<Part> {
        let kinds =
            [self.moves.is_empty(), self.changes.is_empty(), self.finished_events.is_empty(), self.deleted.is_empty()];
        let mut half = Part::default();
        if kinds.iter().filter(|is_empty| !**is_empty).count() > 1 {
            std::mem::swap(self, &mut half);
            if !half.moves.is_empty() {
                self.moves = take(&mut half.moves);
            } else if !half.changes.is_empty() {
                self.changes = take(&mut half.changes);
            } else {
                self.finished_events = take(&mut half.finished_events);
            }
            return Some(half);
        }
        half.moves = second_half(&mut self.moves);
        half.changes = second_half(&mut self.changes);
        half.finished_events = second_half(&mut self.finished_events);
        half.deleted = second_half(&mut self.deleted);
        if let ([step], []) = (&mut self.moves[..], &half.moves[..]) {
            let deliveries = second_half(&mut step.deliveries);
            if !deliveries.is_empty() {
                let is_last = std::mem::replace(&mut step.is_last, false);
                half.moves.push(Move { row: step.row, deliveries, given_up: Vec::new(), is_last });
            }
        }
        Some(half).filter(|half| !half.is_empty())
    }
}

fn second_half<T>(whole: &mut Vec<T>) -> Vec<T> {
    whole.split_off(whole.len().div_ceil(2))
}

impl Writes {
    /// Takes the next part out. Updates come before inserts, which may take long.
    pub fn take_part(&mut self) -> Part {
        self.take_part_of(ROWS, BYTES)
    }

    pub(crate) fn take_part_of(&mut self, rows: usize, bytes: usize) -> Part {
        let mut part = Part { delivered: self.take_delivered(rows, bytes), ..Part::default() };
        // The deliveries of an event are not finished before those that are kept have been taken out, which are taken out
        // in the same order.
        let left = self.delivered.first_key_value().map(|((event, _), _)| *event);
        let is_kept = |event: EventKey| left.is_none_or(|left| event < left);
        part.moves = self.take_moves(rows, bytes, is_kept);
        while let Some(next) = self.changes.first_entry().filter(|_| part.changes.len() < rows) {
            if !is_kept(next.key().0) {
                break;
            }
            let change = next.remove();
            self.uncount(change.of.subscription);
            part.changes.push(change);
        }
        let mut most = FINISHED;
        let is_finished = |row: &mut EventRow| {
            let is_finished = most > 0 && is_kept(row.event);
            most -= usize::from(is_finished);
            is_finished
        };
        part.finished_events = self.finished_events.extract_if(.., is_finished).collect();
        let (inserts, changes) = (&self.inserts, &self.changes);
        let mut room = rows;
        // A row of the history is not written before the row that its delivery has because of that attempt.
        let is_ready = |record: &mut AttemptRecord| {
            let key = record.of.key();
            let is_ready = room > 0 && !inserts.contains_key(&key) && !changes.contains_key(&key);
            room -= usize::from(is_ready);
            is_ready
        };
        part.attempts = self.attempts.extract_if(.., is_ready).collect();
        if self.inserts.is_empty() {
            part.deleted = take(&mut self.deleted);
        }
        part
    }

    /// Takes out moves of those events that `may_move`, which are the first ones.
    fn take_moves(&mut self, mut rows: usize, mut bytes: usize, may_move: impl Fn(EventKey) -> bool) -> Vec<Move> {
        let mut moves = Vec::new();
        while let Some((&event, &row)) = self.moved.first_key_value().filter(|_| rows > 0 && bytes > 0) {
            if !may_move(event) {
                break;
            }
            let mut deliveries = Vec::new();
            let is_last = loop {
                let next = self.inserts.first_entry().filter(|next| next.key().0 == event);
                let Some(next) = next else { break true };
                let size = next.get().0.size();
                let is_first = moves.is_empty() && deliveries.is_empty();
                if !is_first && (rows == 0 || size > bytes) {
                    break false;
                }
                rows = rows.saturating_sub(1);
                bytes = bytes.saturating_sub(size);
                let (work, state) = next.remove();
                self.bodies.remove(&work.body);
                self.uncount(work.subscription);
                deliveries.push((work, state));
            };
            if is_last {
                self.moved.remove(&event);
            } else if deliveries.is_empty() {
                break;
            }
            moves.push(Move { row, deliveries, given_up: Vec::new(), is_last });
            if !is_last {
                break;
            }
        }
        moves
    }

    /// Puts back a part that could not be written.
    pub fn put_back(&mut self, part: Part) {
        for step in part.moves {
            self.move_event_back(step);
        }
        for Change { of, state } in part.changes {
            self.change(of, state);
        }
        self.finished_events.extend(part.finished_events);
        self.deleted.extend(part.deleted);
        self.attempts.splice(..0, part.attempts);
        part.delivered.into_iter().for_each(|delivered| self.keep(delivered));
    }

    fn move_event_back(&mut self, step: Move) {
        self.moved.entry(step.row.event).or_insert(step.row);
        for (work, state) in step.deliveries {
            self.insert(work, state);
        }
    }

    /// To be called before a part is written. An event of which other deliveries were put back remains.
    pub fn note_rest(&self, part: &mut Part) {
        for step in &mut part.moves {
            step.is_last &= !self.moved.contains_key(&step.row.event);
        }
    }

    /// Records that a part was written. The row of an event of which it was a step is no longer where it was read.
    pub fn written(&mut self, part: &Part) {
        for step in part.moves.iter().filter(|step| !step.is_last) {
            if let Some(row) = self.moved.get_mut(&step.row.event) {
                row.place = EventRow::UNKNOWN_PLACE;
            }
        }
    }
}

#[cfg(test)]
mod tests;
