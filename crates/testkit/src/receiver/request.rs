//! A request as it was received.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::signature::{Secret, Signature, SignatureHeaders, verify};

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When its last byte was read.
    pub arrived: Instant,
    pub time: SystemTime,
    pub signature: Signature,
    /// The status of the answer; 0 if the answer has no status.
    pub status: u16,
}

impl Request {
    /// Returns the first header with this name. Upper and lower case are the same.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns the id of the delivery, from the header of any preset.
    pub fn delivery_id(&self) -> &str {
        let id = ["X-Hydra-Delivery", "X-Webhook-Delivery", "webhook-id"].iter().find_map(|name| self.header(name));
        id.expect("the request has a delivery id")
    }

    /// Returns the `entity_id` of a body of the preset `hydra`.
    #[track_caller]
    pub fn entity_id(&self) -> String {
        let body = self.json();
        body["data"]["entity_id"].as_str().unwrap_or_else(|| panic!("{body} has no entity_id")).into()
    }

    /// Verifies the signature with a secret other than those of the path, for example after a rotation.
    pub fn signed_with(&self, secret: &str) -> Signature {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        verify(&SignatureHeaders::of(headers), &self.body, &[Secret::new(secret)], self.time)
    }
}

/// Returns the `entity_id` of each request.
#[track_caller]
pub fn entity_ids(requests: &[Arc<Request>]) -> Vec<String> {
    requests.iter().map(|request| request.entity_id()).collect()
}

/// Returns the `entity_id` of each request as a number.
#[track_caller]
pub fn entity_numbers(requests: &[Arc<Request>]) -> Vec<usize> {
    entity_ids(requests).iter().map(|id| id.parse().unwrap_or_else(|_| panic!("{id} is not a number"))).collect()
}
