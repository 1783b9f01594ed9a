//! A time limit that was given as a duration, as a moment on the clock: each step of a request may take the time that the
//! steps before it have left.

use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{NextTimeout, time};

/// Until when something must have happened.
#[derive(Clone, Copy)]
pub struct Limit {
    until: Instant,
    timeout: NextTimeout,
}

impl Limit {
    pub fn new(timeout: NextTimeout) -> Self {
        Self { until: Instant::now() + *timeout.after, timeout }
    }

    /// For a time limit that was worked out a moment ago.
    pub fn since(timeout: NextTimeout, then: time::Instant) -> Self {
        match then {
            time::Instant::Exact(then) => Self { until: then + *timeout.after, timeout },
            _ => Self::new(timeout),
        }
    }

    pub fn left(&self) -> Result<Duration, Error> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.exceeded()) } else { Ok(left) }
    }

    pub fn exceeded(&self) -> Error {
        Error::Timeout(self.timeout.reason)
    }
}
