//! The dispatcher of a database: the one thread that uses Postgres for all its deliveries.
//!
//! In each turn of its loop it processes outcomes of requests, claims due deliveries, reads new events, hands requests
//! to the sender, and writes its decisions. Then it waits: for its latch (a commit, a signal), for the sender (an
//! outcome), or for the next deadline. It waits nowhere else. An error only aborts the transaction: what was to be
//! written is kept and tried again. Between two steps it yields, because the threads that make requests have little
//! to do at a time, and should do it at once.
//!
//! | file | what it does |
//! |---|---|
//! | `start` | says where a dispatcher is to run |
//! | `entry` | starts the process, connects to the database, and ends the process |
//! | `ending` | decides whether the dispatcher has to end, and ends its work |
//! | `configuration` | finds out whether to send, and to which subscriptions |
//! | `loading` | loads the configuration again when it has changed |
//! | `extension` | finds out whether the extension is in the database |
//! | `reader` | reads new events |
//! | `durable` | makes sure that the commits of these events are on disk |
//! | `writer` | writes what was decided |
//! | `backlog` | keeps rows that could not be written with the outcomes, and writes them later |
//! | `unwritten` | keeps outcomes that could be neither written nor given up |
//! | `own_events` | emits the events of the extension itself |
//! | `requests` | hands requests to the sender, and processes the outcomes |
//! | `timetable` | knows all deadlines |
//! | `journal` | logs what happens to subscriptions and deliveries |
//! | `chores` | removes old history, and counts what waits |
//!
//! [`Dispatch`] decides what to send next, and what an outcome means; it does not use Postgres. [`Store`] reads and
//! writes rows.

mod backlog;
mod chores;
mod configuration;
mod durable;
mod ending;
mod entry;
mod extension;
mod journal;
mod loading;
mod own_events;
mod reader;
mod requests;
mod start;
mod timetable;
mod unwritten;
mod writer;

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use delivery::clock::{Clocks, Interruption};
use delivery::dispatch::Dispatch;
use pgrx::prelude::*;
use wire::ids::SubscriptionId;

use crate::backend::activity::DISPATCHER as NAME;
use crate::backend::{Failure, setting, signals, transaction};
use crate::changes;
use crate::slots::{Slot, State, trouble};
use crate::store::Store;
use configuration::Configuration;
use reader::{LOG_WAIT, Reader};
use requests::Requests;
pub use start::Start;
use timetable::{Deadline, Timetable};
use writer::Writer;

/// How often the queue is read without a wake. If a change, for example of a subscription, did not wake the dispatcher,
/// the change is noticed after this time.
const POLL: Duration = Duration::from_millis(500);

/// After an error nothing is read or written for this long.
const BACK_OFF: Duration = Duration::from_secs(1);

struct Dispatcher {
    slot: &'static Slot,
    store: Store,
    dispatch: Dispatch,
    configuration: Configuration,
    reader: Reader,
    writer: Writer,
    requests: Requests,
    timetable: Timetable,
    clocks: Clocks,
    /// When subscriptions were last loaded, all or those that had changed.
    loaded_at: Option<Instant>,
    /// Whether there may be deliveries that are due too far away.
    looks_for_far: bool,
    /// Whether the latest turn failed because a privilege is missing or row level security is enabled.
    lacks_privilege: bool,
    /// Whether the dispatcher ends because a statement needs the database without sessions.
    gives_way: bool,
}

impl Dispatcher {
    fn new(slot: &'static Slot, extension: pg_sys::Oid, database: String) -> Self {
        changes::listen_as_sender();
        let now = Instant::now();
        let mut timetable = Timetable::new(now);
        timetable.set(Deadline::Poll, now);
        timetable.set(Deadline::GiveWay, now);
        chores::schedule(&mut timetable);
        Self {
            slot,
            store: Store::default(),
            dispatch: Dispatch::default(),
            writer: Writer::new(slot, database.clone(), &mut timetable),
            configuration: Configuration::new(slot, extension, database),
            reader: Reader::new(),
            requests: Requests::new(),
            timetable,
            clocks: Clocks::new(SystemTime::now(), now),
            loaded_at: None,
            // The clock may have been set while no dispatcher ran.
            looks_for_far: true,
            lacks_privilege: false,
            gives_way: false,
        }
    }

