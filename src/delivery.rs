//! The words that the two sides share: what the Postgres side asks for, and what the sender answers.
//!
//! A *delivery* is one event on its way to one subscription. Making it costs one *attempt*, an HTTP request; the
//! Postgres side describes it as a [`Request`], a sender thread makes it and answers with an [`Attempt`]. Nothing
//! here knows a database: a request carries the exact bytes to send, so that every attempt sends the same ones.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::preset::Preset;
use crate::signature::{Scheme, SigningSecret};

/// The id of a delivery: UUID-shaped, the same in every attempt, never shared by two deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub [u8; 16]);

impl DeliveryId {
    /// The id of the delivery of `event` to `subscription`: the head of a SHA-256 over the installation's namespace and
    /// both numbers, in the layout of a version 8 UUID (RFC 9562).
    pub fn derive(namespace: [u8; 16], event: i64, subscription: i64) -> Self {
        let digest = Sha256::new()
            .chain_update(namespace)
            .chain_update(event.to_be_bytes())
            .chain_update(subscription.to_be_bytes())
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        Self(id)
    }
}

impl fmt::Display for DeliveryId {
    /// The lower-case 8-4-4-4-12 form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        hex::encode_to_slice(self.0, &mut digits).expect("two digits a byte");
        let digits = str::from_utf8(&digits).expect("digits");
        write!(f, "{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A subscription as a sender thread sees it. A change of the subscription makes a new one; requests that were handed
/// over before keep the old one.
#[derive(Debug)]
pub struct Endpoint {
    pub subscription: i64,
    pub url: String,
    /// Live secrets, the newest first. Never empty.
    pub secrets: Vec<SigningSecret>,
    /// The signatures that each request carries; none: that of its preset.
    pub schemes: Vec<Scheme>,
    /// Headers of its own, names and values.
    pub headers: Vec<(String, String)>,
    /// Limit for the whole exchange, from name resolution to the end of the answer.
    pub timeout: Duration,
    /// Closed when the subscription stops being active: no request starts after that.
    pub gate: Arc<Gate>,
}

/// Says whether requests may still start. Shared by the thread that closes it and those that send.
#[derive(Debug, Default)]
pub struct Gate(AtomicBool);

impl Gate {
    pub fn close(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One HTTP request to make.
#[derive(Debug)]
pub struct Request {
    pub delivery: DeliveryId,
    pub endpoint: Arc<Endpoint>,
    /// What the body was made for.
    pub preset: Preset,
    pub event_type: Arc<str>,
    pub body: Arc<str>,
    /// Another one to the same endpoint, for the same thread to make after this, if the answer comes quickly. Where
    /// many wait for a quick endpoint, a thread that had to be woken for each would spend its time being woken.
    pub next: Option<Box<Request>>,
}

/// What became of a [`Request`].
#[derive(Debug)]
pub struct Attempt {
    pub delivery: DeliveryId,
    pub subscription: i64,
    pub outcome: Outcome,
    /// When the request started.
    pub at: SystemTime,
    /// How long it took, until the answer was read or given up.
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint's gate was closed: no request was made, and nothing is counted.
    NotStarted,
    /// The receiver answered, whatever its status.
    Answered(Answer),
    /// No answer came.
    Failed(Failure),
}

impl Outcome {
    /// Success is 200 to 299; everything else fails the attempt.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Answered(answer) if (200..300).contains(&answer.status))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The head of the body: valid UTF-8 without NUL, at most [`EXCERPT_BYTES`] bytes.
    pub excerpt: String,
    /// What `Retry-After` asked for, where it was there and readable.
    pub retry_after: Option<Duration>,
}

/// How much of an answer's body is kept for people to read, in bytes.
pub const EXCERPT_BYTES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: ErrorClass,
    /// For people: what went wrong. Never holds a secret, a URL's query, or bytes from the network as they came.
    pub message: String,
}

/// The kind of failure, as `hydra.attempt.error_class` stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The URL or every address behind it is refused by the destination rules.
    Destination,
    /// The name could not be resolved.
    Dns,
    /// No connection, or it broke.
    Connection,
    /// The TLS handshake or the certificate was refused.
    Tls,
    /// The time limit ran out.
    Timeout,
    /// The answer was not HTTP, or over a limit.
    Protocol,
    /// The answer's status was not 200 to 299.
    Status,
    /// Unfinished at twice the sum of its schedule.
    Expired,
    /// A fault of this extension.
    Internal,
}

impl ErrorClass {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Destination => "destination",
            ErrorClass::Dns => "dns",
            ErrorClass::Connection => "connection",
            ErrorClass::Tls => "tls",
            ErrorClass::Timeout => "timeout",
            ErrorClass::Protocol => "protocol",
            ErrorClass::Status => "status",
            ErrorClass::Expired => "expired",
            ErrorClass::Internal => "internal",
        }
    }
}
