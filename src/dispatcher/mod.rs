//! The dispatcher: the one thread that touches Postgres for all deliveries of a database.
//!
//! It turns in a loop: take outcomes, write what they mean, read new events and claim due deliveries, hand out
//! requests, wait. It waits for its latch (a commit, a signal), the senders' bell (an outcome) or the time of
//! something due, and nowhere else. What it decides is decided by [`Dispatch`]; what it reads and writes is in
//! [`Store`]. An error aborts a transaction and nothing more: what was to be written is kept and tried again.

mod chores;
mod entry;
mod extension;
mod reader;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use pgrx::prelude::*;

use crate::delivery::Attempt;
use crate::dispatch::Dispatch;
use crate::first_steps::FirstSteps;
use crate::progress::Which;
use crate::sealing::Keys;
use crate::sender::{Bell, Limits, Roots, Sender};
use crate::slots::{Slot, State};
use crate::store::Store;
use crate::writes::Verdicts;
use crate::{changes, descriptors, fault, keys, process, settings};
use chores::Chores;
use reader::{Found, LOG_WAIT, Reader};

/// At most this long after a lost wake, the dispatcher looks by itself. Also bounds how late it learns of a pause.
const POLL: Duration = Duration::from_millis(500);

/// Outcomes are written when there are so many, or when the oldest has waited for so long.
const BATCH: usize = 1000;
const BATCH_WAIT: Duration = Duration::from_millis(10);

/// Counts are written this often.
const COUNTS_EVERY: Duration = Duration::from_secs(60);

/// After an error nothing is read or written for this long.
const BACK_OFF: Duration = Duration::from_secs(1);

/// How long requests under way may take to finish when the dispatcher ends.
const LAST_REQUESTS: Duration = Duration::from_millis(1500);

struct Dispatcher {
    slot: &'static Slot,
    extension: pg_sys::Oid,
    /// Tells claims of this run from those of others.
    run: i64,
    store: Store,
    reader: Reader,
    dispatch: Dispatch,
    sender: Sender,
    threads: usize,
    outcomes: Receiver<Attempt>,
    bell: Arc<Bell>,
    /// Whether this database is ours to send for.
    at_home: bool,
    /// Whether it has written nothing yet.
    in_first_steps: bool,
    next_poll: Instant,
    next_counts: Instant,
    chores: Chores,
    /// Whether there may be events that were not read.
    unread: bool,
    /// Events that were read and not taken in yet.
    found: Option<Found>,
    /// Since when there is something to write.
    unwritten_since: Option<Instant>,
    not_before: Instant,
    no_verdicts_before: Instant,
    /// When secrets have to be read again because an overlap ends.
    secrets_stale_at: Option<SystemTime>,
    /// Subscriptions whose secrets cannot be read.
    unreadable: BTreeSet<i64>,
}

impl Dispatcher {
    fn new(slot: &'static Slot, extension: pg_sys::Oid) -> Self {
        let threads = descriptors::threads_for(settings::sender_threads());
        let bell = Arc::new(Bell::new().expect("a file descriptor for the bell"));
        let (send, outcomes) = channel();
        let policy = Arc::new(settings::destination_policy());
        let sender = Sender::start(Limits { max_threads: threads }, policy, load_roots(), send, Arc::clone(&bell));
        changes::listen();
        let now = Instant::now();
        Self {
            slot,
            extension,
            run: rand::random(),
            store: Store::default(),
            reader: Reader::new(),
            dispatch: Dispatch::new([0; 16]),
            sender,
            threads,
            outcomes,
            bell,
            at_home: false,
            in_first_steps: true,
            next_poll: now,
            next_counts: now + COUNTS_EVERY,
            chores: Chores::new(now),
            unread: true,
            found: None,
            unwritten_since: None,
            not_before: now,
            no_verdicts_before: now,
            secrets_stale_at: None,
            unreadable: BTreeSet::new(),
        }
    }

    fn run(mut self) {
        fault::point("start");
        self.take_over();
        while !process::stop_requested() && !self.slot.is_parked() && !self.is_over() {
            if process::reload_requested() {
                self.apply_settings();
            }
            self.take_outcomes();
            if Instant::now() >= self.not_before {
                let (turned, done) = (self.turn(), self.do_chores());
                for error in [turned, done].into_iter().filter_map(Result::err) {
                    warning!("hydra_webhooks dispatcher: {error}");
                    self.not_before = Instant::now() + BACK_OFF;
                }
            }
            self.slot.in_flight.store(self.dispatch.in_flight() as u32, Ordering::Relaxed);
            self.slot.queued.store(self.dispatch.queued() as u32, Ordering::Relaxed);
            process::wait(Some(self.bell.fd()), self.time_to_wait());
        }
        if !self.is_over() {
            let slot = self.slot;
            self.end();
            slot.set_state(State::Ended);
        }
    }