    fn run(mut self) {
        fault::point("start");
        let (database, version) = (self.configuration.database(), env!("CARGO_PKG_VERSION"));
        log!("{NAME} started in database \"{database}\", version {version}");
        self.take_over();
        while self.goes_on() {
            if signals::reload_requested() {
                self.apply_settings();
            }
            self.notice_interruption();
            self.take_outcomes();
            thread::yield_now();
            if self.timetable.may_go_on(Instant::now()) {
                let (turned, done) = (self.turn(), self.do_chores());
                self.lacks_privilege =
                    [&turned, &done].into_iter().any(|result| result.as_ref().is_err_and(is_missing_privilege));
                if turned.is_ok() {
                    self.clocks.complete_turn(Instant::now());
                }
                if let Err(failure) = turned {
                    self.writer.complaints.warn(&failure);
                    self.timetable.back_off(BACK_OFF);
                }
                // A chore that fails delays no delivery.
                if let Err(failure) = done {
                    self.writer.complaints.warn(&failure);
                }
            }
            self.slot.report_load(self.dispatch.in_flight(), self.dispatch.queued());
            self.slot.report_health(self.dispatch.faulty(), self.troubles());
            let timeout = self.time_to_wait();
            self.requests.wait(timeout);
        }
        self.end();
    }

    /// Returns what is wrong, as bits of [`trouble`].
    fn troubles(&self) -> u32 {
        let ca_file = if self.requests.trusts_ca_file() { 0 } else { trouble::CA_FILE };
        let key_file = if self.configuration.uses_key_file() { 0 } else { trouble::KEY_FILE };
        let privilege = if self.lacks_privilege { trouble::PRIVILEGE } else { 0 };
        ca_file | key_file | privilege
    }

    /// Takes over the queue: releases the claims of earlier dispatchers. After an error, tries again until the
    /// dispatcher has to end.
    fn take_over(&mut self) {
        while self.goes_on() {
            let taken = transaction(c"take over the queue", || {
                changes::listen_to_subscriptions();
                self.store.write.clean_up();
                fault::point("take_over");
            });
            let Err(failure) = taken else { return };
            self.lacks_privilege = is_missing_privilege(&failure);
            self.slot.report_health(0, self.troubles());
            if self.configuration.extension_exists().unwrap_or(true) {
                self.writer.complaints.warn(&failure);
                signals::wait(None, BACK_OFF);
            }
        }
    }

    /// Finds out whether nothing could be sent for a while, and whether the clock was changed. Then deliveries may be
    /// due much earlier or later than the lanes know.
    fn notice_interruption(&mut self) {
        let (wall, now) = (SystemTime::now(), Instant::now());
        let Some(interruption) = self.clocks.read(wall, now) else { return };
        self.dispatch.begin_sending(now);
        if interruption == Interruption::ClockChanged {
            let database = self.configuration.database();
            log!("{NAME} of database \"{database}\": the clock was changed, or the machine was suspended");
            self.looks_for_far = true;
            changes::note();
            chores::postpone_forgetting(&mut self.timetable);
        }
    }

    /// Processes outcomes, and applies what has changed by the passage of time.
    fn take_outcomes(&mut self) {
        self.requests.settle(&mut self.dispatch);
        let now = Instant::now();
        self.dispatch.move_stragglers(now);
        self.dispatch.end_pauses(now);
        self.writer.schedule(&self.dispatch, &mut self.timetable);
    }

    /// Does the work of one turn in the database. After an error, the remaining steps wait for the next turn.
    fn turn(&mut self) -> Result<(), Failure> {
        self.look_for_events()?;
        self.look_for_changes(loading::Urgency::CanWait)?;
        if self.is_over() {
            return Ok(());
        }
        if self.slot.state() == State::Running {
            self.look_for_far()?;
            self.claim()?;
            self.read()?;
            thread::yield_now();
            self.requests.hand_out(&mut self.dispatch);
            self.writer.schedule(&self.dispatch, &mut self.timetable);
        }
        // Write last. Postgres may know only one log position for a commit of the dispatcher and for commits of events
        // near it (see `durable`). If the dispatcher committed just before reading, sending the events would have to
        // wait until its own commit is on disk.
        if self.writer.is_due(&self.dispatch, &self.timetable) {
            thread::yield_now();
            self.write()?;
        }
        Ok(())
    }

