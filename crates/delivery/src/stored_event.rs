//! An event as the dispatcher reads it from `hydra.event`.

use foldhash::HashSet;
use smallvec::SmallVec;
use wire::event::{Event, Operation};
use wire::ids::{EventKey, SubscriptionId};

use crate::xid::Xid8;

/// Identifies a row of `hydra.event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow {
    /// The transaction that emitted the event. With the number of the event it is the key of the row.
    pub xid: Xid8,
    pub event: EventKey,
    /// Block and line pointer of the row when it was read (its `ctid`). This is the fastest way to find the row, unless
    /// the table has been rewritten.
    pub place: (u32, u16),
}

impl EventRow {
    /// The place of a row that was updated since it was read. No row is there: the lines of a block count from one.
    pub const UNKNOWN_PLACE: (u32, u16) = (0, 0);
}

#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub row: EventRow,
    /// The subscriptions that wanted the event when it was emitted.
    pub targets: SmallVec<[SubscriptionId; 1]>,
    /// Those of them that were disabled then, and missed the event. Empty for most events.
    pub missed: HashSet<SubscriptionId>,
    pub event: Event,
    /// The change of a row that the event reports, if a trigger emitted it.
    pub operation: Option<Operation>,
    /// How many events led to this one.
    pub hops: i16,
}

#[cfg(test)]
pub mod tests {
    use std::time::{Duration, SystemTime};

    use wire::ids::{EventId, Installation};

    use super::*;

    /// The key of the event with this number.
    pub fn key(id: i64) -> EventKey {
        EventKey { id: EventId(id), random: -id, installation: Installation([7; 16]) }
    }

    /// An event as if it had been read from its table.
    pub fn stored(xid: u64, id: i64, targets: &[i64]) -> StoredEvent {
        StoredEvent {
            row: EventRow { xid: Xid8(xid), event: key(id), place: (0, 1) },
            targets: targets.iter().copied().map(SubscriptionId).collect(),
            missed: HashSet::default(),
            event: Event {
                event_type: "ticket.created".into(),
                entity_type: "ticket".into(),
                entity_id: Some("7".into()),
                tenant_id: Some("t1".into()),
                entity: Some(r#"{"id": 7}"#.into()),
                entity_error: None,
                previous: None,
                emitted_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_487_580),
            },
            operation: Some(Operation::Insert),
            hops: 0,
        }
    }
}
