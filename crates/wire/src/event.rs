//! An event, as receivers see it. Its *entity* is the JSON object that the event is about, such as a row.

use std::sync::Arc;
use std::time::SystemTime;

/// The change of a row that an event reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name)
    }
}

#[derive(Debug, Clone)]
pub struct Event {
    pub event_type: Arc<str>,
    pub entity_type: Arc<str>,
    pub entity_id: Option<Arc<str>>,
    pub tenant_id: Option<Arc<str>>,
    /// The entity as JSON text, which is sent unchanged. `None` if it cannot be sent.
    pub entity: Option<String>,
    /// Why the entity is missing.
    pub entity_error: Option<String>,
    /// The row before the change as JSON text, or `null`. `None` if it was not asked for: then it is not mentioned.
    pub previous: Option<String>,
    pub emitted_at: SystemTime,
}
