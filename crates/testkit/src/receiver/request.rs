//! A request as it came in.

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
    /// What it is answered with; 0 where the answer has no status.
    pub status: u16,
}

impl Request {
    /// The first header of that name, in any case.
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

    /// The same in all attempts and for all presets.
    pub fn delivery_id(&self) -> &str {
        let id = ["X-Hydra-Delivery", "X-Webhook-Delivery", "webhook-id"].iter().find_map(|name| self.header(name));
        id.expect("the request has a delivery id")
    }

    /// The `entity_id` of a body of the preset `hydra`.
    #[track_caller]
    pub fn entity_id(&self) -> String {
        let body = self.json();
        body["data"]["entity_id"].as_str().unwrap_or_else(|| panic!("{body} has no entity_id")).into()
    }

    /// Checks against a secret other than the path's, for example after a rotation.
    pub fn signed_with(&self, secret: &str) -> Signature {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        verify(&SignatureHeaders::of(headers), &self.body, &[Secret::new(secret)], self.time)
    }
}

/// The `entity_id` of each.
#[track_caller]
pub fn entity_ids(requests: &[Arc<Request>]) -> Vec<String> {
    requests.iter().map(|request| request.entity_id()).collect()
}

/// The same for entities that are numbered.
#[track_caller]
pub fn entity_numbers(requests: &[Arc<Request>]) -> Vec<usize> {
    entity_ids(requests).iter().map(|id| id.parse().unwrap_or_else(|_| panic!("{id} is not a number"))).collect()
}
