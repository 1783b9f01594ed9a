//! Schemes: how the requests of a provider are verified, and where their ids and types are.
//!
//! A scheme has the same form for a provider that is known and for one that a user describes: see `docs/inbound-schemes.md`.
//! It has no secret in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::refusal::Refusal;

use crate::path::Path;
pub use header_name::HeaderName;
pub use source::Source;
pub use template::{Piece, Template};

mod checks;
mod header_name;
mod providers;
mod read;
pub(crate) mod source;
mod template;

/// A part that is missing in JSON has the default that its comment states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scheme {
    /// Nothing is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// The secret itself comes with each request, in this place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The first of these that has a value identifies the event. By default there are none.
    pub id: Vec<Source>,
    /// The first of these that has a value is the type of the event. By default there are none.
    #[serde(rename = "type")]
    pub external_type: Vec<Source>,
    /// The jsonpath that leads to the events of a body. By default a body is one event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// Whether the provider sends a request again after a 500. By default it does not.
    pub retries: bool,
    /// How long a request may take before the provider gives up, with some time to spare. By default 8 s.
    pub budget_ms: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<Handshake>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Signature {
    Coded(Coded),
    Declared(Declared),
}

/// Signatures that no declaration describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coded {
    Twilio,
    Mailgun,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    pub header: HeaderName,
    /// What comes before the signature, such as `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
    pub signs: Template,
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    #[serde(default)]
    pub key: KeyForm,
    /// What comes before the key in the text of the secret. It may be missing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
}

/// The header is a list such as `t=1,v1=00,v1=11`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    pub separator: String,
    pub assign: String,
    /// The name of the parts that are signatures.
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    HmacSha256,
    HmacSha1,
    HmacSha512,
    /// The secret is a public key, and the signature is DER.
    EcdsaP256Sha256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    Hex,
    Base64,
}

/// How the text of a secret becomes a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    #[default]
    Text,
    Base64,
    Hex,
}

/// The time at which the request was made. It is signed as it is written, and read only to compare it with the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// Where it is: exactly one of these three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderName>,
    /// A part of the header with the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    pub format: TimeFormat,
    /// How far it may be from the clock in either direction, in seconds.
    #[serde(default = "default_tolerance")]
    pub tolerance: u32,
}

pub(crate) fn default_tolerance() -> u32 {
    300
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Unix seconds.
    S,
    /// Unix milliseconds.
    Ms,
    Rfc3339,
}

/// A way in which a provider finds out whether a URL belongs to its customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    Slack,
    /// The secret has the form `KEY:TOKEN`, where the token is what Meta calls the verify token.
    Meta,
    Zoom,
    MicrosoftGraph,
}

impl Scheme {
    /// Returns the scheme of a provider that is known.
    pub fn of_provider(name: &str) -> Option<Scheme> {
        providers::find(name).cloned()
    }

    pub fn provider_names() -> &'static [&'static str] {
        providers::names()
    }

    /// Reads a scheme as users write it. Fields that are not known are refused, so that a typing error is no open door.
    pub fn parse(json: &Value) -> Result<Scheme, Refusal> {
        let scheme = read::scheme(json)?;
        checks::check(&scheme)?;
        Ok(scheme)
    }

    /// Returns the JSON that [`Scheme::parse`] reads.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("all keys are texts")
    }

    /// Returns whether a request cannot be verified without a secret.
    pub fn needs_secret(&self) -> bool {
        self.signature.is_some() || self.token.is_some() || self.has_get()
    }

    /// Returns whether the provider sends GET requests: only as a handshake.
    pub fn has_get(&self) -> bool {
        self.handshake == Some(Handshake::Meta)
    }

    /// Says why a text cannot be a secret of this scheme.
    pub fn check_secret(&self, secret: &[u8]) -> Result<(), Refusal> {
        checks::check_secret(self, secret)
    }

    /// Returns the id of one of the events that `each` leads to. `None` if it has none, or one of more than 255 bytes.
    pub fn id_of(&self, element: &Value) -> Option<String> {
        self.id.iter().find_map(|source| source.of_element(element))
    }

    /// Returns the type of one of the events that `each` leads to, as [`Scheme::id_of`] does with the id.
    pub fn type_of(&self, element: &Value) -> Option<String> {
        self.external_type.iter().find_map(|source| source.of_element(element))
    }
}
