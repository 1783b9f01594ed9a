//! When something is to be looked at again.
//!
//! A deadline mostly moves: a connection waits for an answer, then rests, then waits for the next answer. So a thing has
//! one timer, which may go off too early. Then its deadline is looked at, and the timer is set again. A timer is set for
//! each request only if its deadline is earlier than that of the timer that is set already.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use wire::ids::SubscriptionId;

use super::slots::Key;

/// What is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Connection(Key),
    Opening(Key),
    Peer(SubscriptionId),
}

/// The timer of a thing: when it goes off, if it is set.
#[derive(Debug, Default)]
pub struct Timer(Option<Instant>);

#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(Instant, Subject)>>);

impl Timers {
    /// Makes sure that the timer goes off at this time or earlier.
    pub fn set(&mut self, timer: &mut Timer, at: Instant, subject: Subject) {
        if timer.0.is_none_or(|set| at < set) {
            timer.0 = Some(at);
            self.0.push(Reverse((at, subject)));
        }
    }

    /// When the next timer goes off.
    pub fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a timer that has gone off.
    pub fn take(&mut self, now: Instant) -> Option<(Instant, Subject)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(next)| next)
    }
}

impl Timer {
    /// Whether this timer has gone off, and not one that was replaced by an earlier one. Then it is no longer set.
    pub fn goes_off(&mut self, at: Instant) -> bool {
        self.0.take_if(|set| *set == at).is_some()
    }
}
