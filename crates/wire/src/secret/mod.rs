//! Signing secrets, and how they are stored.
//!
//! A secret made here works as it stands with the libraries of all signature schemes: its base64 is the standard
//! alphabet with padding, because some libraries refuse anything else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit};
use rand::CryptoRng;
use sha2::Sha256;

mod sealing;

pub use sealing::{Keys, NoKey, Unreadable};

pub(crate) const PREFIX: &str = "whsec_";
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

    /// Keyed with the whole text, as all schemes but Standard Webhooks do it.
    pub(crate) fn whole(&self) -> &Hmac<Sha256> {
        &self.whole
    }

    /// Keyed as Standard Webhooks does it.
    pub(crate) fn decoded(&self) -> &Hmac<Sha256> {
        &self.decoded
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
