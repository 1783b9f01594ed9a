//! Converts a time limit from a duration to a deadline, so that each step of a request has only the time that the
//! earlier steps did not use.

use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{NextTimeout, time};

/// The deadline of a step, with the time limit that it comes from.
#[derive(Clone, Copy)]
pub struct Limit {
    until: Instant,
    timeout: NextTimeout,
}

impl Limit {
    /// Converts a time limit that begins now.
    pub fn new(timeout: NextTimeout) -> Self {
        Self { until: Instant::now() + *timeout.after, timeout }
    }

    /// Converts a time limit that began at `then`.
    pub fn since(timeout: NextTimeout, then: time::Instant) -> Self {
        match then {
            time::Instant::Exact(then) => Self { until: then + *timeout.after, timeout },
            _ => Self::new(timeout),
        }
    }

    /// The time that is left, or the error to return if the deadline has passed.
    pub fn left(&self) -> Result<Duration, Error> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.exceeded()) } else { Ok(left) }
    }

    /// The error that reports that the deadline has passed.
    pub fn exceeded(&self) -> Error {
        Error::Timeout(self.timeout.reason)
    }
}
