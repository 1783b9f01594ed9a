//! The simulated tables, and the transaction that writes decisions into them.

use super::*;

/// A row of `hydra.subscription`, and its receiver.
#[derive(Debug)]
pub struct Endpoint {
    pub subscription: Subscription,
    /// The probability that a request succeeds.
    pub health: f64,
    pub deleted: bool,
    /// Whether a fault on the side of the sender prevents requests.
    pub faulty: bool,
}

/// A row of `hydra.delivery`.
#[derive(Debug, Clone)]
pub struct Row {
    pub event: EventKey,
    pub subscription: SubscriptionId,
    pub attempts: u32,
    pub earlier: u32,
    pub scheduled_at: Option<SystemTime>,
    /// `None` once it has failed.
    pub due: Option<SystemTime>,
    pub claimed: bool,
}

/// The true state of a delivery, which the dispatcher may not know.
#[derive(Debug)]
pub struct Fate {
    #[allow(dead_code, reason = "shown when a check fails")]
    pub event: EventId,
    pub subscription: SubscriptionId,
    /// The number of requests that arrived.
    pub requests: u32,
    /// The run of the dispatcher in which it last succeeded.
    pub succeeded_in: Option<u32>,
    /// Whether its success is written, or it was removed from the queue.
    pub over: bool,
}

impl World {
    /// Writes some of the decisions so far, in one transaction, which may fail.
    pub(super) fn write(&mut self) {
        let (rows, bytes) = (self.random.random_range(1..20), self.random.random_range(1..10_000));
        let part = self.dispatch.writes.take_part_of(rows, bytes);
        if self.random.random_bool(0.1) {
            self.dispatch.writes.put_back(part);
            return;
        }
        self.kept.extend(part.delivered.iter().map(|delivered| delivered.work.delivery));
        for step in &part.moves {
            let targets = self.events.get_mut(&step.row.event.id).expect("an event that moves has its row");
            targets.retain(|(id, _)| step.is_last || step.subscriptions().all(|other| other != *id));
            for (work, state) in &step.deliveries {
                let row = Row::new(work, self.clock).in_state(*state, self.clock);
                assert!(self.rows.insert(work.delivery, row).is_none(), "a delivery has a row already");
                self.check_attempts(work.delivery, *state);
            }
        }
        for change in &part.changes {
            let id = change.of.delivery;
            match change.state {
                Some(state) => {
                    self.check_attempts(id, state);
                    if let Some(row) = self.rows.get_mut(&id) {
                        *row = row.clone().in_state(state, self.clock);
                    }
                }
                None => {
                    self.rows.remove(&id);
                    self.end(id);
                }
            }
        }
        let moved = part.moves.iter().filter(|step| step.is_last).map(|step| &step.row);
        for event in moved.chain(&part.finished_events) {
            for (_, id) in self.events.remove(&event.event.id).unwrap_or_default() {
                if !self.rows.contains_key(&id) {
                    self.end(id);
                }
            }
        }
        for id in &part.deleted {
            self.rows.retain(|_, row| row.subscription != *id || row.due.is_none());
        }
        self.dispatch.written(&part, self.clock);
        self.write_verdicts();
    }

    /// Notes that a delivery has no row any more. It has succeeded, and is kept if its subscription keeps what it receives.
    fn end(&mut self, id: DeliveryId) {
        let fate = self.fates.get_mut(&id).expect("every delivery has one");
        let endpoint = &self.endpoints[&fate.subscription];
        assert!(fate.succeeded_in.is_some() || endpoint.deleted, "{fate:?} has no row any more");
        let is_kept = endpoint.subscription.keep_bodies.is_none() || self.kept.contains(&id);
        assert!(is_kept || endpoint.deleted, "{fate:?} is not kept");
        fate.over = true;
    }

    /// Checks that a delivery is given up only after its last attempt has reached the receiver.
    fn check_attempts(&self, id: DeliveryId, state: RowState) {
        if let RowState::Failed { attempts } = state {
            let fate = &self.fates[&id];
            assert!(fate.requests >= attempts, "{fate:?} was given up without attempt {attempts}");
        }
    }

