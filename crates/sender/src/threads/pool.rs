//! The threads that make requests, and the choice which of them makes the next one.
//!
//! No request waits while a thread is idle, whichever endpoint the request is for. So a slow endpoint delays only
//! itself. A request goes to the thread that became idle last, because its caches and its connections are the most
//! recently used. So little traffic needs few threads and few connections. A thread is started only if none is idle. It
//! ends, and closes its connections, when it has had nothing to do for [`IDLE_LIFE`].
//!
//! An idle thread is given its request directly, in its own [`IdleThread`]. The shared queue contains only requests
//! that come while all threads are busy. So handing requests over wakes exactly as many threads as are needed.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use wire::request::Request;

use super::quiet::{spawn_quiet, yield_to_others};

/// How long an idle thread lives. A longer time would be useless: connections that were idle for more than 4.5 s
/// (`MAX_IDLE` of the client) are not used again.
const IDLE_LIFE: Duration = Duration::from_secs(5);

/// What a thread does with its requests, one at a time.
pub trait Handler: Send + 'static {
    /// Makes the request and reports its result.
    fn handle(&mut self, request: Request);

    /// Wakes the thread that waits for the results. If no request is queued, the calling thread is listed as idle
    /// before the call. So if the woken thread hands over another request, the calling thread gets this request, and no
    /// other thread is started for it.
    fn done(&self);
}

/// Makes the handler of each new thread.
pub type NewHandler<H> = Box<dyn Fn() -> H + Send + Sync>;

pub struct Pool<H>(Arc<Inner<H>>);

struct Inner<H> {
    max_threads: usize,
    new_handler: NewHandler<H>,
    state: Mutex<State>,
    /// Notified when a thread ends.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Request>,
    /// The idle threads. The one that became idle last is at the end.
    idle: Vec<Arc<IdleThread>>,
    threads: usize,
    closed: bool,
}

/// Where an idle thread finds its next request.
struct IdleThread {
    thread: Thread,
    request: Mutex<Option<Request>>,
}

impl<H: Handler> Pool<H> {
    pub fn new(max_threads: usize, new_handler: NewHandler<H>) -> Self {
        let (state, ended) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Inner { max_threads: max_threads.max(1), new_handler, state, ended }))
    }

    /// Hands requests over and does not wait for them to end. Returns the requests that no thread will ever take: all
    /// of them if the pool is closed, and those that came while there was no thread and none could be started.
    pub fn hand_over(&self, requests: impl IntoIterator<Item = Request>) -> Vec<Request> {
        let mut state = self.0.lock();
        if state.closed {
            return requests.into_iter().collect();
        }
        let mut woken = Vec::new();
        let mut starting = Vec::new();
        for request in requests {
            if let Some(idle) = state.idle.pop() {
                idle.give(request);
                woken.push(idle);
            } else if state.threads < self.0.max_threads {
                state.threads += 1;
                starting.push(request);
            } else {
                state.queue.push_back(request);
            }
        }
        // Waking and starting threads costs system calls, so it is done after releasing the lock, which every thread
        // needs.
        drop(state);
        woken.iter().for_each(|idle| idle.thread.unpark());
        starting.into_iter().flat_map(|request| self.start_thread(request)).collect()
    }

    /// Starts a thread with this request. If there is no thread at all, returns the requests that no thread will take.
    fn start_thread(&self, request: Request) -> Vec<Request> {
        let first = Arc::new(Mutex::new(Some(request)));
        let (inner, taken) = (self.0.clone(), first.clone());
        let body = move || {
            yield_to_others();
            inner.run(take(&taken));
        };
        match spawn_quiet("hydra sender", body) {
            Ok(_detached) => Vec::new(),
            Err(_) => self.0.place_without_new_thread(take(&first)),
        }
    }

    /// Closes the pool, so that it takes no further requests. Returns the requests that no thread has taken.
    pub fn close(&self) -> Vec<Request> {
        let mut state = self.0.lock();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        let left = state.queue.drain(..).collect();
        state.threads -= idle.len();
        drop(state);
        idle.iter().for_each(|idle| idle.thread.unpark());
        left
    }

    /// Waits for the threads of a closed pool to end, and returns how many did not end in time.
    pub fn wait_for_end(&self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        let mut state = self.0.lock();
        while state.threads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.threads
    }
}

impl<H: Handler> Inner<H> {
    /// Queues a request for the existing threads, because no thread could be started. If there is no thread at all,
    /// returns all queued requests.
    fn place_without_new_thread(&self, request: Option<Request>) -> Vec<Request> {
        let mut state = self.lock();
        state.threads -= 1;
        state.queue.extend(request);
        if state.threads == 0 {
            return state.queue.drain(..).collect();
        }
        if let Some(idle) = state.idle.pop() {
            state.queue.pop_front().into_iter().for_each(|request| idle.give(request));
            idle.thread.unpark();
        }
        Vec::new()
    }

    /// Runs a thread, from its first request to its end.
    fn run(&self, first: Option<Request>) {
        let mut handler = (self.new_handler)();
        let mut next = first;
        while let Some(request) = next {
            handler.handle(request);
            next = self.next(&handler);
        }
    }

    /// Returns the next request, and waits for it if necessary. `None` when the thread is to end. Then it is no longer
    /// counted.
    fn next(&self, handler: &H) -> Option<Request> {
        let mut state = self.lock();
        let queued = state.queue.pop_front();
        if queued.is_some() || state.closed {
            if queued.is_none() {
                self.count_out(state);
            } else {
                drop(state);
            }
            handler.done();
            return queued;
        }
        let idle = Arc::new(IdleThread::new());
        state.idle.push(idle.clone());
        drop(state);
        handler.done();
        self.wait_as(&idle)
    }

    /// Waits as this idle thread for a request. `None` when the thread is to end.
    fn wait_as(&self, idle: &Arc<IdleThread>) -> Option<Request> {
        let until = Instant::now() + IDLE_LIFE;
        loop {
            std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
            if let Some(request) = take(&idle.request) {
                return Some(request);
            }
            let mut state = self.lock();
            match state.idle.iter().position(|other| Arc::ptr_eq(other, idle)) {
                // A thread is removed from the list only when it is given a request, or when the pool is closed.
                None => return take(&idle.request),
                Some(_) if Instant::now() < until => {}
                Some(place) => {
                    state.idle.remove(place);
                    self.count_out(state);
                    return None;
                }
            }
        }
    }

    fn count_out(&self, mut state: MutexGuard<'_, State>) {
        state.threads -= 1;
        self.ended.notify_all();
    }

    /// Nothing panics while it holds the lock, so the state is consistent even if the lock is poisoned.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleThread {
    fn new() -> Self {
        Self { thread: std::thread::current(), request: Mutex::default() }
    }

    /// Gives this thread its next request. To be called under the lock of the state, so that a thread that is no longer
    /// on the list always has its request, unless the pool is closed.
    fn give(&self, request: Request) {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
    }
}

fn take(place: &Mutex<Option<Request>>) -> Option<Request> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}
