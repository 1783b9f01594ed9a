//! The sender of the extension without a database, to measure the rate that the sender alone reaches.
//!
//! It is used as the dispatcher uses it if many deliveries wait for a quick endpoint: as many requests are in flight as
//! is usual, and more are handed over, so that the sender always has the next one.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use sender::destination::AllowedNetwork;
use sender::{Bell, DestinationPolicy, Limits, Roots, Sender};
use wire::attempt::{Attempt, Outcome};
use wire::ids::{DeliveryId, EventKey, SubscriptionId};
use wire::preset::Preset;
use wire::request::{Endpoint, Request};
use wire::secret::SigningSecret;

const PATIENCE: Duration = Duration::from_secs(60);

/// For one endpoint, which belongs to one thread.
const LIMITS: Limits = Limits { threads: 1, resting_connections: 100, lookups: 1 };

/// The number of requests in flight to one endpoint by default, and how many more the dispatcher hands over.
pub const IN_FLIGHT: usize = 64;
pub const AHEAD: usize = 1000;

/// About the size of the body of an event.
pub const BODY_BYTES: usize = 300;

pub struct BareSender {
    sender: Sender,
    bell: Arc<Bell>,
    outcomes: Receiver<Attempt>,
    endpoint: Arc<Endpoint>,
    event_type: Arc<str>,
    body: Arc<str>,
}

impl BareSender {
    pub fn start(url: &str, ca_file: Option<&Path>) -> Self {
        let bell = Arc::new(Bell::new().expect("an eventfd"));
        let (send, outcomes) = channel();
        let roots = Roots::load(ca_file).expect("certificates that can be read");
        let sender = Sender::start(LIMITS, Arc::new(open_policy()), roots, send, bell.clone());
        let (event_type, body) = ("ticket.created".into(), "x".repeat(BODY_BYTES).into());
        Self { sender, bell, outcomes, endpoint: endpoint(url), event_type, body }
    }

    /// Makes `requests`, of which `max_in_flight` are in flight at a time and `ahead` more are handed over. Returns the
    /// rate per second.
    pub fn rate(&self, requests: usize, max_in_flight: usize, ahead: usize) -> f64 {
        let start = Instant::now();
        let (mut unmade, mut under_way) = (requests, 0);
        while unmade + under_way > 0 {
            let handed = unmade.min(max_in_flight + ahead - under_way);
            self.sender.hand_over((0..handed).map(|number| self.request(number, max_in_flight)));
            unmade -= handed;
            under_way += handed;
            let attempts = self.wait();
            under_way -= attempts.len();
            // Requests that waited for too long are handed over again.
            unmade += attempts.iter().filter(|attempt| attempt.outcome == Outcome::NotStarted).count();
        }
        requests as f64 / start.elapsed().as_secs_f64()
    }

    /// Makes one request with this number in its body, and waits until its outcome is known.
    pub fn post_once(&self, number: usize) {
        let body = format!("{{\"id\": {number}, \"subject\": \"{}\"}}", self.body).into();
        self.sender.hand_over([Request { body, ..self.request(number, 1) }]);
        self.wait();
    }

    fn wait(&self) -> Vec<Attempt> {
        assert!(self.bell.wait(PATIENCE), "no outcome for {PATIENCE:?}");
        self.bell.silence();
        let attempts: Vec<_> = self.outcomes.try_iter().collect();
        let bad = attempts.iter().find(|one| !one.outcome.is_success() && one.outcome != Outcome::NotStarted);
        assert!(bad.is_none(), "a request failed: {bad:?}");
        attempts
    }

    fn request(&self, number: usize, max_in_flight: usize) -> Request {
        Request {
            delivery: DeliveryId((number as u128).to_be_bytes()),
            endpoint: self.endpoint.clone(),
            preset: Preset::Hydra,
            event: EventKey::default(),
            event_type: self.event_type.clone(),
            emitted_at: UNIX_EPOCH,
            operation: None,
            body: self.body.clone(),
            hops: 0,
            max_in_flight,
        }
    }
}

fn endpoint(url: &str) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        subscription: SubscriptionId(1),
        url: url.into(),
        secrets: vec![SigningSecret::random(&mut rand::rng())],
        schemes: Vec::new(),
        headers: Vec::new(),
        timeout: Duration::from_secs(8),
        gate: Arc::default(),
    })
}

fn open_policy() -> DestinationPolicy {
    let allow_networks = AllowedNetwork::parse_list("127.0.0.0/8").expect("a network");
    DestinationPolicy { allow_networks, allow_http: true }
}
