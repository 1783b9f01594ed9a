//! Signs requests, so that a receiver can verify where a request comes from: an HMAC-SHA256 over the exact bytes of its
//! body.
//!
//! A receiver has the same secret, computes the same value and compares. There are four schemes, so that receivers can
//! verify with a library or code that they have already:
//!
//! - `hydra`: `t=<unix>,v1=<hex>`, the form that the Stripe libraries read. The key is the whole text of the secret.
//! - `x_webhook`: `sha256=<hex>`, with the time in a separate header.
//! - `standard`: Standard Webhooks. The key is the decoded base64 after `whsec_`, and the id is signed too.
//! - `github`: the body alone, for receivers that were written for GitHub. It has no time, so it cannot stop a replay.
//!
//! While a secret is being replaced, requests are signed with both the new and the old secret, the newest first and the
//! oldest last. Receivers that read a list accept any of the values, and a receiver that keeps only the last `v1` keeps
//! the value of the old secret. A signature of `x_webhook` or `github` can hold only one value: that of the newest
//! secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::ids::DeliveryId;
use crate::secret::SigningSecret;
use mac::mac;

mod mac;
mod verify;

#[cfg(test)]
mod tests;

pub use verify::verify;

/// A way to sign, by its name in the `signatures` of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Hydra,
    XWebhook,
    Standard,
    Github,
}

impl Scheme {
    pub const ALL: [Scheme; 4] = [Scheme::Hydra, Scheme::XWebhook, Scheme::Standard, Scheme::Github];

    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Hydra => "hydra",
            Scheme::XWebhook => "x_webhook",
            Scheme::Standard => "standard",
            Scheme::Github => "github",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }

    /// The names of the headers that this scheme writes. A subscription must not set them.
    pub fn header_names(self) -> &'static [&'static str] {
        match self {
            Scheme::Hydra => &["X-Hydra-Signature"],
            Scheme::XWebhook => &["X-Webhook-Timestamp", "X-Webhook-Signature"],
            Scheme::Standard => &["webhook-id", "webhook-timestamp", "webhook-signature"],
            Scheme::Github => &["X-Hub-Signature-256"],
        }
    }
}

/// What is signed: one attempt of one delivery.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub id: DeliveryId,
    /// The time of this attempt, in unix seconds.
    pub at: u64,
    pub body: &'a str,
}

/// Returns the signature headers of a request: names and values. `secrets` has the newest first.
pub fn headers(schemes: &[Scheme], secrets: &[SigningSecret], signed: Signed<'_>) -> Vec<(&'static str, String)> {
    let values = schemes.iter().map(|scheme| (scheme.header_names(), header_values(*scheme, secrets, signed)));
    values.flat_map(|(names, values)| names.iter().copied().zip(values)).collect()
}

/// Returns the values of the headers of a scheme, in the order of [`Scheme::header_names`].
fn header_values(scheme: Scheme, secrets: &[SigningSecret], signed: Signed<'_>) -> Vec<String> {
    match scheme {
        Scheme::Hydra => vec![hydra(secrets, signed)],
        Scheme::XWebhook => {
            let at = signed.at.to_string();
            let value = secrets.first().map(|newest| digest_alone(newest, &[&at, ".", signed.body]));
            std::iter::once(at).chain(value).collect()
        }
        Scheme::Standard => vec![signed.id.to_string(), signed.at.to_string(), standard(secrets, signed)],
        Scheme::Github => secrets.first().map(|newest| digest_alone(newest, &[signed.body])).into_iter().collect(),
    }
}

fn hydra(secrets: &[SigningSecret], signed: Signed<'_>) -> String {
    let at = signed.at.to_string();
    let mut value = format!("t={at}");
    for secret in secrets {
        value.push_str(",v1=");
        push_hex(&mut value, mac(secret.whole(), &[&at, ".", signed.body]));
    }
    value
}

fn standard(secrets: &[SigningSecret], signed: Signed<'_>) -> String {
    let (id, at) = (signed.id.to_string(), signed.at.to_string());
    let values = secrets.iter().map(|secret| standard_value(secret, &id, &at, signed.body));
    values.collect::<Vec<_>>().join(" ")
}

fn standard_value(secret: &SigningSecret, id: &str, at: &str, body: &str) -> String {
    let digest = mac(secret.decoded(), &[id, ".", at, ".", body]).finalize();
    format!("v1,{}", STANDARD.encode(digest.into_bytes()))
}

fn digest_alone(secret: &SigningSecret, parts: &[&str]) -> String {
    let mut value = "sha256=".to_owned();
    push_hex(&mut value, mac(secret.whole(), parts));
    value
}

fn push_hex(text: &mut String, mac: Hmac<Sha256>) {
    let mut digits = [0; 64];
    hex::encode_to_slice(mac.finalize().into_bytes(), &mut digits).expect("two digits a byte");
    text.push_str(str::from_utf8(&digits).expect("digits"));
}
