//! The ids of events, subscriptions and deliveries. Each kind has its own type, so that one is never mistaken for
//! another.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

/// The number of an event. It comes from a sequence of the database, which a restore sets back: see [`EventKey`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub i64);

/// An installation: a database that emits events. It is a UUID.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Installation(pub [u8; 16]);

/// What an event is known by. Numbers come again when a database is restored or copied, or when the sequence is
/// restarted; the random part does not. In the order of numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    pub id: EventId,
    /// Drawn when the event was emitted.
    pub random: i64,
    /// The installation that emitted it.
    pub installation: Installation,
}

/// The random part and the number are enough, and cost less than all of it.
impl Hash for EventKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_i64(self.random ^ self.id.0);
    }
}

/// The id of an event as receivers see it: a UUID that is the same for all subscriptions and in every attempt, and never
/// shared by two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventUuid(pub [u8; 16]);

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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryId(pub [u8; 16]);

/// The first half of the bits, which are those of a hash already, is enough.
impl Hash for DeliveryId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((u128::from_be_bytes(self.0) >> 64) as u64);
    }
}

impl EventKey {
    pub fn uuid(self) -> EventUuid {
        let Self { id, random, installation } = self;
        EventUuid(uuid_of([&installation.0, &id.0.to_be_bytes(), &random.to_be_bytes()]))
    }
}

impl DeliveryId {
    /// Returns the id of the delivery of `event` to `subscription`.
    pub fn derive(event: EventKey, subscription: SubscriptionId) -> Self {
        let EventKey { id, random, installation } = event;
        Self(uuid_of([&installation.0, &id.0.to_be_bytes(), &random.to_be_bytes(), &subscription.0.to_be_bytes()]))
    }
}

impl Installation {
    /// Returns the installation that a copy of `original` is, in this cluster and database. A copy that emits before it
    /// was adopted has it already.
    pub fn of_copy(original: Self, system_identifier: u64, database: u32) -> Self {
        Self(uuid_of([&original.0, &system_identifier.to_be_bytes(), &database.to_be_bytes()]))
    }
}

/// Returns the first bytes of a SHA-256 over these bytes, as a version 8 UUID (RFC 9562).
fn uuid_of<const N: usize>(parts: [&[u8]; N]) -> [u8; 16] {
    let digest = parts.into_iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// Writes a UUID in the lower-case 8-4-4-4-12 form.
fn write_uuid(id: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0; 32];
    hex::encode_to_slice(id, &mut digits).expect("two digits a byte");
    let digits = str::from_utf8(&digits).expect("digits");
    write!(f, "{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

impl fmt::Display for EventUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: EventKey = EventKey { id: EventId(5), random: 77, installation: Installation([7; 16]) };

    #[test]
    fn every_part_of_an_event_and_the_subscription_change_the_id_of_a_delivery() {
        let id = |event| DeliveryId::derive(event, SubscriptionId(3));
        let others = [
            id(EventKey { id: EventId(6), ..EVENT }),
            id(EventKey { random: 78, ..EVENT }),
            id(EventKey { installation: Installation([8; 16]), ..EVENT }),
            DeliveryId::derive(EVENT, SubscriptionId(4)),
        ];
        assert!(others.iter().all(|other| *other != id(EVENT)), "{others:?}");
        assert_eq!(id(EVENT), id(EVENT));
    }

    #[test]
    fn every_part_of_an_event_changes_the_id_that_receivers_see() {
        let others = [
            EventKey { id: EventId(6), ..EVENT },
            EventKey { random: 78, ..EVENT },
            EventKey { installation: Installation([8; 16]), ..EVENT },
        ];
        assert!(others.iter().all(|other| other.uuid() != EVENT.uuid()), "{others:?}");
        assert_eq!(&EVENT.uuid().to_string()[14..15], "8");
    }

    #[test]
    fn a_delivery_id_is_a_uuid_of_version_8() {
        let id = DeliveryId::derive(EVENT, SubscriptionId(3)).to_string();
        assert_eq!((id.len(), &id[14..15]), (36, "8"));
        assert!(["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
    }

    #[test]
    fn copies_in_other_clusters_and_databases_are_other_installations() {
        let original = Installation([7; 16]);
        let copy = Installation::of_copy(original, 1, 2);
        let others = [
            original,
            Installation::of_copy(Installation([8; 16]), 1, 2),
            Installation::of_copy(original, 2, 2),
            Installation::of_copy(original, 1, 3),
        ];
        assert!(others.iter().all(|other| *other != copy), "{others:?}");
        assert_eq!(copy, Installation::of_copy(original, 1, 2));
    }
}
