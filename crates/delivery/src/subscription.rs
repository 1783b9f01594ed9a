//! A subscription as the dispatcher knows it: an endpoint, and the policy of delivering to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wire::ids::SubscriptionId;
use wire::preset::Preset;
use wire::request::Endpoint;

#[derive(Debug, Clone)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub active: bool,
    /// When its status last changed. A resumed subscription starts with its counters reset.
    pub status_since: SystemTime,
    pub preset: Preset,
    pub endpoint: Arc<Endpoint>,
    /// Delay before each retry.
    pub schedule: Vec<Duration>,
    /// Requests under way at a time.
    pub max_in_flight: usize,
    /// Consecutive failed attempts after which it is disabled.
    pub disable_after: Option<u32>,
    /// How long nothing may succeed before it is disabled.
    pub stale_after: Option<Duration>,
    /// Requests that may start in a second.
    pub rate_limit: Option<u32>,
    /// Whether first attempts that succeed are in the history too.
    pub log_successes: bool,
    /// As last written.
    pub failing: Failing,
}

impl Subscription {
    /// Whether events of one session are promised to arrive in the order in which they were emitted.
    pub fn is_in_order(&self) -> bool {
        self.max_in_flight == 1
    }
}

/// How a subscription fails: its attempts since the last success, in order of completion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failing {
    pub attempts: u32,
    /// When the first of them ended.
    pub since: Option<SystemTime>,
}

/// Why the extension stops sending to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// It answered `410 Gone`.
    Gone,
    /// `disable_after` was reached.
    Failures,
    /// Nothing succeeded for `stale_after`.
    Stale,
}

impl DisabledReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DisabledReason::Gone => "gone",
            DisabledReason::Failures => "failures",
            DisabledReason::Stale => "stale",
        }
    }
}