    pub(super) fn write_verdicts(&mut self) {
        let verdicts = std::mem::take(&mut self.dispatch.verdicts);
        for (id, failing) in verdicts.failing {
            self.endpoints.get_mut(&id).expect("one of them").subscription.failing = failing;
        }
        for id in verdicts.disabled.into_keys() {
            self.endpoints.get_mut(&id).expect("one of them").stop(self.clock);
            self.news = true;
        }
    }

    pub(super) fn due_rows(&self, subscription: SubscriptionId, count: usize) -> Vec<DeliveryId> {
        let waiting = self.rows.iter().filter(|(_, row)| row.subscription == subscription && !row.claimed);
        let due =
            waiting.filter_map(|(id, row)| row.due.filter(|due| *due <= self.clock).map(|due| (due, row.event, *id)));
        due.collect::<BTreeSet<_>>().into_iter().take(count).map(|(_, _, id)| id).collect()
    }
}

impl Endpoint {
    pub(super) fn new(id: i64, random: &mut StdRng) -> Self {
        let delays = random.random_range(0..4);
        let subscription = Subscription {
            schedule: (0..delays).map(|_| Duration::from_secs(random.random_range(0..60))).collect(),
            max_in_flight: [1, 2, 10][random.random_range(0..3)],
            disable_after: random.random_bool(0.3).then(|| random.random_range(1..12)),
            rate_limit: random.random_bool(0.2).then(|| random.random_range(1..50)),
            log_successes: random.random_bool(0.2),
            keep_bodies: random.random_bool(0.3).then(|| Duration::from_secs(86_400)),
            ..subscription(id)
        };
        Self {
            subscription,
            health: [0.0, 0.5, 0.9, 1.0, 1.0][random.random_range(0..5)],
            deleted: false,
            faulty: false,
        }
    }

    pub(super) fn read(&self) -> Subscription {
        let id = self.subscription.id.0;
        Subscription { endpoint: super::subscription(id).endpoint, ..self.subscription.clone() }
    }

    pub(super) fn stop(&mut self, now: SystemTime) {
        if self.subscription.active {
            self.subscription.active = false;
            self.subscription.status_since = now;
        }
    }

    pub(super) fn resume(&mut self, now: SystemTime) {
        if !self.subscription.active {
            self.subscription.active = true;
            self.subscription.status_since = now;
            self.subscription.failing = Failing::default();
        }
    }
}

impl Row {
    pub(super) fn new(work: &Work, now: SystemTime) -> Self {
        Self {
            event: work.event,
            subscription: work.subscription,
            attempts: work.attempts,
            earlier: work.earlier_attempts,
            scheduled_at: work.scheduled_at,
            due: Some(now),
            claimed: true,
        }
    }

    pub(super) fn in_state(self, state: RowState, now: SystemTime) -> Self {
        match state {
            RowState::Claimed => Self { claimed: true, ..self },
            RowState::Released if self.attempts == 0 => Self { due: Some(now), claimed: false, ..self },
            RowState::Released => Self { claimed: false, ..self },
            RowState::Due { attempts, scheduled_at, due_at } => {
                Self { attempts, scheduled_at, due: Some(due_at), claimed: false, ..self }
            }
            RowState::Failed { attempts } => Self { attempts, due: None, claimed: false, ..self },
        }
    }

    pub(super) fn work(&self, delivery: DeliveryId, common: &Work) -> Work {
        Work {
            delivery,
            subscription: self.subscription,
            event: self.event,
            attempts: self.attempts,
            earlier_attempts: self.earlier,
            scheduled_at: self.scheduled_at,
            event_type: Arc::clone(&common.event_type),
            entity_type: Arc::clone(&common.entity_type),
            entity_id: common.entity_id.clone(),
            tenant_id: common.tenant_id.clone(),
            body: Arc::clone(&common.body),
            ..*common
        }
    }
}
