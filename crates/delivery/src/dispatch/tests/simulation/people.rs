//! The actions of the application and of users, and the passing of time.

use super::*;

impl World {
    pub(super) fn emit(&mut self) {
        let active = self.endpoints.iter().filter(|(_, endpoint)| endpoint.subscription.active && !endpoint.deleted);
        let candidates: Vec<SubscriptionId> = active.map(|(id, _)| *id).collect();
        for _ in 0..self.random.random_range(1..20) {
            let event = EventId(self.next_event);
            let wanted = candidates.iter().copied().filter(|_| self.random.random_bool(0.4));
            let targets: Vec<_> = wanted.map(|id| (id, DeliveryId::derive(key(event.0), id))).collect();
            if targets.is_empty() {
                continue;
            }
            self.next_event += 1;
            for (subscription, id) in &targets {
                self.fates.insert(
                    *id,
                    Fate { event, subscription: *subscription, requests: 0, succeeded_in: None, over: false },
                );
            }
            self.events.insert(event, targets);
        }
    }

    pub(super) fn any_subscription(&mut self) -> SubscriptionId {
        SubscriptionId(self.random.random_range(1..=SUBSCRIPTIONS))
    }

    pub(super) fn set_active(&mut self, active: bool) {
        let id = self.any_subscription();
        let endpoint = self.endpoints.get_mut(&id).expect("one of them");
        match active {
            true => endpoint.resume(self.clock),
            false => endpoint.stop(self.clock),
        }
        self.news = true;
    }

    pub(super) fn delete_or_break(&mut self) {
        let id = self.any_subscription();
        let health = if self.random.random_bool(0.5) { 0.0 } else { self.random.random_range(0.0..1.0) };
        let faulty = self.random.random_bool(0.3);
        let endpoint = self.endpoints.get_mut(&id).expect("one of them");
        endpoint.health = health;
        endpoint.faulty = !endpoint.faulty && faulty;
        if self.random.random_bool(0.1) {
            endpoint.deleted = true;
            self.rows.retain(|_, row| row.subscription != id || row.claimed || row.due.is_none());
            self.fates.values_mut().filter(|fate| fate.subscription == id).for_each(|fate| fate.over = true);
            self.news = true;
        }
    }

    pub(super) fn retry_by_hand(&mut self) {
        let clock = self.clock;
        let failed = self.rows.values_mut().find(|row| row.due.is_none());
        if let Some(row) = failed.filter(|row| !self.endpoints[&row.subscription].deleted) {
            *row = Row { due: Some(clock), earlier: row.attempts, scheduled_at: None, ..row.clone() };
            self.news = true;
        }
    }

    pub(super) fn cancel(&mut self) {
        let waiting = self.rows.iter().find(|(_, row)| !row.claimed).map(|(id, _)| *id);
        if let Some(id) = waiting {
            self.rows.remove(&id);
            self.fates.get_mut(&id).expect("every row has one").over = true;
        }
    }

    pub(super) fn let_time_pass(&mut self) {
        let passed = match self.random.random_range(0..10) {
            0..6 => Duration::from_millis(self.random.random_range(1..400)),
            6..9 => Duration::from_secs(self.random.random_range(1..30)),
            _ => Duration::from_secs(self.random.random_range(30..7200)),
        };
        self.pass(passed);
        // Somebody sets the clock of the machine.
        if self.random.random_bool(0.05) {
            let hours = Duration::from_secs(3600) * [1, 10, 10_000][self.random.random_range(0..3)];
            self.clock = if self.random.random_bool(0.5) { self.clock + hours } else { self.clock - hours };
        }
    }

    pub(super) fn pass(&mut self, passed: Duration) {
        self.instant += passed;
        self.clock += passed;
        let interruption = self.clocks.read(self.clock, self.instant);
        self.clocks.complete_turn(self.instant);
        if let Some(interruption) = interruption {
            self.dispatch.begin_sending(self.instant);
            self.news |= interruption == Interruption::ClockChanged;
        }
        self.dispatch.move_stragglers(self.instant);
        self.dispatch.end_pauses(self.instant);
    }
}
