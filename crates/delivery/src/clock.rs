//! Notices interruptions: times in which this dispatcher could not send, and changes of the clock.
//!
//! The time until a delivery expires, and the time after which an endpoint is stale, must not include times in which
//! nothing could be sent, whatever the reason: the machine or the process was suspended, tables were locked, the disk
//! was full. Two signs show all of these. First, no turn of the dispatcher was completed for [`LONGEST_TURN`]. Second,
//! the two clocks disagree: the steady clock ([`Instant`]) never jumps, and stands still while the machine is
//! suspended; the wall clock ([`SystemTime`]) goes on then, and is set by people and by time servers.

use std::time::{Duration, Instant, SystemTime};

/// A turn takes less than this, also on a busy machine. The dispatcher waits at most half a second between two turns.
pub const LONGEST_TURN: Duration = Duration::from_secs(3);

/// If the clocks differ by more than this between two readings, the wall clock was changed. Time servers that correct a
/// clock continuously change it by less than a millisecond in a second.
const CLOCK_CHANGE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// No turn was completed for [`LONGEST_TURN`].
    Blocked,
    /// The wall clock was changed, or the machine was suspended. Times in tables may be further away than planned.
    ClockChanged,
}

/// The clocks as they were last read.
#[derive(Debug)]
pub struct Clocks {
    wall: SystemTime,
    steady: Instant,
    /// When the latest turn was completed.
    turned: Instant,
    /// Whether the latest turn took too long.
    was_blocked: bool,
}

impl Clocks {
    pub fn new(wall: SystemTime, steady: Instant) -> Self {
        Self { wall, steady, turned: steady, was_blocked: false }
    }

    /// Reads the clocks. Returns whether there was an interruption since they were read before. To be called before
    /// outcomes are judged.
    pub fn read(&mut self, wall: SystemTime, steady: Instant) -> Option<Interruption> {
        let expected = self.wall + steady.saturating_duration_since(self.steady);
        let change = wall.duration_since(expected).unwrap_or_else(|error| error.duration());
        (self.wall, self.steady) = (wall, steady);
        let blocked = std::mem::take(&mut self.was_blocked) || self.is_late(steady);
        if change > CLOCK_CHANGE {
            return Some(Interruption::ClockChanged);
        }
        blocked.then_some(Interruption::Blocked)
    }

    /// Records that a turn was completed, in which whatever was due could have been sent.
    pub fn complete_turn(&mut self, steady: Instant) {
        self.was_blocked |= self.is_late(steady);
        self.turned = steady;
    }

    fn is_late(&self, steady: Instant) -> bool {
        steady.saturating_duration_since(self.turned) > LONGEST_TURN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const TURN: Duration = Duration::from_millis(500);

    /// A machine on which time passes in turns of the dispatcher.
    struct Machine {
        wall: SystemTime,
        steady: Instant,
        clocks: Clocks,
    }

    impl Machine {
        fn new() -> Self {
            let (wall, steady) = (SystemTime::UNIX_EPOCH + 1_000_000 * HOUR, Instant::now() + HOUR);
            Self { wall, steady, clocks: Clocks::new(wall, steady) }
        }

        fn pass(&mut self, time: Duration) {
            self.wall += time;
            self.steady += time;
        }

        fn read(&mut self) -> Option<Interruption> {
            self.clocks.read(self.wall, self.steady)
        }

        fn turn(&mut self) -> Option<Interruption> {
            self.pass(TURN);
            let seen = self.read();
            self.clocks.complete_turn(self.steady);
            seen
        }
    }

    #[test]
    fn turns_without_interruption_are_none_however_long_they_go_on() {
        let mut machine = Machine::new();
        assert!((0..10_000).all(|_| machine.turn().is_none()));
    }

    #[test]
    fn a_clock_that_is_slowly_corrected_is_no_interruption() {
        let mut machine = Machine::new();
        for _ in 0..10_000 {
            machine.wall += Duration::from_millis(5);
            assert_eq!(machine.turn(), None);
        }
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_once_in_both_directions() {
        let mut machine = Machine::new();
        for change in [4 * HOUR, 24 * HOUR] {
            machine.wall += change;
            assert_eq!((machine.turn(), machine.turn()), (Some(Interruption::ClockChanged), None));
            machine.wall -= change;
            assert_eq!((machine.turn(), machine.turn()), (Some(Interruption::ClockChanged), None));
        }
    }

    #[test]
    fn a_machine_that_was_suspended_is_noticed_although_the_steady_clock_stood_still() {
        let mut machine = Machine::new();
        machine.turn();
        machine.wall += 8 * HOUR;
        assert_eq!(machine.turn(), Some(Interruption::ClockChanged));
    }

    #[test]
    fn a_process_that_was_stopped_between_turns_or_during_one_is_noticed() {
        let mut machine = Machine::new();
        machine.pass(2 * LONGEST_TURN);
        assert_eq!(machine.turn(), Some(Interruption::Blocked));
        machine.turn();
        assert_eq!(machine.turn(), None);

        machine.read();
        machine.pass(2 * LONGEST_TURN);
        machine.clocks.complete_turn(machine.steady);
        assert_eq!((machine.turn(), machine.turn()), (Some(Interruption::Blocked), None));
    }

    #[test]
    fn while_no_turn_succeeds_every_reading_is_an_interruption() {
        let mut machine = Machine::new();
        machine.pass(LONGEST_TURN);
        for _ in 0..10 {
            machine.pass(TURN);
            assert_eq!(machine.read(), Some(Interruption::Blocked));
        }
        machine.turn();
        machine.turn();
        assert_eq!(machine.turn(), None);
    }
}
