//! The sender: makes HTTP requests and returns the result of each as an attempt. It does not use Postgres.
//!
//! The main thread of a Postgres process hands requests over to the sender and never waits for them. Other threads make
//! the requests. Their attempts come back through a channel, and a [`Bell`] wakes the main thread. Nothing in this
//! crate calls Postgres, reads a setting or writes to the log, because only the main thread may do that.
//!
//! From the outside in:
//!
//! | module | what it does |
//! |---|---|
//! | [`Sender`], here | hands requests over, changes the rules, stops |
//! | `worker` | makes the requests of one thread, and reports their results |
//! | `shared` | has what all threads share |
//! | `exchange` | makes one HTTP request and reads its answer or the error |
//! | `rules` | has the rules for requests: allowed destinations and trusted certificates |
//! | [`destination`] | decides where requests may go: policy, URL, addresses of a host name |
//! | `transport` | moves bytes over the network: TCP, TLS, deadlines |
//! | `threads` | starts threads in a Postgres process, gives them requests, wakes the main thread |

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use wire::attempt::{Attempt, ErrorClass, Failure, Outcome};
use wire::request::Request;

pub mod destination;
mod exchange;
mod rules;
mod shared;
mod threads;
mod transport;
mod worker;

#[cfg(test)]
mod tests;

pub use destination::DestinationPolicy;
pub use exchange::read_answer;
pub use threads::{Bell, spawn_quiet};
pub use transport::Roots;

use shared::Shared;
use threads::Pool;
use worker::Worker;

/// After cutting connections, [`Sender::stop`] waits at most this much longer for the threads to end. Normally they end
/// at once.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of requests in flight.
    pub max_threads: usize,
}

/// Makes requests with its threads. If it is dropped without a call of [`stop`](Sender::stop), it cuts all connections
/// and does not wait.
pub struct Sender {
    pool: Pool<Worker>,
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
        let shared = Arc::new(Shared::new(policy, roots, outcomes, bell));
        let for_workers = Arc::clone(&shared);
        let new_worker = move || Worker::new(Arc::clone(&for_workers));
        Self { pool: Pool::new(limits.max_threads, Box::new(new_worker)), shared }
    }

    /// Hands requests over to the threads, and never waits. Each request results in an attempt, unless
    /// [`stop`](Sender::stop) cuts it off. Requests above `max_threads` at a time are queued.
    pub fn hand_over(&self, requests: impl IntoIterator<Item = Request>) {
        let failure = Failure::new(ErrorClass::Internal, "no thread could be started");
        self.shared.give_back(self.pool.hand_over(requests), &Outcome::Failed(failure));
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
        self.shared.give_back(self.pool.close(), &Outcome::NotStarted);
        match self.pool.wait_for_end(limit) {
            0 => 0,
            _ => {
                self.shared.abandon();
                self.pool.wait_for_end(GRACE)
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.pool.close();
        self.shared.abandon();
    }
}
