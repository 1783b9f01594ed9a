//! An event as the dispatcher reads it from `hydra.event`.

use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;

/// Which row of `hydra.event` it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow {
    pub xid: u64,
    pub id: i64,
    /// Block and line where it was found: a quick way back to it, unless somebody rewrites the table.
    pub place: (u32, u16),
}

#[derive(Debug, Clone)]
pub struct Event {
    /// The transaction that emitted it; with `id`, the key of its row.
    pub xid: u64,
    pub id: i64,
    pub place: (u32, u16),
    pub event_type: Arc<str>,
    pub entity_type: Arc<str>,
    pub entity_id: Option<String>,
    pub tenant_id: Option<String>,
    /// JSON text, to be sent as it stands; `None` when it cannot be sent.
    pub entity: Option<String>,
    /// Why the entity is not there.
    pub entity_error: Option<String>,
    pub emitted_at: SystemTime,
    /// The subscriptions that wanted it when it was emitted.
    pub targets: SmallVec<[i64; 1]>,
}

impl Event {
    pub fn row(&self) -> EventRow {
        EventRow { xid: self.xid, id: self.id, place: self.place }
    }
}

/// Whether an entry of a subscription's event types may name more than one.
pub fn is_pattern(wanted: &str) -> bool {
    wanted.ends_with('*')
}

/// Whether an entry of a subscription's event types names this one: by its name, by `ticket.*`, or by `*`, which leaves
/// out those of our own.
pub fn names(wanted: &str, event_type: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some("") => !event_type.starts_with("webhook."),
        Some(group) if group.ends_with('.') => event_type.starts_with(group),
        _ => wanted == event_type,
    }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use smallvec::smallvec;

    use super::*;

    pub fn event() -> Event {
        Event {
            xid: 100,
            id: 1,
            place: (0, 1),
            event_type: "ticket.created".into(),
            entity_type: "ticket".into(),
            entity_id: Some("7".into()),
            tenant_id: Some("t1".into()),
            entity: Some(r#"{"id": 7}"#.into()),
            entity_error: None,
            emitted_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_487_580),
            targets: smallvec![1],
        }
    }

    #[test]
    fn event_types_are_named_one_by_one_by_group_or_all_but_our_own() {
        let named = |wanted: &str| -> Vec<&str> {
            let types = ["ticket.created", "ticket.status.changed", "tickets.created", "webhook.delivery_failed"];
            types.into_iter().filter(|event_type| names(wanted, event_type)).collect()
        };
        assert_eq!(named("ticket.created"), ["ticket.created"]);
        assert_eq!(named("ticket.*"), ["ticket.created", "ticket.status.changed"]);
        assert_eq!(named("ticket.status.*"), ["ticket.status.changed"]);
        assert_eq!(named("*"), ["ticket.created", "ticket.status.changed", "tickets.created"]);
        assert_eq!(named("webhook.*"), ["webhook.delivery_failed"]);
        assert!(["ticket*", "ticket", "", "."].into_iter().all(|wanted| named(wanted).is_empty()));
    }
}
