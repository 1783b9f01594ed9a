//! The ids of events, subscriptions and deliveries. Each kind has its own type, so that one is never mistaken for
//! another.

use std::fmt;

use sha2::{Digest, Sha256};

/// The id of an event, unique within a database.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub i64);

/// The id of a subscription, unique within a database and never used again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub i64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a delivery: a UUID that is the same in every attempt and never shared by two deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub [u8; 16]);

impl DeliveryId {
    /// Returns the id of the delivery of `event` to `subscription`: the first bytes of a SHA-256 over the namespace of
    /// the installation and both numbers, as a version 8 UUID (RFC 9562).
    pub fn derive(namespace: [u8; 16], event: EventId, subscription: SubscriptionId) -> Self {
        let digest = Sha256::new()
            .chain_update(namespace)
            .chain_update(event.0.to_be_bytes())
            .chain_update(subscription.0.to_be_bytes())
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        Self(id)
    }
}

impl fmt::Display for DeliveryId {
    /// Writes the id in the lower-case 8-4-4-4-12 form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        hex::encode_to_slice(self.0, &mut digits).expect("two digits a byte");
        let digits = str::from_utf8(&digits).expect("digits");
        write!(f, "{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
