//! An event, as receivers see it. Its *entity* is the JSON object that the event is about, such as a row.

use std::sync::Arc;
use std::time::SystemTime;

#[derive(Debug, Clone)]
pub struct Event {
    pub event_type: Arc<str>,
    pub entity_type: Arc<str>,
    pub entity_id: Option<String>,
    pub tenant_id: Option<String>,
    /// The entity as JSON text, which is sent unchanged. `None` if it cannot be sent.
    pub entity: Option<String>,
    /// Why the entity is missing.
    pub entity_error: Option<String>,
    pub emitted_at: SystemTime,
}
