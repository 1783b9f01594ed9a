//! A lane is *crowded* when it has many deliveries queued. Then no more events are read for any lane, for at most
//! `CROWDED_FOR`. Usually the lane sends its queue within that time, and unread events wait in the table at no cost. If
//! the lane is still crowded after that time and has sent little, its endpoint is slow: the lane overflows, and reading
//! continues. If it has sent many deliveries, reading waits for another `CROWDED_FOR`, because moving its deliveries to
//! the table would take longer than sending them. If no other active lane is left, reading waits as well, because it
//! would help nobody. If a flood keeps the lane crowded, events for other subscriptions are read before the rest of the
//! flood, see [`reading`](crate::reading).
//!
//! If memory is full and lanes send little, the lanes that have most of what is queued are emptied, for the same reason.
//! A body that several deliveries share counts once.

use std::time::Instant;

use wire::ids::SubscriptionId;

use super::Lanes;
use super::limits::{BYTES_ENOUGH, CROWD, CROWDED_FOR, MOVES_ON, QUEUE_LIMIT, QUEUED_ENOUGH};

/// A crowded lane, or all lanes while memory is full.
#[derive(Debug)]
pub struct Crowd {
    pub since: Instant,
    /// The number of deliveries that were sent since then.
    pub sent: usize,
}

impl Lanes {
    /// Whether more events should be read. A lane that has been crowded for `CROWDED_FOR` and has sent little begins to
    /// overflow.
    pub fn have_room(&mut self, now: Instant) -> bool {
        let is_over = |crowd: &Crowd| now.duration_since(crowd.since) >= CROWDED_FOR;
        let delays_others = self.crowded.values().any(is_over) && self.crowds_delay_others();
        self.crowded.retain(|id, crowd| {
            if !is_over(crowd) {
                return true;
            }
            let moves_on = !delays_others || crowd.sent >= MOVES_ON;
            *crowd = Crowd { since: now, sent: 0 };
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.overflowing = !moves_on;
            }
            moves_on
        });
        self.crowded.is_empty() && self.have_memory()
    }

    /// Whether a lane that is not crowded may have unread events.
    fn crowds_delay_others(&self) -> bool {
        self.subscriptions().any(|one| one.active && !self.crowded.contains_key(&one.id))
    }

    /// Whether more events should be read although lanes are crowded. True if only lanes of a flood are crowded, and
    /// each of them still has room for a page, because the next page may be for these lanes too.
    pub fn have_room_beside(&self, is_flooded: impl Fn(SubscriptionId) -> bool) -> bool {
        let has_room = |id| self.lanes.get(id).is_some_and(|lane| lane.queue.len() + CROWD / 2 <= QUEUE_LIMIT);
        self.crowded.keys().all(|id| is_flooded(*id) && has_room(id)) && self.have_memory()
    }

    fn have_memory(&self) -> bool {
        self.queued < QUEUED_ENOUGH && self.bodies.bytes() < BYTES_ENOUGH
    }

    /// When memory has been full for `CROWDED_FOR` and little has been sent: the lanes that have most of what is queued.
    /// They are to be emptied, so that slow endpoints do not keep events of others from being read.
    pub fn stuck(&mut self, now: Instant) -> Vec<SubscriptionId> {
        if self.have_memory() {
            self.full = None;
            return Vec::new();
        }
        let full = self.full.get_or_insert(Crowd { since: now, sent: 0 });
        if now.duration_since(full.since) < CROWDED_FOR {
            return Vec::new();
        }
        let moves_on = full.sent >= MOVES_ON;
        *full = Crowd { since: now, sent: 0 };
        if moves_on {
            return Vec::new();
        }
        // A lane that has no request in flight waits for others: it is not known to be slow.
        let queued = || self.lanes.iter().filter(|(_, lane)| lane.in_flight > 0 && lane.waiting() > 0);
        let share = queued().map(|(_, lane)| lane.queue.len()).sum::<usize>() / queued().count().max(1);
        queued().filter(|(_, lane)| lane.queue.len() >= share).map(|(id, _)| *id).collect()
    }

    /// When the first crowded lane may begin to overflow, or memory has been full for too long.
    pub fn next_overflow(&self) -> Option<Instant> {
        self.crowded.values().chain(&self.full).map(|crowd| crowd.since + CROWDED_FOR).min()
    }
}
