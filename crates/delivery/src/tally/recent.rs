//! The combinations that were counted last, so that most attempts are counted without looking anything up. To find a
//! combination by its texts, and to share them, takes as long as a twentieth of a delivery.

use std::sync::Arc;
use std::time::Duration;

use wire::ids::SubscriptionId;

use super::combinations::{AttemptResult, Attempts, Combination};
use crate::work::Work;

/// The number of places. A combination has one place, which it may have to leave to another one.
const PLACES: usize = 16;

/// Attempts that are not added to their combination yet.
#[derive(Debug)]
pub struct Recent {
    pub subscription: SubscriptionId,
    pub hour: u64,
    pub combination: Combination,
    pub attempts: Attempts,
    /// The texts of the delivery; equal ones usually are the same in memory.
    event_type: Arc<str>,
    tenant_id: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub struct Recents(Vec<Option<Recent>>);

impl Recents {
    /// Counts an attempt. Returns what has left its place for it.
    pub fn count(
        &mut self,
        work: &Work,
        hour: u64,
        result: AttemptResult,
        answered_after: Option<Duration>,
    ) -> Option<Recent> {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || None);
        }
        let place = &mut self.0[place(work)];
        if let Some(recent) = place
            && recent.is_of(work, hour, result)
        {
            recent.attempts.count(answered_after);
            return None;
        }
        let mut attempts = Attempts::default();
        attempts.count(answered_after);
        place.replace(Recent {
            subscription: work.subscription,
            hour,
            combination: Combination::of(work, result),
            attempts,
            event_type: Arc::clone(&work.event_type),
            tenant_id: work.tenant_id.clone(),
        })
    }

    pub fn take(&mut self) -> impl Iterator<Item = Recent> + use<> {
        std::mem::take(&mut self.0).into_iter().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl Recent {
    fn is_of(&self, work: &Work, hour: u64, result: AttemptResult) -> bool {
        let has_tenant = match (&self.tenant_id, &work.tenant_id) {
            (Some(own), Some(tenant)) => Arc::ptr_eq(own, tenant),
            (own, tenant) => own.is_none() && tenant.is_none(),
        };
        has_tenant
            && self.subscription == work.subscription
            && self.hour == hour
            && self.combination.result == result
            && Arc::ptr_eq(&self.event_type, &work.event_type)
    }
}

/// The place of the combinations of a subscription, an event type and a tenant.
fn place(work: &Work) -> usize {
    let address = |text: &Arc<str>| text.as_ptr() as usize >> 4;
    let tenant = work.tenant_id.as_ref().map_or(0, address);
    (work.subscription.0 as usize ^ address(&work.event_type) ^ tenant) % PLACES
}
