//! Decides whether the dispatcher has to end, and ends its work.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::timetable::Deadline;
use super::{Dispatcher, NAME};
use crate::backend::{database_lock, signals};
use crate::slots::State;

/// How often the dispatcher finds out whether a statement needs the database without sessions. Such a statement fails
/// after five seconds, in which the dispatcher also has to wait for its requests and to write their outcomes.
const GIVE_WAY: Duration = Duration::from_millis(500);

impl Dispatcher {
    pub(super) fn goes_on(&mut self) -> bool {
        let may_run = !self.slot.is_parked() && !self.slot.is_left_out();
        !signals::stop_requested() && may_run && !self.is_over() && !self.must_give_way()
    }

    /// Returns whether a statement needs the database without sessions.
    fn must_give_way(&mut self) -> bool {
        let now = Instant::now();
        if !self.gives_way && self.timetable.is_due(Deadline::GiveWay, now) {
            self.timetable.set(Deadline::GiveWay, now + GIVE_WAY);
            // SAFETY: set when the process connected, and never changed.
            self.gives_way = !database_lock::is_free(unsafe { pg_sys::MyDatabaseId });
        }
        self.gives_way
    }

    /// Returns whether the extension that this dispatcher works for is gone.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.slot.state(), State::Absent | State::Ended)
    }

    /// Waits a moment for requests in flight, and writes their outcomes. Other deliveries are sent by the next
    /// dispatcher.
    pub(super) fn end(self) {
        let reason = match self.slot.state() {
            _ if self.configuration.has_new_identity() => "the database has become another installation",
            State::Absent | State::Ended => "the extension was dropped",
            _ if self.slot.is_parked() => "parked by hydra.webhook_park()",
            _ if self.slot.is_left_out() => "hydra_webhooks.databases leaves it out",
            _ if self.gives_way => "the database is being dropped, renamed, moved or copied",
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
