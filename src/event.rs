//! An event as the dispatcher reads it from `hydra.event`.

use std::sync::Arc;
use std::time::SystemTime;

#[derive(Debug, Clone)]
pub struct Event {
    /// The transaction that emitted it; with `id`, the key of its row.
    pub xid: u64,
    pub id: i64,
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
    pub targets: Vec<i64>,
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use super::*;

    pub fn event() -> Event {
        Event {
            xid: 100,
            id: 1,
            event_type: "ticket.created".into(),
            entity_type: "ticket".into(),
            entity_id: Some("7".into()),
            tenant_id: Some("t1".into()),
            entity: Some(r#"{"id": 7}"#.into()),
            entity_error: None,
            emitted_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_487_580),
            targets: vec![1],
        }
    }
}