    /// Notes that there may be new events, if the dispatcher was woken or has not looked for [`POLL`].
    fn look_for_events(&mut self) -> Result<(), Failure> {
        // Clear the flag before reading: a wake that comes later is seen in the next turn.
        let woken = self.slot.take_wake();
        let now = Instant::now();
        let polled = self.timetable.is_due(Deadline::Poll, now);
        if polled {
            self.timetable.set(Deadline::Poll, now + POLL);
        }
        if woken || polled {
            self.reader.look_again();
            // At the start of a transaction Postgres delivers invalidation messages, which report changes of
            // subscriptions.
            transaction(c"look for changes", || ())?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.writer.write(&self.store, &mut self.dispatch, &mut self.timetable)
    }

    /// Reads at most one page of events and queues their deliveries, so that requests are handed out before the next
    /// page.
    fn read(&mut self) -> Result<(), Failure> {
        self.reader.find(&self.store, &mut self.dispatch)?;
        thread::yield_now();
        if !self.reader.has_durable_page(self.dispatch.in_flight())? {
            return Ok(());
        }
        // Load changes that were committed before the last event of the page, such as a new secret or a new
        // subscription.
        changes::note_subscriptions(self.reader.strangers(&self.dispatch));
        if changes::are_noted() {
            self.look_for_changes(loading::Urgency::Now)?;
            if self.is_over() {
                return Ok(());
            }
        }
        self.reader.take_in(&mut self.dispatch, Instant::now());
        Ok(())
    }

    /// Claims due deliveries of the retry queue.
    fn claim(&mut self) -> Result<(), Failure> {
        if !self.dispatch.may_claim(SystemTime::now()) {
            return Ok(());
        }
        // Write the decisions about these subscriptions first: the next query reads from the table what is due. If more
        // is left than one transaction writes, the subscriptions of the rest wait.
        self.write()?;
        let room = self.dispatch.to_claim(SystemTime::now());
        if room.is_empty() {
            return Ok(());
        }
        let claimed = transaction(c"claim due deliveries", || {
            // A claim must be on disk before its request is made.
            setting::set_local(c"synchronous_commit", c"local");
            self.store.read.claim(&room, self.writer.run())
        })?;
        fault::point("claimed");
        for work in claimed {
            self.dispatch.accept_claimed(work, Instant::now());
        }
        let ids: Vec<SubscriptionId> = room.iter().map(|(id, _)| *id).collect();
        self.look_for_due(&ids)
    }

    /// Finds out when the next delivery in the retry queue is due, for each of these subscriptions.
    fn look_for_due(&mut self, ids: &[SubscriptionId]) -> Result<(), Failure> {
        let due = transaction(c"look for due deliveries", || self.store.read.next_due(ids))?;
        let now = SystemTime::now();
        for (id, at) in due {
            self.looks_for_far |= at.is_some_and(|at| self.dispatch.is_too_far(id, at, now));
            self.dispatch.set_next_due(id, at, now);
        }
        Ok(())
    }

    /// Makes deliveries that are due too far away due earlier. A part of them, if there are many.
    fn look_for_far(&mut self) -> Result<(), Failure> {
        if !self.looks_for_far {
            return Ok(());
        }
        self.write()?;
        let ids = self.dispatch.subscription_ids();
        let more =
            transaction(c"look for deliveries that are due too far away", || self.store.write.advance_due(&ids))?;
        self.look_for_due(&ids)?;
        self.looks_for_far = more;
        Ok(())
    }

    fn do_chores(&mut self) -> Result<(), Failure> {
        if self.is_over() {
            return Ok(());
        }
        chores::run(
            &self.store,
            self.slot,
            &mut self.timetable,
            &mut self.writer.complaints,
            self.configuration.has_identity(),
        )
    }

    /// Returns how long the loop may sleep.
    fn time_to_wait(&mut self) -> Duration {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let running = self.slot.state() == State::Running;
        if running && self.timetable.may_go_on(now) {
            if self.reader.has_page() {
                return LOG_WAIT;
            }
            if self.reader.next_page(&mut self.dispatch, now).is_some() {
                return Duration::ZERO;
            }
        }
        let long_at = self.reader.long_at().filter(|_| running);
        let others = self.dispatch.next_change().into_iter().chain(long_at);
        self.timetable.time_to_wait(now, wall, others, self.dispatch.next_due_after(wall))
    }

    fn apply_settings(&mut self) {
        self.configuration.log_changed_settings();
        self.requests.apply_settings();
        self.dispatch.end_faults();
        changes::note();
        self.timetable.set(Deadline::Poll, Instant::now());
        chores::schedule(&mut self.timetable);
        // Reset the number of waiting events. While `max_pending` is 0 nothing is counted, and an old number must not
        // be compared with a limit that is set later.
        self.slot.report_pending(0, 0);
    }
}

/// Whether Postgres refused access to a table. It also does so if row level security would hide rows, see `entry`.
fn is_missing_privilege(failure: &Failure) -> bool {
    failure.code == PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE
}
