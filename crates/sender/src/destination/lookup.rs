//! Looks up the addresses of host names with a few threads, and keeps them for a while for all requests.
//!
//! The lookup of the system cannot be interrupted and may take half a minute if no name server answers. So it runs on
//! separate threads, and nobody waits for them: the one who asks is called back. A name is looked up once for all
//! requests that need it at the same time, so a name whose server does not answer occupies one thread.
//!
//! Names that hang must not keep others from being looked up. So there are three kinds of names, each with a number of
//! threads of its own: names that have addresses already, new names, and names whose last lookup has failed. If a name
//! has addresses and its next lookup takes long or gets no answer, the old addresses are used in the meantime.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::system;
use crate::threads::spawn_quiet;

/// How many of the threads are for names that have addresses already, and for names whose last lookup has failed. The
/// others are for new names.
const THREADS_FOR_KNOWN: usize = 8;
const THREADS_FOR_FAILED: usize = 32;

/// The maximum number of names that are kept. Bounds their memory.
const MAX_NAMES: usize = 16 * 1024;

/// How long addresses are kept. Receivers change their addresses rarely, and a lookup takes milliseconds, so looking up
/// a name every ten seconds is cheap enough.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How long a failure is kept: just long enough that a burst of requests does not look up the name for each of them.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);
/// When a lookup has taken this long, or has got no answer, older addresses are used.
const LONG: Duration = Duration::from_millis(200);
/// But not those that are older than this.
const USABLE: Duration = Duration::from_secs(24 * 3600);
/// A lookup thread that has had nothing to do for this long ends.
const IDLE_LIFE: Duration = Duration::from_secs(5);

pub type Addresses = Arc<[IpAddr]>;
pub type LookupResult = Result<Addresses, LookupError>;
type Lookup = Box<dyn Fn(&str) -> Result<Vec<IpAddr>, LookupError> + Send + Sync>;
type Callback = Box<dyn FnOnce(LookupResult) + Send>;

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

/// What a directory says at once.
pub enum Asked {
    Known(LookupResult),
    /// The callback will be called, unless the ticket is returned. From the time that is given, these addresses are to
    /// be used.
    Awaited {
        ticket: Ticket,
        meanwhile: Option<(Instant, Addresses)>,
    },
}

/// Finds the addresses of host names. Cheap to clone. Clones share everything.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    lookup: Lookup,
    state: Mutex<State>,
    /// By kind of name: notified when one is queued.
    queued: [Condvar; 3],
}

struct State {
    names: HashMap<String, Entry>,
    rooms: [Room; 3],
    tickets: u64,
    closed: bool,
}

/// The kinds of names.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Known,
    New,
    Failed,
}

/// The threads for one kind of names.
#[derive(Default)]
struct Room {
    queue: VecDeque<String>,
    max_threads: usize,
    threads: usize,
    idle: usize,
}

#[derive(Default)]
struct Entry {
    /// The addresses that were found last, and when.
    found: Option<(Addresses, Instant)>,
    /// The error of the last lookup, and until when it is kept.
    failed: Option<(LookupError, Instant)>,
    /// Present while the name is being looked up.
    lookup: Option<Underway>,
}

struct Underway {
    since: Instant,
    waiting: Vec<(u64, Callback)>,
}

/// One who waits for a name. To be returned by [`Directory::withdraw`] if the result is of no use any more.
#[derive(Debug)]
pub struct Ticket {
    name: String,
    number: u64,
}

impl Directory {
    /// Creates a directory that uses the lookup of the system, with this many threads at most.
    pub fn system(max_threads: usize) -> Self {
        Self::new(max_threads, Box::new(system::look_up))
    }

    pub(crate) fn new(max_threads: usize, lookup: Lookup) -> Self {
        let shares = [THREADS_FOR_KNOWN, max_threads, THREADS_FOR_FAILED];
        let [known, _, failed] = shares.map(|share| share.min(max_threads / 4).max(1));
        let new = max_threads.saturating_sub(known + failed).max(1);
        let rooms = [known, new, failed].map(|max_threads| Room { max_threads, ..Room::default() });
        let state = State { names: HashMap::new(), rooms, tickets: 0, closed: false };
        Self(Arc::new(Inner { lookup, state: Mutex::new(state), queued: Default::default() }))
    }

    /// Returns the addresses of a name, at least one. If the name has to be looked up, the callback gets the result
    /// later, on another thread.
    pub fn ask(&self, name: &str, now: Instant, callback: impl FnOnce(LookupResult) + Send + 'static) -> Asked {
        let mut state = self.0.lock();
        if let Some(known) = state.names.get(name).and_then(|entry| entry.known(now)) {
            return Asked::Known(known);
        }
        let queued = state.queue(name, now);
        if let Some(kind) = queued {
            self.0.wake_or_start_thread(&mut state, kind);
        }
        state.tickets += 1;
        let number = state.tickets;
        let threads = queued.map(|kind| state.rooms[kind as usize].threads);
        let entry = state.names.get_mut(name).expect("it was just queued");
        if threads == Some(0) {
            entry.lookup = None;
            state.forget_queued(name);
            return Asked::Known(Err(LookupError::NoThread));
        }
        let meanwhile = entry.usable(now);
        let lookup = entry.lookup.as_mut().expect("it was just queued");
        let from = lookup.since + LONG;
        match meanwhile {
            Some(addresses) if from <= now => Asked::Known(Ok(addresses)),
            meanwhile => {
                lookup.waiting.push((number, Box::new(callback)));
                let meanwhile = meanwhile.map(|addresses| (from, addresses));
                Asked::Awaited { ticket: Ticket { name: name.to_owned(), number }, meanwhile }
            }
        }
    }

