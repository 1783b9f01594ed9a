//! An event as the dispatcher reads it from `hydra.event`.

use smallvec::SmallVec;
use wire::event::Event;
use wire::ids::{EventId, SubscriptionId};

use crate::xid::Xid8;

/// Which row of `hydra.event` it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow {
    /// The transaction that emitted it; with `id`, the key of the row.
    pub xid: Xid8,
    pub id: EventId,
    /// Block and line in which the row was found: a quick way back to it, unless the table is rewritten.
    pub place: (u32, u16),
}

#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub row: EventRow,
    /// The subscriptions that wanted it when it was emitted.
    pub targets: SmallVec<[SubscriptionId; 1]>,
    pub event: Event,
}
