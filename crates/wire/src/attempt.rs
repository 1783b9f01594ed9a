//! The result of a request: an attempt, with the answer of the receiver or the reason why none came.

use std::time::{Duration, SystemTime};

use crate::ids::{DeliveryId, SubscriptionId};

/// The result of a [`Request`](crate::request::Request).
#[derive(Debug)]
pub struct Attempt {
    pub delivery: DeliveryId,
    pub subscription: SubscriptionId,
    pub outcome: Outcome,
    /// When the request started.
    pub at: SystemTime,
    /// The time until the answer was read or given up.
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No request was made: the gate of the endpoint was closed, an earlier request of the chain took too long, or the
    /// sender was stopping. Nothing is counted.
    NotStarted,
    /// The receiver answered, with any status.
    Answered(Answer),
    /// No answer came.
    Failed(Failure),
}

impl Outcome {
    /// Whether the attempt succeeded: the receiver answered with a status from 200 to 299.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Answered(answer) if (200..300).contains(&answer.status))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The beginning of the body: valid UTF-8 without NUL, at most [`EXCERPT_BYTES`] bytes.
    pub excerpt: String,
    /// The delay that the header `Retry-After` asks for, if it is present and can be read.
    pub retry_after: Option<Duration>,
}

/// The length of the part of a body that is kept for the history, in bytes.
pub const EXCERPT_BYTES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: ErrorClass,
    /// What went wrong, for people to read. Never contains a secret, the query of a URL, or bytes from the network.
    pub message: String,
}

impl Failure {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// The kind of failure, as `hydra.attempt.error_class` stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The destination policy refuses the URL or an address of its host.
    Destination,
    /// The name could not be resolved: there is no such name.
    Dns,
    /// No name server said whether there is such a name.
    Resolver,
    /// The connection could not be opened, or was lost.
    Connection,
    /// The TLS handshake or the certificate was refused.
    Tls,
    /// The time limit was exceeded.
    Timeout,
    /// The answer was not HTTP, or exceeded a limit.
    Protocol,
    /// The status of the answer was not 200 to 299.
    Status,
    /// The delivery did not succeed within twice the duration of its retry schedule.
    Expired,
    /// An internal error of this extension.
    Internal,
}

impl ErrorClass {
    /// Whether the fault is on this side: the receiver was never asked, so it does not count as a failure of the
    /// receiver.
    pub fn is_ours(self) -> bool {
        matches!(self, ErrorClass::Destination | ErrorClass::Resolver | ErrorClass::Internal)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Destination => "destination",
            ErrorClass::Dns | ErrorClass::Resolver => "dns",
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
