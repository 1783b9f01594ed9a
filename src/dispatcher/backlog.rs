//! Rows that could not be written with the outcomes because of an error: of the history, and of deliveries that are kept.
//! Outcomes do not wait for them. They are written later, in transactions of their own. If too many wait, the oldest are
//! dropped.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::time::Duration;

use delivery::writes::{AttemptRecord, Delivered};

use super::writer::GIVEN_UP;
use crate::backend::complaints::Complaints;
use crate::backend::transaction;
use crate::store::Store;

/// How long to wait before rows are written again after an error.
const RETRY: Duration = Duration::from_secs(1);

/// At most this many rows and bytes are written at a time, or a single row.
const ROWS_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 4 << 20;

/// At most this many rows and bytes wait.
const MOST_ROWS: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;

pub trait BesideOutcomes: Sized {
    /// What writing such rows is called in messages.
    const STEP: &'static CStr;

    /// About the size of the row in bytes.
    fn size(&self) -> usize;

    fn write(store: &Store, rows: &[Self]);
}

impl BesideOutcomes for AttemptRecord {
    const STEP: &'static CStr = c"write the history";

    fn size(&self) -> usize {
        const OTHER_COLUMNS: usize = 300;
        let error = self.error.as_ref().map(|(_, message)| message.as_str());
        let texts = [self.excerpt.as_deref(), error, self.of.entity_id.as_deref(), self.of.tenant_id.as_deref()];
        texts.into_iter().flatten().map(str::len).sum::<usize>() + OTHER_COLUMNS
    }

    fn write(store: &Store, rows: &[Self]) {
        store.write.add_history(rows);
    }
}

impl BesideOutcomes for Delivered {
    const STEP: &'static CStr = c"keep what was delivered";

    fn size(&self) -> usize {
        Delivered::size(self)
    }

    fn write(store: &Store, rows: &[Self]) {
        store.write.add_delivered(rows);
    }
}

pub struct Backlog<R> {
    rows: VecDeque<R>,
    bytes: usize,
}

impl<R> Default for Backlog<R> {
    fn default() -> Self {
        Self { rows: VecDeque::new(), bytes: 0 }
    }
}

impl<R: BesideOutcomes> Backlog<R> {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn push(&mut self, row: R) {
        self.bytes += row.size();
        self.rows.push_back(row);
        while self.rows.len() > MOST_ROWS || self.bytes > MOST_BYTES {
            self.pop();
        }
    }

    pub fn append(&mut self, rows: &mut Vec<R>) {
        rows.drain(..).for_each(|row| self.push(row));
    }

    fn pop(&mut self) -> Option<R> {
        let row = self.rows.pop_front()?;
        self.bytes -= row.size();
        Some(row)
    }

    /// Writes some rows. Returns how long to wait before the next ones are written; `None` if none are left.
    pub fn write(&mut self, store: &Store, complaints: &mut Complaints) -> Option<Duration> {
        let rows = self.take_some();
        let mut refused = Vec::new();
        let (written, left) = write(store, complaints, rows, &mut refused);
        for row in left.into_iter().rev() {
            self.bytes += row.size();
            self.rows.push_front(row);
        }
        // If other rows can be written, the reason is in these. If not, they are tried again after the others.
        if written == 0 {
            self.append(&mut refused);
        }
        let wait = if written == 0 { RETRY } else { Duration::ZERO };
        (!self.is_empty()).then_some(wait)
    }

    /// Writes all rows, until an error occurs.
    pub fn write_all(&mut self, store: &Store, complaints: &mut Complaints) {
        while !self.is_empty() && self.write(store, complaints) == Some(Duration::ZERO) {}
    }

    fn take_some(&mut self) -> Vec<R> {
        let (mut taken, mut room) = (Vec::new(), BYTES_AT_ONCE);
        while let Some(size) = self.rows.front().map(R::size) {
            if taken.len() == ROWS_AT_ONCE || size > room && !taken.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            taken.extend(self.pop());
        }
        taken
    }
}

/// Writes rows, and collects those that cannot be written because of what is in them. Returns the number of written rows,
/// and the rows that were not tried.
fn write<R: BesideOutcomes>(
    store: &Store,
    complaints: &mut Complaints,
    mut rows: Vec<R>,
    refused: &mut Vec<R>,
) -> (usize, Vec<R>) {
    let Err(failure) = transaction(R::STEP, || R::write(store, &rows)) else {
        return (rows.len(), Vec::new());
    };
    if !failure.is_about_rows() || refused.len() >= GIVEN_UP {
        complaints.warn(&failure);
        return (0, rows);
    }
    if rows.len() == 1 {
        complaints.warn(&failure);
        refused.append(&mut rows);
        return (0, Vec::new());
    }
    let rest = rows.split_off(rows.len() / 2);
    let (first, mut left) = write(store, complaints, rows, refused);
    if !left.is_empty() {
        left.extend(rest);
        return (first, left);
    }
    let (second, left) = write(store, complaints, rest, refused);
    (first + second, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(usize);

    impl BesideOutcomes for Row {
        const STEP: &'static CStr = c"test";

        fn size(&self) -> usize {
            self.0
        }

        fn write(_: &Store, _: &[Self]) {}
    }

    #[test]
    fn the_oldest_rows_are_dropped_when_too_many_wait_or_take_too_much_memory() {
        let mut backlog = Backlog::<Row>::default();
        backlog.append(&mut (1..=MOST_ROWS + 5).map(Row).collect());
        assert!(backlog.bytes <= MOST_BYTES && backlog.rows.len() < MOST_ROWS);
        assert_eq!(backlog.rows.back().map(|row| row.0), Some(MOST_ROWS + 5), "the newest row waits");
        backlog.append(&mut (0..MOST_ROWS + 5).map(|_| Row(1)).collect());
        assert_eq!((backlog.rows.len(), backlog.bytes), (MOST_ROWS, MOST_ROWS));
    }

    #[test]
    fn rows_are_written_by_number_and_by_size_and_a_large_one_alone() {
        let mut backlog = Backlog::<Row>::default();
        backlog.append(&mut [1, 2, 3, 5 << 20, 4 << 20, 1].map(Row).into());
        let mut taken = Vec::new();
        while !backlog.is_empty() {
            taken.push(backlog.take_some().len());
        }
        assert_eq!((taken, backlog.bytes), (vec![3, 1, 1, 1], 0));
        backlog.append(&mut (0..ROWS_AT_ONCE + 1).map(|_| Row(1)).collect());
        assert_eq!(backlog.take_some().len(), ROWS_AT_ONCE);
    }
}
