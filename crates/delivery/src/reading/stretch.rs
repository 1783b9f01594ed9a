//! A stretch of events between two snapshots, the size of its pages, and the rule that decides which of its events are
//! held.

use std::time::Instant;

use foldhash::HashSet;
use wire::ids::{EventId, SubscriptionId};

use super::snapshot::Snapshot;
use crate::stored_event::StoredEvent;
use crate::xid::Xid8;

/// The maximum number of rows in a page. If events go to many subscriptions, the next page is limited to about
/// [`PAGE_DELIVERIES`] deliveries.
pub const PAGE_ROWS: usize = 500;
const PAGE_DELIVERIES: usize = 500;
/// No page is limited to fewer rows than this by the number of deliveries.
const FEWEST_ROWS: usize = 10;

/// No event is taken after the one with which a page has this many bytes. So a page never takes much more memory than
/// this and its last event, whatever was read before.
pub const PAGE_BYTES: usize = 4 << 20;

/// The primary key of `hydra.event`. The default value is before the first key.
pub type Key = (Xid8, EventId);

/// Which events of a stretch are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Everything,
    AllButHeld,
    Held,
}

/// The events that `target` sees and `done` does not see. Those up to `cursor` have been read.
#[derive(Debug)]
pub struct Stretch {
    pub done: Snapshot,
    /// `None` until a full page has been read. While it is `None`, the next page is read up to the current snapshot,
    /// which becomes the target if the page is full.
    pub target: Option<Snapshot>,
    pub cursor: Key,
    /// Whether all commits of the stretch are known to be on disk.
    pub is_on_disk: bool,
    /// The maximum number of rows of the next page.
    pub rows: usize,
    pub(super) part: Part,
    /// The subscriptions that have events in the latest page.
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

/// The rule that decides which events are held, and how far the held events have been read.
#[derive(Debug)]
pub struct Held {
    /// When the first stretch was set aside.
    pub since: Instant,
    /// Where the held events begin: those that this snapshot sees have been read.
    pub from: Snapshot,
    /// Subscriptions that were promised an order.
    pub in_order: HashSet<SubscriptionId>,
    /// The subscriptions of the flood.
    pub flooded: HashSet<SubscriptionId>,
    /// Set when another subscription was promised an order after `since`. Then no new stretch is begun until the held
    /// events have been read.
    pub is_closed: bool,
}

impl Held {
    /// Whether this event is held: it is for a subscription that was promised an order, or only for subscriptions of
    /// the flood.
    pub fn holds(&self, event: &StoredEvent) -> bool {
        event.targets.iter().any(|id| self.in_order.contains(id))
            || event.targets.iter().all(|id| self.flooded.contains(id))
    }
}

/// How many rows the next page should have, judging by this one. `None` if this page is empty.
pub fn rows_after(page: &[StoredEvent]) -> Option<usize> {
    let deliveries: usize = page.iter().map(|event| event.targets.len()).sum();
    let fitting = (PAGE_DELIVERIES * page.len() / deliveries.max(1)).clamp(FEWEST_ROWS, PAGE_ROWS);
    (!page.is_empty()).then_some(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored_event::tests::stored;

    /// The rows of the page after one of `rows` events, each for `targets` subscriptions.
    fn rows_after_page_of(rows: usize, targets: i64) -> Option<usize> {
        let targets: Vec<i64> = (1..=targets).collect();
        rows_after(&vec![stored(100, 1, &targets); rows])
    }

    #[test]
    fn a_page_has_500_events_of_usual_size() {
        assert_eq!(rows_after_page_of(500, 1), Some(500));
        assert_eq!(rows_after_page_of(1, 1), Some(500));
    }

    #[test]
    fn a_page_has_500_deliveries_of_events_for_many_subscriptions() {
        assert_eq!(rows_after_page_of(500, 10), Some(50));
        assert_eq!(rows_after_page_of(10, 1000), Some(10));
    }

    #[test]
    fn an_empty_page_says_nothing_about_the_next() {
        assert_eq!(rows_after(&[]), None);
    }
}
