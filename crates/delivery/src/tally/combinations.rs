//! The counts of one subscription and hour, by what its attempts have in common.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use wire::attempt::{Answer, ErrorClass, Failure, Outcome};

use crate::histogram::Histogram;
use crate::work::Work;
use crate::writes::is_indexable;

/// The number of combinations that a subscription and hour can have with a tenant of their own, and the number that
/// others have with their event type. A receiver can answer with hundreds of different statuses, and an application can
/// have thousands of tenants. This is as many rows as a person can still look through, and bounds what an hour stores.
pub const WITH_TENANT: usize = 200;
pub const WITH_EVENT_TYPE: usize = 100;

/// What attempts have in common that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Combination {
    /// `None` for others, if there are too many combinations.
    pub event_type: Option<Arc<str>>,
    /// `None` if they have no tenant, and for others.
    pub tenant_id: Option<Arc<str>>,
    pub result: AttemptResult,
    /// Whether these are attempts of others: their tenants are not counted separately.
    pub others: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptResult {
    /// The status of the answer.
    Status(u16),
    NoAnswer(ErrorClass),
}

impl AttemptResult {
    /// `None` if no request was made.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Answered(Answer { status, .. }) => Some(Self::Status(*status)),
            Outcome::Failed(Failure { class, .. }) => Some(Self::NoAnswer(*class)),
            Outcome::NotStarted => None,
        }
    }

    fn is_success(self) -> bool {
        matches!(self, Self::Status(200..300))
    }
}

impl Combination {
    pub fn of(work: &Work, result: AttemptResult) -> Self {
        Self::of_names(&work.event_type, work.tenant_id.as_ref(), result)
    }

    fn of_names(event_type: &Arc<str>, tenant_id: Option<&Arc<str>>, result: AttemptResult) -> Self {
        let event_type = Some(event_type).filter(|name| is_indexable(name)).cloned();
        match tenant_id {
            Some(tenant) if !is_indexable(tenant) => Self::of_others(event_type, result),
            _ if event_type.is_none() => Self::of_others(None, result),
            tenant => Self { event_type, tenant_id: tenant.cloned(), result, others: false },
        }
    }

    /// A combination for attempts whose tenant is not known.
    pub fn of_others(event_type: Option<Arc<str>>, result: AttemptResult) -> Self {
        Self { event_type, tenant_id: None, result, others: true }
    }
}

/// The attempts of a combination.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Attempts {
    pub number: i64,
    /// The number of deliveries that were given up.
    pub failed: i64,
    /// The times of the answers, with any status.
    pub times: Histogram,
}

impl Attempts {
    pub fn count(&mut self, answered_after: Option<Duration>) {
        self.number += 1;
        if let Some(took) = answered_after {
            self.times.count(took);
        }
    }

    pub fn add(&mut self, other: &Attempts) {
        self.number += other.number;
        self.failed += other.failed;
        self.times.add(other.times.counts());
    }
}

/// What all combinations have together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub delivered: i64,
    pub failed_attempts: i64,
    pub failed: i64,
    pub times: Histogram,
}

#[derive(Debug, Default)]
pub struct Combinations(HashMap<Combination, Attempts>);

impl Combinations {
    /// The number of combinations.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Combination, &Attempts)> {
        self.0.iter()
    }

    /// Returns the attempts of a combination, and whether it is a new one. If there are too many, or `is_full`, a new
    /// combination is counted without its tenant, and then without its event type.
    pub fn find(&mut self, wanted: Combination, is_full: bool) -> (&mut Attempts, bool) {
        match self.0.entry(self.admitted(wanted, is_full)) {
            Entry::Occupied(known) => (known.into_mut(), false),
            Entry::Vacant(new) => (new.insert(Attempts::default()), true),
        }
    }

    /// Usually there is room, and nothing is looked up here.
    fn admitted(&self, wanted: Combination, is_full: bool) -> Combination {
        let has_room = |most| !is_full && self.0.len() < most;
        if has_room(WITH_TENANT) || self.0.contains_key(&wanted) {
            return wanted;
        }
        let wanted = Combination::of_others(wanted.event_type, wanted.result);
        if has_room(WITH_TENANT + WITH_EVENT_TYPE) || self.0.contains_key(&wanted) {
            return wanted;
        }
        Combination::of_others(None, wanted.result)
    }

    pub fn total(&self) -> Total {
        let mut total = Total::default();
        for (combination, attempts) in &self.0 {
            let sum = if combination.result.is_success() { &mut total.delivered } else { &mut total.failed_attempts };
            *sum += attempts.number;
            total.failed += attempts.failed;
            total.times.add(attempts.times.counts());
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok_of(event_type: &str, tenant: usize) -> Combination {
        Combination {
            event_type: Some(event_type.into()),
            tenant_id: Some(format!("tenant {tenant}").into()),
            result: AttemptResult::Status(200),
            others: false,
        }
    }

    #[test]
    fn beyond_the_bound_attempts_are_counted_without_their_tenant_and_none_is_lost() {
        let mut combinations = Combinations::default();
        for tenant in (0..1000).chain(0..1000) {
            combinations.find(ok_of("ticket.created", tenant), false).0.count(Some(Duration::from_millis(1)));
        }
        assert_eq!(combinations.size(), WITH_TENANT + 1);
        assert_eq!(combinations.0[&ok_of("ticket.created", 7)].number, 2);
        let others = Combination::of_others(Some("ticket.created".into()), AttemptResult::Status(200));
        assert_eq!(combinations.0[&others].number, 2 * (1000 - WITH_TENANT as i64));
        let total = combinations.total();
        assert_eq!((total.delivered, total.times.counts().iter().sum::<i64>()), (2000, 2000));
    }

    #[test]
    fn far_beyond_the_bound_attempts_are_counted_without_their_event_type_too() {
        let mut combinations = Combinations::default();
        for number in 0..1000 {
            combinations.find(ok_of(&format!("ticket.event_{number}"), number), false).0.count(None);
        }
        assert_eq!(combinations.size(), WITH_TENANT + WITH_EVENT_TYPE + 1);
        let rest = Combination::of_others(None, AttemptResult::Status(200));
        assert_eq!(combinations.0[&rest].number, 1000 - (WITH_TENANT + WITH_EVENT_TYPE) as i64);
        assert_eq!(combinations.total().delivered, 1000);
    }

    #[test]
    fn names_that_are_too_long_for_an_index_are_those_of_others() {
        let (name, long): (Arc<str>, Arc<str>) = ("ticket.created".into(), "x".repeat(1025).into());
        let ok = AttemptResult::Status(200);
        let of = |event_type, tenant| Combination::of_names(event_type, tenant, ok);
        assert_eq!(of(&name, Some(&long)), Combination::of_others(Some(Arc::clone(&name)), ok));
        assert_eq!(of(&long, Some(&name)), Combination::of_others(None, ok));
        assert!(!of(&name, Some(&name)).others && !of(&name, None).others);
    }

    #[test]
    fn the_total_tells_successes_from_failures() {
        let mut combinations = Combinations::default();
        for (result, failed) in [
            (AttemptResult::Status(204), 0),
            (AttemptResult::Status(302), 1),
            (AttemptResult::NoAnswer(ErrorClass::Timeout), 0),
        ] {
            let (attempts, _) = combinations.find(Combination::of_others(None, result), false);
            attempts.count(None);
            attempts.failed = failed;
        }
        let total = combinations.total();
        assert_eq!((total.delivered, total.failed_attempts, total.failed), (1, 2, 1));
    }
}
