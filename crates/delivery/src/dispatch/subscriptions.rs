//! Applies changes of subscriptions: lanes are added and removed, and deliveries are released or deleted.

use std::sync::Arc;
use std::time::Instant;

use foldhash::HashSet;
use wire::ids::SubscriptionId;

use super::Dispatch;
use crate::subscription::Subscription;

impl Dispatch {
    /// The subscriptions that were promised an order.
    pub fn in_order(&self) -> HashSet<SubscriptionId> {
        self.lanes.subscriptions().filter(|one| one.is_in_order()).map(|one| one.id).collect()
    }

    /// The active subscriptions that were not promised an order.
    pub fn active_others(&self) -> HashSet<SubscriptionId> {
        self.lanes.subscriptions().filter(|one| one.active && !one.is_in_order()).map(|one| one.id).collect()
    }

    pub fn subscription_ids(&self) -> Vec<SubscriptionId> {
        self.lanes.ids()
    }

    /// Prevents the start of any further request, also of requests that were handed out already.
    pub fn close_gates(&mut self) {
        for id in self.lanes.ids() {
            if let Some(lane) = self.lanes.get(id) {
                lane.subscription.endpoint.gate.close();
            }
        }
    }

    /// Replaces the subscriptions by those that were just read. A subscription that is not among them was deleted.
    pub fn set_subscriptions(&mut self, subscriptions: Vec<Subscription>, now: Instant) {
        let known: HashSet<SubscriptionId> = subscriptions.iter().map(|subscription| subscription.id).collect();
        for id in self.lanes.ids() {
            if !known.contains(&id) {
                self.drop_lane(id);
            }
        }
        for subscription in subscriptions {
            self.set_subscription(subscription, now);
        }
    }

    /// Replaces those of these subscriptions that were just read. The others of them were deleted.
    pub fn change_subscriptions(&mut self, changed: &[SubscriptionId], read: Vec<Subscription>, now: Instant) {
        let existing: HashSet<SubscriptionId> = read.iter().map(|subscription| subscription.id).collect();
        for id in changed.iter().filter(|id| !existing.contains(id)) {
            if self.lanes.get(*id).is_some() {
                self.drop_lane(*id);
            }
        }
        for subscription in read {
            self.set_subscription(subscription, now);
        }
    }

    /// Whether first attempts of some of these subscriptions, which were just read, have been cancelled.
    pub fn are_cancelled(&self, read: &[Subscription]) -> bool {
        let known = |new: &Subscription| self.subscription(new.id).map(|known| known.cancelled_at);
        read.iter().any(|new| known(new).is_some_and(|before| before != new.cancelled_at))
    }

    pub fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.lanes.get(id).map(|lane| &lane.subscription)
    }

    fn drop_lane(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get(id) {
            lane.subscription.endpoint.gate.close();
        }
        for work in self.lanes.remove(id) {
            self.finish(&work);
        }
        self.writes.deleted.push(id);
    }

    fn set_subscription(&mut self, mut subscription: Subscription, now: Instant) {
        let id = subscription.id;
        // A subscription stays disabled if the decision to disable it is not written yet.
        subscription.active &= !self.verdicts.disabled.contains_key(&id);
        let active = subscription.active;
        let (mut tries_again, mut is_cancelled) = (false, false);
        match self.lanes.get_mut(id) {
            None => self.lanes.insert(subscription),
            Some(lane) => {
                if lane.subscription.status_since != subscription.status_since {
                    lane.failing = subscription.failing;
                    lane.failed = subscription.failing.attempts;
                }
                let gate = &lane.subscription.endpoint.gate;
                if !active {
                    gate.close();
                } else if !gate.is_closed() {
                    // Requests that were handed out before this change share the gate with requests after it.
                    let endpoint = Arc::get_mut(&mut subscription.endpoint).expect("nothing else refers to it yet");
                    endpoint.gate = Arc::clone(gate);
                }
                let before = std::mem::replace(&mut lane.subscription, subscription);
                let after = &lane.subscription;
                is_cancelled = before.cancelled_at != after.cancelled_at;
                tries_again = before.endpoint.url != after.endpoint.url || before.status_since != after.status_since;
                // A schedule that is shorter now does not count the time before, nor does an endpoint to which nothing
                // could be sent.
                if active && !before.active
                    || before.schedule != after.schedule
                    || before.endpoint.timeout != after.endpoint.timeout
                {
                    lane.sending_since = Some(now);
                }
            }
        }
        if !active {
            self.release_queue(id);
        } else if is_cancelled {
            self.recall(id);
        }
        if tries_again {
            self.lanes.try_again(id);
        }
        self.lanes.give_turn(id);
    }
}
