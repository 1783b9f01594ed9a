//! Loads the configuration again when it has changed: one subscription, several, or everything.

use std::time::{Duration, Instant, SystemTime};

use wire::ids::SubscriptionId;

use super::Dispatcher;
use super::timetable::Deadline;
use crate::backend::Failure;
use crate::changes::{self, Changes};

/// Changes are loaded no more often than this, unless an event needs it. Loading thousands of subscriptions takes a while, and loading
/// one takes nearly as long as loading ten.
const LOAD_EVERY: Duration = Duration::from_millis(100);

/// Whether something depends on the changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Events are about to be sent that were emitted after the changes.
    Now,
    CanWait,
}

impl Dispatcher {
    /// Loads again what has changed. If nothing depends on it, this may be done later.
    pub(super) fn look_for_changes(&mut self, urgency: Urgency) -> Result<(), Failure> {
        if self.timetable.overlap_has_ended(SystemTime::now()) {
            changes::note();
        }
        // The extension may have been dropped, or a privilege revoked.
        if changes::take_tables() {
            changes::note();
        }
        let may_load = urgency == Urgency::Now || self.loaded_at.is_none_or(|at| at.elapsed() >= LOAD_EVERY);
        let loaded = match changes::take() {
            Changes::Of(changed) if changed.is_empty() => Ok(()),
            changes if !may_load => {
                changes.note_again();
                self.timetable.start(Deadline::Load, LOAD_EVERY);
                Ok(())
            }
            Changes::Everything => self.load(),
            Changes::Of(changed) => self.load_changed(&Vec::from_iter(changed)),
        };
        loaded.inspect_err(|_| changes::note())
    }

    fn load_changed(&mut self, changed: &[SubscriptionId]) -> Result<(), Failure> {
        self.begin_load();
        let Self { configuration, store, dispatch, reader, timetable, .. } = self;
        if !configuration.load_changed(changed, store, dispatch, reader, timetable)? {
            return self.load();
        }
        // As in `load`.
        self.write()?;
        self.look_for_due(changed)
    }

    fn load(&mut self) -> Result<(), Failure> {
        self.begin_load();
        let Self { configuration, store, dispatch, reader, timetable, .. } = self;
        if !configuration.load(store, dispatch, reader, timetable)? {
            return Ok(());
        }
        // Write the decisions first: the next query reads from the table when deliveries are due.
        self.write()?;
        let ids = self.dispatch.subscription_ids();
        self.look_for_due(&ids)
    }

    fn begin_load(&mut self) {
        self.timetable.clear(Deadline::Load);
        self.loaded_at = Some(Instant::now());
    }
}
