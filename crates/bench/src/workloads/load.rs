//! Live load: clients that commit events while the dispatcher delivers them, all on the same cores.

use std::thread;
use std::time::{Duration, Instant};

use crate::bed::{Bed, Length};
use crate::receiver::Receiver;

pub const CLIENTS: u32 = 16;

/// The duration of a sample.
pub const SECONDS: u32 = 4;

/// Returns the deliveries per second that arrive while clients run this script. Deliveries that are still queued at the
/// end are not counted.
pub fn rate(bed: &mut Bed, receiver: &Receiver, script: &str, more: &[&str]) -> f64 {
    let before = receiver.arrived();
    let start = Instant::now();
    let committed = bed.pgbench(script, CLIENTS, Length::Seconds(SECONDS), more);
    let rate = per_second(receiver.arrived() - before, start.elapsed());
    eprintln!("{committed:.0} commits/s, {rate:.0} arrivals/s");
    rate
}

pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Does something at a fixed rate.
pub struct Pace {
    every: Duration,
    next: Instant,
}

impl Pace {
    pub fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    /// Does it, and waits until it is to be done again.
    pub fn next(&mut self, action: impl FnOnce()) {
        action();
        self.next += self.every;
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
    }
}
