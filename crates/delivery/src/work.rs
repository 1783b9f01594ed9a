//! A delivery in the memory of the dispatcher, queued or in flight. The code calls it *work*.

use std::sync::Arc;
use std::time::SystemTime;

use wire::event::Operation;
use wire::ids::{DeliveryId, EventKey, SubscriptionId};
use wire::preset::Preset;

/// A delivery that remains to be made. It has all columns of a row of `hydra.delivery`, so that it can become such a
/// row at any time.
#[derive(Debug)]
pub struct Work {
    pub delivery: DeliveryId,
    pub subscription: SubscriptionId,
    pub event: EventKey,
    pub event_type: Arc<str>,
    pub entity_type: Arc<str>,
    pub entity_id: Option<Arc<str>>,
    pub tenant_id: Option<Arc<str>>,
    /// The change of a row that the event reports, if a trigger emitted it.
    pub operation: Option<Operation>,
    /// How many events led to this one.
    pub hops: i16,
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
    /// Whether the event was emitted while the subscription was disabled.
    pub missed: bool,
}

impl Work {
    /// About the size of its row in bytes.
    pub fn size(&self) -> usize {
        const OTHER_COLUMNS: usize = 250;
        let maybe = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let names = self.event_type.len() + self.entity_type.len() + maybe(&self.entity_id) + maybe(&self.tenant_id);
        self.body.len() + names + OTHER_COLUMNS
    }
}
