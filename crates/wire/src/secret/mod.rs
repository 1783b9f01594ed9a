//! Signing secrets: makes them, prepares their HMAC keys, and encrypts them for storage.
//!
//! A secret that the extension makes works with the libraries of all signature schemes. Its base64 has the standard
//! alphabet and padding, because some libraries refuse anything else. A user can give another one, which receivers have
//! already.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit};
use rand::CryptoRng;
use sha2::Sha256;

use crate::refusal::Refusal;

mod sealing;

pub(crate) use sealing::PREFIX as SEALED_PREFIX;
pub use sealing::{Keys, Place, Unreadable};

pub(crate) const PREFIX: &str = "whsec_";
const RANDOM_BYTES: usize = 32;
/// How many characters of a secret are shown, so that people can distinguish secrets: of one that begins as ours do, and of
/// any other one, whose first characters are part of the key.
const SHOWN: usize = 12;
const SHOWN_OF_OTHERS: usize = 4;
/// How long a secret that a user gives may be.
const GIVEN_LENGTHS: RangeInclusive<usize> = 24..=256;
/// How long the key of such a secret is for Standard Webhooks, whose specification has these limits.
const STANDARD_LENGTHS: RangeInclusive<usize> = 24..=64;

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

    /// Checks a secret that a user gives.
    pub fn given(text: &str) -> Result<Self, Refusal> {
        let refuse = |detail: String| Err(Refusal::new("invalid secret").detail(detail));
        if !GIVEN_LENGTHS.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let (least, most) = (GIVEN_LENGTHS.start(), GIVEN_LENGTHS.end());
            return refuse(format!("A secret has {least} to {most} printable ASCII characters, without spaces."));
        }
        if text.starts_with(SEALED_PREFIX) {
            return refuse(format!("\"{SEALED_PREFIX}\" is the beginning of a secret that is stored encrypted."));
        }
        Ok(Self::from(text.to_owned()))
    }

    /// Returns whether the libraries of Standard Webhooks accept it.
    pub fn is_standard(&self) -> bool {
        STANDARD.decode(encoded(&self.text)).is_ok_and(|key| STANDARD_LENGTHS.contains(&key.len()))
    }

    /// Returns the first characters, which may be shown.
    pub fn prefix(&self) -> &str {
        let shown = if self.text.starts_with(PREFIX) { SHOWN } else { SHOWN_OF_OTHERS };
        &self.text[..self.text.floor_char_boundary(shown)]
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

/// The key of Standard Webhooks: the decoded base64 after `whsec_`. A secret of another form, which signs in this way only if
/// it was written into a table by hand, is used as it is: a signature that can be verified is better than a delivery that
/// can never be made.
fn decoded(secret: &str) -> Vec<u8> {
    let encoded = encoded(secret);
    STANDARD.decode(encoded).unwrap_or_else(|_| encoded.as_bytes().to_vec())
}

fn encoded(secret: &str) -> &str {
    secret.strip_prefix(PREFIX).unwrap_or(secret)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("an HMAC key may have any length")
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_a_user_gives_is_printable_and_long_enough() {
        for good in ["x".repeat(24), "~!".repeat(128), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()] {
            assert_eq!(SigningSecret::given(&good).expect("a secret").expose(), good);
        }
        let sealed = format!("sealed:{}", "x".repeat(24));
        for bad in ["", &"x".repeat(23), &"x".repeat(257), &"ü".repeat(24), "twelve chars twelve chars", &sealed] {
            assert_eq!(SigningSecret::given(bad).expect_err(bad).message, "invalid secret");
        }
    }

    #[test]
    fn libraries_of_standard_webhooks_accept_base64_with_and_without_the_prefix() {
        let is_standard = |text: &str| SigningSecret::from(text.to_owned()).is_standard();
        for good in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert!(is_standard(good), "{good}");
        }
        assert!(SigningSecret::random(&mut rand::rng()).is_standard());
        for bad in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", "not base64, not base64, no", "c2hvcnQ="] {
            assert!(!is_standard(bad), "{bad}");
        }
    }

    #[test]
    fn less_is_shown_of_a_secret_whose_first_characters_are_part_of_the_key() {
        let shown = |text: &str| SigningSecret::from(text.to_owned()).prefix().to_owned();
        assert_eq!(shown("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "whsec_MfKQ9r");
        assert_eq!(shown("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "MfKQ");
    }
}
