//! A subscription as the dispatcher knows it: an endpoint, and the policy of delivering to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::delivery::Endpoint;
use crate::preset::Preset;

#[derive(Debug, Clone)]
pub struct Subscription {
    pub id: i64,
    pub active: bool,
    /// When its status last changed; a resumed subscription starts with its counters reset.
    pub status_since: SystemTime,
    pub preset: Preset,
    pub endpoint: Arc<Endpoint>,
    /// Delay before each retry.
    pub schedule: Vec<Duration>,
    /// Requests under way at a time.
    pub max_in_flight: usize,
    /// Consecutive failed attempts after which it is disabled.
    pub disable_after: Option<u32>,
    /// Whether first attempts that succeed leave a history row too.
    pub log_successes: bool,
    /// Attempts that failed since the last success, as last written.
    pub consecutive_failures: u32,
}

/// Why the extension stops sending to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// It answered `410 Gone`.
    Gone,
    /// `disable_after` was reached.
    Failures,
}

impl DisabledReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DisabledReason::Gone => "gone",
            DisabledReason::Failures => "failures",
        }
    }
}
