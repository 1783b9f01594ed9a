//! Writes what was decided: outcomes in batches; the health of subscriptions, the counts and the events of the extension
//! in separate transactions, so that they do not delay outcomes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use delivery::dispatch::Dispatch;
use delivery::tally::{AttemptResult, Combination, Tally};
use delivery::writes::{AttemptRecord, Change, Delivered, Move, Names, Part, RowState};
use pgrx::prelude::*;
use wire::attempt::ErrorClass;

use super::NAME;
use super::backlog::{Backlog, BesideOutcomes};
use super::journal::Journal;
use super::own_events::OwnEvents;
use super::timetable::{Deadline, Timetable};
use super::unwritten::Unwritten;
use crate::backend::complaints::Complaints;
use crate::backend::crash_loop::CrashLoop;
use crate::backend::{Failure, setting, sqlstate, transaction};
use crate::slots::Slot;
use crate::store::Store;

/// Outcomes are written when there are this many, or when the oldest has waited this long.
const BATCH: usize = 1000;
const BATCH_WAIT: Duration = Duration::from_millis(10);

/// How often counts are written.
const COUNTS_EVERY: Duration = Duration::from_secs(60);

/// How long to wait before the health of subscriptions is written again after an error.
const HEALTH_RETRY: Duration = Duration::from_secs(1);

/// When this many rows could not be written, and none could in the meantime, the fault is probably not in the rows: the
/// next ones are not given up, but tried again.
pub const GIVEN_UP: usize = 8;

/// How long the dispatcher writes outcomes when it ends.
const LAST_WRITES: Duration = Duration::from_secs(3);

/// How long to wait before events of the extension are emitted again after an error.
const OWN_EVENTS_RETRY: Duration = Duration::from_secs(1);

/// How long outcomes are written again in a turn that could be neither written nor given up.
const AGAIN: Duration = Duration::from_millis(100);

/// The deadlines of what is written.
const DEADLINES: [Deadline; 8] = [
    Deadline::Batch,
    Deadline::History,
    Deadline::Delivered,
    Deadline::Unwritten,
    Deadline::Health,
    Deadline::OwnEvents,
    Deadline::Counts,
    Deadline::GivenUp,
];

pub struct Writer {
    slot: &'static Slot,
    /// A number that distinguishes the claims of this run of the dispatcher from the claims of others.
    run: i64,
    own_events: OwnEvents,
    journal: Journal,
    /// Rows of the history that could not be written with the outcomes.
    history: Backlog<AttemptRecord>,
    /// Deliveries that could not be kept with the outcomes.
    delivered: Backlog<Delivered>,
    unwritten: Unwritten,
    /// The number of rows that were given up since one was written.
    given_up: usize,
    /// Why a row was not written that is to be tried again.
    refused: Option<Failure>,
    /// Counts that are being written, a part at a time.
    counts: Tally,
    pub complaints: Complaints,
    /// Whether this run has written outcomes. Then it is not in a crash loop.
    has_written: bool,
}

impl Writer {
    pub fn new(slot: &'static Slot, database: String, timetable: &mut Timetable) -> Self {
        timetable.start(Deadline::Counts, COUNTS_EVERY);
        Self {
            slot,
            run: rand::random(),
            own_events: OwnEvents::default(),
            journal: Journal::new(database),
            history: Backlog::default(),
            delivered: Backlog::default(),
            unwritten: Unwritten::default(),
            given_up: 0,
            refused: None,
            counts: Tally::default(),
            complaints: Complaints::new(NAME).shown_in(slot),
            has_written: false,
        }
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
        dispatch.writes.len() >= BATCH || DEADLINES.iter().any(|each| timetable.is_due(*each, now))
    }

