//! What became of a request: the attempt that it cost, and what the receiver answered.

use std::time::{Duration, SystemTime};

use crate::ids::{DeliveryId, SubscriptionId};

/// What became of a [`Request`](crate::request::Request).
#[derive(Debug)]
pub struct Attempt {
    pub delivery: DeliveryId,
    pub subscription: SubscriptionId,
    pub outcome: Outcome,
    /// When the request started.
    pub at: SystemTime,
    /// How long it took until the answer was read or given up.
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
    /// The beginning of the body: valid UTF-8 without NUL, at most [`EXCERPT_BYTES`] bytes.
    pub excerpt: String,
    /// What `Retry-After` asked for, if it is there and can be read.
    pub retry_after: Option<Duration>,
}

/// How much of an answer's body is kept for people to read, in bytes.
pub const EXCERPT_BYTES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: ErrorClass,
    /// For people: what went wrong. Never contains a secret, the query of a URL, or bytes from the network.
    pub message: String,
}

impl Failure {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// The kind of failure, as `hydra.attempt.error_class` stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The destination policy refuses the URL or an address of its host.
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
    /// An internal error of this extension.
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
