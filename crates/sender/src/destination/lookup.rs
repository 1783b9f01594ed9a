//! Host names to addresses: looked up by a few threads, remembered for a while, shared by all who ask.
//!
//! The system's lookup cannot be interrupted and may take half a minute when no name server answers. So it runs on
//! threads of its own, at most [`MAX_THREADS`] of them, and whoever asks waits no longer than its own time limit. A
//! name is looked up once for all who ask at the same time, so one dead name holds one thread.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::threads::spawn_quiet;

const MAX_THREADS: usize = 32;
const MAX_NAMES: usize = 1024;

/// Receivers move between addresses rarely, and a name server takes milliseconds: short is cheap enough.
const REMEMBERED: Duration = Duration::from_secs(10);
/// A failure is remembered just long enough that a burst of requests does not ask for each.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);
const IDLE_LIFE: Duration = Duration::from_secs(5);

type Addresses = Arc<[IpAddr]>;
type Lookup = Box<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupError {
    /// There is no such name, or its name server does not answer.
    Unknown,
    /// The one who asked could wait no longer.
    TimedOut,
    /// There is no thread that could ask for it.
    NoThread,
}

/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Directory(Arc<Shared>);

struct Shared {
    lookup: Lookup,
    state: Mutex<State>,
    /// Told when an answer is there.
    answered: Condvar,
    /// Told when a name is asked for.
    asked: Condvar,
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
    /// With the number of those who wait for it.
    Awaited(usize),
    Known(Result<Addresses, LookupError>, Instant),
}

impl Directory {
    /// Asks the system.
    pub fn system() -> Self {
        Self::new(Box::new(|name| Ok((name, 0).to_socket_addrs()?.map(|found| found.ip()).collect())))
    }

    pub(super) fn new(lookup: Lookup) -> Self {
        Self(Arc::new(Shared { lookup, state: Mutex::default(), answered: Condvar::new(), asked: Condvar::new() }))
    }

    /// The addresses of a name, at least one.
    pub fn addresses(&self, name: &str, limit: Duration) -> Result<Addresses, LookupError> {
        let until = Instant::now() + limit;
        let mut state = self.0.lock();
        if let Some(known) = state.known(name) {
            return known;
        }
        if state.join(name) {
            self.0.engage(&mut state);
        }
        self.0.wait_for(state, name, until)
    }

    /// Lets nobody wait any longer, and the threads end as soon as their lookups do.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.queue.clear();
        self.0.answered.notify_all();
        self.0.asked.notify_all();
    }
}

impl State {
    fn known(&self, name: &str) -> Option<Result<Addresses, LookupError>> {
        match self.names.get(name) {
            Some(Entry::Known(answer, until)) if Instant::now() < *until => Some(answer.clone()),
            _ => None,
        }
    }

    /// Adds one who waits for the name, and says whether it has to be asked for.
    fn join(&mut self, name: &str) -> bool {
        if let Some(Entry::Awaited(waiting)) = self.names.get_mut(name) {
            *waiting += 1;
            return false;
        }
        self.make_room();
        self.names.insert(name.to_owned(), Entry::Awaited(1));
        self.queue.push_back(name.to_owned());
        true
    }

    /// Of what is known anything may be forgotten; what is awaited is as little as there are threads that wait.
    fn make_room(&mut self) {
        if self.names.len() >= MAX_NAMES {
            self.names.retain(|_, entry| matches!(entry, Entry::Awaited(_)));
        }
    }

    /// Takes one who waits off the list. A name for which nobody waits need not be asked for any more.
    fn part(&mut self, name: &str) {
        if let Some(Entry::Awaited(waiting)) = self.names.get_mut(name) {
            *waiting -= 1;
            if *waiting == 0 && self.queue.iter().any(|queued| queued == name) {
                self.queue.retain(|queued| queued != name);
                self.names.remove(name);
            }
        }
    }
}

impl Shared {
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
                state.part(name);
                return Err(error);
            }
            let waited = self.answered.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sees to it that a thread takes the name that was just queued.
    fn engage(self: &Arc<Self>, state: &mut State) {
        if state.idle >= state.queue.len() {
            self.asked.notify_one();
        } else if state.threads < MAX_THREADS {
            let shared = self.clone();
            if spawn_quiet("hydra lookup", move || shared.work()).is_ok() {
                state.threads += 1;
            }
        }
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(name) = state.queue.pop_front() {
                drop(state);
                let answer = self.ask(&name);
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
            let (after, waited) = self.asked.wait_timeout(state, IDLE_LIFE).unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn ask(&self, name: &str) -> Result<Addresses, LookupError> {
        match catch_unwind(AssertUnwindSafe(|| {
            fault::point("lookup");
            (self.lookup)(name)
        })) {
            Ok(Ok(found)) if !found.is_empty() => Ok(found.into()),
            _ => Err(LookupError::Unknown),
        }
    }

    /// Nothing panics while it holds the lock, so a poisoned one still guards a whole state.
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