    /// Whether the extension that this dispatcher works for is no more.
    fn is_over(&self) -> bool {
        matches!(self.slot.state(), State::Absent | State::Ended)
    }

    /// Makes the queue ours: claims of dispatchers before this one are void.
    fn take_over(&mut self) {
        while !process::stop_requested() && !self.slot.is_parked() && !self.is_over() {
            let taken = process::transaction(|| {
                changes::listen_to_subscriptions();
                self.store.clean_up();
                fault::point("take_over");
            });
            match taken {
                Ok(()) => return,
                Err(_) if extension::find() != Ok(Some(self.extension)) => self.slot.set_state(State::Ended),
                Err(error) => warning!("hydra_webhooks dispatcher: {error}"),
            }
            process::wait(None, BACK_OFF);
        }
    }

    fn take_outcomes(&mut self) {
        self.bell.silence();
        let now = SystemTime::now();
        while let Ok(attempt) = self.outcomes.try_recv() {
            fault::point("settle");
            self.dispatch.settle(attempt, now, rand::random_range(-1.0..=1.0));
        }
        self.dispatch.move_stragglers(Instant::now());
        self.dispatch.end_pauses(Instant::now());
        self.note_unwritten();
    }

    fn note_unwritten(&mut self) {
        if self.unwritten_since.is_none() && !self.dispatch.writes.is_empty() {
            self.unwritten_since = Some(Instant::now());
        }
    }

    /// One turn, as far as it concerns the database. An error leaves all that it did not get to for the next one.
    fn turn(&mut self) -> Result<(), String> {
        // In this order: a wake that comes after the flag was taken is seen by the next turn.
        let woken = self.slot.take_wake();
        let polled = Instant::now() >= self.next_poll;
        if polled {
            self.next_poll = Instant::now() + POLL;
        }
        if woken || polled {
            self.unread = true;
            // The start of a transaction is where changes are told.
            process::transaction(|| ())?;
        }
        self.look_for_changes()?;
        if self.is_over() {
            return Ok(());
        }
        if self.slot.state() == State::Running {
            self.claim()?;
            self.read()?;
            self.hand_out();
            self.note_unwritten();
        }
        // Last: what we commit just before reading would have to be on disk for what is read, see `commits_of`.
        if self.writing_is_due() {
            self.write()?;
        }
        Ok(())
    }

    fn look_for_changes(&mut self) -> Result<(), String> {
        if self.secrets_stale_at.is_some_and(|at| at <= SystemTime::now()) {
            changes::note();
        }
        if changes::take()
            && let Err(error) = self.load()
        {
            changes::note();
            return Err(error);
        }
        Ok(())
    }

    /// Reads again who we are and whom we send to.
    fn load(&mut self) -> Result<(), String> {
        match extension::find()? {
            Some(extension) if extension == self.extension => {}
            // Dropped and created again: everything that we know belongs to the former one.
            Some(_) => {
                self.slot.set_state(State::Ended);
                return Ok(());
            }
            None => {
                self.slot.set_state(State::Absent);
                return Ok(());
            }
        }
        let keys = load_keys();
        let (namespace, subscriptions) = process::transaction(|| {
            (self.store.identity(), self.store.subscriptions(settings::max_in_flight(), &keys))
        })?;
        if let Some(namespace) = namespace {
            self.dispatch.set_namespace(namespace);
        }
        self.at_home = namespace.is_some();
        self.enter_state(self.state());
        fault::point("load");
        self.note_unreadable(subscriptions.unreadable);
        self.secrets_stale_at = subscriptions.stale_at;
        self.dispatch.set_subscriptions(subscriptions.list);
        self.reader.progress.set_subscriptions(self.dispatch.in_order(), self.dispatch.active_others());
        // What is decided about them must be in the table before we say that nothing waits there.
        self.write()?;
        let ids = self.dispatch.subscription_ids();
        self.look_for_due(&ids)
    }

    /// The time in which a secret could not be read counts against no delivery.
    fn note_unreadable(&mut self, unreadable: BTreeSet<i64>) {
        if !self.unreadable.is_subset(&unreadable) {
            self.dispatch.begin_sending(SystemTime::now());
        }
        if !unreadable.is_subset(&self.unreadable) {
            let ids: Vec<_> = unreadable.iter().map(i64::to_string).collect();
            let ids = ids.join(", ");
            warning!("hydra_webhooks: nothing is sent to subscriptions {ids}, whose secrets cannot be read");
        }
        self.slot.unreadable.store(unreadable.len() as u32, Ordering::Relaxed);
        self.unreadable = unreadable;
    }

