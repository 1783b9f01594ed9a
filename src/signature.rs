//! How a request proves where it comes from: an HMAC-SHA256 over the exact bytes of its body.
//!
//! A receiver holds the same secret, computes the same value and compares. Four schemes are spoken, so that receivers
//! can verify with a library or a few lines that they have already:
//!
//! - `hydra`: `t=<unix>,v1=<hex>`, the shape that the Stripe libraries read. The key is the whole secret string.
//! - `x_webhook`: `sha256=<hex>`, with the time in a header of its own.
//! - `standard`: Standard Webhooks. The key is what the base64 after `whsec_` stands for, and the id is signed too.
//! - `github`: the body alone, for receivers that were written for GitHub. It has no time, so it cannot stop a replay.
//!
//! While a secret is being replaced both sign, the newest first and the oldest last: readers of a list accept any of
//! them, and a reader that keeps only the last `v1` still holds the old one. `x_webhook` and `github` have room for one
//! value: the newest.
//!
//! A secret made here works as it stands in all of them: its base64 is the standard alphabet with padding, because
//! some libraries refuse anything else, and its digits are lower case for the same reason.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha2::Sha256;

use crate::delivery::DeliveryId;

// Named in full, for the tool that compiles this file into itself looks elsewhere by default.
#[cfg(test)]
#[path = "signature/tests.rs"]
mod tests;

const PREFIX: &str = "whsec_";
const RANDOM_BYTES: usize = 32;

/// The key that a subscription's requests are signed with. Has no `Display`, and `Debug` hides it: what prints a
/// secret must say so, by [`SigningSecret::expose`].
#[derive(Clone)]
pub struct SigningSecret {
    text: String,
    // Keyed once: taking in the key each time would be a fifth of the work of a signature.
    whole: Hmac<Sha256>,
    decoded: Hmac<Sha256>,
}

impl SigningSecret {
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; RANDOM_BYTES];
        rng.fill_bytes(&mut bytes);
        Self::from(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// The secret itself, for the one who stores it or hands it to its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl From<String> for SigningSecret {
    fn from(text: String) -> Self {
        Self { whole: keyed(text.as_bytes()), decoded: keyed(&decoded(&text)), text }
    }
}

/// The key of Standard Webhooks. A secret of another form, which only an import by hand can bring, signs with its own
/// bytes: a signature that can be verified is better than a delivery that can never be made.
fn decoded(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
    STANDARD.decode(encoded).unwrap_or_else(|_| encoded.as_bytes().to_vec())
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("an HMAC key may have any length")
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(hidden)")
    }
}

/// A way to sign, by the name that a subscription's `signatures` carry.
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

    /// The names of the headers that this scheme writes: nobody else may set them.
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

/// The signature headers of a request: names and values. `secrets` has the newest first.
pub fn headers(schemes: &[Scheme], secrets: &[SigningSecret], signed: Signed<'_>) -> Vec<(&'static str, String)> {
    let values = schemes.iter().map(|scheme| (scheme.header_names(), header_values(*scheme, secrets, signed)));
    values.flat_map(|(names, values)| names.iter().copied().zip(values)).collect()
}

/// In the order of [`Scheme::header_names`].
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
        push_hex(&mut value, mac(&secret.whole, &[&at, ".", signed.body]));
    }
    value
}

fn standard(secrets: &[SigningSecret], signed: Signed<'_>) -> String {
    let (id, at) = (signed.id.to_string(), signed.at.to_string());
    let values = secrets.iter().map(|secret| standard_value(secret, &id, &at, signed.body));
    values.collect::<Vec<_>>().join(" ")
}

fn standard_value(secret: &SigningSecret, id: &str, at: &str, body: &str) -> String {
    let digest = mac(&secret.decoded, &[id, ".", at, ".", body]).finalize();
    format!("v1,{}", STANDARD.encode(digest.into_bytes()))
}

fn digest_alone(secret: &SigningSecret, parts: &[&str]) -> String {
    let mut value = "sha256=".to_owned();
    push_hex(&mut value, mac(&secret.whole, parts));
    value
}

fn push_hex(text: &mut String, mac: Hmac<Sha256>) {
    let mut digits = [0; 64];
    hex::encode_to_slice(mac.finalize().into_bytes(), &mut digits).expect("two digits a byte");
    text.push_str(str::from_utf8(&digits).expect("digits"));
}

fn mac(keyed: &Hmac<Sha256>, parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac
}

/// Whether a `hydra` header fits this body: any of its `v1` may be the right one, and its time must lie within
/// `tolerance` of `now`, in either direction. A header that cannot be read does not fit.
pub fn verify(body: &str, header: &str, secret: &SigningSecret, tolerance: Duration, now: SystemTime) -> bool {
    let Some((time, digests)) = read_header(header) else {
        return false;
    };
    let (Ok(at), Ok(now)) = (time.parse::<u64>(), now.duration_since(UNIX_EPOCH)) else {
        return false;
    };
    // No early return on a match: the number of wrong ones before it is nobody's business.
    let matches = digests.iter().fold(false, |found, digest| found | fits(body, time, digest, secret));
    matches && now.as_secs().abs_diff(at) <= tolerance.as_secs()
}

/// The time, as it was written, and each `v1`. Keys that are not known are skipped, so that schemes to come fit in.
fn read_header(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let parts: Vec<_> = header.split(',').filter_map(|part| part.split_once('=')).collect();
    let mut times = parts.iter().filter(|(key, _)| *key == "t").map(|(_, value)| *value);
    let (Some(time), None) = (times.next(), times.next()) else {
        return None;
    };
    let digests = parts.iter().filter(|(key, _)| *key == "v1");
    Some((time, digests.filter_map(|(_, value)| hex::decode(value).ok()).collect()))
}

fn fits(body: &str, time: &str, digest: &[u8], secret: &SigningSecret) -> bool {
    // Compares in constant time.
    mac(&secret.whole, &[time, ".", body]).verify_slice(digest).is_ok()
}
