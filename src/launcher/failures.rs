//! Counts the failures of a worker, so that one that fails again and again is started more rarely.

use std::time::{Duration, Instant};

/// After this many failures within this time a worker is not started again for some minutes.
const MANY: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);

/// Returns the reason why a worker is not started, for the log.
pub fn description() -> String {
    format!("failed {MANY} times in {} s", WITHIN.as_secs())
}

#[derive(Default)]
pub struct Failures(Vec<Instant>);

impl Failures {
    /// Records a failure. Returns whether there were too many; then counts anew.
    pub fn are_too_many(&mut self, now: Instant) -> bool {
        self.0.retain(|failure| now.duration_since(*failure) < WITHIN);
        self.0.push(now);
        let many = self.0.len() >= MANY;
        if many {
            self.0.clear();
        }
        many
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
