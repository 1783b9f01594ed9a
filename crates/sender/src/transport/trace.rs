//! What ureq does not report about a request: whether its connection is a new one, and whether any part of an answer came.
//! A request that fails without a byte of an answer, on a connection that was used before, was most likely never read.

use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a client and its connections, all on one thread.
#[derive(Debug, Default)]
pub struct Trace {
    opened: AtomicBool,
    answered: AtomicBool,
}

impl Trace {
    /// Before each request.
    pub fn clear(&self) {
        self.opened.store(false, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
    }

    pub fn opens_connection(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    pub fn gets_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub fn is_reused_and_silent(&self) -> bool {
        !self.opened.load(Ordering::Relaxed) && !self.is_answered()
    }
}
