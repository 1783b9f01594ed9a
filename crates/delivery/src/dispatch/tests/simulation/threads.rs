//! The simulated threads that make requests, and the receivers that answer them.

use super::*;

impl World {
    /// Lets a thread make its next request.
    pub(super) fn finish_one(&mut self) {
        if self.chains.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.chains.len());
        let mut request = self.chains.swap_remove(index);
        let next = request.next.take();
        let took = Duration::from_micros(self.random.random_range(100..30_000));
        let outcome = if request.endpoint.gate.is_closed() {
            Outcome::NotStarted
        } else if self.endpoints[&request.endpoint.subscription].faulty {
            fault()
        } else {
            self.arrive(&request)
        };
        self.settle(&request, outcome, took);
        match next {
            Some(next) if took < Duration::from_millis(10) => self.chains.push(*next),
            Some(next) => self.give_back(*next),
            None => {}
        }
    }

    pub(super) fn give_back(&mut self, mut request: Request) {
        if let Some(next) = request.next.take() {
            self.give_back(*next);
        }
        self.settle(&request, Outcome::NotStarted, Duration::ZERO);
    }

    pub(super) fn settle(&mut self, request: &Request, outcome: Outcome, took: Duration) {
        let (delivery, subscription) = (request.delivery, request.endpoint.subscription);
        let jitter = self.random.random_range(-1.0..=1.0);
        self.dispatch.settle(
            Attempt { delivery, subscription, outcome, at: self.clock, took },
            self.clock,
            self.instant,
            jitter,
        );
    }

    /// Lets a request arrive at its receiver, which answers it.
    pub(super) fn arrive(&mut self, request: &Request) -> Outcome {
        let health = self.endpoints[&request.endpoint.subscription].health;
        let fate = self.fates.get_mut(&request.delivery).expect("nothing is sent that was not emitted");
        let deleted = self.endpoints[&fate.subscription].deleted;
        assert!(!fate.over || deleted, "{fate:?} was over and is sent again");
        assert_ne!(fate.succeeded_in, Some(self.run), "{fate:?} succeeded in this run already");
        fate.requests += 1;
        if self.random.random_bool(health) {
            fate.succeeded_in = Some(self.run);
            return status(200);
        }
        match self.random.random_range(0..40) {
            0 => status(410),
            1 => {
                let retry_after = Some(Duration::from_secs(self.random.random_range(0..100)));
                Outcome::Answered(Answer { status: 429, excerpt: String::new(), retry_after })
            }
            2..20 => status(503),
            _ => timeout(),
        }
    }
}
