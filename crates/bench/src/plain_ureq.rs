//! ureq with its defaults: one agent, shared by all threads, with a timeout. This is the simplest program that sends
//! webhooks, and the sender is compared with it. It signs requests like the extension, because receivers need that.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ureq::Agent;
use wire::ids::DeliveryId;
use wire::secret::SigningSecret;
use wire::signature::{self, Scheme, Signed};

use crate::bare_sender::BODY_BYTES;

/// Makes `requests` with `threads` threads. Returns the number of requests per second.
pub fn rate(url: &str, threads: usize, requests: usize) -> f64 {
    let agent: Agent = Agent::config_builder().timeout_global(Some(Duration::from_secs(8))).build().into();
    let secrets = [SigningSecret::random(&mut rand::rng())];
    let body = "x".repeat(BODY_BYTES);
    let each = requests / threads;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|number| post(&agent, url, &body, &secrets, number)));
        }
    });
    (each * threads) as f64 / start.elapsed().as_secs_f64()
}

fn post(agent: &Agent, url: &str, body: &str, secrets: &[SigningSecret], number: usize) {
    let id = DeliveryId((number as u128).to_be_bytes());
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut request = agent
        .post(url)
        .header("Content-Type", "application/json")
        .header("X-Hydra-Event", "ticket.created")
        .header("X-Hydra-Delivery", id.to_string());
    for (name, value) in signature::headers(&[Scheme::Hydra], secrets, Signed { id, at, body }) {
        request = request.header(name, value);
    }
    let mut response = request.send(body).expect("the receiver answers");
    response.body_mut().read_to_vec().expect("the answer has an end");
}
