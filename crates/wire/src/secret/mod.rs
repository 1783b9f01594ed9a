//! Signing secrets: makes them, prepares their HMAC keys, and encrypts them for storage.
//!
//! A secret that the extension makes works with the libraries of all signature schemes. Its base64 has the standard
//! alphabet and padding, because some libraries refuse anything else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit};
use rand::CryptoRng;
use sha2::Sha256;

mod sealing;

pub(crate) use sealing::PREFIX as SEALED_PREFIX;
pub use sealing::{Keys, Place, Unreadable};

pub(crate) const PREFIX: &str = "whsec_";
const RANDOM_BYTES: usize = 32;
/// How many characters of a secret are shown, so that people can distinguish secrets.
const SHOWN: usize = 12;

/// The key that the requests of a subscription are signed with. It has no `Display`, and `Debug` hides it, so that it is
/// never printed by accident: see [`SigningSecret::expose`].
#[derive(Clone)]
pub struct SigningSecret {
    text: String,
    // Prepared once, because processing the key each time would be a fifth of the work of a signature.
    whole: Hmac<Sha256>,
    decoded: Hmac<Sha256>,
}

impl SigningSecret {
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; RANDOM_BYTES];
        rng.fill_bytes(&mut bytes);
        Self::from(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// The HMAC whose key is the whole text of the secret, as in all schemes except Standard Webhooks.
    pub(crate) fn whole(&self) -> &Hmac<Sha256> {
        &self.whole
    }

    /// The HMAC with the key of Standard Webhooks.
    pub(crate) fn decoded(&self) -> &Hmac<Sha256> {
        &self.decoded
    }

    /// Returns the first characters, which may be shown.
    pub fn prefix(&self) -> &str {
        &self.text[..self.text.floor_char_boundary(SHOWN)]
    }

    /// Returns the text of the secret, for code that stores it or returns it to its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl From<String> for SigningSecret {
    fn from(text: String) -> Self {
        Self { whole: keyed(text.as_bytes()), decoded: keyed(&decoded(&text)), text }
    }
}

/// The key of Standard Webhooks: the decoded base64 after `whsec_`. A secret of another form, which can only be written
/// into the table by hand, is used as it is: a signature that can be verified is better than a delivery that can never
/// be made.
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
