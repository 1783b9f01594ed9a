//! Makes sure that each request that was started results in one attempt, whatever happens to it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wire::attempt::{Attempt, ErrorClass, Failure, Outcome};
use wire::ids::{DeliveryId, SubscriptionId};
use wire::request::Request;

use crate::shared::Shared;

/// Where the attempts of a loop go. The bell is rung once for all attempts of a turn.
pub struct Outbox {
    shared: Arc<Shared>,
    has_news: Cell<bool>,
}

impl Outbox {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, has_news: Cell::new(false) }
    }

    pub fn report(&self, attempt: Attempt) {
        self.shared.report(attempt);
        self.has_news.set(true);
    }

    /// Wakes the thread that waits for attempts, if there are any. To be called at the end of each turn.
    pub fn ring(&self) {
        if self.has_news.replace(false) {
            self.shared.ring();
        }
    }
}

/// A started request, until its outcome is known. If it is dropped before, because of a panic, the outcome is an
/// internal error.
pub struct Ticket {
    delivery: DeliveryId,
    subscription: SubscriptionId,
    at: SystemTime,
    started: Instant,
    is_concluded: bool,
    outbox: Rc<Outbox>,
    /// The number of requests of the subscription that are in flight.
    in_flight: Rc<Cell<usize>>,
}

impl Ticket {
    pub fn new(request: &Request, outbox: Rc<Outbox>, in_flight: Rc<Cell<usize>>) -> Self {
        in_flight.set(in_flight.get() + 1);
        Self {
            delivery: request.delivery,
            subscription: request.endpoint.subscription,
            at: SystemTime::now(),
            started: Instant::now(),
            is_concluded: false,
            outbox,
            in_flight,
        }
    }

    pub fn at(&self) -> SystemTime {
        self.at
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// Reports the outcome.
    pub fn conclude(mut self, outcome: Outcome) {
        self.report(outcome);
    }

    fn report(&mut self, outcome: Outcome) {
        self.is_concluded = true;
        self.in_flight.set(self.in_flight.get() - 1);
        let Self { delivery, subscription, at, .. } = *self;
        self.outbox.report(Attempt { delivery, subscription, outcome, at, took: self.started.elapsed() });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_concluded {
            let failure = Failure::new(ErrorClass::Internal, "internal error of the sender");
            self.report(Outcome::Failed(failure));
        }
    }
}
