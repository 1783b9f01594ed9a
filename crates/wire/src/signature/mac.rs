//! The value that all schemes are made of: an HMAC-SHA256.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Of these parts, one after the other, with a key that was prepared before.
pub fn mac(keyed: &Hmac<Sha256>, parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac
}
