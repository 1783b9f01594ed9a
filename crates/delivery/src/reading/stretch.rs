//! A stretch: the events between two snapshots, read in pages. And which of them are held back.

use std::time::Instant;

use foldhash::HashSet;
use wire::ids::{EventId, SubscriptionId};

use super::snapshot::Snapshot;
use crate::stored_event::StoredEvent;
use crate::xid::Xid8;

/// A page has at most this many rows. It has fewer if events are large or go to many subscriptions: about so many that it
/// has [`PAGE_BYTES`] bytes, or [`PAGE_DELIVERIES`] deliveries.
pub const PAGE_ROWS: usize = 500;
const PAGE_BYTES: usize = 8 << 20;
const PAGE_DELIVERIES: usize = 500;
/// However large events are, a page has as many as this.
const FEWEST_ROWS: usize = 10;

/// The primary key of `hydra.event`. The default is before the first.
pub type Key = (Xid8, EventId);

/// Which events of a stretch are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Everything,
    AllButHeld,
    Held,
}

/// Events that `target` sees and `done` did not see. Those up to `cursor` were read.
#[derive(Debug)]
pub struct Stretch {
    pub done: Snapshot,
    /// If `None`, it is what is visible when the first page is read.
    pub target: Option<Snapshot>,
    pub cursor: Key,
    /// Whether all of its commits are known to be on disk.
    pub is_on_disk: bool,
    /// How many rows its next page has at most.
    pub rows: usize,
    pub(super) part: Part,
    /// The subscriptions that its latest page was for.
    pub(super) targets: HashSet<SubscriptionId>,
}

impl Stretch {
    pub(super) fn after(done: Snapshot, part: Part, rows: usize) -> Self {
        let targets = HashSet::default();
        Self { done, target: None, cursor: Default::default(), is_on_disk: false, rows, part, targets }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.cursor != Default::default()
    }
}

/// Which events are not read out of turn.
#[derive(Debug)]
pub struct Held {
    pub since: Instant,
    /// Events that this snapshot saw are not held any more.
    pub from: Snapshot,
    /// Subscriptions that were promised an order.
    pub in_order: HashSet<SubscriptionId>,
    /// Subscriptions that the flood is for.
    pub flooded: HashSet<SubscriptionId>,
    /// Other subscriptions were promised an order since then. No stretch is begun out of turn any more.
    pub is_closed: bool,
}

impl Held {
    pub fn holds(&self, event: &StoredEvent) -> bool {
        event.targets.iter().any(|id| self.in_order.contains(id))
            || event.targets.iter().all(|id| self.flooded.contains(id))
    }
}

/// How many rows the page after this one should have. `None` if this one is empty.
pub fn rows_after(page: &[StoredEvent]) -> Option<usize> {
    let bytes: usize = page.iter().filter_map(|event| event.event.entity.as_ref()).map(String::len).sum();
    let deliveries: usize = page.iter().map(|event| event.targets.len()).sum();
    let rows = |limit: usize, sum: usize| limit * page.len() / sum.max(1);
    let fitting = rows(PAGE_BYTES, bytes).min(rows(PAGE_DELIVERIES, deliveries)).clamp(FEWEST_ROWS, PAGE_ROWS);
    (!page.is_empty()).then_some(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored_event::tests::stored;

    /// The rows of the page after one of `rows` events with entities of `bytes` bytes, each for `targets` subscriptions.
    fn rows_after_page_of(rows: usize, bytes: usize, targets: i64) -> Option<usize> {
        let targets: Vec<i64> = (1..=targets).collect();
        let mut event = stored(100, 1, &targets);
        event.event.entity = Some("x".repeat(bytes));
        rows_after(&vec![event; rows])
    }

    #[test]
    fn a_page_has_500_events_of_usual_size() {
        assert_eq!(rows_after_page_of(500, 200, 1), Some(500));
        assert_eq!(rows_after_page_of(1, 200, 1), Some(500));
    }

    #[test]
    fn a_page_has_8_megabytes_of_large_events_and_no_fewer_than_10_events() {
        assert_eq!(rows_after_page_of(10, 256 << 10, 1), Some(32));
        assert_eq!(rows_after_page_of(2, 4 << 20, 1), Some(10));
    }

    #[test]
    fn a_page_has_500_deliveries_of_events_for_many_subscriptions() {
        assert_eq!(rows_after_page_of(500, 200, 10), Some(50));
        assert_eq!(rows_after_page_of(10, 200, 1000), Some(10));
    }

    #[test]
    fn an_empty_page_says_nothing_about_the_next() {
        assert_eq!(rows_after(&[]), None);
    }
}
