//! Threads of a Postgres process must never run its signal handlers: those assume the one thread that Postgres knows,
//! and corrupt its state on another. A new thread inherits the mask of the one that starts it, so the mask is full
//! for that moment and no longer.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that no signal reaches. The stack is small, because there may be many of them, and still has room
/// for a TLS handshake in a build without optimisation.
pub fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    const STACK_BYTES: usize = 512 * 1024;
    let before = block_all();
    let started = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(body);
    restore(&before);
    started
}

#[allow(unsafe_code)]
fn block_all() -> libc::sigset_t {
    // SAFETY: both sets are plain memory that the calls fill in before they are read, and they outlive the calls.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

#[allow(unsafe_code)]
fn restore(before: &libc::sigset_t) {
    // SAFETY: `before` was filled in by `block_all`; a null pointer asks for no old mask.
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
    fn a_quiet_thread_has_the_signals_of_postgres_blocked_and_its_parent_has_not() {
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
