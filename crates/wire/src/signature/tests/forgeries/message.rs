//! A signed message as its receiver sees it, and the check whether the signer signed it.

use super::super::*;
use super::TOLERANCE;
use crate::secret::PREFIX;

/// What a receiver knows when it decides.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub scheme: Scheme,
    pub id: String,
    /// The time, for the schemes that have it in a separate header.
    pub time: String,
    /// The signature.
    pub header: String,
    pub body: String,
    pub secret: String,
    /// The receiver's clock.
    pub now: u64,
}

/// What the signer records for each value: the key, time, id and body that gave it.
pub struct Record {
    pub scheme: Scheme,
    pub key: Vec<u8>,
    pub id: String,
    pub time: String,
    pub body: String,
    pub value: String,
}

/// A change after which a message still matches what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harmless {
    /// An HMAC key is padded with zeros, so `K` and `K\0` are one key. A text in Postgres has no zeros.
    ZerosAfterTheKey,
    /// `whsec_` is not a part of a Standard Webhooks key.
    NoPrefixOfTheSecret,
    /// Only `standard` signs the id, and `github` does not sign the time.
    WhatIsNotSigned,
    /// `2E` and `2e` are the same byte.
    UpperCaseDigits,
    /// The order, unknown parts or further values: one value still matches, and there is exactly one time.
    OtherPartsThanTheOneThatMatches,
    /// The time is within the tolerance.
    AnotherClock,
}

impl Message {
    pub fn is_accepted(&self) -> bool {
        let secret = secret(&self.secret);
        let says = |value: String| self.header.split(' ').any(|said| said == value);
        match self.scheme {
            Scheme::Hydra => verify(&self.body, &self.header, &secret, Duration::from_secs(TOLERANCE), at(self.now)),
            // Computes the value from the message and compares it, as receivers do.
            Scheme::XWebhook => {
                self.is_in_time() && self.header == digest_alone(&secret, &[&self.time, ".", &self.body])
            }
            Scheme::Standard => self.is_in_time() && says(standard_value(&secret, &self.id, &self.time, &self.body)),
            Scheme::Github => self.header == digest_alone(&secret, &[&self.body]),
        }
    }

    pub fn is_in_time(&self) -> bool {
        self.time.parse::<u64>().is_ok_and(|time| time.abs_diff(self.now) <= TOLERANCE)
    }

    pub fn key(&self) -> Vec<u8> {
        key(self.scheme, &self.secret)
    }

    /// Whether the signer signed this message, according to its records.
    pub fn was_signed_as(&self, record: &Record) -> bool {
        let Self { scheme, id, time, body, .. } = self;
        let same = *scheme == record.scheme && *body == record.body && self.key() == record.key;
        same && match scheme {
            Scheme::Hydra => {
                let times: Vec<_> = self.header.split(',').filter_map(|part| part.strip_prefix("t=")).collect();
                let mut digests = self.header.split(',').filter_map(|part| part.strip_prefix("v1="));
                times == [&record.time]
                    && digests.any(|digest| digest.eq_ignore_ascii_case(&record.value))
                    && record.time.parse::<u64>().unwrap().abs_diff(self.now) <= TOLERANCE
            }
            Scheme::XWebhook => *time == record.time && self.header == record.value && self.is_in_time(),
            Scheme::Standard => {
                let signed = *id == record.id && *time == record.time && self.is_in_time();
                signed && self.header.split(' ').any(|value| value == record.value)
            }
            Scheme::Github => self.header == record.value,
        }
    }

    /// Returns the change after which the message still matches what was signed.
    pub fn harmless_change(&self, sent: &Message) -> Harmless {
        let without_prefix = |secret: &str| secret.strip_prefix(PREFIX).unwrap_or(secret).to_owned();
        if self.secret != sent.secret && without_prefix(&self.secret) == without_prefix(&sent.secret) {
            Harmless::NoPrefixOfTheSecret
        } else if self.secret != sent.secret {
            Harmless::ZerosAfterTheKey
        } else if self.header.eq_ignore_ascii_case(&sent.header) && self.header != sent.header {
            Harmless::UpperCaseDigits
        } else if self.header != sent.header {
            Harmless::OtherPartsThanTheOneThatMatches
        } else if self.now != sent.now && self.scheme != Scheme::Github {
            Harmless::AnotherClock
        } else {
            Harmless::WhatIsNotSigned
        }
    }
}

pub fn key(scheme: Scheme, secret: &str) -> Vec<u8> {
    let mut key = match (scheme, secret.strip_prefix("whsec_").unwrap_or(secret)) {
        (Scheme::Standard, encoded) => STANDARD.decode(encoded).unwrap_or(encoded.into()),
        _ => secret.into(),
    };
    key.truncate(key.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    key
}
