//! What the dispatcher does from time to time, other than delivering: it removes old history, and counts what waits.

use std::time::{Duration, Instant, SystemTime};

use super::timetable::{Deadline, Timetable};
use crate::backend::complaints::Complaints;
use crate::backend::{Failure, transaction};
use crate::slots::Slot;
use crate::store::Store;
use crate::{runner, settings};

/// How often history is searched for rows that are too old, and the pause before the next batch of them.
const FORGET_EVERY: Duration = Duration::from_secs(60);
const FORGET_MORE: Duration = Duration::from_millis(500);

/// After the clock was changed no history is removed for this long. If it is wrong now, it is likely to be set right
/// soon, and history that is only seemingly old is still there.
const FORGET_AFTER_CLOCK_CHANGE: Duration = Duration::from_secs(3600);

/// How often the tables are searched for what the runner has to do. Usually it is told.
const NOTE_FOR_RUNNER_EVERY: Duration = Duration::from_secs(60);

/// How often the waiting events and deliveries are counted, if `max_pending` is set.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Makes the chores due now. To be called at start and when settings changed.
pub fn schedule(timetable: &mut Timetable) {
    let now = Instant::now();
    timetable.set(Deadline::Forget, now);
    timetable.set(Deadline::NoteForRunner, now);
    match settings::max_pending() {
        Some(_) => timetable.set(Deadline::CountPending, now),
        None => timetable.clear(Deadline::CountPending),
    }
}

/// To be called when the clock was changed.
pub fn postpone_forgetting(timetable: &mut Timetable) {
    timetable.set(Deadline::Forget, Instant::now() + FORGET_AFTER_CLOCK_CHANGE);
}

/// Runs the chores that are due. Each chore sets its next deadline before it runs, so that a chore that fails is not
/// repeated at once.
pub fn run(
    store: &Store,
    slot: &Slot,
    timetable: &mut Timetable,
    complaints: &mut Complaints,
    has_identity: bool,
) -> Result<(), Failure> {
    fault::point("chores");
    let now = Instant::now();
    if timetable.is_due(Deadline::CountPending, now) {
        timetable.set(Deadline::CountPending, now + COUNT_EVERY);
        let (pending, missed) = transaction(c"count what waits", || store.read.count_pending())?;
        slot.report_pending(pending, missed);
    }
    if timetable.is_due(Deadline::NoteForRunner, now) {
        timetable.set(Deadline::NoteForRunner, now + NOTE_FOR_RUNNER_EVERY);
        if has_identity {
            runner::note_next(slot)?;
        }
    }
    if timetable.is_due(Deadline::Forget, now) {
        timetable.set(Deadline::Forget, now + FORGET_EVERY);
        // The history of a copy that was not adopted is left as it is.
        if has_identity && forget(store, complaints) {
            timetable.set(Deadline::Forget, Instant::now() + FORGET_MORE);
        }
    }
    Ok(())
}

/// Removes some old rows. Returns whether there were any. An error is logged, and keeps only rows of its kind.
fn forget(store: &Store, complaints: &mut Complaints) -> bool {
    let before = SystemTime::now().checked_sub(settings::retention()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut has_removed = false;
    store.retention.forget(before, |step, forget| match transaction(step, forget) {
        Ok(removed) => has_removed |= removed,
        Err(failure) => complaints.warn(&failure),
    });
    has_removed
}
