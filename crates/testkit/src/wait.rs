//! Waiting for a condition, and for threads that end when a test does.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The usual time limit of a wait, for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Checks repeatedly until `condition` holds. Panics after `patience`, naming `what`.
#[track_caller]
pub fn wait_until(what: impl Display, patience: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !condition() {
        assert!(start.elapsed() < patience, "waited {patience:?} in vain until {what}");
        thread::sleep(pause);
        // The pauses become longer, so that the checks use little time of a busy machine.
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Sleeps. Only for tests of something that happens, or does not happen, while time passes.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

pub fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Sets the flag at the end of a scope, also if the test fails. Otherwise threads that run until the flag is set would
/// never end.
pub struct StopWhenDropped<'a>(pub &'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
