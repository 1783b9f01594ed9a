//! The decisions of the dispatcher in a simulated world of tables, receivers and random events. Whatever happens, and
//! in whatever order, no delivery is lost, no delivery is sent twice at the same time or again after its success was
//! written, no delivery waits forever, and none that is to be kept is finished without being kept.
//!
//! Everything in a run is determined by its seed. A failure names the seed, and `HYDRA_SEED=17 cargo test -p delivery
//! simulation` repeats that run. `HYDRA_SEEDS=100000` makes that many runs.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wire::ids::{EventId, EventKey};

use super::*;
use crate::clock::{Clocks, Interruption};
use tables::{Endpoint, Fate, Row};

mod dispatcher;
mod people;
mod sender;
mod tables;

const SUBSCRIPTIONS: i64 = 5;
const MAX_REQUESTS: usize = 12;
const DISTURBANCES: usize = 250;
/// More turns than are ever needed once there are no more disturbances.
const QUIET_TURNS: usize = 20_000;

struct World {
    random: StdRng,
    clock: SystemTime,
    instant: Instant,
    clocks: Clocks,
    // The database.
    endpoints: BTreeMap<SubscriptionId, Endpoint>,
    events: BTreeMap<EventId, Vec<(SubscriptionId, DeliveryId)>>,
    rows: BTreeMap<DeliveryId, Row>,
    /// Deliveries in `hydra.delivered`.
    kept: BTreeSet<DeliveryId>,
    // The dispatcher.
    dispatch: Dispatch,
    run: u32,
    read_up_to: EventId,
    next_event: i64,
    news: bool,
    /// The requests that were handed over and have no outcome so far, in their order.
    requests: Vec<Request>,
    // The true state, which the dispatcher may not know.
    fates: HashMap<DeliveryId, Fate>,
    /// The parts that are the same in every delivery.
    work: Work,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let endpoints = (1..=SUBSCRIPTIONS).map(|id| (SubscriptionId(id), Endpoint::new(id, &mut random))).collect();
        let mut world = Self {
            random,
            clock: time(0),
            instant: instant(0),
            clocks: Clocks::new(time(0), instant(0)),
            endpoints,
            events: BTreeMap::new(),
            rows: BTreeMap::new(),
            kept: BTreeSet::new(),
            dispatch: Dispatch::default(),
            run: 0,
            read_up_to: EventId(0),
            next_event: 1,
            news: true,
            requests: Vec::new(),
            fates: HashMap::default(),
            work: claimed(0, 0, 0),
        };
        world.start();
        world
    }

    fn disturb(&mut self) {
        match self.random.random_range(0..100) {
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
            96 => self.delete_or_break(),
            97 => self.retry_by_hand(),
            98 => self.cancel(),
            _ => self.look_for_changes(),
        }
    }

    /// Lets all receivers work and nothing else happen, until everything that is left has been delivered.
    fn settle_down(&mut self) {
        // Decisions that were made earlier and are written now.
        while !self.dispatch.writes.is_empty() || !self.dispatch.verdicts.is_empty() {
            self.write();
        }
        for endpoint in self.endpoints.values_mut() {
            endpoint.health = 1.0;
            endpoint.faulty = false;
            endpoint.resume(self.clock);
        }
        self.news = true;
        for _ in 0..QUIET_TURNS {
            self.look_for_changes();
            self.read();
            self.claim();
            self.hand_out();
            while !self.requests.is_empty() {
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
}

fn run_all(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("HYDRA_SEED={seed} repeats it");
            resume_unwind(panic);
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..DISTURBANCES {
        world.disturb();
    }
    world.settle_down();
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
            scope.spawn(|| run_all(seeds));
        }
    });
}
