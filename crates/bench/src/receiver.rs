//! The receiver of all workloads: answers 200 to every POST, counts the requests, and records when each arrived.
//!
//! The receiver of the tests, which has a thread per connection and verifies signatures, would be the bottleneck. This
//! receiver shares two cores with the server and the sender, so it is a single thread that polls, and it verifies
//! nothing.
//!
//! It can answer late. The delay is the same for all requests, so the answer that is due next is always at the front of
//! the queue.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io};

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::ServerConfig;

use crate::http::{ANSWER, Request};
use crate::socket::Socket;

/// The name of the thread of the receiver.
pub const NAME: &str = "receiver";

/// The number of bytes that are read at a time.
pub const BUFFER: usize = 16 * 1024;

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// What identifies a request whose arrival is recorded.
#[derive(Clone, Copy, Default)]
pub enum Mark {
    /// Nothing: requests are only counted, and not recorded.
    #[default]
    None,
    /// The id of the delivery.
    Delivery,
    /// The number that follows this text in the body.
    NumberAfter(&'static str),
}

#[derive(Clone, Default)]
pub struct Manner {
    pub mark: Mark,
    pub delay: Duration,
    pub tls: Option<Arc<ServerConfig>>,
}

pub struct Arrival {
    pub mark: u128,
    pub at: Instant,
}

pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    book: Arc<Book>,
    stop: Waker,
    /// The folder of the thread in /proc.
    folder: PathBuf,
    thread: Option<JoinHandle<()>>,
}

/// The data that the thread and the callers share.
#[derive(Default)]
struct Book {
    accepted: AtomicUsize,
    arrived: AtomicUsize,
    answered: AtomicUsize,
    /// The number of arrivals that a caller waits for.
    wanted: AtomicUsize,
    arrivals: Mutex<Vec<Arrival>>,
    reached: Condvar,
}

impl Receiver {
    /// Starts a receiver that only counts.
    pub fn start() -> Self {
        Self::with(Manner::default())
    }

    pub fn with(manner: Manner) -> Self {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port on loopback");
        let address = listener.local_addr().expect("a bound socket");
        let poll = Poll::new().expect("an epoll");
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("a listener can be polled");
        let stop = Waker::new(poll.registry(), STOP).expect("an eventfd");
        let book = Arc::new(Book::default());
        let scheme = if manner.tls.is_some() { "https" } else { "http" };
        let desk = Desk {
            poll,
            listener,
            manner,
            book: book.clone(),
            connections: HashMap::new(),
            next_token: FIRST_CONNECTION,
            buffer: vec![0; BUFFER],
            due: VecDeque::new(),
        };
        let (tell, folder) = channel();
        let work = move || {
            tell.send(fs::read_link("/proc/thread-self").expect("/proc is mounted")).expect("somebody listens");
            desk.work();
        };
        let thread = std::thread::Builder::new().name(NAME.into()).spawn(work).expect("a thread");
        let folder = Path::new("/proc").join(folder.recv().expect("the thread has started"));
        Self { address, scheme, book, stop, folder, thread: Some(thread) }
    }

    /// Returns the CPU time that the receiver has used.
    pub fn cpu(&self) -> Duration {
        let times = fs::read_to_string(self.folder.join("schedstat")).expect("it runs");
        let nanos = times.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.expect("a number of nanoseconds"))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.address)
    }

    /// Returns the number of connections that were accepted so far.
    pub fn accepted(&self) -> usize {
        self.book.accepted.load(Ordering::SeqCst)
    }

    /// Returns the number of requests that have arrived so far.
    pub fn arrived(&self) -> usize {
        self.book.arrived.load(Ordering::SeqCst)
    }

    /// Returns the number of requests that were answered so far.
    pub fn answered(&self) -> usize {
        self.book.answered.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests have arrived since the receiver was started. Returns false if `patience` has
    /// passed.
    pub fn wait_for(&self, count: usize, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut held = self.book.lock();
        self.book.wanted.store(count, Ordering::SeqCst);
        while self.arrived() < count {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            held = self.book.reached.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Returns the arrivals that were recorded since the last call.
    pub fn take_arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.book.lock())
    }
}

