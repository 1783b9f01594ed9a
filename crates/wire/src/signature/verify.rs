//! Verifies a `hydra` signature, as a receiver does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::Mac;

use super::mac::mac;
use crate::secret::SigningSecret;

/// Whether a `hydra` header is a valid signature of this body: one of its `v1` values matches, and its time is within
/// `tolerance` of `now`, in either direction. A header that cannot be read is not valid.
pub fn verify(body: &str, header: &str, secret: &SigningSecret, tolerance: Duration, now: SystemTime) -> bool {
    let Some((time, digests)) = read_header(header) else {
        return false;
    };
    let (Ok(at), Ok(now)) = (time.parse::<u64>(), now.duration_since(UNIX_EPOCH)) else {
        return false;
    };
    // No early return on a match: the time taken must not reveal how many wrong values come before it.
    let found = digests.iter().fold(false, |found, digest| found | matches(body, time, digest, secret));
    found && now.as_secs().abs_diff(at) <= tolerance.as_secs()
}

/// Returns the time as it was written, and the value of each `v1`. Unknown keys are skipped, so that other schemes can
/// be added to a header.
fn read_header(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let parts: Vec<_> = header.split(',').filter_map(|part| part.split_once('=')).collect();
    let mut times = parts.iter().filter(|(key, _)| *key == "t").map(|(_, value)| *value);
    let (Some(time), None) = (times.next(), times.next()) else {
        return None;
    };
    let digests = parts.iter().filter(|(key, _)| *key == "v1");
    Some((time, digests.filter_map(|(_, value)| hex::decode(value).ok()).collect()))
}

fn matches(body: &str, time: &str, digest: &[u8], secret: &SigningSecret) -> bool {
    // This comparison takes constant time.
    mac(secret.whole(), &[time, ".", body]).verify_slice(digest).is_ok()
}
