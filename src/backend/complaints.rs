//! Warns of errors. An error that occurs again and again is logged ever more rarely, with the number of repetitions, so
//! that a permanent error does not fill the log. `webhook_worker_status` shows the latest error of a dispatcher.

use std::collections::HashMap;
use std::ffi::CStr;
use std::time::{Duration, Instant, SystemTime};

use super::{Failure, sqlstate};
use crate::slots::Slot;

/// The first and the longest time between two messages about the same error.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(600);

/// The maximum number of different errors that are remembered.
const MANY: usize = 100;

/// Errors are the same if the same step failed with the same SQLSTATE.
type Key = (&'static CStr, String);

pub struct Complaints {
    /// The name with which messages begin.
    worker: &'static str,
    /// That of a dispatcher.
    slot: Option<&'static Slot>,
    known: HashMap<Key, Complaint>,
}

/// An error that was logged.
struct Complaint {
    /// When it may be logged again, and how long after that it may be logged again.
    next: Instant,
    pause: Duration,
    latest: Instant,
    /// The number of repetitions since it was logged.
    repetitions: u64,
}

impl Complaints {
    pub fn new(worker: &'static str) -> Self {
        Self { worker, slot: None, known: HashMap::new() }
    }

    /// The same for a dispatcher, whose slot shows the latest error.
    pub fn shown_in(self, slot: &'static Slot) -> Self {
        Self { slot: Some(slot), ..self }
    }

    /// Logs the error, unless the same error was logged a short time ago.
    pub fn warn(&mut self, failure: &Failure) {
        let code = sqlstate(failure.code);
        if let Some(slot) = self.slot {
            slot.report_error(&code, SystemTime::now());
        }
        if self.known.len() >= MANY {
            self.known.clear();
        }
        let now = Instant::now();
        let complaint = self.known.entry((failure.step, code)).or_insert_with(|| Complaint::new(now));
        if let Some(repetitions) = complaint.occurs(now) {
            failure.warn(self.worker, repetitions);
        }
    }
}

impl Complaint {
    fn new(now: Instant) -> Self {
        Self { next: now, pause: FIRST, latest: now, repetitions: 0 }
    }

    /// Counts the error. If it is to be logged now, returns how often it occurred since it was last logged, apart from
    /// this time.
    fn occurs(&mut self, now: Instant) -> Option<u64> {
        // An error that has not occurred for a long time is a new one.
        if now.duration_since(self.latest) > LONGEST {
            *self = Self::new(now);
        }
        self.latest = now;
        if now < self.next {
            self.repetitions += 1;
            return None;
        }
        self.next = now + self.pause;
        self.pause = (2 * self.pause).min(LONGEST);
        Some(std::mem::take(&mut self.repetitions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_every_second_is_logged_at_once_and_then_ever_more_rarely_up_to_every_ten_minutes() {
        let start = Instant::now();
        let mut complaint = Complaint::new(start);
        let mut logged = Vec::new();
        for second in 0..4000 {
            if let Some(repetitions) = complaint.occurs(start + Duration::from_secs(second)) {
                logged.push((second, repetitions));
            }
        }
        let seconds: Vec<u64> = logged.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [0, 2, 6, 14, 30, 62, 126, 254, 510, 1022, 1622, 2222, 2822, 3422]);
        assert_eq!(logged[1], (2, 1));
        assert_eq!(logged[13], (3422, 599));
    }

    #[test]
    fn an_error_that_comes_back_after_ten_minutes_is_logged_at_once() {
        let start = Instant::now();
        let mut complaint = Complaint::new(start);
        for second in 0..100 {
            complaint.occurs(start + Duration::from_secs(second));
        }
        let later = start + Duration::from_secs(99) + LONGEST + Duration::from_secs(1);
        assert_eq!(complaint.occurs(later), Some(0));
        assert_eq!(complaint.occurs(later + Duration::from_secs(1)), None);
    }
}
