//! The loop of the runner: does what is due, and waits for more.

use std::time::{Duration, Instant, SystemTime};

use pgrx::prelude::*;

use super::chores::{self, Forgotten};
use super::note::{self, Next};
use super::{events, own_transaction};
use crate::backend::activity::RUNNER as NAME;
use crate::backend::complaints::Complaints;
use crate::backend::crash_loop::CrashLoop;
use crate::backend::{Failure, database_lock, extension_lock, signals, stopping, transaction};
use crate::flow::rehearsal;
use crate::slots::Slot;

/// How long the runner stays when there is nothing to do.
const LINGER: Duration = Duration::from_secs(60);

/// How often it looks whether a statement needs the database without sessions. Such a statement fails after five seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many events are processed before a rehearsal, while both wait.
const EVENTS_AT_ONCE: usize = 20;

const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// How long old rows wait that could not be removed.
const FORGET_AGAIN: Duration = Duration::from_secs(600);
const BACK_OFF: Duration = Duration::from_secs(1);

pub struct Runner {
    slot: &'static Slot,
    crash_loop: CrashLoop,
    complaints: Complaints,
    /// When something was last done, if anything was.
    worked_at: Option<Instant>,
    /// When old rows are looked for, and when there is something to do.
    next_forget: Instant,
    next: Next,
    next_look: Instant,
    gives_way: bool,
}

impl Runner {
    pub fn new(slot: &'static Slot, crash_loop: CrashLoop) -> Self {
        let now = Instant::now();
        let complaints = Complaints::new(NAME);
        Self {
            slot,
            crash_loop,
            complaints,
            worked_at: None,
            next_forget: now,
            next: Next::default(),
            next_look: now,
            gives_way: false,
        }
    }

    pub fn run(mut self) {
        while self.goes_on() {
            signals::reload_requested();
            match self.turn() {
                Ok(true) => self.worked_at = Some(Instant::now()),
                Ok(false) if self.is_idle() => break,
                Ok(false) => signals::wait(None, self.time_to_wait()),
                Err(failure) if self.extension_is_gone() => {
                    drop(failure);
                    break;
                }
                Err(failure) => {
                    self.complaints.warn(&failure);
                    signals::wait(None, BACK_OFF);
                }
            }
        }
        // What is left is noted, so that another runner is started for it.
        if !signals::stop_requested()
            && !self.extension_is_gone()
            && let Err(failure) = note::note_next(self.slot)
        {
            self.complaints.warn(&failure);
        }
    }

    /// Does some of what is due. Returns whether there was anything.
    fn turn(&mut self) -> Result<bool, Failure> {
        self.slot.runner().take_due();
        let mut has_worked = false;
        for _ in 0..EVENTS_AT_ONCE {
            if !self.goes_on() || !events::process_next()? {
                break;
            }
            has_worked = true;
        }
        if self.goes_on() {
            has_worked |= rehearse_next()?;
        }
        if has_worked {
            self.crash_loop.end();
            return Ok(true);
        }
        if Instant::now() >= self.next_forget {
            let Forgotten { more, has_failed } = chores::forget(&mut self.complaints);
            if more {
                return Ok(true);
            }
            self.next_forget = Instant::now() + FORGET_EVERY;
            let wait = if has_failed { FORGET_AGAIN } else { Duration::ZERO };
            self.slot.runner().let_removal_wait(SystemTime::now() + wait);
        }
        self.next = note::note_next(self.slot)?;
        // An old event that is tried no more, or a shorter time for which rows are kept.
        if self.next.removal.is_some_and(|removal| removal <= SystemTime::now()) {
            self.next_forget = Instant::now();
        }
        Ok(false)
    }

    fn goes_on(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.next_look {
            self.next_look = now + LOOK_EVERY;
            // SAFETY: set when the process connected, and never changed.
            let database = unsafe { pg_sys::MyDatabaseId };
            self.gives_way = !database_lock::is_free(database) || stopping::is_stopping();
        }
        !signals::stop_requested() && !self.slot.is_parked() && !self.slot.is_left_out() && !self.gives_way
    }

    /// Returns whether nothing has been done for some time, and nothing is due soon.
    fn is_idle(&self) -> bool {
        let (now, soon) = (Instant::now(), SystemTime::now() + LINGER / 4);
        let is_rested = self.worked_at.is_none_or(|at| now >= at + LINGER);
        is_rested && self.next.first().is_none_or(|next| next > soon)
    }

    fn time_to_wait(&self) -> Duration {
        // Old rows can wait.
        let until_next = self.next.due.map(|next| next.duration_since(SystemTime::now()).unwrap_or_default());
        until_next.unwrap_or(LOOK_EVERY).min(LOOK_EVERY).max(Duration::from_millis(10))
    }

    fn extension_is_gone(&self) -> bool {
        transaction(c"look for the extension", extension_lock::find).is_ok_and(|found| found.is_none())
    }
}

/// Rehearses the flow that has waited longest. Returns false if none waits.
fn rehearse_next() -> Result<bool, Failure> {
    let Some(rehearsal) = own_transaction(c"begin a rehearsal", rehearsal::begin_next)? else { return Ok(false) };
    transaction(c"rehearse a flow", || events::alone_in_session(|| rehearsal.run()))?;
    Ok(true)
}
