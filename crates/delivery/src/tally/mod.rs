//! Counts for the statistics: attempts, deliveries that were given up, and times of answers, by subscription and hour,
//! and by event type, tenant and result.
//!
//! Counts are kept in memory and added to `hydra.delivery_count` and `hydra.attempt_count` once a minute, those of some
//! subscriptions at a time. If a row were updated with every batch, updates would become slow while a long transaction
//! keeps the old versions of the row from being removed.

use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::HashMap;
use wire::attempt::{Attempt, Outcome};
use wire::ids::SubscriptionId;

use crate::work::Work;
use crate::writes::ROWS;

mod combinations;
mod recent;

use recent::Recents;

pub use combinations::{AttemptResult, Attempts, Combination, Combinations, Total, WITH_EVENT_TYPE, WITH_TENANT};

/// When there are this many combinations, new ones are counted without tenant and event type. So they take 20 MB at most,
/// since a tenant has at most a kilobyte, and are written in less than a second.
const ENOUGH: usize = 10_000;

#[derive(Debug, Default)]
pub struct Tally {
    counts: HashMap<(SubscriptionId, u64), Combinations>,
    /// The number of all combinations in `counts`.
    size: usize,
    /// What is not in `counts` yet.
    recent: Recents,
}

impl Tally {
    /// Counts an attempt that succeeded or failed.
    pub fn attempted(&mut self, work: &Work, attempt: &Attempt, now: SystemTime) {
        let Some(result) = AttemptResult::of(&attempt.outcome) else { return };
        let answered_after = matches!(attempt.outcome, Outcome::Answered(_)).then_some(attempt.took);
        if let Some(former) = self.recent.count(work, hour(now), result, answered_after) {
            self.find(former.subscription, former.hour, former.combination).add(&former.attempts);
        }
    }

    /// Counts a delivery that was given up, with the attempts of this combination.
    pub fn given_up(&mut self, subscription: SubscriptionId, combination: Combination, now: SystemTime) {
        self.find(subscription, hour(now), combination).failed += 1;
    }

    fn find(&mut self, subscription: SubscriptionId, hour: u64, combination: Combination) -> &mut Attempts {
        let is_full = self.size >= ENOUGH;
        let (attempts, is_new) = self.counts.entry((subscription, hour)).or_default().find(combination, is_full);
        self.size += usize::from(is_new);
        attempts
    }

    /// Adds what was counted last to its combinations.
    pub fn gather(&mut self) {
        for recent in self.recent.take() {
            self.find(recent.subscription, recent.hour, recent.combination).add(&recent.attempts);
        }
    }

    /// Returns all counts that were gathered: subscription, hours since 1970, counts.
    pub fn iter(&self) -> impl Iterator<Item = (SubscriptionId, u64, &Combinations)> {
        self.counts.iter().map(|((subscription, hour), counts)| (*subscription, *hour, counts))
    }

    /// Takes out the counts that one transaction writes.
    pub fn take_part(&mut self) -> Tally {
        self.gather();
        let mut size = 0;
        let part = self.counts.extract_if(|_, counts| {
            let fits = size < ROWS;
            size += if fits { counts.size() } else { 0 };
            fits
        });
        let counts = part.collect();
        self.size -= size;
        Tally { counts, size, recent: Recents::default() }
    }

