//! Another system: it sends each event one to five times, to any gateway, and each time again until it is answered with 2xx.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rand::RngExt;
use rand::rngs::StdRng;
use testkit::millis;

use crate::http::{Answer, post};

/// Longer than a server needs to recover on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How the events go to their adapter.
pub enum Adapter {
    /// Signed as our own webhooks are.
    Signed { path: String, secret: String },
    /// With an id, and without a signature.
    Plain { path: String },
}

impl Adapter {
    fn send(&self, gateway: &str, event: usize) -> io::Result<Answer> {
        let body = body(event);
        let id = id(event);
        match self {
            Self::Plain { path } => {
                post(gateway, path, &[("content-type", "application/json"), ("webhook-id", &id)], body.as_bytes())
            }
            Self::Signed { path, secret } => {
                let signature = stripe_signature(secret, &body);
                let headers =
                    [("x-hydra-event", "moved"), ("x-hydra-delivery", &id), ("x-hydra-signature", &signature)];
                post(gateway, path, &headers, body.as_bytes())
            }
        }
    }
}

pub fn id(event: usize) -> String {
    format!("evt-{event}")
}

fn body(event: usize) -> String {
    format!(r#"{{"type": "moved", "id": "{}"}}"#, id(event))
}

/// Returns a signature as Stripe makes it, and our preset `hydra`.
pub fn stripe_signature(secret: &str, body: &str) -> String {
    let now = UNIX_EPOCH.elapsed().expect("a clock that is right").as_secs();
    format!("t={now},v1={}", hmac(secret, &format!("{now}.{body}")))
}

pub fn hmac(key: &str, message: &str) -> String {
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub struct Outside {
    adapters: Vec<Adapter>,
    /// Where the gateways listen now.
    pub gateways: Mutex<Vec<String>>,
    /// The events in the order in which they are sent.
    plan: Vec<usize>,
    next: AtomicUsize,
    /// How often a send has ended with 2xx.
    pub answered: AtomicUsize,
    /// What all requests were answered with; 0: nothing.
    pub statuses: Mutex<BTreeMap<u16, usize>>,
    /// Sends in a second, at most.
    rate: f64,
}

impl Outside {
    pub fn new(adapters: Vec<Adapter>, events: usize, rate: f64, chance: &mut StdRng) -> Self {
        // Some are sent again at once, others when many have been sent since.
        let mut places = Vec::new();
        for event in 0..events {
            for _ in 0..chance.random_range(1..=5) {
                let later = if chance.random_bool(0.5) { 4 } else { 200 };
                places.push((event + chance.random_range(0..later), event));
            }
        }
        places.sort_unstable();
        Self {
            adapters,
            gateways: Mutex::default(),
            plan: places.into_iter().map(|(_, event)| event).collect(),
            next: AtomicUsize::default(),
            answered: AtomicUsize::default(),
            statuses: Mutex::default(),
            rate,
        }
    }

    pub fn sends(&self) -> usize {
        self.plan.len()
    }

    /// Sends until everything was answered with 2xx.
    pub fn work(&self, began: Instant) {
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&event) = self.plan.get(place) else { return };
            let due = began + Duration::from_secs_f64(place as f64 / self.rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.send_until_answered(event);
        }
    }

    fn send_until_answered(&self, event: usize) {
        let (began, adapter) = (Instant::now(), &self.adapters[event % self.adapters.len()]);
        for attempt in 0.. {
            let gateway = {
                let gateways = self.gateways.lock().unwrap();
                gateways[rand::random_range(0..gateways.len())].clone()
            };
            let answer = adapter.send(&gateway, event);
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            *self.statuses.lock().unwrap().entry(status).or_default() += 1;
            if (200..300).contains(&status) {
                self.answered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            assert!(began.elapsed() < PATIENCE, "event {event} was not taken in: {answer:?}");
            thread::sleep(millis(20 << std::cmp::min(attempt, 4)));
        }
    }
}
