//! A model of tables, receivers and chance around the dispatcher's logic: whatever happens, in whatever order, nothing is
//! lost, nothing is sent twice at a time or once its success is written, and nothing waits for ever.
//!
//! All of a run follows from its seed. A failure names it, and `HYDRA_SEED=17 cargo test simulation` plays it again;
//! `HYDRA_SEEDS=100000` plays so many.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const SUBSCRIPTIONS: i64 = 5;
const THREADS: usize = 12;
const CHAOS: usize = 250;
/// More turns than a quiet end ever needs.
const CALM: usize = 20_000;

/// A row of `hydra.subscription`, and how its receiver is disposed.
#[derive(Debug)]
struct Endpoint {
    subscription: Subscription,
    /// How likely a request succeeds.
    health: f64,
    deleted: bool,
}

/// A row of `hydra.delivery`.
#[derive(Debug, Clone)]
struct Row {
    event: EventId,
    subscription: SubscriptionId,
    attempts: u32,
    earlier: u32,
    scheduled_at: Option<SystemTime>,
    /// `None` once it has failed.
    due: Option<SystemTime>,
    claimed: bool,
}

/// What is true of a delivery, whatever the dispatcher thinks.
#[derive(Debug)]
struct Fate {
    #[allow(dead_code)] // for people to read
    event: EventId,
    subscription: SubscriptionId,
    /// The run of the dispatcher in which it last succeeded.
    succeeded_in: Option<u32>,
    /// Its success is written, or somebody took it off the queue.
    over: bool,
}

