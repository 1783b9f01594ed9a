//! A request to make: one attempt of one delivery.
//!
//! A *delivery* is one event on its way to one subscription. Each *attempt* of a delivery is one HTTP request. The
//! dispatcher describes the request as a [`Request`]. A sender thread makes it and returns an
//! [`Attempt`](crate::attempt::Attempt). A request contains the exact bytes of the body, so that every attempt sends
//! the same body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::event::Operation;
use crate::ids::{DeliveryId, EventKey, SubscriptionId};
use crate::preset::Preset;
use crate::secret::SigningSecret;
use crate::signature::Scheme;

/// A subscription as a sender thread sees it. A change of the subscription makes a new endpoint. Requests that were
/// handed over before keep the old one.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub subscription: SubscriptionId,
    pub url: String,
    /// The secrets that are valid now, the newest first. Empty if they cannot be read: then the subscription is not
    /// active, and no request is made.
    pub secrets: Vec<SigningSecret>,
    /// The signature schemes of each request. If empty, the scheme of the preset is used.
    pub schemes: Vec<Scheme>,
    /// The headers that the subscription adds: names and values.
    pub headers: Vec<(String, String)>,
    /// Time limit for the whole exchange, from name resolution to the end of the answer.
    pub timeout: Duration,
    /// Closed when the subscription is no longer active: no request starts after that.
    pub gate: Arc<Gate>,
}

/// Whether requests may still start. Shared by the thread that closes the gate and the threads that send.
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
    /// The preset that the body was made for.
    pub preset: Preset,
    pub event: EventKey,
    pub event_type: Arc<str>,
    pub emitted_at: SystemTime,
    /// The change of a row that the event reports, if a trigger emitted it.
    pub operation: Option<Operation>,
    pub body: Arc<str>,
    /// How many inbound requests led to the event. If there were any, the receiver is told, so that loops end.
    pub hops: i16,
    /// How many requests to the endpoint may be in flight at a time. If there are as many already, the request waits.
    pub max_in_flight: usize,
}
