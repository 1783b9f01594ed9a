//! Verifies signatures of every scheme. It shares no code with the extension, so that it checks signatures
//! independently.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The largest difference between the time of a signature and the current time, in seconds.
const TOLERANCE: u64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The path has no secret.
    Unchecked,
    /// Every signature header on the request is genuine and recent, and there is at least one.
    Verified,
    /// The reason why a signature is not genuine.
    Refused(&'static str),
}

/// The headers that are needed to verify signatures, for observers and for the log.
#[derive(Default)]
pub(super) struct SignatureHeaders<'a> {
    pub delivery: Option<&'a [u8]>,
    pub event: Option<&'a [u8]>,
    /// `X-Hydra-Signature`
    hydra: Option<&'a [u8]>,
    /// `X-Webhook-Signature`, with the time of `X-Webhook-Timestamp`
    x_webhook: Option<&'a [u8]>,
    x_webhook_time: Option<&'a [u8]>,
    /// `webhook-signature`, with id and time
    standard: Option<&'a [u8]>,
    standard_time: Option<&'a [u8]>,
    standard_id: Option<&'a [u8]>,
    /// `X-Hub-Signature-256`
    github: Option<&'a [u8]>,
}

impl<'a> SignatureHeaders<'a> {
    pub fn of(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> SignatureHeaders<'a> {
        let mut known = SignatureHeaders::default();
        for (name, value) in headers {
            // Most headers are excluded by their first letter, without a comparison.
            if !matches!(name.as_bytes().first(), Some(b'x' | b'X' | b'w' | b'W')) {
                continue;
            }
            let place = match name.len() {
                13 if name.eq_ignore_ascii_case("x-hydra-event") => &mut known.event,
                15 if name.eq_ignore_ascii_case("x-webhook-event") => &mut known.event,
                16 if name.eq_ignore_ascii_case("x-hydra-delivery") => &mut known.delivery,
                18 if name.eq_ignore_ascii_case("x-webhook-delivery") => &mut known.delivery,
                17 if name.eq_ignore_ascii_case("x-hydra-signature") => &mut known.hydra,
                19 if name.eq_ignore_ascii_case("x-webhook-signature") => &mut known.x_webhook,
                19 if name.eq_ignore_ascii_case("x-webhook-timestamp") => &mut known.x_webhook_time,
                17 if name.eq_ignore_ascii_case("webhook-signature") => &mut known.standard,
                17 if name.eq_ignore_ascii_case("webhook-timestamp") => &mut known.standard_time,
                10 if name.eq_ignore_ascii_case("webhook-id") => &mut known.standard_id,
                19 if name.eq_ignore_ascii_case("x-hub-signature-256") => &mut known.github,
                _ => continue,
            };
            *place = Some(value);
        }
        known.delivery = known.delivery.or(known.standard_id);
        known
    }
}

/// A signing secret and the keys made from it.
pub(super) struct Secret {
    /// The key is the whole string, `whsec_` included.
    whole: Hmac<Sha256>,
    /// Standard Webhooks: the key is the decoded base64 after `whsec_`.
    decoded: Option<Hmac<Sha256>>,
}

impl Secret {
    pub fn new(secret: &str) -> Secret {
        let keyed = |key: &[u8]| Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        let decoded = BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok();
        Secret { whole: keyed(secret.as_bytes()), decoded: decoded.map(|key| keyed(&key)) }
    }
}

pub(super) fn verify(known: &SignatureHeaders<'_>, body: &[u8], secrets: &[Secret], now: SystemTime) -> Signature {
    if secrets.is_empty() {
        return Signature::Unchecked;
    }
    let mut any = false;
    let mut refused = None;
    let mut note = |verdict: Result<(), &'static str>| {
        any = true;
        refused = refused.or(verdict.err());
    };
    if let Some(value) = known.hydra {
        note(check_hydra(value, body, secrets, now));
    }
    if let Some(value) = known.x_webhook {
        note(check_x_webhook(value, known.x_webhook_time, body, secrets, now));
    }
    if let Some(value) = known.standard {
        note(check_standard(value, known.standard_id, known.standard_time, body, secrets, now));
    }
    if let Some(value) = known.github {
        note(check_github(value, body, secrets));
    }
    match (any, refused) {
        (false, _) => Signature::Refused("there is no signature"),
        (true, Some(why)) => Signature::Refused(why),
        (true, None) => Signature::Verified,
    }
}