    fn enter_state(&mut self, state: State) {
        match (self.slot.state(), state) {
            (State::Running, State::Running) => {}
            (_, State::Running) => self.dispatch.begin_sending(SystemTime::now()),
            // Before the subscriptions that were read are taken over, which gives them new gates.
            _ => self.dispatch.close_gates(),
        }
        self.slot.set_state(state);
    }

    fn state(&self) -> State {
        match (self.at_home, settings::enabled()) {
            (false, _) => State::Foreign,
            (true, false) => State::Off,
            (true, true) => State::Running,
        }
    }

    fn verdicts_are_due(&self) -> bool {
        !self.dispatch.verdicts.is_empty() && Instant::now() >= self.no_verdicts_before
    }

    fn writing_is_due(&self) -> bool {
        let waited = self.unwritten_since.is_some_and(|since| since.elapsed() >= BATCH_WAIT);
        waited || self.verdicts_are_due() || self.dispatch.writes.len() >= BATCH || Instant::now() >= self.next_counts
    }

    fn write(&mut self) -> Result<(), String> {
        if !self.dispatch.writes.is_empty() {
            let apply = || process::transaction(|| self.store.apply(&self.dispatch.writes, self.run));
            apply().or_else(|error| if self.store.has_lost_places() { apply() } else { Err(error) })?;
            fault::point("written");
            self.dispatch.written(SystemTime::now());
            if std::mem::take(&mut self.in_first_steps) {
                FirstSteps::of_dispatcher(self.slot).are_done();
            }
        }
        self.unwritten_since = None;
        if self.verdicts_are_due() {
            self.write_verdicts();
        }
        if Instant::now() >= self.next_counts {
            self.write_counts()?;
        }
        Ok(())
    }

    /// Somebody may be changing a subscription for as long as they like; nothing else waits for that.
    fn write_verdicts(&mut self) {
        let written = process::transaction(|| {
            process::pin_local(c"lock_timeout", c"10ms");
            self.store.apply_verdicts(&self.dispatch.verdicts);
        });
        match written {
            Ok(()) => self.dispatch.verdicts = Verdicts::default(),
            Err(_) => self.no_verdicts_before = Instant::now() + BACK_OFF,
        }
    }

    fn write_counts(&mut self) -> Result<(), String> {
        if !self.dispatch.tally.is_empty() {
            process::transaction(|| self.store.add_counts(&self.dispatch.tally))?;
            self.dispatch.tally.written();
        }
        self.next_counts = Instant::now() + COUNTS_EVERY;
        Ok(())
    }

    /// Takes in one page, so that requests are handed out between two of them.
    fn read(&mut self) -> Result<(), String> {
        if self.found.is_none() {
            self.found = self.find()?;
        }
        let Some(found) = &self.found else { return Ok(()) };
        if !found.commits.are_on_disk() {
            // As long as there is something else to do.
            if self.dispatch.in_flight() > 0 && Instant::now() < found.flush_at {
                return Ok(());
            }
            found.commits.flush()?;
        }
        // News that came with the page, and were there before its last event: a new secret, a new subscription.
        if changes::are_noted() || self.dispatch.has_strangers(&found.events) {
            changes::note();
            self.look_for_changes()?;
            if self.is_over() {
                return Ok(());
            }
        }
        if let Some(found) = self.found.take() {
            fault::point("accept");
            self.take_in(found, Instant::now());
        }
        Ok(())
    }

    fn find(&mut self) -> Result<Option<Found>, String> {
        let now = Instant::now();
        self.reader.progress.set_aside(now);
        let Some(which) = self.next_page(now) else { return Ok(None) };
        let found = self.reader.read(&self.store, which)?;
        if which == Which::Newest {
            // A stretch that had begun ends at an older snapshot, and says nothing about what was committed since.
            self.unread = self.reader.progress.has_begun();
        }
        Ok(Some(found))
    }

    fn take_in(&mut self, found: Found, now: Instant) {
        let which = found.which;
        // After news that came with it, it may have to be read later.
        let may_be_taken = self.reader.progress.may_take_in(which);
        if may_be_taken {
            let events = self.reader.take_in(found, now);
            events.iter().for_each(|event| self.dispatch.accept_event(event, now));
        }
        if which == Which::Newest {
            self.unread |= !may_be_taken || self.reader.progress.has_begun();
        }
    }

