//! Drives the sender without a database, as fast as it goes: what the network side alone can do. The rate at which
//! the database's queue drains is measured against this one.
//!
//! `sender_only --url http://127.0.0.1:8080/ --requests 100000 --threads 64 --body-bytes 300`
//!
//! `--in-flight` says how many requests are handed over at a time; without it, as many as there are threads. It allows
//! plain http and every address: it is made for a receiver on the same machine.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use delivery::{Attempt, DeliveryId, Endpoint, Request};
use sender::address::AllowedNetwork;
use sender::{Bell, DestinationPolicy, Limits, Roots, Sender};
use signature::{Scheme, SigningSecret};

// The crate is a library for Postgres alone and cannot be linked to, so its pure modules are compiled in. Not all of
// what they offer is wanted here.
#[allow(dead_code)]
#[path = "../src/delivery.rs"]
mod delivery;
#[allow(dead_code, unused_imports)]
#[path = "../src/sender/mod.rs"]
mod sender;
#[allow(dead_code)]
#[path = "../src/signature.rs"]
mod signature;

const PATIENCE: Duration = Duration::from_secs(60);

struct Run {
    url: String,
    requests: usize,
    threads: usize,
    in_flight: usize,
    body_bytes: usize,
}

fn main() -> ExitCode {
    let run = match Run::from_arguments(std::env::args().skip(1).collect()) {
        Ok(run) => run,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    match run.go() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

impl Run {
    fn from_arguments(arguments: Vec<String>) -> Result<Self, String> {
        let mut given = HashMap::new();
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} has no value", pair[0]));
            };
            given.insert(name.as_str(), value.as_str());
        }
        let number = |name: &str, default: usize| match given.get(name) {
            Some(text) => text.parse().map_err(|_| format!("{name} is not a number")),
            None => Ok(default),
        };
        let threads = number("--threads", 64)?;
        Ok(Self {
            url: given.get("--url").ok_or("--url is missing")?.to_string(),
            requests: number("--requests", 100_000)?,
            threads,
            in_flight: number("--in-flight", threads)?,
            body_bytes: number("--body-bytes", 300)?,
        })
    }

    /// Says how many requests failed.
    fn go(&self) -> usize {
        let bell = Arc::new(Bell::new().expect("an eventfd"));
        let (send, outcomes) = channel();
        let roots = Roots::load(None).expect("the certificates of the system");
        let limits = Limits { max_threads: self.threads };
        let sender = Sender::start(limits, Arc::new(open_policy()), roots, send, bell.clone());
        let started = Instant::now();
        let failures = self.drive(&sender, &bell, &outcomes);
        self.report(started.elapsed(), &failures);
        sender.stop(Duration::from_secs(1));
        failures.values().sum()
    }

    fn drive(&self, sender: &Sender, bell: &Bell, outcomes: &Receiver<Attempt>) -> HashMap<String, usize> {
        let endpoint = self.endpoint();
        let body: Arc<str> = "x".repeat(self.body_bytes).into();
        let event_type: Arc<str> = "bench.ticked".into();
        let request = |number: usize| Request {
            delivery: DeliveryId((number as u128).to_be_bytes()),
            endpoint: endpoint.clone(),
            event_type: event_type.clone(),
            body: body.clone(),
            next: None,
        };
        let mut failures = HashMap::new();
        let (mut handed, mut done) = (0, 0);
        while done < self.requests {
            let upto = self.requests.min(done + self.in_flight);
            sender.hand_over((handed..upto).map(request));
            handed = upto;
            assert!(bell.wait(PATIENCE), "no outcome for {PATIENCE:?}");
            bell.silence();
            for attempt in outcomes.try_iter() {
                done += 1;
                if !attempt.outcome.is_success() {
                    *failures.entry(format!("{:?}", attempt.outcome)).or_default() += 1;
                }
            }
        }
        failures
    }

    fn endpoint(&self) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            subscription: 1,
            url: self.url.clone(),
            secrets: vec![SigningSecret::random(&mut rand::rng())],
            schemes: vec![Scheme::Hydra],
            timeout: Duration::from_secs(8),
            gate: Arc::default(),
        })
    }

    fn report(&self, took: Duration, failures: &HashMap<String, usize>) {
        let failed: usize = failures.values().sum();
        let delivered = self.requests - failed;
        let rate = delivered as f64 / took.as_secs_f64();
        println!("delivered {delivered}, failed {failed}, {:.2} s, {rate:.0}/s", took.as_secs_f64());
        for (outcome, count) in failures {
            println!("{count} x {outcome}");
        }
    }
}

fn open_policy() -> DestinationPolicy {
    let allow_networks = AllowedNetwork::parse_list("0.0.0.0/0,::/0").expect("networks");
    DestinationPolicy { allow_networks, allow_http: true }
}