/// `t=<unix>,v1=<hex>`; one genuine `v1` of several is enough.
fn check_hydra(value: &[u8], body: &[u8], secrets: &[Secret], now: SystemTime) -> Result<(), &'static str> {
    let parts = || value.split(|&byte| byte == b',');
    let time = parts().find_map(|part| part.strip_prefix(b"t=")).ok_or("X-Hydra-Signature has no t")?;
    recent(time, now)?;
    let genuine = parts()
        .filter_map(|part| part.strip_prefix(b"v1="))
        .filter_map(from_hex)
        .any(|provided| secrets.iter().any(|secret| matches(&secret.whole, &[time, b".", body], &provided)));
    genuine.then_some(()).ok_or("no v1 of X-Hydra-Signature fits")
}

/// `sha256=<hex>` over time and body.
fn check_x_webhook(
    value: &[u8],
    time: Option<&[u8]>,
    body: &[u8],
    secrets: &[Secret],
    now: SystemTime,
) -> Result<(), &'static str> {
    let time = time.ok_or("X-Webhook-Timestamp is missing")?;
    recent(time, now)?;
    let provided = value.strip_prefix(b"sha256=").and_then(from_hex).ok_or("X-Webhook-Signature is malformed")?;
    let genuine = secrets.iter().any(|secret| matches(&secret.whole, &[time, b".", body], &provided));
    genuine.then_some(()).ok_or("X-Webhook-Signature does not fit")
}

/// `v1,<base64>`, one or more separated by blanks, over id, time and body.
fn check_standard(
    value: &[u8],
    id: Option<&[u8]>,
    time: Option<&[u8]>,
    body: &[u8],
    secrets: &[Secret],
    now: SystemTime,
) -> Result<(), &'static str> {
    let id = id.ok_or("webhook-id is missing")?;
    let time = time.ok_or("webhook-timestamp is missing")?;
    recent(time, now)?;
    let signatures = value.split(|&byte| byte == b' ').filter_map(|part| part.strip_prefix(b"v1,"));
    let genuine = signatures.filter_map(|text| BASE64.decode(text).ok()).any(|provided| {
        let keys = secrets.iter().filter_map(|secret| secret.decoded.as_ref());
        keys.into_iter().any(|key| matches(key, &[id, b".", time, b".", body], &provided))
    });
    genuine.then_some(()).ok_or("no v1 of webhook-signature fits")
}

/// `sha256=<hex>` over the body alone.
fn check_github(value: &[u8], body: &[u8], secrets: &[Secret]) -> Result<(), &'static str> {
    let provided = value.strip_prefix(b"sha256=").and_then(from_hex).ok_or("X-Hub-Signature-256 is malformed")?;
    let genuine = secrets.iter().any(|secret| matches(&secret.whole, &[body], &provided));
    genuine.then_some(()).ok_or("X-Hub-Signature-256 does not fit")
}

fn matches(key: &Hmac<Sha256>, message: &[&[u8]], provided: &[u8]) -> bool {
    let mut mac = key.clone();
    for part in message {
        mac.update(part);
    }
    mac.verify_slice(provided).is_ok()
}

/// 64 lower-case digits, as all schemes with hexadecimal signatures require.
fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = !text.iter().any(u8::is_ascii_uppercase);
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

fn recent(time: &[u8], now: SystemTime) -> Result<(), &'static str> {
    let time: u64 = str::from_utf8(time).ok().and_then(|text| text.parse().ok()).ok_or("the time is not a number")?;
    let now = now.duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_secs();
    if now.abs_diff(time) <= TOLERANCE { Ok(()) } else { Err("the time is more than 300 s away") }
}
