//! Waiting for a condition, and for threads that end when a test does.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Checks repeatedly until `condition` holds. Panics after `patience`, naming `what`.
#[track_caller]
pub fn wait_until(what: impl Display, patience: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !condition() {
        assert!(start.elapsed() < patience, "waited {patience:?} in vain until {what}");
        thread::sleep(pause);
        // Short at first, longer later so that it takes little time from a busy machine.
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Lets time pass, where its passing is what is tested.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

pub fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Sets the flag at the end of a scope, also when a test fails: threads that run until it is set would otherwise run
/// for ever.
pub struct StopWhenDropped<'a>(pub &'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
