//! Computes HMAC-SHA256, the value that the signatures of all schemes contain.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Returns the HMAC of the concatenated parts. `keyed` is an HMAC with a prepared key.
pub fn mac(keyed: &Hmac<Sha256>, parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac
}