    /// Writes the next part of the outcomes, and what else is due. If more is left, it is written in the next turn.
    pub fn write(&mut self, store: &Store, dispatch: &mut Dispatch, timetable: &mut Timetable) -> Result<(), Failure> {
        let part = dispatch.writes.take_part();
        let written = self.write_part(store, dispatch, part);
        timetable.clear(Deadline::Batch);
        if !dispatch.writes.is_empty() {
            timetable.start(Deadline::Batch, Duration::ZERO);
        }
        written?;
        if let Some(failure) = self.refused.take() {
            return Err(failure);
        }
        let complaints = &mut self.complaints;
        write_backlog(&mut self.history, Deadline::History, store, complaints, timetable);
        write_backlog(&mut self.delivered, Deadline::Delivered, store, complaints, timetable);
        if timetable.is_due(Deadline::Unwritten, Instant::now()) {
            timetable.clear(Deadline::Unwritten);
            self.write_unwritten(store, dispatch);
        }
        if let Some(wait) = self.unwritten.wait() {
            timetable.start(Deadline::Unwritten, wait);
        }
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
            self.write_counts(store, dispatch, timetable);
        }
        if let Some(wait) = self.journal.wait() {
            timetable.start(Deadline::GivenUp, wait);
        }
        if timetable.is_due(Deadline::GivenUp, Instant::now()) {
            timetable.clear(Deadline::GivenUp);
            self.journal.log_given_up();
        }
        Ok(())
    }

    /// Writes a part. If a row of it cannot be written, halves it until this row is alone, and gives that row up. If the
    /// reason is not a row, puts back what is not written and returns the error. The history, and what is kept, are not
    /// what others wait for: if they cannot be written, everything else is.
    fn write_part(&mut self, store: &Store, dispatch: &mut Dispatch, mut part: Part) -> Result<(), Failure> {
        if !self.history.is_empty() {
            self.history.append(&mut part.attempts);
        }
        if !self.delivered.is_empty() {
            self.delivered.append(&mut part.delivered);
        }
        dispatch.writes.note_rest(&mut part);
        if part.is_empty() {
            return Ok(());
        }
        let Err(failure) = self.apply(store, &part) else {
            if !part.moves.is_empty() || !part.changes.is_empty() {
                self.given_up = 0;
            }
            self.note_written(dispatch, &part);
            return Ok(());
        };
        if !part.attempts.is_empty() || !part.delivered.is_empty() {
            self.history.append(&mut part.attempts);
            self.delivered.append(&mut part.delivered);
            return self.write_part(store, dispatch, part);
        }
        if !failure.is_about_rows() {
            dispatch.writes.put_back(part);
            return Err(failure);
        }
        let Some(rest) = part.split() else {
            // The error may have been one that does not come again.
            if self.apply(store, &part).is_ok() {
                self.note_written(dispatch, &part);
            } else if self.given_up < GIVEN_UP && self.unwritten.has_room() {
                self.given_up += 1;
                self.complaints.warn(&failure);
                self.give_up(store, dispatch, part, &failure);
            } else {
                dispatch.writes.put_back(part);
                self.refused = Some(failure);
            }
            return Ok(());
        };
        let written = self.write_part(store, dispatch, part);
        if written.is_err() {
            dispatch.writes.put_back(rest);
            return written;
        }
        self.write_part(store, dispatch, rest)
    }

    /// Writes a part in one transaction. If rows of events were moved, it is written a second time, and the rows are then
    /// found by key.
    fn apply(&mut self, store: &Store, part: &Part) -> Result<(), Failure> {
        let apply = || transaction(c"write outcomes", || store.write.apply(part, self.run));
        apply().or_else(|failure| if store.write.has_lost_places() { apply() } else { Err(failure) })
    }

    fn note_written(&mut self, dispatch: &mut Dispatch, part: &Part) {
        fault::point("written");
        self.own_events.note_failed(part.failed());
        self.journal.note_given_up(part.failed().count());
        dispatch.written(part, SystemTime::now());
        if !std::mem::replace(&mut self.has_written, true) {
            CrashLoop::of_dispatcher(self.slot).end();
        }
    }

    /// Writes again what could be neither written nor given up, as much as can be tried in a short time: everything else waits.
    fn write_unwritten(&mut self, store: &Store, dispatch: &mut Dispatch) {
        let start = Instant::now();
        let mut parts = self.unwritten.take().into_iter();
        while start.elapsed() < AGAIN
            && let Some(part) = parts.next()
        {
            match self.apply(store, &part) {
                Ok(()) => self.note_written(dispatch, &part),
                Err(failure) if failure.is_about_rows() => self.give_up(store, dispatch, part, &failure),
                Err(_) => self.unwritten.push(part),
            }
        }
        self.unwritten.tried(parts);
    }

    /// Gives up the one row of a part, which cannot be written. A delivery is recorded as failed.
    fn give_up(&mut self, store: &Store, dispatch: &mut Dispatch, part: Part, failure: &Failure) {
        let without = without_row(&part);
        if let Err(failure) = self.apply(store, &without) {
            self.complaints.warn(&failure);
            self.unwritten.push(part);
            return;
        }
        let now = SystemTime::now();
        let reason = format!("its row cannot be written (SQLSTATE {}): {}", sqlstate(failure.code), failure.message);
        let inserts = part.moves.into_iter().flat_map(|step| step.deliveries);
        let inserts = inserts.map(|(work, state)| (Names::of(&work), state.attempts().unwrap_or(work.attempts)));
        let updates = part.changes.into_iter().filter_map(|change| Some((change.of, change.state?.attempts()?)));
        for (of, attempts) in inserts.chain(updates) {
            let combination = Combination {
                event_type: Some(Arc::clone(&of.event_type)),
                tenant_id: of.tenant_id.clone(),
                result: AttemptResult::NoAnswer(ErrorClass::Internal),
                others: false,
            };
            dispatch.tally.given_up(of.subscription, combination, now);
            self.history.push(AttemptRecord::given_up(of, attempts + 1, &reason, now));
        }
        self.note_written(dispatch, &without);
    }

    /// Writes the health of some subscriptions, in a separate transaction: a client may hold the lock on a subscription
    /// for a long time, and other writes must not wait for that lock.
    fn write_health(&mut self, store: &Store, dispatch: &mut Dispatch, timetable: &mut Timetable) {
        let part = dispatch.verdicts.take_part();
        let written = transaction(c"write the health of subscriptions", || {
            setting::set_local(c"lock_timeout", c"10ms");
            store.write.apply_verdicts(&part)
        });
        timetable.clear(Deadline::Health);
        match written {
            Ok(disabled) => {
                self.journal.log_health(&part, &disabled);
                self.own_events.note_disabled(disabled);
                self.own_events.note_failing(part.halfway);
                if !dispatch.verdicts.is_empty() {
                    timetable.start(Deadline::Health, Duration::ZERO);
                }
            }
            Err(failure) => {
                dispatch.verdicts.put_back(part);
                // That a client holds a lock is not worth a message.
                if failure.code != PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE {
                    self.complaints.warn(&failure);
                }
                timetable.start(Deadline::Health, HEALTH_RETRY);
            }
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
                self.complaints.warn(&failure);
                timetable.start(Deadline::OwnEvents, OWN_EVENTS_RETRY);
            }
        }
    }

    /// Writes the next part of the counts of deliveries. If that fails, they are written with later ones.
    fn write_counts(&mut self, store: &Store, dispatch: &mut Dispatch, timetable: &mut Timetable) {
        if self.counts.is_empty() {
            self.counts = std::mem::take(&mut dispatch.tally);
        }
        let part = self.counts.take_part();
        if !part.is_empty()
            && let Err(failure) = transaction(c"write counts", || store.counts.add(&part))
        {
            self.complaints.warn(&failure);
            dispatch.tally.add(part);
            dispatch.tally.add(std::mem::take(&mut self.counts));
        }
        let wait = if self.counts.is_empty() { COUNTS_EVERY } else { Duration::ZERO };
        timetable.set(Deadline::Counts, Instant::now() + wait);
    }

    /// Writes all that is left, for a few seconds at most. What is not written, and deliveries that are still in flight,
    /// are sent again by the next dispatcher.
    pub fn end(mut self, store: &Store, dispatch: &mut Dispatch) {
        dispatch.move_half_delivered();
        let start = Instant::now();
        let mut written = Ok(());
        while written.is_ok() && !dispatch.writes.is_empty() && start.elapsed() < LAST_WRITES {
            let part = dispatch.writes.take_part();
            written = self.write_part(store, dispatch, part);
        }
        self.write_unwritten(store, dispatch);
        // The rest is written in separate transactions. If they fail, the outcomes are still written, so no delivery is
        // sent again.
        self.history.write_all(store, &mut self.complaints);
        self.delivered.write_all(store, &mut self.complaints);
        dispatch.tally.add(std::mem::take(&mut self.counts));
        dispatch.tally.gather();
        let counted = transaction(c"write counts", || store.counts.add(&dispatch.tally));
        // A client may hold the lock on a subscription.
        let judged =
            transaction(c"write the health of subscriptions", || store.write.apply_verdicts(&dispatch.verdicts));
        let judged = judged.map(|disabled| {
            self.journal.log_health(&dispatch.verdicts, &disabled);
            self.own_events.note_disabled(disabled);
            self.own_events.note_failing(dispatch.verdicts.halfway.drain());
        });
        self.journal.log_given_up();
        let emitted = self.own_events.emit(store);
        for failure in [written, counted, judged, emitted].into_iter().filter_map(Result::err) {
            self.complaints.warn(&failure);
        }
    }
}

