//! The dispatcher: the one thread that touches Postgres for all deliveries of a database.
//!
//! Its loop takes in outcomes, writes what they mean, reads new events and claims due deliveries, hands out requests, and
//! waits: for its latch (a commit, a signal), for the sender (an outcome), or for the next deadline. It waits nowhere
//! else. An error aborts a transaction and nothing more: what was to be written is kept and tried again.
//!
//! | file | owns |
//! |---|---|
//! | `entry` | the process around the loop: its start, connection and end |
//! | `configuration`, `extension` | whether to send, and to which subscriptions; whether the extension is still there |
//! | `reader`, `durable` | which events were read, and whether their commits are on disk |
//! | `writer` | what was decided and is not written yet |
//! | `requests` | the sender, and outcomes that come back from it |
//! | `timetable` | every deadline |
//! | `chores` | what is done from time to time |
//!
//! What to send next, and what an outcome means, is decided by [`Dispatch`], which knows no Postgres. Rows are read and
//! written by [`Store`].

mod chores;
mod configuration;
mod durable;
mod entry;
mod extension;
mod reader;
mod requests;
mod timetable;
mod writer;

use std::time::{Duration, Instant, SystemTime};

use delivery::dispatch::Dispatch;
use pgrx::prelude::*;
use wire::ids::SubscriptionId;

use crate::backend::{Failure, setting, signals, transaction};
use crate::changes;
use crate::slots::{Slot, State};
use crate::store::Store;
use configuration::Configuration;
use reader::{LOG_WAIT, Reader};
use requests::Requests;
use timetable::{Deadline, Timetable};
use writer::Writer;

const NAME: &str = "hydra_webhooks dispatcher";

/// How often the queue is looked at without a wake. It also bounds how late a pause is noticed.
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
}

impl Dispatcher {
    fn new(slot: &'static Slot, extension: pg_sys::Oid, database: String) -> Self {
        changes::listen();
        let now = Instant::now();
        let mut timetable = Timetable::new(now);
        timetable.set(Deadline::Poll, now);
        chores::schedule(&mut timetable);
        Self {
            slot,
            store: Store::default(),
            dispatch: Dispatch::new([0; 16]),
            configuration: Configuration::new(slot, extension, database),
            reader: Reader::new(),
            writer: Writer::new(slot, &mut timetable),
            requests: Requests::new(),
            timetable,
        }
    }

    fn run(mut self) {
        fault::point("start");
        log!("{NAME} started in database \"{}\"", self.configuration.database());
        self.take_over();
        while self.goes_on() {
            if signals::reload_requested() {
                self.apply_settings();
            }
            self.take_outcomes();
            if self.timetable.may_go_on(Instant::now()) {
                let (turned, done) = (self.turn(), self.do_chores());
                for failure in [turned, done].into_iter().filter_map(Result::err) {
                    failure.warn(NAME);
                    self.timetable.back_off(BACK_OFF);
                }
            }
            self.slot.report_load(self.dispatch.in_flight(), self.dispatch.queued());
            let timeout = self.time_to_wait();
            signals::wait(Some(self.requests.fd()), timeout);
        }
        self.end();
    }

    fn goes_on(&self) -> bool {
        !signals::stop_requested() && !self.slot.is_parked() && !self.is_over()
    }

    /// Whether the extension that this dispatcher works for is gone.
    fn is_over(&self) -> bool {
        matches!(self.slot.state(), State::Absent | State::Ended)
    }

    /// Takes over the queue: claims of earlier dispatchers become void.
    fn take_over(&mut self) {
        while self.goes_on() {
            let taken = transaction(c"take over the queue", || {
                changes::listen_to_subscriptions();
                self.store.clean_up();
                fault::point("take_over");
            });
            let Err(failure) = taken else { return };
            if self.configuration.extension_exists().unwrap_or(true) {
                failure.warn(NAME);
                signals::wait(None, BACK_OFF);
            }
        }
    }

    fn take_outcomes(&mut self) {
        self.requests.settle(&mut self.dispatch);
        let now = Instant::now();
        self.dispatch.move_stragglers(now);
        self.dispatch.end_pauses(now);
        self.writer.schedule(&self.dispatch, &mut self.timetable);
    }

    /// One turn of what concerns the database. After an error the rest waits for the next turn.
    fn turn(&mut self) -> Result<(), Failure> {
        self.look_for_events()?;
        self.look_for_changes()?;
        if self.is_over() {
            return Ok(());
        }
        if self.slot.state() == State::Running {
            self.claim()?;
            self.read()?;
            self.requests.hand_out(&mut self.dispatch);
            self.writer.schedule(&self.dispatch, &mut self.timetable);
        }
        // Last: a commit of ours just before reading would have to be on disk too, see `durable`.
        if self.writer.is_due(&self.dispatch, &self.timetable) {
            self.write()?;
        }
        Ok(())
    }