/// Returns the number of different requests among these. The others arrived twice.
pub fn distinct(arrivals: &[Arrival]) -> usize {
    arrivals.iter().map(|arrival| arrival.mark).collect::<HashSet<_>>().len()
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.stop.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, arrived: usize, arrivals: &mut Vec<Arrival>) {
        if !arrivals.is_empty() {
            self.lock().append(arrivals);
        }
        let total = self.arrived.fetch_add(arrived, Ordering::SeqCst) + arrived;
        if total >= self.wanted.load(Ordering::SeqCst) {
            // A caller that is about to wait holds the lock until it waits, so it cannot miss the notification.
            drop(self.lock());
            self.reached.notify_all();
        }
    }
}

/// The data of the thread.
struct Desk {
    poll: Poll,
    listener: TcpListener,
    manner: Manner,
    book: Arc<Book>,
    connections: HashMap<Token, Connection>,
    next_token: usize,
    buffer: Vec<u8>,
    /// When to answer, and on which connection.
    due: VecDeque<(Instant, Token)>,
}

struct Connection {
    socket: Socket,
    unread: Vec<u8>,
}

impl Desk {
    fn work(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            let limit = self.due.front().map(|(at, _)| at.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, limit) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => panic!("epoll: {error}"),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    STOP => return,
                    LISTENER => self.accept(),
                    token => self.serve(token, event),
                }
            }
            self.answer_due();
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            self.book.accepted.fetch_add(1, Ordering::SeqCst);
            let token = Token(self.next_token);
            self.next_token += 1;
            let mut socket = Socket::accepted(stream, self.manner.tls.as_ref());
            if socket.register(self.poll.registry(), token).is_ok() {
                self.connections.insert(token, Connection { socket, unread: Vec::new() });
            }
        }
    }

    fn serve(&mut self, token: Token, event: &Event) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let mut open = true;
        let mut arrivals = Vec::new();
        let mut arrived = 0;
        if event.is_readable() {
            open = connection
                .socket
                .read(&mut self.buffer, &mut connection.unread, event.is_read_closed())
                .unwrap_or(false);
            arrived = connection.take_requests(self.manner.mark, &mut arrivals);
        }
        if self.manner.delay.is_zero() {
            open &= connection.answer(arrived);
            self.book.answered.fetch_add(arrived, Ordering::SeqCst);
        } else {
            let at = Instant::now() + self.manner.delay;
            self.due.extend((0..arrived).map(|_| (at, token)));
            open &= connection.socket.flush().is_ok();
        }
        if !open {
            self.connections.remove(&token);
        }
        if arrived > 0 {
            self.book.enter(arrived, &mut arrivals);
        }
    }

    fn answer_due(&mut self) {
        let now = Instant::now();
        while let Some((_, token)) = self.due.pop_front_if(|(at, _)| *at <= now) {
            if self.connections.get_mut(&token).is_some_and(|connection| connection.answer(1)) {
                self.book.answered.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

impl Connection {
    fn take_requests(&mut self, mark: Mark, arrivals: &mut Vec<Arrival>) -> usize {
        let (mut taken, mut count) = (0, 0);
        while let Some(request) = Request::parse(&self.unread[taken..]) {
            taken += request.len();
            count += 1;
            let mark = match mark {
                Mark::None => None,
                Mark::Delivery => request.delivery(),
                Mark::NumberAfter(key) => request.number_after(key.as_bytes()),
            };
            arrivals.extend(mark.map(|mark| Arrival { mark, at: Instant::now() }));
        }
        self.unread.drain(..taken);
        count
    }

    /// Returns whether the connection can be used further.
    fn answer(&mut self, requests: usize) -> bool {
        match requests {
            0 => self.socket.flush().is_ok(),
            1 => self.socket.write(ANSWER).is_ok(),
            more => self.socket.write(&ANSWER.repeat(more)).is_ok(),
        }
    }
}
