//! A delivery in the memory of the dispatcher, queued or in flight. The code calls it *work*.

use std::sync::Arc;
use std::time::SystemTime;

use wire::ids::{DeliveryId, EventId, SubscriptionId};
use wire::preset::Preset;

/// A delivery that remains to be made. It has all columns of a row of `hydra.delivery`, so that it can become such a
/// row at any time.
#[derive(Debug)]
pub struct Work {
    pub delivery: DeliveryId,
    pub subscription: SubscriptionId,
    pub event: EventId,
    pub event_type: Arc<str>,
    pub tenant_id: Option<String>,
    pub emitted_at: SystemTime,
    /// The preset that the body was made for.
    pub preset: Preset,
    /// The body, whose exact bytes every attempt sends.
    pub body: Arc<str>,
    /// The number of attempts made so far.
    pub attempts: u32,
    /// The number of these attempts that belong to earlier schedules.
    pub earlier_attempts: u32,
    /// When the current schedule began, which is at its first attempt. `None` before that.
    pub scheduled_at: Option<SystemTime>,
}

impl Work {
    /// About the size of its row in bytes.
    pub fn size(&self) -> usize {
        const OTHER_COLUMNS: usize = 200;
        self.body.len() + self.tenant_id.as_ref().map_or(0, String::len) + self.event_type.len() + OTHER_COLUMNS
    }
}
