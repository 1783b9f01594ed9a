//! Reading in a model of transactions: in whatever order they commit, each event is read once, and in order where that
//! was promised. Random runs are determined by their seeds, and a failure names its seed.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use wire::ids::{EventId, EventKey};

use super::*;
use crate::stored_event::EventRow;
use crate::stored_event::tests::stored;
use crate::xid::Xid8;

const PAGE: usize = 10;

/// Subscriptions that were promised an order, and one to which it is promised later.
const IN_ORDER: [i64; 2] = [1, 2];
const LATER: i64 = 3;
const OTHERS: [i64; 4] = [LATER, 4, 5, 6];

fn ids(ids: impl IntoIterator<Item = i64>) -> HashSet<SubscriptionId> {
    ids.into_iter().map(SubscriptionId).collect()
}

fn id(event: &StoredEvent) -> i64 {
    event.row.event.id.0
}

struct World {
    progress: Progress,
    now: Instant,
    next_xid: u64,
    next_id: i64,
    /// Transactions in progress, by session, with the events that they emitted.
    sessions: BTreeMap<u64, (u64, Vec<StoredEvent>)>,
    /// Events that have committed, in order of transaction and id.
    committed: BTreeMap<(u64, i64), StoredEvent>,
    /// The session that emitted each event.
    emitters: BTreeMap<i64, u64>,
    /// Events in the order in which they were read.
    read: Vec<StoredEvent>,
    /// The first event from which on [`LATER`] gets its events in order too.
    in_order_from: Option<i64>,
    /// Whether reading was informed that [`LATER`] is in order.
    known: bool,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            progress: Progress::new(),
            now: Instant::now(),
            next_xid: 3,
            next_id: 1,
            sessions: BTreeMap::new(),
            committed: BTreeMap::new(),
            emitters: BTreeMap::new(),
            read: Vec::new(),
            in_order_from: None,
            known: false,
        };
        world.progress.set_subscriptions(ids(IN_ORDER), ids(OTHERS));
        world
    }

    /// Informs reading of changes, before it takes in anything that was committed after them.
    fn inform_reading(&mut self) {
        if self.in_order_from.is_some() && !self.known {
            self.known = true;
            let in_order = ids(IN_ORDER.into_iter().chain([LATER]));
            let others = ids(OTHERS.into_iter().filter(|id| *id != LATER));
            self.progress.set_subscriptions(in_order, others);
        }
    }

    /// Emits `count` events, in a transaction that begins now if the session has none.
    fn emit(&mut self, session: u64, count: usize, targets: &[i64]) {
        let (xid, events) = self.sessions.entry(session).or_insert_with(|| {
            self.next_xid += 1;
            (self.next_xid - 1, Vec::new())
        });
        for id in self.next_id..self.next_id + count as i64 {
            events.push(stored(*xid, id, targets));
            self.emitters.insert(id, session);
        }
        self.next_id += count as i64;
    }

    fn commit(&mut self, session: u64) {
        if let Some((xid, events)) = self.sessions.remove(&session) {
            self.committed.extend(events.into_iter().map(|event| ((xid, id(&event)), event)));
        }
    }

    fn roll_back(&mut self, session: u64) {
        self.sessions.remove(&session);
    }

    fn emit_and_commit(&mut self, session: u64, count: usize, targets: &[i64]) {
        self.emit(session, count, targets);
        self.commit(session);
    }

    fn snapshot(&self) -> Snapshot {
        let in_progress = self.sessions.values().map(|(xid, _)| Xid8(*xid)).collect();
        Snapshot { xmax: Xid8(self.next_xid), in_progress }
    }

    /// Reads one page, if there is anything that may be read.
    fn read(&mut self, newest: bool, aside: bool) -> Option<Which> {
        self.progress.set_aside(self.now);
        let which = self.progress.choose(newest, aside)?;
        let stretch = self.progress.stretch(which);
        let target = stretch.target.clone().unwrap_or_else(|| self.snapshot());
        let is_next = |event: &&StoredEvent| {
            let EventRow { xid, event: EventKey { id, .. }, .. } = event.row;
            target.sees(xid) && !stretch.done.sees(xid) && (xid, id) > stretch.cursor
        };
        let page: Vec<StoredEvent> = self.committed.values().filter(is_next).take(PAGE).cloned().collect();
        let is_full = page.len() == PAGE;
        self.inform_reading();
        if self.progress.may_take_in(which) {
            self.read.extend(self.progress.take_in(which, target, page, is_full, self.now));
        }
        Some(which)
    }

    /// Reads for this long, one page every 20 ms.
    fn read_for(&mut self, millis: u64) {
        for _ in 0..millis / 20 {
            self.now += Duration::from_millis(20);
            self.read(true, true);
        }
    }

    /// Reads until there is no more, one page every `millis` milliseconds.
    fn read_all(&mut self, millis: u64) {
        loop {
            let before = self.read.len();
            self.now += Duration::from_millis(millis);
            let newest = self.read(true, true) == Some(Which::Newest);
            if newest && self.read.len() == before && !self.progress.has_begun() && !self.progress.overtakes() {
                return;
            }
        }
    }

    fn place_of(&self, id: i64) -> usize {
        self.read.iter().position(|event| event.row.event.id == EventId(id)).expect("it was read")
    }

    fn check(&self) {
        let mut unread: BTreeSet<i64> = self.committed.keys().map(|(_, id)| *id).collect();
        let again: Vec<i64> = self.read.iter().map(id).filter(|id| !unread.remove(id)).collect();
        assert!(again.is_empty() && unread.is_empty(), "read again: {again:?}, never: {unread:?}");
        let promised = IN_ORDER.into_iter().map(|id| (id, 0)).chain(self.in_order_from.map(|from| (LATER, from)));
        for (subscription, from) in promised {
            let mut latest: BTreeMap<u64, i64> = BTreeMap::new();
            let of_it =
                |event: &&StoredEvent| id(event) >= from && event.targets.contains(&SubscriptionId(subscription));
            for event in self.read.iter().filter(of_it) {
                let before = latest.insert(self.emitters[&id(event)], id(event));
                assert!(before < Some(id(event)), "{} came after {before:?}, to {subscription}", event.row.event.id);
            }
        }
    }
}

