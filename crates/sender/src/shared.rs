//! What all threads of a sender share: the rules in force, the addresses of host names and which of them worked, the list
//! of open sockets, and the channel that attempts are returned through.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use wire::attempt::{Attempt, Outcome};
use wire::request::Request;

use crate::destination::{DestinationPolicy, Directory};
use crate::rules::Rules;
use crate::threads::Bell;
use crate::transport::{OpenSockets, Preferences, Roots};

pub struct Shared {
    rules: Mutex<Arc<Rules>>,
    pub directory: Directory,
    pub sockets: Arc<OpenSockets>,
    pub preferences: Arc<Preferences>,
    outcomes: mpsc::Sender<Attempt>,
    bell: Arc<Bell>,
    /// Set when no further request may start.
    closing: AtomicBool,
    /// Set when attempts are no longer reported.
    abandoned: AtomicBool,
}

impl Shared {
    pub fn new(policy: Arc<DestinationPolicy>, roots: Roots, outcomes: mpsc::Sender<Attempt>, bell: Arc<Bell>) -> Self {
        Self {
            rules: Mutex::new(Arc::new(Rules { policy, roots })),
            directory: Directory::system(),
            sockets: Arc::default(),
            preferences: Arc::default(),
            outcomes,
            bell,
            closing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }

    /// The rules for a request that starts now.
    pub fn rules(&self) -> Arc<Rules> {
        self.lock_rules().clone()
    }

    pub fn set_policy(&self, policy: Arc<DestinationPolicy>) {
        let mut rules = self.lock_rules();
        *rules = Arc::new(Rules { policy, roots: rules.roots.clone() });
    }

    pub fn set_roots(&self, roots: Roots) {
        let mut rules = self.lock_rules();
        *rules = Arc::new(Rules { policy: rules.policy.clone(), roots });
    }

    /// Reports the result of a request. The bell is rung later, see [`Handler`](crate::threads::Handler).
    pub fn report(&self, attempt: Attempt) {
        if self.abandoned.load(Ordering::Acquire) {
            return;
        }
        // Sending fails if the receiver of the channel is gone. Then nothing waits for attempts.
        let _ = self.outcomes.send(attempt);
    }

    /// Wakes the thread that waits for attempts.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Reports requests that no thread will make, in their order, because the dispatcher queues them again in the order
    /// in which they are reported.
    pub fn give_back(&self, requests: Vec<Request>, outcome: &Outcome) {
        for request in requests {
            let mut left = Some(request);
            while let Some(mut request) = left {
                left = request.next.take().map(|next| *next);
                self.report(Attempt {
                    delivery: request.delivery,
                    subscription: request.endpoint.subscription,
                    outcome: outcome.clone(),
                    at: SystemTime::now(),
                    took: Duration::ZERO,
                });
                self.ring();
            }
        }
    }

    /// Prevents the start of further requests.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Stops reporting attempts, and cuts the connections of all requests in flight.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.directory.close();
        self.sockets.cut();
    }

    fn lock_rules(&self) -> MutexGuard<'_, Arc<Rules>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
