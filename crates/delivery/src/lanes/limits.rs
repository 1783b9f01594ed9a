//! The limits of lanes, each with its reason. `docs/why.md` has the measurements.

use std::time::Duration;

/// A lane with this many queued deliveries is crowded. They keep the fastest endpoint busy for some milliseconds, so
/// nothing is gained by reading more for it.
pub const CROWD: usize = 1000;

/// How long a crowded lane may keep the other lanes from getting new events. Then it overflows, unless it has sent
/// [`MOVES_ON`] deliveries.
pub const CROWDED_FOR: Duration = Duration::from_millis(100);

/// If a crowded lane sends this many deliveries within [`CROWDED_FOR`], reading waits for it, because moving its
/// deliveries to the table would take longer.
pub const MOVES_ON: usize = 500;

/// The maximum number of deliveries in the queue of a lane. Further deliveries wait in the table.
pub const QUEUE_LIMIT: usize = 2 * CROWD;

/// While all lanes together have this many deliveries queued, no more are read. This is few enough that a busy machine
/// sends them before their events become stragglers, which have to be moved to another table.
pub const QUEUED_ENOUGH: usize = 4_000;

/// The same limit in bytes of their bodies. A body counts once, however many deliveries share it.
pub const BYTES_ENOUGH: usize = 32 << 20;

/// The same limit for bodies whose rows are not written yet. A transaction writes a row with the body for each delivery,
/// so this is written slowly if an event has many deliveries, and other events must be read in the meantime.
pub const UNWRITTEN_ENOUGH: usize = 2 * BYTES_ENOUGH;

/// The size of a body of a lane that has had no delivery so far, for the number of lanes for which rows are claimed.
pub const FIRST_BODY: usize = 64 << 10;

/// Rows are claimed until a lane has at least this many deliveries. A claim costs a commit that waits for the disk, so
/// it must bring several deliveries.
pub const CLAIM_AT_LEAST: usize = 16;

/// The number of consecutive failures after which an endpoint gets one request at a time, until one succeeds.
pub const FAILING_FROM: u32 = 5;

/// To an endpoint that answers quickly, as many requests are handed over as it answers within this time, so that the
/// sender always has the next one while the dispatcher reads and writes. An endpoint that takes longer gets none ahead.
pub const AHEAD: Duration = Duration::from_millis(20);

/// But at most this many times as many as may be in flight.
pub const MOST_AHEAD: usize = 32;

/// And no more than fit into this, in bytes of their bodies.
pub const AHEAD_BYTES: usize = 4 << 20;

/// While the bodies of all requests in flight take this much, a lane gets no second request. While they take twice as
/// much, it gets none.
pub const IN_FLIGHT_ENOUGH: usize = 32 << 20;

/// In one turn, a lane hands over at most this many requests.
pub const TURN: usize = 32;

/// If a lane with a rate limit starts a request late, it may start the next ones earlier, to make up for at most this
/// much time. No thread wakes up exactly on time.
pub const CATCHES_UP: Duration = Duration::from_millis(10);
