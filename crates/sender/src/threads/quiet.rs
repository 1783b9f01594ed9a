//! Starts threads that do not disturb the Postgres process in which they run.
//!
//! These threads must never run the signal handlers of Postgres. The handlers assume that they run on the main thread,
//! and would corrupt the state of Postgres on any other thread. A new thread inherits the signal mask of the thread
//! that starts it. So the starting thread blocks all signals, starts the new thread, which keeps this mask, and then
//! restores its own mask.

#![allow(unsafe_code)]

use std::io;
use std::thread::{Builder, JoinHandle};

/// Hundreds of threads may look up names, so the stack is small; it has room for a TLS handshake in a build without
/// optimisation.
const STACK_BYTES: usize = 512 * 1024;

/// Starts a thread that gets no signals.
pub fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let before = block_all_signals();
    let started = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(body);
    restore_signals(&before);
    started
}

fn block_all_signals() -> libc::sigset_t {
    // SAFETY: both sets are plain memory that the calls fill in before they are read, and they outlive the calls.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: `before` was filled in by `block_all_signals`; a null pointer asks for no old mask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocked signals of the calling thread, as the kernel shows them.
    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    }

    #[test]
    fn a_quiet_thread_has_the_signals_of_postgres_blocked_and_the_thread_that_starts_it_has_not() {
        let before = blocked();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = spawn_quiet("quiet", move || send.send(blocked()).unwrap()).unwrap();
        let inside = receive.recv().unwrap();
        thread.join().unwrap();
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM, libc::SIGQUIT] {
            assert_ne!(inside & (1 << (signal - 1)), 0, "signal {signal} is not blocked");
        }
        assert_eq!(blocked(), before);
    }
}
