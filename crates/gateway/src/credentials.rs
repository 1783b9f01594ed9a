//! What the gateway remembers of credentials: how much of their quota was used, which were refused just now, and which
//! were accepted before.
//!
//! It never remembers that a credential may do something. The database is asked each time, so a key that was revoked
//! ends at once at every gateway. Credentials are remembered by what the database stores of them, which nobody can
//! present. A credential that was accepted before is served before strangers when connections are scarce.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::quota::{Left, MINUTE, Quota, SECOND, Schedule};

/// What the database stores of a credential.
pub type Stored = [u8; 32];

/// How long a refusal is remembered. For so long a credential that has become valid may still be refused.
const REFUSED_FOR: Duration = Duration::from_secs(2);
/// How long a credential that is not used is known.
const KNOWN_FOR: Duration = Duration::from_secs(600);
const MAX_REFUSED: usize = 8192;
const MAX_KNOWN: usize = 50_000;
/// No heartbeat may report more.
const MAX_USED: usize = 10_000;

/// An API key: its id, and its requests per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub id: i64,
    pub requests_per_minute: u32,
}

/// An inbound adapter: its id, and its requests per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adapter {
    pub id: i64,
    pub requests_per_second: u32,
}

/// What has a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    Key(Key),
    Adapter(Adapter),
}

/// Identifies what has a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Key(i64),
    Adapter(i64),
}

impl Limited {
    fn name(self) -> Name {
        match self {
            Self::Key(key) => Name::Key(key.id),
            Self::Adapter(adapter) => Name::Adapter(adapter.id),
        }
    }

    fn quota(self, live: u32) -> Quota {
        match self {
            Self::Key(key) => Quota { requests: key.requests_per_minute, window: MINUTE, live },
            Self::Adapter(adapter) => Quota { requests: adapter.requests_per_second, window: SECOND, live },
        }
    }
}

/// What is remembered of a credential.
#[derive(Debug, PartialEq, Eq)]
pub enum Memory {
    Stranger,
    /// Refused just now.
    Refused,
    /// A session, which has no quota.
    Known,
    /// A key or an adapter, of whose quota a request has been taken.
    Granted(Left),
    /// A key or an adapter that has no request left.
    Over(Left),
}

#[derive(Debug, Clone, Copy)]
struct Known {
    limited: Option<Limited>,
    seen: Instant,
}

/// How often a key was used since the last report.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    pub requests: u64,
    /// Seconds since 1970.
    pub last_at: i64,
}

#[derive(Default)]
struct Tables {
    known: HashMap<Stored, Known>,
    refused: HashMap<Stored, Instant>,
    schedules: HashMap<Name, Schedule>,
    used: HashMap<i64, Use>,
}

pub struct Credentials {
    tables: Mutex<Tables>,
    live: AtomicU32,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { tables: Mutex::default(), live: AtomicU32::new(1) }
    }
}

impl Credentials {
    /// Returns what is remembered, and takes a request of the quota of a key.
    pub fn meet(&self, stored: &Stored, now: Instant) -> Memory {
        let live = self.live();
        let mut tables = self.tables();
        if tables.refused.get(stored).is_some_and(|at| now.duration_since(*at) < REFUSED_FOR) {
            return Memory::Refused;
        }
        let Some(known) = tables.known.get_mut(stored) else { return Memory::Stranger };
        known.seen = now;
        let Some(limited) = known.limited else { return Memory::Known };
        match tables.schedule(limited.name(), now).take(limited.quota(live), now) {
            Ok(left) => Memory::Granted(left),
            Err(left) => Memory::Over(left),
        }
    }

    /// Remembers that the database has accepted a credential.
    pub fn accepted(&self, stored: Stored, limited: Option<Limited>, now: Instant) {
        let mut tables = self.tables();
        make_room(&mut tables.known, MAX_KNOWN, |known| now.duration_since(known.seen) < KNOWN_FOR);
        tables.known.insert(stored, Known { limited, seen: now });
    }

    /// Takes a request of the quota of what was a stranger.
    pub fn take(&self, limited: Limited, now: Instant) -> Left {
        let quota = limited.quota(self.live());
        self.tables().schedule(limited.name(), now).take(quota, now).unwrap_or_else(|left| left)
    }

    /// Remembers that the database has refused a credential.
    pub fn refused(&self, stored: Stored, now: Instant) {
        let mut tables = self.tables();
        tables.known.remove(&stored);
        make_room(&mut tables.refused, MAX_REFUSED, |at| now.duration_since(*at) < REFUSED_FOR);
        tables.refused.insert(stored, now);
    }

    /// Forgets a credential that was revoked.
    pub fn forget(&self, stored: &Stored) {
        self.tables().known.remove(stored);
    }

    /// Counts a request of a key for the next report.
    pub fn count(&self, key: i64, unix_seconds: i64) {
        let mut tables = self.tables();
        if tables.used.len() >= MAX_USED && !tables.used.contains_key(&key) {
            return;
        }
        let used = tables.used.entry(key).or_insert(Use { requests: 0, last_at: unix_seconds });
        used.requests += 1;
        used.last_at = used.last_at.max(unix_seconds);
    }

