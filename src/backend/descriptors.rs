//! Raises the limit of open file descriptors, and computes how many sender threads that limit allows.
//!
//! Each request in flight takes a descriptor, and each sender thread keeps a few idle connections open. A process that
//! has no descriptor left cannot open the file of a table either.

/// Descriptors that are kept for the rest of the process: tables, the write-ahead log, libraries.
const RESERVED: usize = 512;

/// Connections that one thread can have open at a time: one in use, and those that the sender keeps idle.
const PER_THREAD: usize = 13;

/// Raises the limit of descriptors, and returns the number of threads: `wanted`, or fewer if there are too few
/// descriptors for that.
pub fn threads_for(wanted: usize) -> usize {
    let available = raise_limit().saturating_sub(RESERVED) / PER_THREAD;
    wanted.min(available.max(1))
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
