//! Outcomes whose rows can be neither written nor given up, because the tables refuse both. Everything else goes on. They are tried
//! again from time to time: what the tables refuse now they may take later. The next dispatcher does not know them, and sends what
//! the rows say.

use std::time::Duration;

use delivery::writes::Part;

/// How long to wait before they are tried again: twice as long each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// At most this many wait.
const MOST: usize = 1000;

/// Parts with one row each.
pub struct Unwritten {
    parts: Vec<Part>,
    wait: Duration,
}

impl Default for Unwritten {
    fn default() -> Self {
        Self { parts: Vec::new(), wait: FIRST_WAIT }
    }
}

impl Unwritten {
    /// Returns how long to wait before they are tried again; `None` if there are none.
    pub fn wait(&self) -> Option<Duration> {
        (!self.parts.is_empty()).then_some(self.wait)
    }

    pub fn has_room(&self) -> bool {
        self.parts.len() < MOST
    }

    pub fn push(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Takes all of them out, to be tried again.
    pub fn take(&mut self) -> Vec<Part> {
        self.wait = LONGEST_WAIT.min(self.wait * 2);
        std::mem::take(&mut self.parts)
    }

    /// To be called after some of them were tried. The others come before those next time.
    pub fn tried(&mut self, others: impl Iterator<Item = Part>) {
        self.parts.splice(..0, others);
        if self.parts.is_empty() {
            self.wait = FIRST_WAIT;
        }
    }
}
