//! An endpoint to deliver to: a small HTTP/1.1 server inside the test process.
//!
//! ```ignore
//! let receiver = Receiver::start();
//! receiver.secret("/orders", &secret);
//! receiver.answer_first("/orders", 2, Answer::status(503).with_header("Retry-After", "1"));
//! let requests = receiver.wait_for("/orders", 3, Duration::from_secs(10));
//! assert!(requests.iter().all(|request| request.signature == Signature::Verified));
//! ```
//!
//! It shares no code with the extension, so that it checks signatures and HTTP independently. Every request is recorded
//! before it is answered: a caller that has the answer finds the request here. It has one thread per connection,
//! because that is simple.
//!
//! | file | content |
//! |---|---|
//! | `answer` | the answers of a path, regular or hostile |
//! | `request` | a request as it was received |
//! | `endpoint` | a path: its secrets, its answers, its requests |
//! | `connection` | reads, records and answers requests |
//! | `http` | the head of a request, and where its body ends |
//! | `signature` | verifies every scheme |
//! | `log` | the parts of a request for an observer and for a log |

mod answer;
mod connection;
mod endpoint;
mod http;
mod log;
mod request;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

pub use answer::Answer;
use answer::Ready;
use connection::accept;
use endpoint::Endpoint;
pub use log::Seen;
pub use request::{Request, entity_ids, entity_numbers};
pub use signature::Signature;
use signature::{Secret, SignatureHeaders, verify};

/// Which data of requests are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// The whole requests, for [`Receiver::requests`].
    #[default]
    Full,
    /// Only their number, for a receiver that runs for days.
    Count,
}

