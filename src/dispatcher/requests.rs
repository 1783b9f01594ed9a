//! Hands requests to the sender, and passes the outcomes to [`Dispatch`].

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use delivery::dispatch::Dispatch;
use pgrx::prelude::*;
use sender::{Bell, Roots, Sender};
use wire::attempt::Attempt;

use crate::backend::activity::DISPATCHER as NAME;
use crate::backend::descriptors;
use crate::backend::signals::Waits;
use crate::settings;

/// How long requests in flight may take to finish when the dispatcher ends.
const LAST_REQUESTS: Duration = Duration::from_millis(1500);

pub struct Requests {
    sender: Sender,
    /// The maximum number of requests in flight.
    max_requests: usize,
    outcomes: Receiver<Attempt>,
    bell: Arc<Bell>,
    waits: Waits,
    /// Whether all of `ca_file` is used.
    trusts_ca_file: bool,
}

impl Requests {
    pub fn new() -> Self {
        let (max_requests, limits) = descriptors::limits_for(settings::max_requests());
        let bell = Arc::new(Bell::new().expect("a file descriptor for the bell"));
        let (send, outcomes) = channel();
        let policy = Arc::new(settings::destination_policy());
        let (roots, trusts_ca_file) = match load_roots() {
            Some(roots) => {
                let trusts_all = roots.problems.is_empty();
                (roots, trusts_all)
            }
            None => (Roots::load(None).expect("certificates of the system, or none").incomplete(), false),
        };
        let sender = Sender::start(limits, policy, roots, send, Arc::clone(&bell));
        // SAFETY: the bell and its descriptor are dropped together with the waits for them.
        let waits = unsafe { Waits::new(bell.fd()) };
        Self { sender, max_requests, outcomes, bell, waits, trusts_ca_file }
    }

    /// Returns whether all certificates of `ca_file` are trusted.
    pub fn trusts_ca_file(&self) -> bool {
        self.trusts_ca_file
    }

    /// Sleeps until there are outcomes, the latch is set or the timeout has passed.
    pub fn wait(&self, timeout: Duration) {
        self.waits.wait(timeout);
    }

    /// Hands the requests that may be made now to the sender.
    pub fn hand_out(&self, dispatch: &mut Dispatch) {
        let requests = dispatch.hand_out(self.max_requests, Instant::now());
        if !requests.is_empty() {
            fault::point("hand_out");
            self.sender.hand_over(requests);
        }
    }

    /// Passes the outcomes that have arrived to `dispatch`.
    pub fn settle(&self, dispatch: &mut Dispatch) {
        self.bell.silence();
        let (now, instant) = (SystemTime::now(), Instant::now());
        while let Ok(attempt) = self.outcomes.try_recv() {
            fault::point("settle");
            dispatch.settle(attempt, now, instant, jitter());
        }
    }

    /// Applies changed settings. If `ca_file` cannot be used, the certificates that were trusted before stay.
    pub fn apply_settings(&mut self) {
        (self.max_requests, _) = descriptors::limits_for(settings::max_requests());
        self.sender.set_policy(Arc::new(settings::destination_policy()));
        let roots = load_roots();
        self.trusts_ca_file = roots.as_ref().is_some_and(|roots| roots.problems.is_empty());
        if let Some(roots) = roots {
            self.sender.set_roots(roots);
        }
    }

    /// Waits a moment for requests in flight, aborts the others, and passes all outcomes to `dispatch`.
    pub fn end(self, dispatch: &mut Dispatch) {
        self.sender.stop(LAST_REQUESTS);
        dispatch.close_gates();
        let (now, instant) = (SystemTime::now(), Instant::now());
        for attempt in self.outcomes.try_iter() {
            dispatch.settle(attempt, now, instant, jitter());
        }
    }
}

/// Returns a random number from -1 to 1, by which retries are varied.
fn jitter() -> f64 {
    rand::random_range(-1.0..=1.0)
}

/// Loads the certificates to trust. Returns `None` if no certificate of `ca_file` can be used.
fn load_roots() -> Option<Roots> {
    let ca_file = settings::ca_file();
    let loaded =
        Roots::load(ca_file.as_deref()).inspect_err(|error| warning!("{NAME}: hydra_webhooks.ca_file: {error}"));
    let roots = loaded.ok()?;
    for problem in &roots.problems {
        warning!("{NAME}: hydra_webhooks.ca_file: {problem}");
    }
    if roots.count == 0 {
        warning!("{NAME}: no https endpoint can be verified; install ca-certificates");
    }
    Some(roots)
}
