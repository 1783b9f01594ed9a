//! The sender with receivers that work and receivers that do not. All of them are on 127.0.0.1.

mod answers;
mod connections;
mod faults;
mod lookups;
mod receiver;
mod starting;
mod tls;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver as Outcomes};
use std::time::{Duration, UNIX_EPOCH};

use wire::ids::{DeliveryId, EventKey, SubscriptionId};
use wire::preset::Preset;
use wire::request::Endpoint;
use wire::secret::SigningSecret;

use super::destination::AllowedNetwork;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"event":"ticket.created"}"#;

const LIMITS: Limits = Limits { threads: 2, resting_connections: 100, lookups: 100 };

/// A sender, and the channel and bell through which its attempts come.
struct Owner {
    sender: Sender,
    outcomes: Outcomes<Attempt>,
    bell: Arc<Bell>,
}

impl Owner {
    /// Creates a sender that may make plain http requests to the loopback interface.
    fn allowing_loopback() -> Self {
        Self::with(loopback_policy(), Roots::load(None).unwrap())
    }

    fn with(policy: DestinationPolicy, roots: Roots) -> Self {
        Self::with_directory(Directory::system(LIMITS.lookups), policy, roots)
    }

    fn with_directory(directory: Directory, policy: DestinationPolicy, roots: Roots) -> Self {
        let (send, outcomes) = mpsc::channel();
        let bell = Arc::new(Bell::new().unwrap());
        let sender = Sender::with_directory(directory, LIMITS, Arc::new(policy), roots, send, bell.clone());
        Self { sender, outcomes, bell }
    }

    /// Waits for the bell, as the dispatcher does.
    fn next(&self) -> Attempt {
        loop {
            if let Ok(attempt) = self.outcomes.try_recv() {
                return attempt;
            }
            assert!(self.bell.wait(PATIENCE), "no outcome came");
            self.bell.silence();
        }
    }

    fn attempt(&self, endpoint: Endpoint) -> Attempt {
        // It may still be rung from an earlier request.
        self.bell.silence();
        self.sender.hand_over([request(endpoint)]);
        assert!(self.bell.wait(PATIENCE), "no outcome came");
        self.next()
    }

    fn outcome_of(&self, endpoint: Endpoint) -> Outcome {
        self.attempt(endpoint).outcome
    }

    fn status_of(&self, endpoint: Endpoint) -> u16 {
        match self.outcome_of(endpoint) {
            Outcome::Answered(answer) => answer.status,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn failure_of(&self, endpoint: Endpoint) -> Failure {
        match self.outcome_of(endpoint) {
            Outcome::Failed(failure) => failure,
            other => panic!("no failure: {other:?}"),
        }
    }
}

fn loopback_policy() -> DestinationPolicy {
    let allow_networks = AllowedNetwork::parse_list("127.0.0.1/32").unwrap();
    DestinationPolicy { allow_networks, allow_http: true }
}

fn endpoint(url: impl Into<String>) -> Endpoint {
    Endpoint {
        subscription: SubscriptionId(7),
        url: url.into(),
        secrets: vec![SigningSecret::from(SECRET.to_owned())],
        schemes: Vec::new(),
        headers: Vec::new(),
        timeout: PATIENCE,
        gate: Arc::default(),
    }
}

/// An endpoint with a time limit that a test can wait for.
fn with_short_limit(url: impl Into<String>) -> Endpoint {
    Endpoint { timeout: Duration::from_millis(200), ..endpoint(url) }
}

fn request(endpoint: Endpoint) -> Request {
    Request {
        delivery: DeliveryId([9; 16]),
        endpoint: Arc::new(endpoint),
        preset: Preset::Hydra,
        event: EventKey::default(),
        event_type: "ticket.created".into(),
        emitted_at: UNIX_EPOCH,
        operation: None,
        body: BODY.into(),
        hops: 0,
        max_in_flight: 8,
    }
}
