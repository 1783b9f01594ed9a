//! A subscription as the dispatcher uses it: an endpoint, and the rules for sending to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wire::ids::SubscriptionId;
use wire::preset::Preset;
use wire::request::Endpoint;

#[derive(Debug, Clone)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub active: bool,
    /// When the status of the subscription last changed. A resumed subscription begins with its counters reset.
    pub status_since: SystemTime,
    /// Whether the subscription, if it is active, does not get what it missed before.
    pub drops_missed: bool,
    /// When first attempts of it were last cancelled.
    pub cancelled_at: Option<SystemTime>,
    pub preset: Preset,
    pub endpoint: Arc<Endpoint>,
    /// Delay before each retry.
    pub schedule: Vec<Duration>,
    /// The maximum number of requests in flight.
    pub max_in_flight: usize,
    /// The number of consecutive failed attempts after which the subscription is disabled.
    pub disable_after: Option<u32>,
    /// The time for which they must have failed as well.
    pub disable_after_time: Option<Duration>,
    /// The subscription is disabled when all attempts have failed for this long, see [`Failing::lasted`].
    pub stale_after: Option<Duration>,
    /// The maximum number of requests that may start in a second.
    pub rate_limit: Option<u32>,
    /// Whether first attempts that succeed are recorded in the history too.
    pub log_successes: bool,
    /// For how long deliveries that have succeeded are kept with their bodies, if they are.
    pub keep_bodies: Option<Duration>,
    /// The failures since the last success, as last written to the table.
    pub failing: Failing,
}

impl Subscription {
    /// Whether deliveries that were missed are not sent.
    pub fn drops(&self, missed: bool) -> bool {
        missed && self.active && self.drops_missed
    }

    /// Whether events of one session are promised to arrive in the order in which they were emitted.
    pub fn is_in_order(&self) -> bool {
        self.max_in_flight == 1
    }
}

/// The failures of a subscription since its last success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failing {
    /// The number of failed attempts. Attempts that were under way together count as one: an endpoint that is down for
    /// a moment fails all of them.
    pub attempts: u32,
    /// When the first of them ended. `None` if no attempt has failed since the last success.
    pub since: Option<SystemTime>,
    /// The time from the first to the latest of them in which a dispatcher could have sent.
    pub lasted: Duration,
}

/// Why the extension disabled a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// The receiver answered `410 Gone`.
    Gone,
    /// `disable_after` was reached.
    Failures,
    /// All attempts failed for `stale_after`.
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