/// A receiver. It runs until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// Returns the secrets of a path that has no secret yet, or no secret that verifies the request.
type FindSecrets = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;
/// Is called with every request, on the thread of its connection, before the request is answered.
type Observer = Box<dyn Fn(&Seen<'_>) + Send + Sync>;

struct Shared {
    endpoints: RwLock<HashMap<String, Arc<Endpoint>>>,
    recording: Recording,
    find_secrets: Option<FindSecrets>,
    observer: Option<Observer>,
    log: OnceLock<File>,
    connections: Mutex<HashMap<u64, Arc<TcpStream>>>,
    accepted: AtomicU64,
    ending: AtomicBool,
    end: (Mutex<()>, Condvar),
}

/// What a receiver is started with.
#[derive(Default)]
pub struct Options {
    pub recording: Recording,
    pub find_secrets: Option<FindSecrets>,
    pub observer: Option<Observer>,
}

impl Receiver {
    /// Starts a receiver on a free port of loopback that records whole requests.
    pub fn start() -> Receiver {
        Receiver::start_with("127.0.0.1:0", Options::default()).expect("loopback has a free port")
    }

    pub fn start_with(address: &str, options: Options) -> io::Result<Receiver> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            endpoints: RwLock::default(),
            recording: options.recording,
            find_secrets: options.find_secrets,
            observer: options.observer,
            log: OnceLock::new(),
            connections: Mutex::default(),
            accepted: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            end: Default::default(),
        });
        let acceptor = thread::Builder::new().name("receiver".into()).spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        })?;
        Ok(Receiver { address, shared, acceptor: Some(acceptor) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Adds a secret to those that the path accepts. If a path has no secret, signatures are not checked.
    pub fn secret(&self, path: &str, secret: &str) {
        write(&self.shared.endpoint(path).secrets).push(Secret::new(secret));
    }

    /// Sets the answer of the path from now on. By default, paths answer 200.
    pub fn answer(&self, path: &str, answer: Answer) {
        let endpoint = self.shared.endpoint(path);
        let mut state = lock(&endpoint.state);
        state.first.clear();
        state.then = Ready::new(answer);
    }

    /// Sets the answer to the next `count` requests on the path. Answers of earlier calls are sent before; afterwards,
    /// the path answers as set by `answer`.
    pub fn answer_first(&self, path: &str, count: usize, answer: Answer) {
        let endpoint = self.shared.endpoint(path);
        lock(&endpoint.state).first.push_back((count, Ready::new(answer)));
    }

    /// Appends one line per request to a file: `epoch_ms path delivery_id event entity_id body_sha256
    /// verified|refused|unchecked status`, `-` for what is missing. Each line is one write in append mode, made before
    /// the answer.
    pub fn log_to(&self, file: &Path) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(file)?;
        self.shared.log.set(file).map_err(|_| io::Error::other("the receiver has a log already"))
    }

    /// Waits until the path has received `count` requests since it was last cleared, and returns all of them.
    #[track_caller]
    pub fn wait_for(&self, path: &str, count: usize, patience: Duration) -> Vec<Arc<Request>> {
        let endpoint = self.shared.endpoint(path);
        let deadline = Instant::now() + patience;
        let mut state = lock(&endpoint.state);
        state.waiting += 1;
        while state.received < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting -= 1;
                let received = state.received;
                let seen: Vec<_> = state.requests.iter().map(|request| (request.status, request.signature)).collect();
                // A panic must not poison it for the threads that still serve.
                drop(state);
                panic!("waited {patience:?} for {count} requests on {path}, received {received}: {seen:?}");
            }
            state = endpoint.arrival.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting -= 1;
        state.requests.clone()
    }

    /// Returns the requests in the order of their arrival. Empty if whole requests are not recorded.
    pub fn requests(&self, path: &str) -> Vec<Arc<Request>> {
        lock(&self.shared.endpoint(path).state).requests.clone()
    }

    pub fn received(&self, path: &str) -> usize {
        lock(&self.shared.endpoint(path).state).received
    }

    /// Returns the largest number of unanswered requests on the path at a time, since it was last cleared.
    pub fn most_in_flight(&self, path: &str) -> usize {
        self.shared.endpoint(path).most_in_flight.load(Ordering::Relaxed)
    }

    pub fn in_flight(&self, path: &str) -> usize {
        self.shared.endpoint(path).in_flight.load(Ordering::Relaxed)
    }

    /// Deletes all requests, but keeps answers and secrets.
    pub fn clear(&self) {
        for endpoint in read(&self.shared.endpoints).values() {
            let mut state = lock(&endpoint.state);
            state.received = 0;
            state.requests.clear();
            endpoint.most_in_flight.store(0, Ordering::Relaxed);
        }
    }

    /// Serves until the process ends.
    pub fn join(mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Drop for Receiver {
    /// Closes the port and all connections, also those whose threads wait.
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        {
            let _lock = lock(&self.shared.end.0);
            self.shared.end.1.notify_all();
        }
        // One more connection, so that `accept` returns and sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for connection in lock(&self.shared.connections).values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn endpoint(&self, path: &str) -> Arc<Endpoint> {
        if let Some(endpoint) = read(&self.endpoints).get(path) {
            return endpoint.clone();
        }
        write(&self.endpoints).entry(path.into()).or_insert_with(|| Arc::new(Endpoint::new(path))).clone()
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Sleeps until the time is over or the receiver ends.
    fn pause(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let end = lock(&self.end.0);
        let _ = self.end.1.wait_timeout_while(end, duration, |()| !self.is_ending());
    }

    fn verify(&self, endpoint: &Endpoint, headers: &SignatureHeaders<'_>, body: &[u8], time: SystemTime) -> Signature {
        let first = verify(headers, body, &read(&endpoint.secrets), time);
        match (&self.find_secrets, first) {
            (None, _) | (_, Signature::Verified) => first,
            (Some(find), _) => {
                let secrets: Vec<Secret> = find(&endpoint.path).iter().map(|secret| Secret::new(secret)).collect();
                let second = verify(headers, body, &secrets, time);
                *write(&endpoint.secrets) = secrets;
                second
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
