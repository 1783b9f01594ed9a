//! Writes what was decided: in batches, and what must not delay the rest on its own.

use std::time::{Duration, Instant, SystemTime};

use delivery::dispatch::Dispatch;
use delivery::writes::Verdicts;

use super::NAME;
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

/// When the health of subscriptions could not be written, it is tried again after this.
const HEALTH_RETRY: Duration = Duration::from_secs(1);

pub struct Writer {
    slot: &'static Slot,
    /// Distinguishes claims of this run of the dispatcher from those of others.
    run: i64,
    has_written: bool,
}

impl Writer {
    pub fn new(slot: &'static Slot, timetable: &mut Timetable) -> Self {
        timetable.start(Deadline::Counts, COUNTS_EVERY);
        Self { slot, run: rand::random(), has_written: false }
    }

    pub fn run(&self) -> i64 {
        self.run
    }

    /// To be called after decisions were made.
    pub fn schedule(&self, dispatch: &Dispatch, timetable: &mut Timetable) {
        if !dispatch.writes.is_empty() {
            timetable.start(Deadline::Batch, BATCH_WAIT);
        }
        if !dispatch.verdicts.is_empty() {
            timetable.start(Deadline::Health, Duration::ZERO);
        }
    }

    pub fn is_due(&self, dispatch: &Dispatch, timetable: &Timetable) -> bool {
        let now = Instant::now();
        dispatch.writes.len() >= BATCH
            || [Deadline::Batch, Deadline::Health, Deadline::Counts].iter().any(|each| timetable.is_due(*each, now))
    }

    pub fn write(&mut self, store: &Store, dispatch: &mut Dispatch, timetable: &mut Timetable) -> Result<(), Failure> {
        if !dispatch.writes.is_empty() {
            let apply = || transaction(c"write outcomes", || store.apply(&dispatch.writes, self.run));
            apply().or_else(|failure| if store.has_lost_places() { apply() } else { Err(failure) })?;
            fault::point("written");
            dispatch.written(SystemTime::now());
            if !std::mem::replace(&mut self.has_written, true) {
                CrashLoop::of_dispatcher(self.slot).end();
            }
        }
        timetable.clear(Deadline::Batch);
        if timetable.is_due(Deadline::Health, Instant::now()) {
            write_health(store, dispatch, timetable);
        }
        if timetable.is_due(Deadline::Counts, Instant::now()) {
            write_counts(store, dispatch)?;
            timetable.set(Deadline::Counts, Instant::now() + COUNTS_EVERY);
        }
        Ok(())
    }

    /// Writes all that is left. What is still under way is sent again by the next dispatcher.
    pub fn end(self, store: &Store, dispatch: &mut Dispatch) {
        dispatch.move_half_delivered();
        let written = transaction(c"write outcomes", || store.apply(&dispatch.writes, self.run));
        // In a transaction of their own: outcomes keep deliveries from being repeated, these do not.
        let summed_up = transaction(c"write counts", || {
            store.apply_verdicts(&dispatch.verdicts);
            store.add_counts(&dispatch.tally);
        });
        for failure in [written, summed_up].into_iter().filter_map(Result::err) {
            failure.warn(NAME);
        }
    }
}

/// A client may hold the lock on a subscription for any time. Nothing else waits for it.
fn write_health(store: &Store, dispatch: &mut Dispatch, timetable: &mut Timetable) {
    let written = transaction(c"write the health of subscriptions", || {
        setting::pin_local(c"lock_timeout", c"10ms");
        store.apply_verdicts(&dispatch.verdicts);
    });
    timetable.clear(Deadline::Health);
    match written {
        Ok(()) => dispatch.verdicts = Verdicts::default(),
        Err(_) => timetable.start(Deadline::Health, HEALTH_RETRY),
    }
}

fn write_counts(store: &Store, dispatch: &mut Dispatch) -> Result<(), Failure> {
    if !dispatch.tally.is_empty() {
        transaction(c"write counts", || store.add_counts(&dispatch.tally))?;
        dispatch.tally.written();
    }
    Ok(())
}
