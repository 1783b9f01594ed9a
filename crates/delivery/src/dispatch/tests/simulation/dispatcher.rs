//! The loop of the simulated dispatcher.

use std::ops::Bound;

use foldhash::HashSet;

use super::*;

impl World {
    pub(super) fn start(&mut self) {
        self.dispatch = Dispatch::default();
        self.dispatch.begin_sending(self.instant);
        self.run += 1;
        self.read_up_to = EventId(0);
        self.rows.values_mut().for_each(|row| row.claimed = false);
        self.rows.retain(|_, row| row.due.is_none() || !self.endpoints[&row.subscription].deleted);
        self.news = true;
        self.look_for_changes();
    }

    /// Crashes and starts again. Requests in flight may have arrived or not, and their outcomes are lost.
    pub(super) fn crash(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            if self.random.random_bool(0.5) && !request.endpoint.gate.is_closed() {
                self.arrive(&request);
            }
        }
        self.start();
    }

    pub(super) fn look_for_changes(&mut self) {
        if !std::mem::take(&mut self.news) {
            return;
        }
        let there = self.endpoints.values().filter(|endpoint| !endpoint.deleted);
        // Like subscriptions that are read from the table, each has a new gate.
        let subscriptions = there.map(|endpoint| endpoint.read()).collect();
        if self.random.random_bool(0.5) {
            self.dispatch.set_subscriptions(subscriptions, self.instant);
        } else {
            let changed: Vec<_> = self.endpoints.keys().copied().collect();
            self.dispatch.change_subscriptions(&changed, subscriptions, self.instant);
        }
        for request in &self.requests {
            let endpoint = &self.endpoints[&request.endpoint.subscription];
            let stopped = endpoint.deleted || !endpoint.subscription.active;
            assert!(
                !stopped || request.endpoint.gate.is_closed(),
                "a request of a stopped subscription may still start"
            );
        }
        self.write();
        self.look_for_due(&self.dispatch.subscription_ids());
    }

    pub(super) fn read(&mut self) {
        if !self.dispatch.has_room(self.instant) {
            return;
        }
        let page = self.random.random_range(1..30);
        let unread = self.events.range((Bound::Excluded(self.read_up_to), Bound::Unbounded)).take(page);
        let subscriptions = |targets: &[(SubscriptionId, _)]| targets.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
        let events: Vec<_> = unread.map(|(id, targets)| wanted_by(&subscriptions(targets), id.0)).collect();
        if !self.dispatch.strangers(&events).is_empty() {
            self.news = true;
            self.look_for_changes();
        }
        for event in &events {
            self.read_up_to = event.row.event.id;
            self.dispatch.accept_event(event, self.instant);
        }
    }

    pub(super) fn claim(&mut self) {
        if !self.dispatch.may_claim(self.clock) {
            return;
        }
        self.write();
        let room = self.dispatch.to_claim(self.clock);
        for (subscription, count) in &room {
            for id in self.due_rows(*subscription, *count as usize) {
                let row = self.rows.get_mut(&id).expect("it was just found");
                row.claimed = true;
                let work = row.work(id, &self.work);
                self.dispatch.accept_claimed(work, self.instant);
            }
        }
        let ids: Vec<SubscriptionId> = room.iter().map(|(id, _)| *id).collect();
        self.look_for_due(&ids);
    }

    pub(super) fn look_for_due(&mut self, ids: &[SubscriptionId]) {
        for id in ids {
            let waiting = self.rows.values().filter(|row| row.subscription == *id && !row.claimed);
            let mut first = waiting.filter_map(|row| row.due).min();
            if first.is_some_and(|due| self.dispatch.is_too_far(*id, due, self.clock)) {
                first = Some(self.bring_nearer(*id));
            }
            self.dispatch.set_next_due(*id, first, self.clock);
        }
    }

    /// Plans the rows of a subscription again, all of which are due too far away. Returns when the first is due.
    fn bring_nearer(&mut self, id: SubscriptionId) -> SystemTime {
        let schedule = &self.endpoints[&id].subscription.schedule;
        let waiting = self.rows.values_mut().filter(|row| row.subscription == id && !row.claimed && row.due.is_some());
        let planned = waiting.map(|row| {
            let failures = (row.attempts - row.earlier) as usize;
            let delay = failures.checked_sub(1).and_then(|place| schedule.get(place)).copied().unwrap_or_default();
            *row.due.insert(self.clock + delay)
        });
        planned.min().expect("there is one")
    }

    pub(super) fn hand_out(&mut self) {
        let requests = self.dispatch.hand_out(MAX_REQUESTS, self.instant);
        for request in &requests {
            let limit = self.endpoints[&request.endpoint.subscription].subscription.max_in_flight;
            assert!(request.max_in_flight <= limit, "more may be in flight than the limit, which is {limit}");
        }
        self.requests.extend(requests);
        let mut in_flight = HashSet::default();
        assert!(
            self.requests.iter().all(|request| in_flight.insert(request.delivery)),
            "a delivery is in flight twice"
        );
        assert!(in_flight.len() <= MAX_REQUESTS, "more requests are in flight than there may be");
    }
}
