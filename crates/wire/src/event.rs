//! What an event says, as its receivers are to see it.

use std::sync::Arc;
use std::time::SystemTime;

#[derive(Debug, Clone)]
pub struct Event {
    pub event_type: Arc<str>,
    pub entity_type: Arc<str>,
    pub entity_id: Option<String>,
    pub tenant_id: Option<String>,
    /// JSON text, to be sent as it stands; `None` when it cannot be sent.
    pub entity: Option<String>,
    /// Why the entity is missing.
    pub entity_error: Option<String>,
    pub emitted_at: SystemTime,
}