    pub fn add(&mut self, mut other: Tally) {
        other.gather();
        for ((subscription, hour), counts) in &other.counts {
            for (combination, attempts) in counts.iter() {
                self.find(*subscription, *hour, combination.clone()).add(attempts);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.recent.is_empty()
    }
}

/// The hour of a time, in hours since 1970.
fn hour(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 3600
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::attempt::{Answer, ErrorClass};
    use wire::ids::DeliveryId;
    use wire::preset::Preset;

    use super::*;
    use crate::stored_event::tests::key;

    fn combination(event_type: &str) -> Combination {
        Combination::of_others(Some(event_type.into()), AttemptResult::NoAnswer(ErrorClass::Timeout))
    }

    /// Counts of as many subscriptions.
    fn tallied(subscriptions: usize) -> Tally {
        let mut tally = Tally::default();
        for id in 1..=subscriptions as i64 {
            tally.given_up(SubscriptionId(id), combination("ticket.created"), UNIX_EPOCH);
        }
        tally
    }

    fn work_of(subscription: i64) -> Work {
        Work {
            delivery: DeliveryId([0; 16]),
            subscription: SubscriptionId(subscription),
            event: key(1),
            event_type: "ticket.created".into(),
            entity_type: "ticket".into(),
            entity_id: None,
            tenant_id: Some("acme".into()),
            operation: None,
            hops: 0,
            emitted_at: UNIX_EPOCH,
            preset: Preset::Hydra,
            body: "{}".into(),
            attempts: 0,
            earlier_attempts: 0,
            scheduled_at: None,
            missed: false,
        }
    }

    fn answered(work: &Work, status: u16) -> Attempt {
        let outcome = Outcome::Answered(Answer { status, excerpt: String::new(), retry_after: None });
        let (delivery, subscription) = (work.delivery, work.subscription);
        Attempt { delivery, subscription, outcome, at: UNIX_EPOCH, took: Duration::from_millis(1) }
    }

    fn given_up(tally: &Tally) -> i64 {
        tally.iter().map(|(_, _, counts)| counts.total().failed).sum()
    }

    #[test]
    fn counts_are_taken_out_in_parts_and_added_again() {
        let mut tally = tallied(3 * ROWS / 2);
        let first = tally.take_part();
        assert_eq!((first.counts.len(), first.size, tally.counts.len(), tally.size), (ROWS, ROWS, ROWS / 2, ROWS / 2));
        let mut twice = tallied(3 * ROWS / 2);
        twice.add(first);
        twice.add(tally.take_part());
        assert!(tally.is_empty() && tally.size == 0 && twice.size == 3 * ROWS / 2);
        assert!(twice.iter().all(|(_, _, counts)| counts.total().failed == 2));
    }

    #[test]
    fn what_was_counted_last_is_counted_however_deliveries_alternate() {
        let mut tally = Tally::default();
        let works: Vec<Work> = (1..=40).map(work_of).collect();
        for work in works.iter().chain(&works).chain(&works[..7]) {
            tally.attempted(work, &answered(work, 204), UNIX_EPOCH);
            tally.attempted(work, &answered(work, 500), UNIX_EPOCH);
        }
        assert!(!tally.is_empty());
        let part = tally.take_part();
        assert!(tally.is_empty());
        let mut totals: Vec<_> = part.iter().map(|(id, _, counts)| (id.0, counts.total().delivered)).collect();
        totals.sort_unstable();
        assert_eq!(totals, (1..=40).map(|id| (id, if id <= 7 { 3 } else { 2 })).collect::<Vec<_>>());
        assert!(part.iter().all(|(_, _, counts)| counts.total().failed_attempts == counts.total().delivered));
    }

    #[test]
    fn a_part_has_all_combinations_of_its_subscriptions_and_not_many_more_than_rows_fit() {
        let mut tally = Tally::default();
        for id in 1..=10 {
            for number in 0..150 {
                tally.given_up(SubscriptionId(id), combination(&format!("ticket.event_{number}")), UNIX_EPOCH);
            }
        }
        let part = tally.take_part();
        assert_eq!((part.size, tally.size), (600, 900));
        assert!(part.iter().all(|(_, _, counts)| counts.size() == 150));
    }

    #[test]
    fn when_there_are_very_many_combinations_new_ones_are_counted_without_tenant_and_event_type() {
        let mut tally = tallied(ENOUGH);
        tally.given_up(SubscriptionId(1), combination("ticket.created"), UNIX_EPOCH);
        tally.given_up(SubscriptionId(1), combination("ticket.resolved"), UNIX_EPOCH);
        tally.given_up(SubscriptionId(1), combination("ticket.closed"), UNIX_EPOCH);
        assert_eq!((tally.size, given_up(&tally)), (ENOUGH + 1, ENOUGH as i64 + 3));
        assert_eq!(tally.counts[&(SubscriptionId(1), 0)].size(), 2);
    }
}
