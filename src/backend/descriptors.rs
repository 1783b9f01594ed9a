//! Raises the limit of open file descriptors, and computes how much the sender may do at a time under that limit.
//!
//! Each request in flight takes a descriptor, or more while connections to several addresses are being opened. So does
//! each connection that rests, and each lookup of a host name. A process that has no descriptor left cannot open the
//! file of a table either.

use sender::Limits;

/// Descriptors that are kept for the rest of the process: tables, the write-ahead log, libraries.
const RESERVED: usize = 512;

/// More connections at rest and more lookups at a time would only take memory.
const MAX_RESTING: usize = 4096;
const MAX_LOOKUPS: usize = 512;

/// Raises the limit of descriptors. Returns the number of requests that may be in flight, which is `wanted` or fewer if
/// there are too few descriptors for that, and the limits of the sender.
pub fn limits_for(wanted: usize) -> (usize, Limits) {
    let available = raise_limit().saturating_sub(RESERVED);
    let limits = Limits {
        threads: Limits::usual_threads(),
        resting_connections: (available / 4).clamp(1, MAX_RESTING),
        lookups: (available / 16).clamp(4, MAX_LOOKUPS),
    };
    (wanted.min((available / 2).max(1)), limits)
}

/// Raises the soft limit to the hard limit and returns it.
fn raise_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel reads and writes `limit`, which outlives the calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
    }
    limit.rlim_cur.try_into().unwrap_or(usize::MAX)
}
