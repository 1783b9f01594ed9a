//! The sender: takes requests, makes them over HTTP, answers with attempts. Knows no database.
//!
//! One thread of Postgres hands requests over and never waits here; a pool of threads makes them; outcomes go back
//! through a channel, and a bell says that there are some. Nothing in this folder calls Postgres, reads a setting or
//! logs: all of that is for the one thread that may.
//!
//! | file | idea |
//! |---|---|
//! | `pool` | who makes the next request |
//! | `http`, `answer`, `failure` | one attempt: the request, its answer, what can go wrong |
//! | `connection`, `tls`, `limit`, `trace`, `open_sockets` | bytes over the network |
//! | `address`, `resolver`, `lookup` | where a request may go |
//! | `bell`, `signals` | living inside a Postgres process |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use wire::attempt::{Attempt, ErrorClass, Outcome};
use wire::request::Request;

pub mod destination;
mod exchange;
mod rules;
mod threads;
mod transport;

#[cfg(test)]
mod tests;

pub use destination::DestinationPolicy;
pub use exchange::read_answer;
pub use threads::Bell;
pub use transport::Roots;

use destination::Directory;
use exchange::{Client, failure};
use rules::Rules;
use threads::{Courier, Pool};
use transport::OpenSockets;

/// Of requests that hang together, the next is made by the same thread only if the answer came so soon.
const QUICK: Duration = Duration::from_millis(50);

/// A stop that had to cut connections waits this much longer for their threads to notice.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many requests can be on their way at a time.
    pub max_threads: usize,
}

pub struct Sender {
    pool: Pool<Desk>,
    office: Arc<Office>,
}

/// What all threads share.
struct Office {
    rules: Mutex<Arc<Rules>>,
    directory: Directory,
    sockets: Arc<OpenSockets>,
    outcomes: mpsc::Sender<Attempt>,
    bell: Arc<Bell>,
    /// No request is to start any more.
    closing: AtomicBool,
    /// Outcomes are of no interest any more.
    abandoned: AtomicBool,
}

impl Sender {
    /// Starts no thread: the first ones come with the first requests.
    pub fn start(
        limits: Limits,
        policy: Arc<DestinationPolicy>,
        roots: Roots,
        outcomes: mpsc::Sender<Attempt>,
        bell: Arc<Bell>,
    ) -> Self {
        let office = Arc::new(Office {
            rules: Mutex::new(Arc::new(Rules { policy, roots })),
            directory: Directory::system(),
            sockets: Arc::default(),
            outcomes,
            bell,
            closing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        });
        let hired = office.clone();
        let hire = move || Desk { office: hired.clone(), client: None };
        Self { pool: Pool::new(limits.max_threads, Box::new(hire)), office }
    }

    /// Never waits. Of each request an attempt comes back, unless a stop is in the way. More than `max_threads` at a
    /// time are queued.
    pub fn hand_over(&self, requests: impl IntoIterator<Item = Request>) {
        let failure = failure::failure(ErrorClass::Internal, "no thread could be started");
        self.office.give_back(self.pool.hand_over(requests), &Outcome::Failed(failure));
    }

    /// Applies to every request that starts from now on.
    pub fn set_policy(&self, policy: Arc<DestinationPolicy>) {
        let mut rules = self.office.lock_rules();
        *rules = Arc::new(Rules { policy, roots: rules.roots.clone() });
    }

    /// Applies to every request that starts from now on.
    pub fn set_roots(&self, roots: Roots) {
        let mut rules = self.office.lock_rules();
        *rules = Arc::new(Rules { policy: rules.policy.clone(), roots });
    }

    /// Lets no request start any more and waits for those on their way, for `limit` and hardly longer. What was not
    /// started comes back as such. What is not done by then is cut off and tells nothing: an attempt that we
    /// interrupted ourselves is nobody's failure. Says how many threads could not even be cut off.
    pub fn stop(self, limit: Duration) -> usize {
        self.office.closing.store(true, Ordering::Release);
        self.office.give_back(self.pool.close(), &Outcome::NotStarted);
        match self.pool.wait_for_end(limit) {
            0 => 0,
            _ => {
                self.office.abandon();
                self.pool.wait_for_end(GRACE)
            }
        }
    }
}

/// Without a stop nobody waits for anything.
impl Drop for Sender {
    fn drop(&mut self) {
        self.pool.close();
        self.office.abandon();
    }
}

impl Office {
    fn file(&self, attempt: Attempt) {
        if self.abandoned.load(Ordering::Acquire) {
            return;
        }
        // Nobody listens any more: then there is nobody to tell that, either.
        let _ = self.outcomes.send(attempt);
    }

    /// For requests that no thread will ever make. In their order: so they are taken up again.
    fn give_back(&self, requests: Vec<Request>, outcome: &Outcome) {
        for request in requests {
            let mut left = Some(request);
            while let Some(mut request) = left {
                left = request.next.take().map(|next| *next);
                self.file(Attempt {
                    delivery: request.delivery,
                    subscription: request.endpoint.subscription,
                    outcome: outcome.clone(),
                    at: SystemTime::now(),
                    took: Duration::ZERO,
                });
                self.bell.ring();
            }
        }
    }

    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.directory.close();
        self.sockets.cut();
    }

    fn lock_rules(&self) -> MutexGuard<'_, Arc<Rules>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread's place, with its own connections.
struct Desk {
    office: Arc<Office>,
    client: Option<Client>,
}

impl Courier for Desk {
    fn deliver(&mut self, mut request: Request) {
        loop {
            let next = request.next.take();
            let took = self.make(&request);
            match next {
                Some(next) if took <= QUICK && !self.office.closing.load(Ordering::Acquire) => request = *next,
                next => {
                    return self.office.give_back(next.map(|next| *next).into_iter().collect(), &Outcome::NotStarted);
                }
            }
        }
    }

    fn announce(&self) {
        self.office.bell.ring();
    }
}

impl Desk {
    /// Makes a request and files what became of it. Says how long it took.
    fn make(&mut self, request: &Request) -> Duration {
        let at = SystemTime::now();
        let started = Instant::now();
        let outcome = if request.endpoint.gate.is_closed() { Outcome::NotStarted } else { self.attempt(request, at) };
        let took = started.elapsed();
        let (delivery, subscription) = (request.delivery, request.endpoint.subscription);
        self.office.file(Attempt { delivery, subscription, outcome, at, took });
        took
    }

    /// A fault in one request must cost neither the thread nor the others.
    fn attempt(&mut self, request: &Request, now: SystemTime) -> Outcome {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            fault::point("request");
            let outcome = self.client(request.endpoint.timeout).attempt(request, now);
            fault::point("answer");
            outcome
        }));
        attempt.unwrap_or_else(|_panic| {
            // Who knows what state it was left in.
            self.client = None;
            Outcome::Failed(failure::failure(ErrorClass::Internal, "fault of the sender"))
        })
    }

    fn client(&mut self, limit: Duration) -> &mut Client {
        let rules = self.office.lock_rules().clone();
        let kept = self.client.take().filter(|client| client.keeps_to(&rules));
        let office = &self.office;
        self.client
            .insert(kept.unwrap_or_else(|| Client::new(rules, office.directory.clone(), office.sockets.clone(), limit)))
    }
}