struct World {
    chance: StdRng,
    clock: SystemTime,
    instant: Instant,
    // The database.
    endpoints: BTreeMap<SubscriptionId, Endpoint>,
    events: BTreeMap<EventId, Vec<(SubscriptionId, DeliveryId)>>,
    rows: BTreeMap<DeliveryId, Row>,
    // The dispatcher.
    dispatch: Dispatch,
    run: u32,
    read_up_to: EventId,
    next_event: i64,
    news: bool,
    /// What each thread has left to do.
    chains: Vec<Request>,
    // The truth.
    fates: HashMap<DeliveryId, Fate>,
    /// What is the same in every delivery.
    work: Work,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let endpoints = (1..=SUBSCRIPTIONS).map(|id| (SubscriptionId(id), Endpoint::new(id, &mut chance))).collect();
        let mut world = Self {
            chance,
            clock: time(0),
            instant: Instant::now(),
            endpoints,
            events: BTreeMap::new(),
            rows: BTreeMap::new(),
            dispatch: Dispatch::new(NAMESPACE),
            run: 0,
            read_up_to: EventId(0),
            next_event: 1,
            news: true,
            chains: Vec::new(),
            fates: HashMap::default(),
            work: claimed(0, 0, 0),
        };
        world.start();
        world
    }

    fn chaos(&mut self) {
        match self.chance.random_range(0..100) {
            0..15 => self.emit(),
            15..30 => self.read(),
            30..40 => self.claim(),
            40..60 => self.hand_out(),
            60..78 => self.finish_one(),
            78..86 => self.write(),
            86..93 => self.let_time_pass(),
            93 => self.crash(),
            94 => self.set_active(false),
            95 => self.set_active(true),
            96 => self.delete_or_sicken(),
            97 => self.retry_by_hand(),
            98 => self.cancel(),
            _ => self.look_for_changes(),
        }
    }

    /// Receivers are well and nobody interferes: what is left is delivered.
    fn calm(&mut self) {
        // What was decided before, and only now is written.
        self.write();
        for endpoint in self.endpoints.values_mut() {
            endpoint.health = 1.0;
            endpoint.resume(self.clock);
        }
        self.news = true;
        for _ in 0..CALM {
            self.look_for_changes();
            self.read();
            self.claim();
            self.hand_out();
            while !self.chains.is_empty() {
                self.finish_one();
            }
            self.write();
            if self.events.is_empty() && self.rows.values().all(|row| row.due.is_none()) {
                return;
            }
            self.pass(Duration::from_secs(5));
        }
        let waiting = self.rows.iter().find(|(_, row)| row.due.is_some());
        let endpoint = waiting.map(|(_, row)| &self.endpoints[&row.subscription]);
        panic!(
            "at {:?}, {} events wait, and deliveries such as {waiting:?} for {endpoint:?}",
            self.clock,
            self.events.len()
        );
    }

    fn check_the_end(&self) {
        for (id, fate) in &self.fates {
            let given_up = self.rows.get(id).is_some_and(|row| row.due.is_none());
            assert!(fate.over || given_up, "{fate:?} was neither delivered nor given up");
        }
    }

    // ---- the application and its people --------------------------------------------------------------------------------

    fn emit(&mut self) {
        let active = self.endpoints.iter().filter(|(_, endpoint)| endpoint.subscription.active && !endpoint.deleted);
        let candidates: Vec<SubscriptionId> = active.map(|(id, _)| *id).collect();
        for _ in 0..self.chance.random_range(1..20) {
            let event = EventId(self.next_event);
            let wanted = candidates.iter().copied().filter(|_| self.chance.random_bool(0.4));
            let targets: Vec<_> = wanted.map(|id| (id, DeliveryId::derive(NAMESPACE, event, id))).collect();
            if targets.is_empty() {
                continue;
            }
            self.next_event += 1;
            for (subscription, id) in &targets {
                self.fates.insert(*id, Fate { event, subscription: *subscription, succeeded_in: None, over: false });
            }
            self.events.insert(event, targets);
        }
    }

    fn any_subscription(&mut self) -> SubscriptionId {
        SubscriptionId(self.chance.random_range(1..=SUBSCRIPTIONS))
    }

    fn set_active(&mut self, active: bool) {
        let id = self.any_subscription();
        let endpoint = self.endpoints.get_mut(&id).expect("one of them");
        match active {
            true => endpoint.resume(self.clock),
            false => endpoint.stop(self.clock),
        }
        self.news = true;
    }

    fn delete_or_sicken(&mut self) {
        let id = self.any_subscription();
        let health = if self.chance.random_bool(0.5) { 0.0 } else { self.chance.random_range(0.0..1.0) };
        let endpoint = self.endpoints.get_mut(&id).expect("one of them");
        endpoint.health = health;
        if self.chance.random_bool(0.1) {
            endpoint.deleted = true;
            self.rows.retain(|_, row| row.subscription != id || row.claimed || row.due.is_none());
            self.fates.values_mut().filter(|fate| fate.subscription == id).for_each(|fate| fate.over = true);
            self.news = true;
        }
    }

    fn retry_by_hand(&mut self) {
        let clock = self.clock;
        let failed = self.rows.values_mut().find(|row| row.due.is_none());
        if let Some(row) = failed.filter(|row| !self.endpoints[&row.subscription].deleted) {
            *row = Row { due: Some(clock), earlier: row.attempts, scheduled_at: None, ..row.clone() };
            self.news = true;
        }
    }

    fn cancel(&mut self) {
        let waiting = self.rows.iter().find(|(_, row)| !row.claimed).map(|(id, _)| *id);
        if let Some(id) = waiting {
            self.rows.remove(&id);
            self.fates.get_mut(&id).expect("every row has one").over = true;
        }
    }

    fn let_time_pass(&mut self) {
        let passed = match self.chance.random_range(0..10) {
            0..6 => Duration::from_millis(self.chance.random_range(1..400)),
            6..9 => Duration::from_secs(self.chance.random_range(1..30)),
            _ => Duration::from_secs(self.chance.random_range(30..7200)),
        };
        self.pass(passed);
        // Somebody sets the clock.
        if self.chance.random_bool(0.05) {
            let hour = Duration::from_secs(3600);
            self.clock = if self.chance.random_bool(0.5) { self.clock + hour } else { self.clock - hour };
        }
    }

    fn pass(&mut self, passed: Duration) {
        self.instant += passed;
        self.clock += passed;
        self.dispatch.move_stragglers(self.instant);
        self.dispatch.end_pauses(self.instant);
    }

    // ---- the dispatcher's loop -----------------------------------------------------------------------------------------

    fn start(&mut self) {
        self.dispatch = Dispatch::new(NAMESPACE);
        self.dispatch.begin_sending(self.clock);
        self.run += 1;
        self.read_up_to = EventId(0);
        self.rows.values_mut().for_each(|row| row.claimed = false);
        self.rows.retain(|_, row| row.due.is_none() || !self.endpoints[&row.subscription].deleted);
        self.news = true;
        self.look_for_changes();
    }

    /// What was under way may have arrived, or not; nobody will ever say.
    fn crash(&mut self) {
        for request in std::mem::take(&mut self.chains) {
            if self.chance.random_bool(0.5) && !request.endpoint.gate.is_closed() {
                self.arrive(&request);
            }
        }
        self.start();
    }

    fn look_for_changes(&mut self) {
        if !std::mem::take(&mut self.news) {
            return;
        }
        let there = self.endpoints.values().filter(|endpoint| !endpoint.deleted);
        // As they are read: each time with a new gate.
        let subscriptions = there.map(|endpoint| endpoint.read()).collect();
        self.dispatch.set_subscriptions(subscriptions);
        for request in &self.chains {
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

    fn read(&mut self) {
        if !self.dispatch.has_room(self.instant) {
            return;
        }
        let page = self.chance.random_range(1..30);
        let unread = self.events.range((Bound::Excluded(self.read_up_to), Bound::Unbounded)).take(page);
        let subscriptions = |targets: &[(SubscriptionId, _)]| targets.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
        let events: Vec<_> = unread.map(|(id, targets)| wanted_by(&subscriptions(targets), id.0)).collect();
        if self.dispatch.has_strangers(&events) {
            self.news = true;
            self.look_for_changes();
        }
        for event in &events {
            self.read_up_to = event.row.id;
            self.dispatch.accept_event(event, self.instant);
        }
    }

    fn claim(&mut self) {
        let room = self.dispatch.to_claim(self.clock);
        if room.is_empty() {
            return;
        }
        self.write();
        for (subscription, count) in &room {
            for id in self.due_rows(*subscription, *count as usize) {
                let row = self.rows.get_mut(&id).expect("it was just found");
                row.claimed = true;
                let work = row.work(id, &self.work);
                self.dispatch.accept_claimed(work, self.clock, self.instant);
            }
        }
        let ids: Vec<SubscriptionId> = room.iter().map(|(id, _)| *id).collect();
        self.look_for_due(&ids);
    }

    fn due_rows(&self, subscription: SubscriptionId, count: usize) -> Vec<DeliveryId> {
        let waiting = self.rows.iter().filter(|(_, row)| row.subscription == subscription && !row.claimed);
        let due =
            waiting.filter_map(|(id, row)| row.due.filter(|due| *due <= self.clock).map(|due| (due, row.event, *id)));
        due.collect::<BTreeSet<_>>().into_iter().take(count).map(|(_, _, id)| id).collect()
    }

    fn look_for_due(&mut self, ids: &[SubscriptionId]) {
        for id in ids {
            let waiting = self.rows.values().filter(|row| row.subscription == *id && !row.claimed);
            let first = waiting.filter_map(|row| row.due).min();
            self.dispatch.set_next_due(*id, first, self.clock);
        }
    }

    fn hand_out(&mut self) {
        let requests = self.dispatch.hand_out(THREADS, self.instant);
        self.chains.extend(requests);
        let mut under_way = HashSet::default();
        let mut threads: BTreeMap<SubscriptionId, usize> = BTreeMap::new();
        for chain in &self.chains {
            *threads.entry(chain.endpoint.subscription).or_default() += 1;
            let mut next = Some(chain);
            while let Some(request) = next {
                assert!(under_way.insert(request.delivery), "a delivery is under way twice");
                next = request.next.as_deref();
            }
        }
        assert!(self.chains.len() <= THREADS, "more is under way than there are threads");
        for (id, count) in threads {
            let limit = self.endpoints[&id].subscription.max_in_flight;
            assert!(count <= limit, "subscription {id} has {count} requests under way of {limit}");
        }
    }

    /// A thread makes its next request.
    fn finish_one(&mut self) {
        if self.chains.is_empty() {
            return;
        }
        let index = self.chance.random_range(0..self.chains.len());
        let mut request = self.chains.swap_remove(index);
        let next = request.next.take();
        let took = Duration::from_micros(self.chance.random_range(100..30_000));
        let outcome = if request.endpoint.gate.is_closed() { Outcome::NotStarted } else { self.arrive(&request) };
        self.settle(&request, outcome, took);
        match next {
            Some(next) if took < Duration::from_millis(10) => self.chains.push(*next),
            Some(next) => self.give_back(*next),
            None => {}
        }
    }

    fn give_back(&mut self, mut request: Request) {
        if let Some(next) = request.next.take() {
            self.give_back(*next);
        }
        self.settle(&request, Outcome::NotStarted, Duration::ZERO);
    }

    fn settle(&mut self, request: &Request, outcome: Outcome, took: Duration) {
        let (delivery, subscription) = (request.delivery, request.endpoint.subscription);
        let jitter = self.chance.random_range(-1.0..=1.0);
        self.dispatch.settle(Attempt { delivery, subscription, outcome, at: self.clock, took }, self.clock, jitter);
    }

    /// A request comes to its receiver, and is answered.
    fn arrive(&mut self, request: &Request) -> Outcome {
        let health = self.endpoints[&request.endpoint.subscription].health;
        let fate = self.fates.get_mut(&request.delivery).expect("nothing is sent that was not emitted");
        let deleted = self.endpoints[&fate.subscription].deleted;
        assert!(!fate.over || deleted, "{fate:?} was over and is sent again");
        assert_ne!(fate.succeeded_in, Some(self.run), "{fate:?} succeeded in this run already");
        if self.chance.random_bool(health) {
            fate.succeeded_in = Some(self.run);
            return status(200);
        }
        match self.chance.random_range(0..40) {
            0 => status(410),
            1..20 => status(503),
            _ => timeout(),
        }
    }

    /// One transaction with all decisions so far.
    fn write(&mut self) {
        let writes = &self.dispatch.writes;
        for (id, write) in &writes.rows {
            match write {
                RowWrite::Insert(work, state) => {
                    let row = Row::new(work, self.clock).in_state(*state, self.clock);
                    assert!(self.rows.insert(*id, row).is_none(), "a delivery has a row already");
                }
                RowWrite::Update(_, state) => {
                    if let Some(row) = self.rows.get_mut(id) {
                        *row = row.clone().in_state(*state, self.clock);
                    }
                }
                RowWrite::Delete => {
                    self.rows.remove(id);
                    let fate = self.fates.get_mut(id).expect("every row has one");
                    let deleted = self.endpoints[&fate.subscription].deleted;
                    assert!(fate.succeeded_in.is_some() || deleted, "{fate:?} goes without a success");
                    fate.over = true;
                }
            }
        }
        for event in &writes.finished_events {
            for (subscription, id) in self.events.remove(&event.id).unwrap_or_default() {
                let fate = self.fates.get_mut(&id).expect("every event has them");
                if !self.rows.contains_key(&id) {
                    let deleted = self.endpoints[&subscription].deleted;
                    assert!(fate.succeeded_in.is_some() || deleted, "{fate:?} has lost its home");
                    fate.over = true;
                }
            }
        }
        for id in &writes.deleted {
            self.rows.retain(|_, row| row.subscription != *id || row.due.is_none());
        }
        self.dispatch.written(self.clock);
        self.write_verdicts();
    }

    fn write_verdicts(&mut self) {
        let verdicts = std::mem::take(&mut self.dispatch.verdicts);
        for (id, failing) in verdicts.failing {
            self.endpoints.get_mut(&id).expect("one of them").subscription.failing = failing;
        }
        for id in verdicts.disabled.into_keys() {
            self.endpoints.get_mut(&id).expect("one of them").stop(self.clock);
            self.news = true;
        }
    }
}

impl Endpoint {
    fn new(id: i64, chance: &mut StdRng) -> Self {
        let delays = chance.random_range(0..4);
        let subscription = Subscription {
            schedule: (0..delays).map(|_| Duration::from_secs(chance.random_range(0..60))).collect(),
            max_in_flight: [1, 2, 10][chance.random_range(0..3)],
            disable_after: chance.random_bool(0.3).then(|| chance.random_range(1..12)),
            rate_limit: chance.random_bool(0.2).then(|| chance.random_range(1..50)),
            log_successes: chance.random_bool(0.2),
            ..subscription(id)
        };
        Self { subscription, health: [0.0, 0.5, 0.9, 1.0, 1.0][chance.random_range(0..5)], deleted: false }
    }

    fn read(&self) -> Subscription {
        let id = self.subscription.id.0;
        Subscription { endpoint: super::subscription(id).endpoint, ..self.subscription.clone() }
    }

    fn stop(&mut self, now: SystemTime) {
        if self.subscription.active {
            self.subscription.active = false;
            self.subscription.status_since = now;
        }
    }

    fn resume(&mut self, now: SystemTime) {
        if !self.subscription.active {
            self.subscription.active = true;
            self.subscription.status_since = now;
            self.subscription.failing = Failing::default();
        }
    }
}

impl Row {
    fn new(work: &Work, now: SystemTime) -> Self {
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

    fn in_state(self, state: RowState, now: SystemTime) -> Self {
        match state {
            RowState::Claimed => Self { claimed: true, ..self },
            RowState::Released if self.attempts == 0 => Self { due: Some(now), claimed: false, ..self },
            RowState::Released => Self { claimed: false, ..self },
            RowState::Due { attempts, scheduled_at, due_at } => {
                Self { attempts, scheduled_at: Some(scheduled_at), due: Some(due_at), claimed: false, ..self }
            }
            RowState::Failed { attempts } => Self { attempts, due: None, claimed: false, ..self },
        }
    }

    fn work(&self, delivery: DeliveryId, common: &Work) -> Work {
        Work {
            delivery,
            subscription: self.subscription,
            event: self.event,
            attempts: self.attempts,
            earlier_attempts: self.earlier,
            scheduled_at: self.scheduled_at,
            event_type: Arc::clone(&common.event_type),
            tenant_id: common.tenant_id.clone(),
            body: Arc::clone(&common.body),
            ..*common
        }
    }
}

fn play_all(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(seed))) {
            eprintln!("HYDRA_SEED={seed} plays it again");
            resume_unwind(panic);
        }
    }
}

fn play(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..CHAOS {
        world.chaos();
    }
    world.calm();
    world.check_the_end();
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_nothing_is_lost_or_sent_twice_or_waits_for_ever() {
    let seeds = match number("HYDRA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HYDRA_SEEDS").unwrap_or(2_000),
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for first in 0..threads {
            let seeds = seeds.clone().skip(first).step_by(threads);
            scope.spawn(|| play_all(seeds));
        }
    });
}
