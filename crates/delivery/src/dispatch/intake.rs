//! Queues deliveries: those of events that were read, and those of rows of the retry queue that were claimed.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use wire::ids::{DeliveryId, SubscriptionId};
use wire::preset::Preset;

use super::Dispatch;
use super::open_events::Deliveries;
use crate::stored_event::StoredEvent;
use crate::subscription::Subscription;
use crate::work::Work;
use crate::writes::RowState;

/// Bodies of one event, each with the preset that it was made for.
type Bodies = SmallVec<[(Preset, Arc<str>); 1]>;

impl Dispatch {
    /// The targets of these events that are unknown subscriptions. They have to be read first: a commit can become
    /// visible shortly before the invalidation message that reports what it changed.
    pub fn strangers(&self, events: &[StoredEvent]) -> Vec<SubscriptionId> {
        let targets = events.iter().flat_map(|event| &event.targets).copied();
        targets.filter(|id| self.lanes.get(*id).is_none() && !self.gone.contains(id)).collect()
    }

    /// Queues the deliveries of an event that was read from `hydra.event`.
    pub fn accept_event(&mut self, event: &StoredEvent, now: Instant) {
        let mut bodies = Bodies::new();
        let mut remaining = Deliveries::with_capacity(event.targets.len());
        for &id in &event.targets {
            // The subscription was deleted after the event was emitted, so it gets nothing.
            let Some(lane) = self.lanes.get(id) else {
                self.gone.insert(id);
                continue;
            };
            let missed = event.missed.contains(&id);
            if lane.subscription.drops(missed) {
                continue;
            }
            let body = body_for(lane.subscription.preset, event, &mut bodies);
            let work = first_work(&lane.subscription, event, body);
            remaining.push(Arc::new(Work { missed, ..work }));
        }
        if remaining.is_empty() {
            self.writes.finished_events.push(event.row);
            return;
        }
        self.open.insert(event.row, remaining.clone(), now);
        for work in remaining {
            self.enqueue_or_release(work, now);
        }
    }

    /// Queues a delivery of an open event. If its lane is full, the event moves and the delivery waits in the retry
    /// queue.
    fn enqueue_or_release(&mut self, work: Arc<Work>, now: Instant) {
        let Some(lane) = self.lanes.get_mut(work.subscription) else { return };
        if lane.is_full() {
            lane.overflowing |= lane.subscription.active;
            self.move_event(work.event);
            self.writes.update(&work, RowState::Released);
        } else {
            self.lanes.push(work, now);
        }
    }

    /// Queues a delivery that was claimed from `hydra.delivery`. The row is deleted if its subscription was deleted,
    /// or was resumed without what it missed. If the subscription is not active, the row is released.
    pub fn accept_claimed(&mut self, work: Work, now: Instant) {
        let Some(lane) = self.lanes.get(work.subscription) else {
            self.writes.delete(&work);
            return;
        };
        if lane.subscription.drops(work.missed) {
            self.writes.delete(&work);
        } else if lane.subscription.active {
            self.lanes.push(Arc::new(work), now);
        } else {
            self.writes.update(&work, RowState::Released);
        }
    }
}

/// Returns the body for a preset. All deliveries of the event with this preset share it.
fn body_for(preset: Preset, event: &StoredEvent, bodies: &mut Bodies) -> Arc<str> {
    if let Some((_, body)) = bodies.iter().find(|(known, _)| *known == preset) {
        return Arc::clone(body);
    }
    let body = preset.body(&event.event);
    bodies.push((preset, Arc::clone(&body)));
    body
}

/// Returns the delivery of an event to a subscription, as it is before its first attempt.
pub fn first_work(subscription: &Subscription, event: &StoredEvent, body: Arc<str>) -> Work {
    Work {
        delivery: DeliveryId::derive(event.row.event, subscription.id),
        subscription: subscription.id,
        event: event.row.event,
        event_type: Arc::clone(&event.event.event_type),
        entity_type: Arc::clone(&event.event.entity_type),
        entity_id: event.event.entity_id.clone(),
        tenant_id: event.event.tenant_id.clone(),
        operation: event.operation,
        hops: event.hops,
        emitted_at: event.event.emitted_at,
        preset: subscription.preset,
        body,
        attempts: 0,
        earlier_attempts: 0,
        scheduled_at: None,
        missed: false,
    }
}
