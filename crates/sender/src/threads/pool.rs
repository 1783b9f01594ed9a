//! The threads that make requests, and who gets the next one.
//!
//! Work-conserving: as long as a thread is free no request waits, whoever it is for, so a slow endpoint holds up
//! nobody but itself. A request goes to the thread that became idle last: it has warm caches and, above all, the
//! freshest connections, so little traffic is carried by few threads over few connections. A thread is started only
//! when none is idle; one that has had nothing to do for [`IDLE_LIFE`] ends and takes its connections along.
//!
//! An idle thread is handed its request directly, in its own seat; the shared queue is only for what comes while all
//! are busy. So a hand-over wakes exactly the threads it has work for.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use wire::request::Request;

use super::quiet::spawn_quiet;

/// Idle connections are of no use after this long anyway: see `http::MAX_IDLE`.
const IDLE_LIFE: Duration = Duration::from_secs(5);

/// What a thread does with its requests, one at a time.
pub trait Courier: Send + 'static {
    /// Makes the request and files what became of it.
    fn deliver(&mut self, request: Request);

    /// Says that something was filed. Called when this thread is free again: whoever answers with the next request
    /// shall find it idle, and not start another.
    fn announce(&self);
}

/// Makes the courier of each new thread.
pub type Hire<C> = Box<dyn Fn() -> C + Send + Sync>;

pub struct Pool<C>(Arc<Shared<C>>);

struct Shared<C> {
    max_threads: usize,
    hire: Hire<C>,
    state: Mutex<State>,
    /// Told when a thread becomes idle or ends while the pool is closed.
    rest: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Request>,
    /// Idle threads, the most recent one last.
    idle: Vec<Arc<Seat>>,
    threads: usize,
    closed: bool,
}

/// Where an idle thread finds its next request.
struct Seat {
    thread: Thread,
    request: Mutex<Option<Request>>,
}

impl<C: Courier> Pool<C> {
    pub fn new(max_threads: usize, hire: Hire<C>) -> Self {
        Self(Arc::new(Shared { max_threads: max_threads.max(1), hire, state: Mutex::default(), rest: Condvar::new() }))
    }

    /// Never waits for a request to end. Gives back what no thread will ever take: everything once the pool is
    /// closed, and what came while not a single thread could be started.
    pub fn hand_over(&self, requests: impl IntoIterator<Item = Request>) -> Vec<Request> {
        let mut state = self.0.lock();
        if state.closed {
            return requests.into_iter().collect();
        }
        let mut called = Vec::new();
        let mut starting = Vec::new();
        for request in requests {
            if let Some(seat) = state.idle.pop() {
                seat.give(request);
                called.push(seat);
            } else if state.threads < self.0.max_threads {
                state.threads += 1;
                starting.push(request);
            } else {
                state.queue.push_back(request);
            }
        }
        // Waking and starting cost system calls: not under the lock that every thread needs.
        drop(state);
        called.iter().for_each(|seat| seat.thread.unpark());
        starting.into_iter().flat_map(|request| self.start(request)).collect()
    }

    /// Starts a thread on this request. Gives back what nobody will take, if no thread can be had at all.
    fn start(&self, request: Request) -> Vec<Request> {
        let first = Arc::new(Mutex::new(Some(request)));
        let (shared, taken) = (self.0.clone(), first.clone());
        let life = move || {
            yield_to_others();
            shared.work(take(&taken));
        };
        match spawn_quiet("hydra sender", life) {
            Ok(_detached) => Vec::new(),
            Err(_) => self.0.place_without_new_thread(take(&first)),
        }
    }

    /// Takes no more requests, and gives back those that no thread has taken.
    pub fn close(&self) -> Vec<Request> {
        let mut state = self.0.lock();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        let left = state.queue.drain(..).collect();
        state.threads -= idle.len();
        drop(state);
        idle.iter().for_each(|seat| seat.thread.unpark());
        left
    }

    /// Waits for the threads of a closed pool to end, and says how many did not in time.
    pub fn wait_for_end(&self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        let mut state = self.0.lock();
        while state.threads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.rest.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.threads
    }
}

impl<C: Courier> Shared<C> {
    fn place_without_new_thread(&self, request: Option<Request>) -> Vec<Request> {
        let mut state = self.lock();
        state.threads -= 1;
        state.queue.extend(request);
        if state.threads == 0 {
            return state.queue.drain(..).collect();
        }
        if let Some(seat) = state.idle.pop() {
            state.queue.pop_front().into_iter().for_each(|request| seat.give(request));
            seat.thread.unpark();
        }
        Vec::new()
    }

    /// The life of a thread, from its first request on.
    fn work(&self, first: Option<Request>) {
        let mut courier = (self.hire)();
        let mut next = first;
        while let Some(request) = next {
            courier.deliver(request);
            next = self.next(&courier);
        }
    }

    /// The next request, or none when it is time to end: then this thread is no longer counted.
    fn next(&self, courier: &C) -> Option<Request> {
        let mut state = self.lock();
        let queued = state.queue.pop_front();
        if queued.is_some() || state.closed {
            if queued.is_none() {
                self.leave(state);
            } else {
                drop(state);
            }
            courier.announce();
            return queued;
        }
        let seat = Arc::new(Seat::new());
        state.idle.push(seat.clone());
        drop(state);
        courier.announce();
        self.sit(&seat)
    }

    fn sit(&self, seat: &Arc<Seat>) -> Option<Request> {
        let until = Instant::now() + IDLE_LIFE;
        loop {
            std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
            if let Some(request) = take(&seat.request) {
                return Some(request);
            }
            let mut state = self.lock();
            match state.idle.iter().position(|other| Arc::ptr_eq(other, seat)) {
                // Whoever takes a seat off the list leaves a request in it, or has closed the pool.
                None => return take(&seat.request),
                Some(_) if Instant::now() < until => {}
                Some(place) => {
                    state.idle.remove(place);
                    self.leave(state);
                    return None;
                }
            }
        }
    }

    fn leave(&self, mut state: MutexGuard<'_, State>) {
        state.threads -= 1;
        self.rest.notify_all();
    }

    /// Nothing panics while it holds the lock, so a poisoned one still guards a whole state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn new() -> Self {
        Self { thread: std::thread::current(), request: Mutex::default() }
    }

    /// To be called under the lock of the state, so that a seat off the list is never without its request.
    fn give(&self, request: Request) {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
    }
}

/// Where processors are short, each thread that is woken would take the place of the one that wakes it, and whoever gives
/// all of them their work would hardly ever have a turn. A batch thread waits for its own.
#[allow(unsafe_code)]
fn yield_to_others() {
    // SAFETY: changes the calling thread alone. A refusal changes nothing.
    unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
    }
}

fn take(place: &Mutex<Option<Request>>) -> Option<Request> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}
