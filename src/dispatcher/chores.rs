//! What the dispatcher does from time to time besides delivering: remove what is too old, tell how much waits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::Dispatcher;
use crate::{process, settings};

/// How often what is too old to be kept is looked for, and how soon again after some of it was removed.
const FORGET_EVERY: Duration = Duration::from_secs(60);
const FORGET_MORE: Duration = Duration::from_millis(500);

/// How often what waits is counted, where that matters.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// When what is due.
pub struct Chores {
    next_forgetting: Instant,
    next_counting: Instant,
}

impl Chores {
    pub fn new(now: Instant) -> Self {
        Self { next_forgetting: now, next_counting: now }
    }

    pub fn next(&self) -> Instant {
        match settings::max_pending() {
            Some(_) => self.next_forgetting.min(self.next_counting),
            None => self.next_forgetting,
        }
    }
}

impl Dispatcher {
    /// Each first says when it is due again, so that nothing else waits for it again and again should it fail.
    pub(super) fn do_chores(&mut self) -> Result<(), String> {
        fault::point("chores");
        let now = Instant::now();
        if self.is_over() {
            return Ok(());
        }
        if settings::max_pending().is_some() && now >= self.chores.next_counting {
            self.chores.next_counting = now + COUNT_EVERY;
            self.count_pending()?;
        }
        if now >= self.chores.next_forgetting {
            self.chores.next_forgetting = now + FORGET_EVERY;
            self.forget_old()?;
        }
        Ok(())
    }

    fn forget_old(&mut self) -> Result<(), String> {
        let before = SystemTime::now().checked_sub(settings::retention()).unwrap_or(SystemTime::UNIX_EPOCH);
        // The history of a copy that nobody has adopted is not ours to remove.
        if self.at_home && process::transaction(|| self.store.forget(before))? {
            self.chores.next_forgetting = Instant::now() + FORGET_MORE;
        }
        Ok(())
    }

    fn count_pending(&self) -> Result<(), String> {
        let pending = process::transaction(|| self.store.count_pending())?;
        self.slot.pending.store(pending, Ordering::Relaxed);
        Ok(())
    }
}
