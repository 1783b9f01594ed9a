//! How many deliveries succeeded and how many attempts failed, per subscription and hour.
//!
//! Counted in memory and added to `hydra.delivery_count` once a minute: a row that is updated with every batch would
//! slow down as its old versions pile up behind a long transaction.

use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::HashMap;

#[derive(Debug, Default)]
pub struct Tally {
    counts: HashMap<(i64, u64), Count>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub delivered: i64,
    pub failed_attempts: i64,
}

impl Tally {
    pub fn delivered(&mut self, subscription: i64, now: SystemTime) {
        self.count(subscription, now).delivered += 1;
    }

    pub fn failed(&mut self, subscription: i64, now: SystemTime) {
        self.count(subscription, now).failed_attempts += 1;
    }

    fn count(&mut self, subscription: i64, now: SystemTime) -> &mut Count {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.counts.entry((subscription, seconds / 3600)).or_default()
    }

    /// What was counted: subscription, hours since 1970, counts.
    pub fn iter(&self) -> impl Iterator<Item = (i64, u64, Count)> {
        self.counts.iter().map(|((subscription, hour), count)| (*subscription, *hour, *count))
    }

    /// What was counted so far has been written.
    pub fn written(&mut self) {
        self.counts.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}
