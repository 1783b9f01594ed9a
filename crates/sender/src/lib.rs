//! The sender: makes HTTP requests and returns the result of each as an attempt. It does not use Postgres.
//!
//! The main thread of a Postgres process hands requests over to the sender and never waits for them. A few threads make
//! the requests, each of them many at a time: see [`event_loop`]. Their attempts come back through a channel, and a
//! [`Bell`] wakes the main thread. Nothing in this crate calls Postgres, reads a setting or writes to the log, because
//! only the main thread may do that.
//!
//! From the outside in:
//!
//! | module | what it does |
//! |---|---|
//! | [`Sender`], here | hands requests over, changes the rules, stops |
//! | `shared` | has what all threads share |
//! | `event_loop` | makes the requests of many subscriptions at the same time |
//! | `exchange` | makes one HTTP request and reads its answer or the error |
//! | `rules` | has the rules for requests: allowed destinations and trusted certificates |
//! | [`destination`] | decides where requests may go: policy, URL, addresses of a host name |
//! | `transport` | moves bytes over the network: TCP and TLS |
//! | `threads` | starts threads in a Postgres process, wakes the main thread |

use std::num::NonZero;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime};

use wire::attempt::{Attempt, ErrorClass, Failure, Outcome};
use wire::request::Request;

pub mod destination;
mod event_loop;
mod exchange;
mod rules;
mod shared;
mod threads;
mod transport;

#[cfg(test)]
mod tests;

pub use destination::DestinationPolicy;
pub use exchange::read_answer;
pub use threads::Bell;
pub use transport::Roots;

use destination::Directory;
use event_loop::{EventLoop, Inbox, Parts};
use rules::Rules;
use shared::Shared;
use threads::spawn_quiet;

/// After the time for requests in flight, [`Sender::stop`] waits at most this much longer for the threads to end.
/// Normally they end at once.
const GRACE: Duration = Duration::from_millis(100);

/// More threads than this are of no use: one makes more requests than a dispatcher hands over.
const MAX_THREADS: usize = 4;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of threads that make requests.
    pub threads: usize,
    /// The maximum number of connections that are kept open without a request.
    pub resting_connections: usize,
    /// The maximum number of threads that look up host names, about.
    pub lookups: usize,
}

impl Limits {
    /// The number of threads for many requests at a time: as many as there are processors, or fewer if these are many.
    pub fn usual_threads() -> usize {
        available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
    }
}

/// Makes requests with its threads. If it is dropped without a call of [`stop`](Sender::stop), it cuts all connections
/// and does not wait.
pub struct Sender {
    limits: Limits,
    /// The event loops. A loop is started when there are requests for it.
    loops: Vec<OnceLock<Arc<Inbox>>>,
    shared: Arc<Shared>,
}

impl Sender {
    /// Creates a sender. It starts no thread yet: threads are started when there are requests for them.
    pub fn start(
        limits: Limits,
        policy: Arc<DestinationPolicy>,
        roots: Roots,
        outcomes: mpsc::Sender<Attempt>,
        bell: Arc<Bell>,
    ) -> Self {
        Self::with_directory(Directory::system(limits.lookups), limits, policy, roots, outcomes, bell)
    }

    fn with_directory(
        directory: Directory,
        limits: Limits,
        policy: Arc<DestinationPolicy>,
        roots: Roots,
        outcomes: mpsc::Sender<Attempt>,
        bell: Arc<Bell>,
    ) -> Self {
        let shared = Arc::new(Shared::new(Rules { policy, roots }, directory, outcomes, bell));
        let loops = (0..limits.threads.max(1)).map(|_| OnceLock::new()).collect();
        Self { limits, loops, shared }
    }

    /// Hands requests over to the threads, and never waits. Each request results in an attempt, unless
    /// [`stop`](Sender::stop) cuts it off.
    pub fn hand_over(&self, requests: impl IntoIterator<Item = Request>) {
        let mut shares: Vec<Vec<Request>> = self.loops.iter().map(|_| Vec::new()).collect();
        for request in requests {
            let place = request.endpoint.subscription.0.unsigned_abs() as usize % shares.len();
            shares[place].push(request);
        }
        for (place, share) in shares.into_iter().enumerate().filter(|(_, share)| !share.is_empty()) {
            match self.inbox(place) {
                Some(inbox) => inbox.hand_over(share),
                None => self.refuse(share),
            }
        }
    }

    /// Returns the inbox of a loop, which is started if necessary. `None` if that is not possible.
    fn inbox(&self, place: usize) -> Option<&Arc<Inbox>> {
        let inbox = &self.loops[place];
        if inbox.get().is_none() {
            let parts = Parts::new().ok()?;
            let (new, shared) = (parts.inbox.clone(), self.shared.clone());
            let max_resting = (self.limits.resting_connections / self.loops.len()).max(1);
            let body = move || {
                EventLoop::new(parts, shared.clone(), max_resting).run();
                shared.loop_ends();
            };
            self.shared.loop_starts();
            if spawn_quiet("hydra sender", body).is_err() {
                self.shared.loop_ends();
                return None;
            }
            let _ = inbox.set(new);
        }
        inbox.get()
    }

    fn refuse(&self, requests: Vec<Request>) {
        let failure = Failure::new(ErrorClass::Internal, "no thread could be started");
        for request in requests {
            self.shared.report(Attempt {
                delivery: request.delivery,
                subscription: request.endpoint.subscription,
                outcome: Outcome::Failed(failure.clone()),
                at: SystemTime::now(),
                took: Duration::ZERO,
            });
        }
        self.shared.ring();
    }

    /// Sets the policy for all requests that start from now on.
    pub fn set_policy(&self, policy: Arc<DestinationPolicy>) {
        self.shared.set_policy(policy);
    }

    /// Sets the trusted certificates for all requests that start from now on.
    pub fn set_roots(&self, roots: Roots) {
        self.shared.set_roots(roots);
    }

    /// Prevents the start of further requests, and waits for those in flight for at most `limit`. Requests that were
    /// not started are reported as not started. Requests that have not finished within `limit` are cut off and not
    /// reported: an attempt that we interrupted ourselves must not count as a failure of its receiver. Returns the
    /// number of threads that did not end even then.
    pub fn stop(self, limit: Duration) -> usize {
        self.shared.close();
        self.wake();
        match self.shared.wait_for_end(limit) {
            0 => 0,
            _ => {
                self.abandon();
                self.shared.wait_for_end(GRACE)
            }
        }
    }

    fn abandon(&self) {
        self.shared.abandon();
        self.wake();
    }

    fn wake(&self) {
        self.loops.iter().filter_map(OnceLock::get).for_each(|inbox| inbox.wake());
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.abandon();
    }
}
