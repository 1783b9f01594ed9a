//! A request to make: one attempt of one delivery.
//!
//! A *delivery* is one event on its way to one subscription. Each *attempt* to make it is one HTTP request. The
//! dispatcher describes it as a [`Request`]; a sender thread makes it and returns an
//! [`Attempt`](crate::attempt::Attempt). A request holds the exact bytes to send, so that every attempt sends the same
//! ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ids::{DeliveryId, SubscriptionId};
use crate::preset::Preset;
use crate::secret::SigningSecret;
use crate::signature::Scheme;

/// A subscription as a sender thread sees it. A change of the subscription makes a new one; requests that were handed
/// over before keep the old one.
#[derive(Debug)]
pub struct Endpoint {
    pub subscription: SubscriptionId,
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
