//! All deadlines of the dispatcher: when it has to wake up although no event and no outcome has arrived.
//!
//! Every deadline has a name here, so that the dispatcher does not sleep past one.
//! [`Dispatch`](delivery::dispatch::Dispatch) knows the deadlines of single deliveries (retries, rate limits); they are
//! passed in.

use std::time::{Duration, Instant, SystemTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// To read the queue without a wake, in case a wake was lost.
    Poll,
    /// To write outcomes, the oldest of which has waited long enough.
    Batch,
    /// To write rows of the history that could not be written with the outcomes.
    History,
    /// To keep deliveries that could not be kept with the outcomes.
    Delivered,
    /// To write outcomes again that could be neither written nor given up.
    Unwritten,
    /// To write the health of subscriptions.
    Health,
    /// To emit events of the extension itself.
    OwnEvents,
    /// To write counts of deliveries.
    Counts,
    /// To log how many deliveries were given up.
    GivenUp,
    /// To remove history that is older than the retention.
    Forget,
    /// To look for what the runner has to do, in case nobody told it.
    NoteForRunner,
    /// To count the waiting events and deliveries, for `max_pending`.
    CountPending,
    /// To load subscriptions that have changed.
    Load,
    /// To find out whether a statement needs the database without sessions.
    GiveWay,
}

const DEADLINES: usize = Deadline::GiveWay as usize + 1;

pub struct Timetable {
    at: [Option<Instant>; DEADLINES],
    /// After an error nothing is read or written before this.
    resume: Instant,
    /// When an overlap of two signing secrets ends, so that secrets have to be loaded again. By the wall clock, because
    /// the time comes from a table.
    overlap_ends: Option<SystemTime>,
}

impl Timetable {
    pub fn new(now: Instant) -> Self {
        Self { at: [None; DEADLINES], resume: now, overlap_ends: None }
    }

    pub fn set(&mut self, deadline: Deadline, at: Instant) {
        self.at[deadline as usize] = Some(at);
    }

    pub fn clear(&mut self, deadline: Deadline) {
        self.at[deadline as usize] = None;
    }

    /// Sets a deadline that is not set yet.
    pub fn start(&mut self, deadline: Deadline, wait: Duration) {
        self.at[deadline as usize].get_or_insert_with(|| Instant::now() + wait);
    }

    pub fn is_due(&self, deadline: Deadline, now: Instant) -> bool {
        self.at[deadline as usize].is_some_and(|at| at <= now)
    }

    /// Prevents reading and writing for this long.
    pub fn back_off(&mut self, wait: Duration) {
        self.resume = Instant::now() + wait;
    }

    /// Returns whether reading and writing are allowed again after an error.
    pub fn may_go_on(&self, now: Instant) -> bool {
        now >= self.resume
    }

    pub fn set_overlap_end(&mut self, at: Option<SystemTime>) {
        self.overlap_ends = at;
    }

    /// Notes one more end of an overlap.
    pub fn add_overlap_end(&mut self, at: Option<SystemTime>) {
        self.overlap_ends = self.overlap_ends.into_iter().chain(at).min();
    }

    pub fn overlap_has_ended(&self, wall: SystemTime) -> bool {
        self.overlap_ends.is_some_and(|at| at <= wall)
    }

    /// Returns how long to sleep. `others` are more deadlines, on the monotonic clock; `due` is one more, on the wall
    /// clock.
    pub fn time_to_wait(
        &self,
        now: Instant,
        wall: SystemTime,
        others: impl IntoIterator<Item = Instant>,
        due: Option<SystemTime>,
    ) -> Duration {
        let by_wall = [due, self.overlap_ends].into_iter().flatten();
        let by_wall = by_wall.map(|at| now + at.duration_since(wall).unwrap_or_default());
        let first = self.at.iter().copied().flatten().chain(others).chain(by_wall).min();
        let wait = first.unwrap_or(now).max(self.resume).saturating_duration_since(now);
        // The latch waits for whole milliseconds, and the time is rounded down. One millisecond is added, so that the
        // dispatcher does not wake up before there is something to do.
        wait + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn wait(timetable: &Timetable, now: Instant) -> Duration {
        timetable.time_to_wait(now, SystemTime::UNIX_EPOCH, [], None)
    }

    #[test]
    fn the_dispatcher_sleeps_until_the_first_deadline_whichever_it_is() {
        let now = Instant::now();
        let all = [
            Deadline::Poll,
            Deadline::Batch,
            Deadline::History,
            Deadline::Delivered,
            Deadline::Unwritten,
            Deadline::Health,
            Deadline::OwnEvents,
            Deadline::Counts,
            Deadline::GivenUp,
            Deadline::Forget,
            Deadline::NoteForRunner,
            Deadline::CountPending,
            Deadline::Load,
            Deadline::GiveWay,
        ];
        assert_eq!(all.len(), DEADLINES);
        for deadline in all {
            let mut timetable = Timetable::new(now);
            all.iter().for_each(|other| timetable.set(*other, now + 9 * MILLI));
            timetable.set(deadline, now + 5 * MILLI);
            assert_eq!(wait(&timetable, now), 6 * MILLI, "{deadline:?}");
            assert!(!timetable.is_due(deadline, now) && timetable.is_due(deadline, now + 5 * MILLI));
        }
    }

    #[test]
    fn the_end_of_an_overlap_and_due_retries_are_deadlines_of_the_wall_clock() {
        let (now, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_487_580));
        let mut timetable = Timetable::new(now);
        timetable.set(Deadline::Poll, now + 500 * MILLI);
        timetable.set_overlap_end(Some(wall + 70 * MILLI));
        assert_eq!(timetable.time_to_wait(now, wall, [], None), 71 * MILLI);
        assert_eq!(timetable.time_to_wait(now, wall, [], Some(wall + 30 * MILLI)), 31 * MILLI);
        assert_eq!(timetable.time_to_wait(now, wall, [], Some(wall - 30 * MILLI)), MILLI);
        assert!(!timetable.overlap_has_ended(wall) && timetable.overlap_has_ended(wall + 70 * MILLI));
    }

    #[test]
    fn after_an_error_no_deadline_wakes_the_dispatcher_early() {
        let mut timetable = Timetable::new(Instant::now());
        timetable.back_off(Duration::from_secs(1));
        let now = Instant::now();
        timetable.set(Deadline::Batch, now);
        assert!(wait(&timetable, now) > Duration::from_millis(900) && !timetable.may_go_on(now));
    }
}
