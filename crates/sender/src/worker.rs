//! What one thread does with its requests: it makes each over its own connections and reports what became of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wire::attempt::{Attempt, ErrorClass, Failure, Outcome};
use wire::request::Request;

use crate::exchange::Client;
use crate::shared::Shared;
use crate::threads::Handler;

/// A thread makes the next request of a chain only if the answer to the one before it came this soon. Otherwise the
/// rest is given back, so that nothing waits behind a slow answer while other threads are free.
pub const QUICK: Duration = Duration::from_millis(50);

pub struct Worker {
    shared: Arc<Shared>,
    client: Option<Client>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, client: None }
    }

    /// Makes a request, reports what became of it, and returns how long it took.
    fn make(&mut self, request: &Request) -> Duration {
        let at = SystemTime::now();
        let started = Instant::now();
        let outcome = if request.endpoint.gate.is_closed() { Outcome::NotStarted } else { self.attempt(request, at) };
        let took = started.elapsed();
        let (delivery, subscription) = (request.delivery, request.endpoint.subscription);
        self.shared.report(Attempt { delivery, subscription, outcome, at, took });
        took
    }

    /// A panic in one request must cost neither the thread nor other requests.
    fn attempt(&mut self, request: &Request, now: SystemTime) -> Outcome {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            fault::point("request");
            let outcome = self.client(request.endpoint.timeout).attempt(request, now);
            fault::point("answer");
            outcome
        }));
        attempt.unwrap_or_else(|_panic| {
            // A panic may have left it in any state.
            self.client = None;
            Outcome::Failed(Failure::new(ErrorClass::Internal, "internal error of the sender"))
        })
    }

    /// A client under the rules in force: the one there is, with its connections, unless the rules changed.
    fn client(&mut self, limit: Duration) -> &mut Client {
        let rules = self.shared.rules();
        let kept = self.client.take().filter(|client| client.keeps_to(&rules));
        let Shared { directory, sockets, .. } = &*self.shared;
        self.client.insert(kept.unwrap_or_else(|| Client::new(rules, directory.clone(), sockets.clone(), limit)))
    }
}

impl Handler for Worker {
    fn handle(&mut self, mut request: Request) {
        loop {
            let next = request.next.take();
            let took = self.make(&request);
            match next {
                Some(next) if took <= QUICK && !self.shared.is_closing() => request = *next,
                next => {
                    return self.shared.give_back(next.map(|next| *next).into_iter().collect(), &Outcome::NotStarted);
                }
            }
        }
    }

    fn done(&self) {
        self.shared.ring();
    }
}
