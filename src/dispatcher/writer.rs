//! Writes what was decided: outcomes in batches; the health of subscriptions, the counts and the events of the extension
//! in separate transactions, so that they do not delay outcomes.

use std::time::{Duration, Instant, SystemTime};

use delivery::dispatch::Dispatch;
use delivery::writes::Verdicts;

use super::NAME;
use super::own_events::OwnEvents;
use super::timetable::{Deadline, Timetable};
use crate::backend::crash_loop::CrashLoop;
use crate::backend::{Failure, setting, transaction};
use crate::slots::Slot;
use crate::store::Store;

/// Outcomes are written when there are this many, or when the oldest has waited this long.
const BATCH: usize = 1000;
const BATCH_WAIT: Duration = Duration::from_millis(10);

/// How often counts are written.
const COUNTS_EVERY: Duration = Duration::from_secs(60);

/// How long to wait before the health of subscriptions is written again after an error.
const HEALTH_RETRY: Duration = Duration::from_secs(1);

/// How long to wait before events of the extension are emitted again after an error.
const OWN_EVENTS_RETRY: Duration = Duration::from_secs(1);

pub struct Writer {
    slot: &'static Slot,
    /// A number that distinguishes the claims of this run of the dispatcher from the claims of others.
    run: i64,
    own_events: OwnEvents,
    /// Whether this run has written outcomes. Then it is not in a crash loop.
    has_written: bool,
}

impl Writer {
    pub fn new(slot: &'static Slot, timetable: &mut Timetable) -> Self {
        timetable.start(Deadline::Counts, COUNTS_EVERY);
        Self { slot, run: rand::random(), own_events: OwnEvents::default(), has_written: false }
    }

    pub fn run(&self) -> i64 {
        self.run
    }

    /// Sets the deadlines for what is to be written. To be called after decisions were made.
    pub fn schedule(&self, dispatch: &Dispatch, timetable: &mut Timetable) {
        if !dispatch.writes.is_empty() {
            timetable.start(Deadline::Batch, BATCH_WAIT);
        }
        if !dispatch.verdicts.is_empty() {
            timetable.start(Deadline::Health, Duration::ZERO);
        }
    }

    /// Returns whether something has to be written now.
    pub fn is_due(&self, dispatch: &Dispatch, timetable: &Timetable) -> bool {
        let now = Instant::now();
        dispatch.writes.len() >= BATCH
            || [Deadline::Batch, Deadline::Health, Deadline::OwnEvents, Deadline::Counts].iter().any(|each| timetable.is_due(*each, now))
    }

    /// Writes all outcomes, and health and counts if they are due. If rows of events were moved, the outcomes are
    /// written a second time, and the rows are then found by key.
    pub fn write(&mut self, store: &Store, dispatch: &mut Dispatch, timetable: &mut Timetable) -> Result<(), Failure> {
        if !dispatch.writes.is_empty() {
            let apply = || transaction(c"write outcomes", || store.apply(&dispatch.writes, self.run));
            apply().or_else(|failure| if store.has_lost_places() { apply() } else { Err(failure) })?;
            fault::point("written");
            self.own_events.note_failed(dispatch.writes.failed());
            dispatch.written(SystemTime::now());
            if !std::mem::replace(&mut self.has_written, true) {
                CrashLoop::of_dispatcher(self.slot).end();
            }
        }
        timetable.clear(Deadline::Batch);
        if timetable.is_due(Deadline::Health, Instant::now()) {
            self.write_health(store, dispatch, timetable);
        }
        if !self.own_events.is_empty() {
            timetable.start(Deadline::OwnEvents, Duration::ZERO);
        }
        if timetable.is_due(Deadline::OwnEvents, Instant::now()) {
            self.emit_own_events(store, timetable);
        }
        if timetable.is_due(Deadline::Counts, Instant::now()) {
            write_counts(store, dispatch)?;
            timetable.set(Deadline::Counts, Instant::now() + COUNTS_EVERY);
        }
        Ok(())
    }

    /// Writes the health of subscriptions, in a separate transaction: a client may hold the lock on a subscription for a
    /// long time, and other writes must not wait for that lock.
    fn write_health(&mut self, store: &Store, dispatch: &mut Dispatch, timetable: &mut Timetable) {
        let written = transaction(c"write the health of subscriptions", || {
            setting::pin_local(c"lock_timeout", c"10ms");
            store.apply_verdicts(&dispatch.verdicts)
        });
        timetable.clear(Deadline::Health);
        match written {
            Ok(disabled) => {
                self.own_events.note_disabled(disabled);
                dispatch.verdicts = Verdicts::default();
            }
            Err(_) => timetable.start(Deadline::Health, HEALTH_RETRY),
        }
    }

    /// Emits events of the extension. If that fails, everything else goes on.
    fn emit_own_events(&mut self, store: &Store, timetable: &mut Timetable) {
        let emitted = self.own_events.emit(store);
        timetable.clear(Deadline::OwnEvents);
        match emitted {
            // The inserts do not wake the dispatcher.
            Ok(()) => self.slot.wake(),
            Err(failure) => {
                failure.warn(NAME);
                timetable.start(Deadline::OwnEvents, OWN_EVENTS_RETRY);
            }
        }
    }

    /// Writes all that is left. Deliveries that are still in flight are sent again by the next dispatcher.
    pub fn end(mut self, store: &Store, dispatch: &mut Dispatch) {
        dispatch.move_half_delivered();
        let written = transaction(c"write outcomes", || store.apply(&dispatch.writes, self.run));
        if written.is_ok() {
            self.own_events.note_failed(dispatch.writes.failed());
        }
        // Counts and health are written in a separate transaction. If that fails, the outcomes are still written, so no
        // delivery is sent again.
        let summed_up = transaction(c"write counts", || {
            let disabled = store.apply_verdicts(&dispatch.verdicts);
            store.add_counts(&dispatch.tally);
            disabled
        });
        let summed_up = summed_up.map(|disabled| self.own_events.note_disabled(disabled));
        let emitted = self.own_events.emit(store);
        for failure in [written, summed_up, emitted].into_iter().filter_map(Result::err) {
            failure.warn(NAME);
        }
    }
}

/// Writes the counts of deliveries.
fn write_counts(store: &Store, dispatch: &mut Dispatch) -> Result<(), Failure> {
    if !dispatch.tally.is_empty() {
        transaction(c"write counts", || store.add_counts(&dispatch.tally))?;
        dispatch.tally.written();
    }
    Ok(())
}
