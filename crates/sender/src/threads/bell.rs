//! Wakes the thread that waits for attempts.
//!
//! The waiting thread is the main thread of a Postgres process. It sleeps on its latch and on one file descriptor, and
//! other threads must not touch the latch. So the bell is an eventfd. Ringing it costs a system call only if it is not
//! rung already. This matters because under load there are thousands of attempts each time the dispatcher looks.
//!
//! The order of the steps makes this safe. A thread sends its attempt, then rings. The waiting thread silences the
//! bell, then takes the attempts. A thread that finds the bell already rung has sent its attempt before the bell is
//! silenced, so the attempt is taken.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub struct Bell {
    rung: AtomicBool,
    event: OwnedFd,
}

impl Bell {
    pub fn new() -> io::Result<Self> {
        Ok(Self { rung: AtomicBool::new(false), event: new_eventfd()? })
    }

    /// Wakes the waiting thread. To be called after an attempt was sent.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            add_one(&self.event);
        }
    }

    /// Ends the ringing. To be called before the attempts are taken, never after.
    pub fn silence(&self) {
        take_all(&self.event);
        self.rung.swap(false, Ordering::AcqRel);
    }

    /// The file descriptor, which is readable while the bell is rung.
    pub fn fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Waits until the bell is rung and returns true, or false after `limit`. For callers that have no latch to wait on.
    pub fn wait(&self, limit: Duration) -> bool {
        let millis = limit.as_millis().try_into().unwrap_or(i32::MAX);
        is_readable(&self.event, millis)
    }
}

fn new_eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointer, and the descriptor is new, so nobody else owns it.
    unsafe {
        match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Adds one to the counter. This fails only if the counter is full, and then the bell is rung already.
fn add_one(event: &OwnedFd) {
    let one = 1u64;
    // SAFETY: the kernel reads the eight bytes of `one`, which outlives the call.
    unsafe { libc::write(event.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

/// Sets the counter to zero. Fails if it is zero already, which changes nothing.
fn take_all(event: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: the kernel writes at most eight bytes into `count`, which outlives the call.
    unsafe { libc::read(event.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
}

fn is_readable(event: &OwnedFd, millis: i32) -> bool {
    let mut entry = libc::pollfd { fd: event.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `entry` is one pollfd, as the count says, and outlives the call.
    unsafe { libc::poll(&raw mut entry, 1, millis) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_bell_ends_the_wait_until_it_is_silenced() {
        let bell = Bell::new().unwrap();
        assert!(!bell.wait(Duration::ZERO));
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::ZERO));
        bell.silence();
        assert!(!bell.wait(Duration::ZERO));
    }

    #[test]
    fn a_bell_rings_again_after_it_was_silenced() {
        let bell = Bell::new().unwrap();
        bell.silence();
        bell.ring();
        bell.silence();
        bell.ring();
        assert!(bell.wait(Duration::ZERO));
    }

    #[test]
    fn no_attempt_is_missed_when_many_threads_ring() {
        const EACH: usize = 2000;
        let bell = Bell::new().unwrap();
        let (send, attempts) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let send = send.clone();
                scope.spawn(|| {
                    let send = send;
                    for _ in 0..EACH {
                        send.send(()).unwrap();
                        bell.ring();
                    }
                });
            }
            let mut taken = 0;
            while taken < 4 * EACH {
                assert!(bell.wait(Duration::from_secs(10)), "stuck at {taken}");
                bell.silence();
                taken += attempts.try_iter().count();
            }
        });
    }
}