fn random_run(seed: u64) -> bool {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut world = World::new();
    let mut overtook = false;
    let change = chance.random_range(0..800);
    for step in 0..400 {
        if step == change {
            world.in_order_from = Some(world.next_id);
        }
        let session = chance.random_range(0..6);
        match chance.random_range(0..10) {
            0..3 => {
                let count = if chance.random_bool(0.1) { 10 * PAGE } else { chance.random_range(1..PAGE / 2) };
                let targets: Vec<i64> = (1..=5).filter(|_| chance.random_bool(0.3)).chain([6]).collect();
                let some = if chance.random_bool(0.5) { &targets[..1] } else { &targets[..] };
                world.emit(session, count, some);
            }
            3..5 => world.commit(session),
            5 if chance.random_bool(0.2) => world.roll_back(session),
            _ => {
                world.read(chance.random_bool(0.7), chance.random_bool(0.7));
                overtook |= world.progress.overtakes();
            }
        }
        world.now += Duration::from_millis(chance.random_range(0..40));
    }
    (0..6).for_each(|session| world.commit(session));
    world.read_all(chance.random_range(0..40));
    world.check();
    overtook
}

#[test]
fn each_event_is_read_once_and_in_order_where_that_was_promised_whatever_commits_when() {
    let mut overtook = 0;
    for seed in 0..300 {
        let run = std::panic::catch_unwind(|| random_run(seed));
        overtook += usize::from(run.unwrap_or_else(|_| panic!("seed {seed} failed")));
    }
    assert!(overtook > 200, "{overtook} runs with something set aside");
}

#[test]
fn behind_a_flood_events_for_others_are_read_at_once_and_events_that_are_held_after_it() {
    let mut world = World::new();
    let [flood, other, shared, own, in_order] = [1, 1001, 1002, 1003, 1004];
    world.emit_and_commit(1, 1000, &[3]);
    world.read_for(100);
    assert!(!world.progress.overtakes(), "no stretch was long until now");
    world.emit_and_commit(2, 1, &[4]);
    world.emit_and_commit(2, 1, &[3, 4]);
    world.emit_and_commit(2, 1, &[3]);
    world.emit_and_commit(2, 1, &[4, 1]);
    world.read_all(20);
    world.check();
    assert_eq!(world.place_of(flood), 0);
    assert!(world.place_of(other) <= 8 * PAGE);
    assert!(world.place_of(shared) <= 8 * PAGE);
    assert_eq!([world.place_of(own), world.place_of(in_order)], [1002, 1003]);
}

#[test]
fn behind_two_floods_a_third_is_read_at_once() {
    let mut world = World::new();
    world.emit_and_commit(1, 1000, &[3]);
    world.read_for(200);
    world.emit_and_commit(1, 1000, &[4]);
    world.read_for(200);
    let read = world.read.len();
    world.emit_and_commit(2, 1, &[5]);
    world.read_all(20);
    world.check();
    assert!(world.place_of(2001) <= read + 2 * PAGE, "{} after {read}", world.place_of(2001));
}

#[test]
fn a_long_stretch_alone_is_read_in_order() {
    let mut world = World::new();
    for session in 0..50 {
        world.emit_and_commit(session, 10, &[session as i64]);
    }
    world.read_all(30);
    world.check();
    assert!(world.read.is_sorted_by_key(id));
}

#[test]
fn a_flood_for_all_subscriptions_is_not_set_aside() {
    let mut world = World::new();
    world.progress.set_subscriptions(ids([1]), ids([4, 5]));
    world.emit_and_commit(1, 1000, &[4, 5]);
    world.emit_and_commit(2, 1, &[4]);
    world.read_for(1000);
    assert!(!world.progress.overtakes());
}

#[test]
fn held_events_are_read_even_if_more_is_emitted_than_can_be_read() {
    let mut world = World::new();
    world.emit_and_commit(1, 1000, &[4]);
    world.read_for(200);
    let held = world.next_id;
    world.emit_and_commit(2, 1, &[1]);
    let start = world.now;
    while world.read.iter().all(|event| id(event) != held) {
        world.emit_and_commit(3, PAGE + 1, &[5]);
        world.read_for(20);
        assert!(world.now < start + Duration::from_secs(60), "it is still held");
    }
    assert!(world.now > start + Duration::from_secs(10), "it was never held");
}
