//! Limits the time of a part of a statement.
//!
//! `statement_timeout` has no effect in a background worker, and it would end the whole statement. So another thread
//! watches the clock. When a part has run for too long, that thread requests a cancel in the way in which
//! `pg_cancel_backend` does, and notes that the request is its own. Postgres then raises the error of a cancelled
//! statement. The subtransaction in which the part runs finds the note, and returns the error instead of raising it
//! again: only that part has ended.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use sender::spawn_quiet;

#[derive(Default)]
struct Watch {
    /// When the part began that is running now.
    began: Option<Instant>,
    /// Whether the part has run for too long, and the cancel was requested.
    is_over: bool,
    /// Whether the thread has to end.
    ends: bool,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { began: None, is_over: false, ends: false });
static ENDS: Condvar = Condvar::new();

fn watch() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that watches. It ends when this value is dropped.
struct Watcher(Option<JoinHandle<()>>);

impl Drop for Watcher {
    fn drop(&mut self) {
        *watch() = Watch { ends: true, ..Watch::default() };
        ENDS.notify_all();
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// Runs `body`. Each part of it that runs in [`limited`] is cancelled when it has taken longer than `limit`. If no
/// thread can be started, there is no limit.
pub fn with_limit<R>(limit: Duration, body: impl FnOnce() -> R) -> R {
    *watch() = Watch::default();
    let _watcher = Watcher(spawn_quiet("time limit", move || keep_watch(limit)).ok());
    body()
}

fn keep_watch(limit: Duration) {
    let mut now = watch();
    while !now.ends {
        if !now.is_over && now.began.is_some_and(|began| began.elapsed() >= limit) {
            now.is_over = true;
            set_cancel(true);
        }
        now = ENDS.wait_timeout(now, limit / 4).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Runs a part of a statement, whose time is limited if the caller runs in [`with_limit`].
pub fn limited<R>(part: impl FnOnce() -> R) -> R {
    struct Part;
    impl Drop for Part {
        fn drop(&mut self) {
            let mut now = watch();
            now.began = None;
            // The part may have ended by itself after the cancel was requested.
            if std::mem::take(&mut now.is_over) {
                set_cancel(false);
            }
        }
    }
    watch().began = Some(Instant::now());
    let _part = Part;
    part()
}

/// Whether the running part was cancelled because it took too long.
pub fn is_over() -> bool {
    watch().is_over
}

/// Requests or forgets the cancel of the current statement.
fn set_cancel(wanted: bool) {
    // SAFETY: flags of this process, each written by a single instruction. Postgres itself writes them in signal
    // handlers, so it expects that they change at any time.
    unsafe {
        (&raw mut pg_sys::QueryCancelPending).write_volatile(wanted.into());
        // Also after a cancel, which clears this flag: other interrupts may be pending.
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
    }
}
