//! The limits that lanes keep to, each with its reason. `docs/why.md` lists what was measured for them.

use std::time::Duration;

/// A lane with this many deliveries is crowded: enough for some milliseconds of the fastest endpoint, so that nothing is
/// gained by reading more for it.
pub const CROWD: usize = 1000;

/// How long a crowded lane may keep the other lanes from getting new events.
pub const CROWDED_FOR: Duration = Duration::from_millis(100);

/// A crowded lane that sends this many deliveries in that time is waited for: to move its deliveries out of the way of
/// others would take longer.
pub const MOVES_ON: usize = 500;

/// How many deliveries a lane has in memory at most. More of them wait in the table.
pub const QUEUE_LIMIT: usize = 2 * CROWD;

/// How many deliveries all lanes have in memory before no more are read. Few enough that a busy machine sends them before
/// they are stragglers, which have to be moved to another table.
pub const QUEUED_ENOUGH: usize = 4_000;

/// The same in bytes of their bodies.
pub const BYTES_ENOUGH: usize = 32 << 20;

/// A claim costs a commit that waits for the disk, so it has to be worth several deliveries.
pub const CLAIM_AT_LEAST: usize = 16;

/// Consecutive failures from which an endpoint gets one request at a time, until one succeeds.
pub const FAILING_FROM: u32 = 5;

/// How many deliveries a thread takes at a time at most.
pub const LONGEST_CHAIN: usize = 32;

/// How soon an endpoint must answer for its deliveries to be taken several at a time.
pub const QUICK: Duration = Duration::from_millis(10);

/// Work that takes one thread less than this is not worth waking another thread for.
pub const SHORT: Duration = Duration::from_millis(4);

/// A lane with a rate limit that is late may catch up for this long, because no thread wakes up on the microsecond.
pub const CATCHES_UP: Duration = Duration::from_millis(10);

/// A lane with fewer requests under way than this may always send, however many requests other lanes have under way.
pub const FEW: usize = 4;
