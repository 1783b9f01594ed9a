//! The simulated sender, which makes requests, and the receivers that answer them.

use super::*;

impl World {
    /// Ends one of the requests in flight, or gives back those of a subscription that wait for others.
    pub(super) fn finish_one(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.requests.len());
        let id = self.requests[index].endpoint.subscription;
        let limit = self.requests[index].max_in_flight;
        let of_subscription = |request: &Request| request.endpoint.subscription == id;
        if self.requests[..index].iter().filter(|request| of_subscription(request)).count() < limit {
            let request = self.requests.remove(index);
            return self.finish(&request);
        }
        if self.random.random_bool(0.3) {
            let mut in_flight = 0;
            let waiting: Vec<_> = self
                .requests
                .extract_if(.., |request| {
                    in_flight += usize::from(of_subscription(request));
                    of_subscription(request) && in_flight > limit
                })
                .collect();
            waiting.iter().for_each(|request| self.settle(request, Outcome::NotStarted, Duration::ZERO));
        }
    }

    fn finish(&mut self, request: &Request) {
        let took = Duration::from_micros(self.random.random_range(100..30_000));
        let outcome = if request.endpoint.gate.is_closed() {
            Outcome::NotStarted
        } else if self.endpoints[&request.endpoint.subscription].faulty {
            fault()
        } else {
            self.arrive(request)
        };
        self.settle(request, outcome, took);
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