    /// Returns what is to be reported, and begins to count again.
    pub fn report(&self) -> HashMap<i64, Use> {
        std::mem::take(&mut self.tables().used)
    }

    /// Puts back a report that has not arrived.
    pub fn unreport(&self, report: HashMap<i64, Use>) {
        let mut tables = self.tables();
        for (key, former) in report {
            let used = tables.used.entry(key).or_insert(Use { requests: 0, ..former });
            used.requests += former.requests;
            used.last_at = used.last_at.max(former.last_at);
        }
    }

    /// Sets the number of gateways that share the quotas.
    pub fn set_live(&self, live: u32) {
        self.live.store(live.max(1), Ordering::Relaxed);
    }

    fn live(&self) -> u32 {
        self.live.load(Ordering::Relaxed)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No panic leaves the tables in a state that they could not have.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn schedule(&mut self, name: Name, now: Instant) -> &mut Schedule {
        // One that is idle is as good as a new one.
        make_room(&mut self.schedules, MAX_KNOWN, |schedule| !schedule.is_idle(now));
        self.schedules.entry(name).or_insert_with(|| Schedule::new(now))
    }
}

/// Removes what need not be kept, if there is no room, and then everything, if there is still none.
fn make_room<K: Eq + Hash, V>(table: &mut HashMap<K, V>, most: usize, keep: impl Fn(&V) -> bool) {
    if table.len() >= most {
        table.retain(|_, value| keep(value));
    }
    if table.len() >= most {
        table.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Limited = Limited::Key(Key { id: 7, requests_per_minute: 3 });

    #[test]
    fn a_refusal_is_remembered_for_a_moment_only() {
        let (credentials, now) = (Credentials::default(), Instant::now());
        assert_eq!(credentials.meet(&[1; 32], now), Memory::Stranger);
        credentials.refused([1; 32], now);
        assert_eq!(credentials.meet(&[1; 32], now), Memory::Refused);
        assert_eq!(credentials.meet(&[2; 32], now), Memory::Stranger);
        assert_eq!(credentials.meet(&[1; 32], now + REFUSED_FOR), Memory::Stranger);
    }

    #[test]
    fn the_credentials_of_one_key_share_its_quota() {
        let (credentials, now) = (Credentials::default(), Instant::now());
        credentials.take(KEY, now);
        credentials.accepted([1; 32], Some(KEY), now);
        credentials.accepted([2; 32], Some(KEY), now);
        assert!(matches!(credentials.meet(&[1; 32], now), Memory::Granted(Left { remaining: 1, .. })));
        assert!(matches!(credentials.meet(&[2; 32], now), Memory::Granted(Left { remaining: 0, .. })));
        assert!(matches!(credentials.meet(&[1; 32], now), Memory::Over(_)));
        credentials.forget(&[1; 32]);
        assert_eq!(credentials.meet(&[1; 32], now), Memory::Stranger);
    }

    #[test]
    fn a_key_and_an_adapter_with_the_same_number_have_quotas_of_their_own() {
        let (credentials, now) = (Credentials::default(), Instant::now());
        let adapter = Limited::Adapter(Adapter { id: 7, requests_per_second: 1 });
        credentials.take(adapter, now);
        credentials.accepted([1; 32], Some(adapter), now);
        credentials.accepted([2; 32], Some(KEY), now);
        assert!(matches!(credentials.meet(&[1; 32], now), Memory::Over(_)));
        assert!(matches!(credentials.meet(&[2; 32], now), Memory::Granted(_)));
    }

    #[test]
    fn a_session_is_known_and_has_no_quota() {
        let (credentials, now) = (Credentials::default(), Instant::now());
        credentials.accepted([1; 32], None, now);
        assert_eq!(credentials.meet(&[1; 32], now), Memory::Known);
        credentials.refused([1; 32], now);
        assert_eq!(credentials.meet(&[1; 32], now + REFUSED_FOR), Memory::Stranger);
    }

    #[test]
    fn nothing_that_strangers_send_is_remembered_without_bound() {
        let (credentials, now) = (Credentials::default(), Instant::now());
        for number in 0..3 * MAX_REFUSED as u64 {
            let mut stored = [0; 32];
            stored[..8].copy_from_slice(&number.to_le_bytes());
            credentials.refused(stored, now);
        }
        assert!(credentials.tables().refused.len() <= MAX_REFUSED);
    }

    #[test]
    fn a_report_that_does_not_arrive_is_reported_later() {
        let credentials = Credentials::default();
        credentials.count(7, 100);
        credentials.count(7, 99);
        let report = credentials.report();
        assert!(credentials.report().is_empty());
        credentials.count(7, 101);
        credentials.unreport(report);
        let used = credentials.report()[&7];
        assert_eq!((used.requests, used.last_at), (3, 101));
    }
}
