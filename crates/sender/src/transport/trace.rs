//! Records what ureq does not report about a request: whether its connection is a new one, whether any part of an answer
//! came, and whether it came without TLS. If a request on a connection that was used before fails without a byte of an
//! answer, it was most likely never read.

use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a client and its connections, all on one thread.
#[derive(Debug, Default)]
pub struct Trace {
    opened: AtomicBool,
    answered: AtomicBool,
    plain_http: AtomicBool,
}

impl Trace {
    /// Clears the record. To be called before each request.
    pub fn clear(&self) {
        self.opened.store(false, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
        self.plain_http.store(false, Ordering::Relaxed);
    }

    /// Records that a connection is being opened for the request.
    pub fn opens_connection(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    /// Records that a part of an answer came.
    pub fn gets_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether any part of an answer came.
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whether the request used an existing connection and no part of an answer came.
    pub fn is_reused_and_silent(&self) -> bool {
        !self.opened.load(Ordering::Relaxed) && !self.is_answered()
    }

    /// Records that the receiver answered a TLS handshake in plain HTTP.
    pub fn gets_plain_http(&self) {
        self.plain_http.store(true, Ordering::Relaxed);
    }

    /// Whether the receiver answered a TLS handshake in plain HTTP.
    pub fn is_plain_http(&self) -> bool {
        self.plain_http.load(Ordering::Relaxed)
    }
}
