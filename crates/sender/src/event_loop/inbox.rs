//! What other threads pass to an event loop: requests of the main thread, and addresses of the lookup threads.
//!
//! Waking the loop costs a system call, so it is woken only if it has not been woken since it looked last.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};
use wire::request::Request;

use super::slots::Key;
use crate::destination::LookupResult;

/// The token of the events with which other threads wake the loop. No key is as large.
pub const WOKEN: Token = Token(usize::MAX);

pub struct Inbox {
    contents: Mutex<Contents>,
    woken: AtomicBool,
    waker: Waker,
}

#[derive(Default)]
pub struct Contents {
    pub requests: Vec<Request>,
    /// Results of lookups, each for an opening.
    pub addresses: Vec<(Key, LookupResult)>,
}

impl Inbox {
    pub fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self { contents: Mutex::default(), woken: AtomicBool::new(false), waker: Waker::new(registry, WOKEN)? })
    }

    pub fn hand_over(&self, requests: impl IntoIterator<Item = Request>) {
        self.lock().requests.extend(requests);
        self.wake();
    }

    pub fn answer(&self, opening: Key, result: LookupResult) {
        self.lock().addresses.push((opening, result));
        self.wake();
    }

    /// Wakes the loop. To be called after something was put in, or a flag was set.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // This fails only if the loop is woken already.
            let _ = self.waker.wake();
        }
    }

    /// Exchanges the contents for empty ones. To be called by the loop when it has woken up.
    pub fn take(&self, contents: &mut Contents) {
        // First the flag: what is put in later wakes the loop again.
        self.woken.swap(false, Ordering::AcqRel);
        std::mem::swap(&mut *self.lock(), contents);
    }

    /// Nothing panics while it holds the lock, so the contents are consistent even if the lock is poisoned.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
