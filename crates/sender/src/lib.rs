//! The sender: makes requests over HTTP and returns what became of them as attempts. It knows nothing of Postgres.
//!
//! One thread of a Postgres process hands requests over, and never waits here. Other threads make them. Their attempts
//! come back through a channel, and a [`Bell`] wakes the thread that waits for them. Nothing in this crate calls
//! Postgres, reads a setting or writes to the log: only the one thread that Postgres knows may do that.
//!
//! From the outside in:
//!
//! | module | idea |
//! |---|---|
//! | [`Sender`], here | hand over, change the rules, stop |
//! | `worker` | what a thread does with each request |
//! | `shared` | what all threads share |
//! | `exchange` | one HTTP request and its answer, and what can go wrong |
//! | `rules` | the rules that requests are made under |
//! | [`destination`] | where requests may go: policy, URL, addresses behind a host name |
//! | `transport` | bytes over the network: TCP, TLS, deadlines |
//! | `threads` | starting threads in a Postgres process, giving them requests, waking the one that waits |

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
pub use threads::Bell;
pub use transport::Roots;

use shared::Shared;
use threads::Pool;
use worker::Worker;

/// How much longer a stop that had to cut connections waits for their threads to notice. They notice at once; this
/// bounds the wait for one that does not.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many requests can be under way at a time.
    pub max_threads: usize,
}

/// Dropped without [`stop`](Sender::stop), it cuts off all requests and waits for nothing.
pub struct Sender {
    pool: Pool<Worker>,
    shared: Arc<Shared>,
}

impl Sender {
    /// Starts no thread: the first threads are started for the first requests.
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

    /// Never waits. Each request gives an attempt, unless a stop cuts it off. Requests above `max_threads` at a time
    /// are queued.
    pub fn hand_over(&self, requests: impl IntoIterator<Item = Request>) {
        let failure = Failure::new(ErrorClass::Internal, "no thread could be started");
        self.shared.give_back(self.pool.hand_over(requests), &Outcome::Failed(failure));
    }

    /// Applies to every request that starts from now on.
    pub fn set_policy(&self, policy: Arc<DestinationPolicy>) {
        self.shared.set_policy(policy);
    }

    /// Applies to every request that starts from now on.
    pub fn set_roots(&self, roots: Roots) {
        self.shared.set_roots(roots);
    }

    /// Lets no request start any more, and waits for those under way, for `limit` and hardly longer. Requests that were
    /// not started are reported as not started. Requests that are not finished by then are cut off and not reported: an
    /// attempt that we interrupted ourselves must not count as a failure of its receiver. Returns the number of threads
    /// that could not even be cut off.
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
