//! What all threads of a sender share: the rules in force, the addresses of host names, and the channel that attempts
//! are returned through.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::attempt::Attempt;

use crate::destination::{DestinationPolicy, Directory};
use crate::rules::Rules;
use crate::threads::Bell;
use crate::transport::Roots;

pub struct Shared {
    rules: Mutex<Arc<Rules>>,
    pub directory: Directory,
    outcomes: mpsc::Sender<Attempt>,
    bell: Arc<Bell>,
    /// Set when no further request may start.
    closing: AtomicBool,
    /// Set when attempts are no longer reported.
    abandoned: AtomicBool,
    /// The number of event loops. Notified when one ends.
    loops: Mutex<usize>,
    ended: Condvar,
}

impl Shared {
    pub fn new(rules: Rules, directory: Directory, outcomes: mpsc::Sender<Attempt>, bell: Arc<Bell>) -> Self {
        Self {
            rules: Mutex::new(Arc::new(rules)),
            directory,
            outcomes,
            bell,
            closing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            loops: Mutex::new(0),
            ended: Condvar::new(),
        }
    }

    /// The rules for a request that starts now.
    pub fn rules(&self) -> Arc<Rules> {
        lock(&self.rules).clone()
    }

    pub fn set_policy(&self, policy: Arc<DestinationPolicy>) {
        let mut rules = lock(&self.rules);
        *rules = Arc::new(Rules { policy, roots: rules.roots.clone() });
    }

    pub fn set_roots(&self, roots: Roots) {
        let mut rules = lock(&self.rules);
        *rules = Arc::new(Rules { policy: rules.policy.clone(), roots });
    }

    /// Reports the result of a request. The bell is rung later.
    pub fn report(&self, attempt: Attempt) {
        if self.is_abandoned() {
            return;
        }
        // Sending fails if the receiver of the channel is gone. Then nothing waits for attempts.
        let _ = self.outcomes.send(attempt);
    }

    /// Wakes the thread that waits for attempts.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Prevents the start of further requests.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Stops reporting attempts. Loops end without waiting for the requests in flight.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.directory.close();
    }

    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub fn loop_starts(&self) {
        *lock(&self.loops) += 1;
    }

    pub fn loop_ends(&self) {
        *lock(&self.loops) -= 1;
        self.ended.notify_all();
    }

    /// Waits for the loops to end, and returns how many did not end in time.
    pub fn wait_for_end(&self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        let mut loops = lock(&self.loops);
        while *loops > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            loops = self.ended.wait_timeout(loops, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *loops
    }
}

/// Nothing panics while it holds one of these locks, so the values are consistent even if a lock is poisoned.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
