//! Looks up the addresses of host names with a few threads, and keeps them for a while for all requests.
//!
//! The lookup of the system cannot be interrupted and may take half a minute if no name server answers. So it runs on
//! separate threads, at most [`MAX_THREADS`] of them, and a request waits for it no longer than its own time limit. A
//! name is looked up once for all requests that need it at the same time, so a name whose server does not answer
//! occupies one thread.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::system;
use crate::threads::spawn_quiet;

/// The maximum number of lookup threads. Bounds the memory and threads that names whose server does not answer can
/// occupy.
const MAX_THREADS: usize = 32;
/// The maximum number of names that are kept. Bounds their memory.
const MAX_NAMES: usize = 1024;

/// How long addresses are kept. Receivers change their addresses rarely, and a lookup takes milliseconds, so looking up
/// a name every ten seconds is cheap enough.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How long a failure is kept: just long enough that a burst of requests does not look up the name for each of them.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);
/// A lookup thread that has had nothing to do for this long ends.
const IDLE_LIFE: Duration = Duration::from_secs(5);

type Addresses = Arc<[IpAddr]>;
type Lookup = Box<dyn Fn(&str) -> Result<Vec<IpAddr>, LookupError> + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupError {
    /// There is no such name, or it has no address.
    Unknown,
    /// No name server gave an answer.
    Unanswered,
    /// The time limit of the request was exceeded.
    TimedOut,
    /// No thread could be started.
    NoThread,
}

/// Finds the addresses of host names. Cheap to clone. Clones share everything.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    lookup: Lookup,
    state: Mutex<State>,
    /// Notified when a name has been looked up.
    answered: Condvar,
    /// Notified when a name is queued.
    queued: Condvar,
}

#[derive(Default)]
struct State {
    names: HashMap<String, Entry>,
    queue: VecDeque<String>,
    threads: usize,
    idle: usize,
    closed: bool,
}

enum Entry {
    /// The name is being looked up. Has the number of requests that wait for it.
    Awaited(usize),
    /// The name has been looked up. The result is valid until this time.
    Known(Result<Addresses, LookupError>, Instant),
}

impl Directory {
    /// Creates a directory that uses the lookup of the system.
    pub fn system() -> Self {
        Self::new(Box::new(system::look_up))
    }

    pub(super) fn new(lookup: Lookup) -> Self {
        Self(Arc::new(Inner { lookup, state: Mutex::default(), answered: Condvar::new(), queued: Condvar::new() }))
    }

    /// Returns the addresses of a name, at least one. Waits for at most `limit`.
    pub fn addresses(&self, name: &str, limit: Duration) -> Result<Addresses, LookupError> {
        let until = Instant::now() + limit;
        let mut state = self.0.lock();
        if let Some(known) = state.known(name) {
            return known;
        }
        if state.add_waiting(name) {
            self.0.wake_or_start_thread(&mut state);
        }
        self.0.wait_for(state, name, until)
    }

    /// Ends the waits of all requests at once. Each thread ends as soon as its lookup ends.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.queue.clear();
        self.0.answered.notify_all();
        self.0.queued.notify_all();
    }
}

impl State {
    /// Returns the result for a name that was looked up and is still valid.
    fn known(&self, name: &str) -> Option<Result<Addresses, LookupError>> {
        match self.names.get(name) {
            Some(Entry::Known(answer, until)) if Instant::now() < *until => Some(answer.clone()),
            _ => None,
        }
    }

    /// Counts a request that waits for the name, and returns whether the name was queued for it.
    fn add_waiting(&mut self, name: &str) -> bool {
        if let Some(Entry::Awaited(waiting)) = self.names.get_mut(name) {
            *waiting += 1;
            return false;
        }
        self.make_room();
        self.names.insert(name.to_owned(), Entry::Awaited(1));
        self.queue.push_back(name.to_owned());
        true
    }

    /// Removes all known names if there are too many. Names that are being looked up stay: there are no more of them
    /// than requests in flight.
    fn make_room(&mut self) {
        if self.names.len() >= MAX_NAMES {
            self.names.retain(|_, entry| matches!(entry, Entry::Awaited(_)));
        }
    }

    /// Notes that a request no longer waits for the name. If no other request waits for it and it is still queued, it
    /// is not looked up.
    fn remove_waiting(&mut self, name: &str) {
        if let Some(Entry::Awaited(waiting)) = self.names.get_mut(name) {
            *waiting -= 1;
            if *waiting == 0 && self.queue.iter().any(|queued| queued == name) {
                self.queue.retain(|queued| queued != name);
                self.names.remove(name);
            }
        }
    }
}

impl Inner {
    /// Waits until the name has been looked up.
    fn wait_for(&self, mut state: MutexGuard<'_, State>, name: &str, until: Instant) -> Result<Addresses, LookupError> {
        loop {
            if let Some(known) = state.known(name) {
                return known;
            }
            let left = until.saturating_duration_since(Instant::now());
            let given_up = match state.threads {
                0 => Some(LookupError::NoThread),
                _ if left.is_zero() || state.closed => Some(LookupError::TimedOut),
                _ => None,
            };
            if let Some(error) = given_up {
                state.remove_waiting(name);
                return Err(error);
            }
            let waited = self.answered.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes sure that a thread takes the name that was just queued.
    fn wake_or_start_thread(self: &Arc<Self>, state: &mut State) {
        if state.idle >= state.queue.len() {
            self.queued.notify_one();
        } else if state.threads < MAX_THREADS {
            let inner = self.clone();
            if spawn_quiet("hydra lookup", move || inner.work()).is_ok() {
                state.threads += 1;
            }
        }
    }

    /// Looks up queued names. Runs on each lookup thread.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(name) = state.queue.pop_front() {
                drop(state);
                let answer = self.look_up(&name);
                state = self.lock();
                let until = Instant::now() + if answer.is_ok() { REMEMBERED } else { FAILURE_REMEMBERED };
                state.names.insert(name, Entry::Known(answer, until));
                self.answered.notify_all();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (after, waited) = self.queued.wait_timeout(state, IDLE_LIFE).unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn look_up(&self, name: &str) -> Result<Addresses, LookupError> {
        match catch_unwind(AssertUnwindSafe(|| {
            fault::point("lookup");
            (self.lookup)(name)
        })) {
            Ok(Ok(found)) if !found.is_empty() => Ok(found.into()),
            Ok(Ok(_)) => Err(LookupError::Unknown),
            Ok(Err(error)) => Err(error),
            Err(_panic) => Err(LookupError::Unanswered),
        }
    }

    /// Nothing panics while it holds the lock, so the state is consistent even if the lock is poisoned.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

#[cfg(test)]
mod tests;