/// Returns what can be written without the row of a part: a move deletes the event, or removes the target from it, and an update gives
/// the delivery up.
fn without_row(part: &Part) -> Part {
    let moves = part.moves.iter().map(|step| Move {
        row: step.row,
        deliveries: Vec::new(),
        given_up: step.subscriptions().collect(),
        is_last: step.is_last,
    });
    let changes = part.changes.iter().map(|change| Change {
        of: change.of.clone(),
        state: change.state.map(|state| match state.attempts() {
            Some(attempts) => RowState::Failed { attempts },
            None => state,
        }),
    });
    Part {
        moves: moves.collect(),
        changes: changes.collect(),
        finished_events: part.finished_events.clone(),
        deleted: part.deleted.clone(),
        ..Part::default()
    }
}

/// Writes rows that wait, if it is time, and sets the deadline for the others.
fn write_backlog<R: BesideOutcomes>(
    backlog: &mut Backlog<R>,
    deadline: Deadline,
    store: &Store,
    complaints: &mut Complaints,
    timetable: &mut Timetable,
) {
    if !backlog.is_empty() {
        timetable.start(deadline, Duration::ZERO);
    }
    if timetable.is_due(deadline, Instant::now()) {
        timetable.clear(deadline);
        if let Some(wait) = backlog.write(store, complaints) {
            timetable.start(deadline, wait);
        }
    }
}