    /// Prevents the callback. If nobody else waits for the name, and it is still queued, it is not looked up.
    pub fn withdraw(&self, ticket: Ticket) {
        let mut state = self.0.lock();
        let Some(entry) = state.names.get_mut(&ticket.name) else { return };
        let Some(lookup) = &mut entry.lookup else { return };
        lookup.waiting.retain(|(number, _)| *number != ticket.number);
        if lookup.waiting.is_empty() && state.forget_queued(&ticket.name) {
            let entry = state.names.get_mut(&ticket.name).expect("it was just found");
            entry.lookup = None;
            if entry.found.is_none() && entry.failed.is_none() {
                state.names.remove(&ticket.name);
            }
        }
    }

    /// Prevents all callbacks. Each thread ends as soon as its lookup ends.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.names.clear();
        state.rooms.iter_mut().for_each(|room| room.queue.clear());
        self.0.queued.iter().for_each(Condvar::notify_all);
    }
}

impl Entry {
    /// Returns the last result, if it is still valid.
    fn known(&self, now: Instant) -> Option<LookupResult> {
        if let Some((addresses, at)) = &self.found
            && now < *at + REMEMBERED
        {
            return Some(Ok(addresses.clone()));
        }
        let (error, _) = self.failed.filter(|(_, until)| now < *until)?;
        Some(self.usable(now).ok_or(error))
    }

    /// Returns the addresses that were found last, if they are not too old.
    fn usable(&self, now: Instant) -> Option<Addresses> {
        self.found.as_ref().filter(|(_, at)| now < *at + USABLE).map(|(addresses, _)| addresses.clone())
    }

    fn kind(&self) -> Kind {
        match (&self.found, &self.failed) {
            (Some(_), _) => Kind::Known,
            (None, Some(_)) => Kind::Failed,
            (None, None) => Kind::New,
        }
    }
}

impl State {
    /// Queues a name, unless it is being looked up already. Returns its kind if it was queued.
    fn queue(&mut self, name: &str, now: Instant) -> Option<Kind> {
        self.make_room(now);
        let entry = self.names.entry(name.to_owned()).or_default();
        if entry.lookup.is_some() {
            return None;
        }
        let kind = entry.kind();
        entry.lookup = Some(Underway { since: now, waiting: Vec::new() });
        self.rooms[kind as usize].queue.push_back(name.to_owned());
        Some(kind)
    }

    /// Removes names if there are too many: those that were not looked up lately, or, if these are too few, all. Names
    /// that are being looked up stay: there are no more of them than requests in flight.
    fn make_room(&mut self, now: Instant) {
        if self.names.len() >= MAX_NAMES {
            self.names.retain(|_, entry| entry.lookup.is_some() || entry.known(now).is_some());
        }
        if self.names.len() >= MAX_NAMES {
            self.names.retain(|_, entry| entry.lookup.is_some());
        }
    }

    /// Removes a name from its queue. Returns false if it is not queued.
    fn forget_queued(&mut self, name: &str) -> bool {
        self.rooms.iter_mut().any(|room| {
            let before = room.queue.len();
            room.queue.retain(|queued| queued != name);
            room.queue.len() < before
        })
    }

    /// Notes the result of a lookup. Returns those who wait for it, and what they get.
    fn note(&mut self, name: &str, result: LookupResult, now: Instant) -> (Vec<(u64, Callback)>, LookupResult) {
        let Some(entry) = self.names.get_mut(name) else { return (Vec::new(), result) };
        match &result {
            Ok(addresses) => {
                entry.found = Some((addresses.clone(), now));
                entry.failed = None;
            }
            Err(error) => {
                entry.failed = Some((*error, now + FAILURE_REMEMBERED));
                if *error == LookupError::Unknown {
                    entry.found = None;
                }
            }
        }
        let waiting = entry.lookup.take().map(|lookup| lookup.waiting).unwrap_or_default();
        let result = result.or_else(|error| entry.usable(now).ok_or(error));
        (waiting, result)
    }
}

impl Inner {
    /// Makes sure that a thread takes the name that was just queued.
    fn wake_or_start_thread(self: &Arc<Self>, state: &mut State, kind: Kind) {
        let room = &mut state.rooms[kind as usize];
        if room.idle >= room.queue.len() {
            self.queued[kind as usize].notify_one();
        } else if room.threads < room.max_threads {
            let inner = self.clone();
            if spawn_quiet("hydra lookup", move || inner.work(kind)).is_ok() {
                room.threads += 1;
            }
        }
    }

    /// Looks up queued names of a kind. Runs on each lookup thread.
    fn work(&self, kind: Kind) {
        let mut state = self.lock();
        loop {
            if let Some(name) = state.rooms[kind as usize].queue.pop_front() {
                drop(state);
                let result = self.look_up(&name);
                let (waiting, result) = self.lock().note(&name, result, Instant::now());
                waiting.into_iter().for_each(|(_, callback)| callback(result.clone()));
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.rooms[kind as usize].idle += 1;
            let waited = self.queued[kind as usize].wait_timeout(state, IDLE_LIFE);
            let (after, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            let room = &mut state.rooms[kind as usize];
            room.idle -= 1;
            if waited.timed_out() && room.queue.is_empty() {
                break;
            }
        }
        state.rooms[kind as usize].threads -= 1;
    }

    fn look_up(&self, name: &str) -> LookupResult {
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

#[cfg(test)]
mod tests;
