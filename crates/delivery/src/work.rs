//! A delivery in the dispatcher's memory.

use std::sync::Arc;
use std::time::SystemTime;

use wire::ids::{DeliveryId, EventId, SubscriptionId};
use wire::preset::Preset;

/// It has all that a row of `hydra.delivery` needs, so that it can become one at any time.
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
    /// The exact bytes that every attempt sends.
    pub body: Arc<str>,
    /// Attempts made so far.
    pub attempts: u32,
    /// How many of them belong to earlier schedules.
    pub earlier_attempts: u32,
    /// When the current schedule began; `None` before its first attempt.
    pub scheduled_at: Option<SystemTime>,
}
