//! Makes the requests of one thread over its own connections, and reports their results.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wire::attempt::{Attempt, ErrorClass, Failure, Outcome};
use wire::request::Request;

use crate::exchange::Client;
use crate::shared::Shared;
use crate::threads::Handler;

/// A thread makes the next request of a chain only if the request before it took at most this long. Otherwise the rest
/// of the chain is given back, so that nothing waits behind a slow answer while other threads are free. `QUICK` of the
/// lanes is another limit: it decides which endpoints get chains.
pub const QUICK: Duration = Duration::from_millis(50);

pub struct Worker {
    shared: Arc<Shared>,
    client: Option<Client>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, client: None }
    }

    /// Makes a request, reports its result, and returns how long it took.
    fn make(&mut self, request: &Request) -> Duration {
        let at = SystemTime::now();
        let started = Instant::now();
        let outcome = if request.endpoint.gate.is_closed() { Outcome::NotStarted } else { self.attempt(request, at) };
        let took = started.elapsed();
        let (delivery, subscription) = (request.delivery, request.endpoint.subscription);
        self.shared.report(Attempt { delivery, subscription, outcome, at, took });
        took
    }

    /// Makes one attempt. A panic in it must neither end the thread nor affect other requests.
    fn attempt(&mut self, request: &Request, now: SystemTime) -> Outcome {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            fault::point("request");
            let outcome = self.client().attempt(request, now);
            fault::point("answer");
            outcome
        }));
        attempt.unwrap_or_else(|_panic| {
            // The panic may have left the client in any state.
            self.client = None;
            Outcome::Failed(Failure::new(ErrorClass::Internal, "internal error of the sender"))
        })
    }

    /// Returns a client with the rules in force: the existing one, with its connections, unless the rules have changed.
    fn client(&mut self) -> &mut Client {
        let rules = self.shared.rules();
        let kept = self.client.take().filter(|client| client.keeps_to(&rules));
        let Shared { directory, sockets, preferences, .. } = &*self.shared;
        let client = || Client::new(rules, directory.clone(), sockets.clone(), preferences.clone());
        self.client.insert(kept.unwrap_or_else(client))
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