    fn look_for_events(&mut self) -> Result<(), Failure> {
        // In this order: a wake that comes after the flag was taken is seen by the next turn.
        let woken = self.slot.take_wake();
        let now = Instant::now();
        let polled = self.timetable.is_due(Deadline::Poll, now);
        if polled {
            self.timetable.set(Deadline::Poll, now + POLL);
        }
        if woken || polled {
            self.reader.look_again();
            // At the start of a transaction Postgres reports changes of subscriptions.
            transaction(c"look for changes", || ())?;
        }
        Ok(())
    }

    fn look_for_changes(&mut self) -> Result<(), Failure> {
        if self.timetable.overlap_has_ended(SystemTime::now()) {
            changes::note();
        }
        if !changes::take() {
            return Ok(());
        }
        self.load().inspect_err(|_| changes::note())
    }

    fn load(&mut self) -> Result<(), Failure> {
        let Self { configuration, store, dispatch, reader, timetable, .. } = self;
        if !configuration.load(store, dispatch, reader, timetable)? {
            return Ok(());
        }
        // Decisions about them must be in the table before it is asked what is due.
        self.write()?;
        let ids = self.dispatch.subscription_ids();
        self.look_for_due(&ids)
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.writer.write(&self.store, &mut self.dispatch, &mut self.timetable)
    }

    /// Takes in one page, so that requests are handed out between two of them.
    fn read(&mut self) -> Result<(), Failure> {
        self.reader.find(&self.store, &mut self.dispatch)?;
        if !self.reader.has_durable_page(self.dispatch.in_flight())? {
            return Ok(());
        }
        // Changes that were committed before the last event of the page: a new secret, a new subscription.
        if changes::are_noted() || self.reader.has_strangers(&self.dispatch) {
            changes::note();
            self.look_for_changes()?;
            if self.is_over() {
                return Ok(());
            }
        }
        self.reader.take_in(&mut self.dispatch, Instant::now());
        Ok(())
    }

    /// Claims what is due in the retry queue.
    fn claim(&mut self) -> Result<(), Failure> {
        let room = self.dispatch.to_claim(SystemTime::now());
        if room.is_empty() {
            return Ok(());
        }
        // Decisions about these subscriptions must be in the table before it is asked what is due.
        self.write()?;
        let claimed = transaction(c"claim due deliveries", || {
            // No request before its claim is durable.
            setting::pin_local(c"synchronous_commit", c"local");
            self.store.claim(&room, self.writer.run())
        })?;
        fault::point("claimed");
        for work in claimed {
            self.dispatch.accept_claimed(work, SystemTime::now(), Instant::now());
        }
        let ids: Vec<SubscriptionId> = room.iter().map(|(id, _)| *id).collect();
        self.look_for_due(&ids)
    }

    fn look_for_due(&mut self, ids: &[SubscriptionId]) -> Result<(), Failure> {
        let due = transaction(c"look for due deliveries", || self.store.next_due(ids))?;
        let now = SystemTime::now();
        for (id, at) in due {
            self.dispatch.set_next_due(id, at, now);
        }
        Ok(())
    }

    fn do_chores(&mut self) -> Result<(), Failure> {
        if self.is_over() {
            return Ok(());
        }
        chores::run(&self.store, self.slot, &mut self.timetable, self.configuration.at_home())
    }

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
        changes::note();
        self.timetable.set(Deadline::Poll, Instant::now());
        chores::schedule(&mut self.timetable);
        // A count that is not kept up must not be compared with a limit that is set later.
        self.slot.report_pending(0);
    }

    /// Lets requests under way finish for a moment and writes their outcomes. What is left is sent again.
    fn end(self) {
        let reason = match self.slot.state() {
            State::Absent | State::Ended => "the extension was dropped",
            _ if self.slot.is_parked() => "parked by hydra.webhook_park()",
            _ => "asked to stop",
        };
        log!("{NAME} stops in database \"{}\": {reason}", self.configuration.database());
        let Self { slot, mut dispatch, requests, writer, store, .. } = self;
        if !matches!(slot.state(), State::Absent | State::Ended) {
            requests.end(&mut dispatch);
            writer.end(&store, &mut dispatch);
            slot.set_state(State::Ended);
        }
    }
}