    /// Which page there is room for.
    fn next_page(&mut self, now: Instant) -> Option<Which> {
        let progress = &self.reader.progress;
        let room = self.dispatch.has_room(now);
        // What overtakes a flood does not wait until its lanes have drained.
        let room_beside =
            room || progress.overtakes() && self.dispatch.has_room_beside(|lane| progress.is_flooded(lane));
        progress.choose(self.unread && room_beside, room)
    }

    /// Claims what is due in the retry queue.
    fn claim(&mut self) -> Result<(), String> {
        let room = self.dispatch.to_claim(SystemTime::now());
        if room.is_empty() {
            return Ok(());
        }
        // What is decided about these subscriptions must be in the table before we say that nothing waits there.
        self.write()?;
        let claimed = process::transaction(|| {
            // No request before its claim is durable.
            process::pin_local(c"synchronous_commit", c"local");
            self.store.claim(&room, self.run)
        })?;
        fault::point("claimed");
        for work in claimed {
            self.dispatch.accept_claimed(work, SystemTime::now(), Instant::now());
        }
        let ids: Vec<i64> = room.iter().map(|(id, _)| *id).collect();
        self.look_for_due(&ids)
    }

    fn look_for_due(&mut self, ids: &[i64]) -> Result<(), String> {
        let due = process::transaction(|| self.store.next_due(ids))?;
        let now = SystemTime::now();
        for (id, at) in due {
            self.dispatch.set_next_due(id, at, now);
        }
        Ok(())
    }

    fn hand_out(&mut self) {
        let requests = self.dispatch.hand_out(self.threads, Instant::now());
        if !requests.is_empty() {
            fault::point("hand_out");
            self.sender.hand_over(requests);
        }
    }

    fn time_to_wait(&mut self) -> Duration {
        let now = Instant::now();
        let running = self.slot.state() == State::Running;
        if running && now >= self.not_before {
            if self.found.is_some() {
                return LOG_WAIT;
            }
            if self.next_page(now).is_some() {
                return Duration::ZERO;
            }
        }
        let wall = SystemTime::now();
        let due = self.dispatch.next_due_after(wall).and_then(|at| at.duration_since(wall).ok());
        let moments = [
            Some(self.next_poll),
            Some(self.chores.next()),
            self.unwritten_since.map(|since| since + BATCH_WAIT),
            self.dispatch.next_change(),
            self.reader.progress.long_at().filter(|_| running),
            due.map(|wait| now + wait),
        ];
        let next = moments.into_iter().flatten().min().unwrap_or(now).max(self.not_before);
        // Rounded up: the latch counts in milliseconds, and waking a moment early would be waking in vain.
        next.saturating_duration_since(now) + Duration::from_millis(1)
    }

    fn apply_settings(&mut self) {
        self.sender.set_policy(Arc::new(settings::destination_policy()));
        self.sender.set_roots(load_roots());
        changes::note();
        self.next_poll = Instant::now();
        self.chores = Chores::new(self.next_poll);
        // A count that nobody keeps up must not count later.
        self.slot.pending.store(0, Ordering::Relaxed);
    }

    /// Lets requests under way finish for a moment and writes what they came to. What is left is sent again.
    fn end(self) {
        let Self { sender, outcomes, mut dispatch, store, run, .. } = self;
        sender.stop(LAST_REQUESTS);
        dispatch.close_gates();
        let now = SystemTime::now();
        for attempt in outcomes.try_iter() {
            dispatch.settle(attempt, now, rand::random_range(-1.0..=1.0));
        }
        dispatch.move_half_delivered();
        let written = process::transaction(|| store.apply(&dispatch.writes, run));
        // Apart from what keeps deliveries from being repeated.
        let summed_up = process::transaction(|| {
            store.apply_verdicts(&dispatch.verdicts);
            store.add_counts(&dispatch.tally);
        });
        for error in [written, summed_up].into_iter().filter_map(Result::err) {
            warning!("hydra_webhooks dispatcher: {error}");
        }
    }
}

/// Without a usable file, none: what they have sealed cannot be read then.
fn load_keys() -> Keys {
    keys::read().unwrap_or_else(|why| {
        warning!("hydra_webhooks.key_file: {why}");
        Keys::default()
    })
}

/// Certificates to trust; without a readable `ca_file`, those of the system.
fn load_roots() -> Roots {
    let ca_file = settings::ca_file();
    let roots = Roots::load(ca_file.as_deref()).unwrap_or_else(|error| {
        warning!("hydra_webhooks.ca_file: {error}");
        Roots::load(None).expect("certificates of the system, or none")
    });
    if roots.count == 0 {
        warning!("hydra_webhooks: there are no certificates to trust, so no https endpoint is (ca-certificates)");
    }
    roots
}
