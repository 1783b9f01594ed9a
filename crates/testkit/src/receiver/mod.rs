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
//! It shares no code with `src/`, so that it is a second opinion on signatures and on HTTP. What a path answers is an
//! [`Answer`], well-behaved or hostile. Every request is recorded before it is answered: whoever got an answer finds
//! the request here. One thread per connection keeps it simple, and fast enough for load tests (see [`Recording`]).

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

/// How far the time in a signature may be from ours, as the product page has it.
const TOLERANCE: u64 = 300;

/// A head or a body beyond these is no test of ours but a mistake.
const HEAD_LIMIT: usize = 1 << 20;
const BODY_LIMIT: usize = 64 << 20;

/// What a connection reads at once; most requests fit into one.
const BUFFER: usize = 16 << 10;

/// What is kept of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// All of it, for [`Receiver::requests`].
    Full,
    /// A [`Digest`], for load tests: 40 bytes, and nothing is allocated.
    Digests,
    /// Nothing but the count, for a receiver that runs for days.
    Count,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When its last byte was read.
    pub arrived: Instant,
    pub time: SystemTime,
    pub signature: Signature,
    /// What we answer; 0 where the answer has no status.
    pub status: u16,
}

/// What remains of a request in [`Recording::Digests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    /// See [`delivery_number`].
    pub delivery: u128,
    /// The first eight bytes of the body's SHA-256.
    pub body: u64,
    pub verified: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The path has no secret.
    Unchecked,
    /// Every signature header on the request is genuine and recent, and there is at least one.
    Verified,
    /// Why not.
    Refused(&'static str),
}

impl Request {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// Stable over retries, whichever preset sent it.
    pub fn delivery_id(&self) -> &str {
        let id = ["X-Hydra-Delivery", "X-Webhook-Delivery", "webhook-id"].iter().find_map(|name| self.header(name));
        id.expect("the request has a delivery id")
    }

    /// Checks against a secret other than the path's, as after a rotation.
    pub fn signed_with(&self, secret: &str) -> Signature {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        check(&Known::of(headers), &self.body, &[Secret::new(secret)], self.time)
    }
}

/// What a path answers. Made by one of the constructors, refined by `with_…` and `after`.
#[derive(Clone, Debug)]
pub struct Answer {
    kind: Kind,
    delay: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    Respond {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Nothing, until the other side closes.
    Hang,
    /// Nothing, and closes.
    Close,
    /// These bytes, and closes.
    Raw(Vec<u8>),
    /// First these bytes, then the others until the other side closes.
    Endless {
        start: Vec<u8>,
        repeat: Vec<u8>,
    },
    /// A complete answer, byte by byte.
    Drip {
        interval: Duration,
    },
}

impl Answer {
    pub fn status(status: u16) -> Answer {
        Answer::of(Kind::Respond { status, headers: Vec::new(), body: Vec::new() })
    }

    pub fn ok() -> Answer {
        Answer::status(200)
    }

    pub fn gone() -> Answer {
        Answer::status(410)
    }

    pub fn redirect(to: &str) -> Answer {
        Answer::status(302).with_header("Location", to)
    }

    /// 503, and when to come back: seconds, or an HTTP date.
    pub fn retry_after(when: &str) -> Answer {
        Answer::status(503).with_header("Retry-After", when)
    }

    pub fn hang() -> Answer {
        Answer::of(Kind::Hang)
    }

    pub fn close() -> Answer {
        Answer::of(Kind::Close)
    }

    /// What a server of quite another protocol would say.
    pub fn garbage() -> Answer {
        Answer::raw(b"SSH-2.0-not-what-you-expected\r\n\x00\xff\xfe\r\n\r\n")
    }

    /// Any bytes at all, such as HTTP/1.0, a status of 999, or two lengths.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Answer {
        Answer::of(Kind::Raw(bytes.into()))
    }

    pub fn endless_headers() -> Answer {
        Answer::endless("HTTP/1.1 200 OK\r\n", "X-Padding: 0123456789abcdef0123456789abcdef\r\n")
    }

    pub fn endless_informational() -> Answer {
        Answer::endless("", "HTTP/1.1 100 Continue\r\n\r\n")
    }

    pub fn endless_body() -> Answer {
        Answer::endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\n0123456789abcdef\r\n")
    }

    /// A complete 200, one byte at a time.
    pub fn drip(interval: Duration) -> Answer {
        Answer::of(Kind::Drip { interval })
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Answer {
        let Kind::Respond { headers, .. } = &mut self.kind else { panic!("{self:?} has no headers of its own") };
        headers.push((name.into(), value.into()));
        self
    }

    pub fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        let Kind::Respond { body, .. } = &mut self.kind else { panic!("{self:?} has no body of its own") };
        *body = bytes.into();
        self
    }

    /// Waits before it answers.
    pub fn after(mut self, delay: Duration) -> Answer {
        self.delay = delay;
        self
    }

    fn of(kind: Kind) -> Answer {
        Answer { kind, delay: Duration::ZERO }
    }

    fn endless(start: &str, repeat: &str) -> Answer {
        // Large writes, as nobody wants to wait for a limit to be met.
        Answer::of(Kind::Endless { start: start.into(), repeat: repeat.repeat(200).into() })
    }
}

/// An answer with its bytes laid out, since most are given thousands of times.
struct Ready {
    answer: Answer,
    status: u16,
    bytes: Vec<u8>,
}

impl Ready {
    fn new(answer: Answer) -> Arc<Ready> {
        let (status, bytes) = match &answer.kind {
            Kind::Respond { status, headers, body } => (*status, lay_out(*status, headers, body)),
            Kind::Drip { .. } => (200, lay_out(200, &[], b"")),
            Kind::Raw(bytes) => (0, bytes.clone()),
            Kind::Endless { start, .. } => (0, start.clone()),
            Kind::Hang | Kind::Close => (0, Vec::new()),
        };
        Arc::new(Ready { answer, status, bytes })
    }
}

fn lay_out(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}

/// Runs until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// Gives the secrets of a path that has none yet, or whose secrets do not fit the request at hand.
type FindSecrets = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;
/// Sees every request, on the thread of its connection, before it is answered.
type Observer = Box<dyn Fn(&Seen<'_>) + Send + Sync>;

/// What an observer and a log line are made from; borrowed from the connection's buffer.
pub struct Seen<'a> {
    pub path: &'a str,
    pub delivery: &'a str,
    pub event: &'a str,
    pub entity_type: &'a str,
    pub entity_id: &'a str,
    pub signature: Signature,
    pub status: u16,
    pub time: SystemTime,
    pub body: &'a [u8],
}

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

struct Endpoint {
    path: String,
    secrets: RwLock<Vec<Secret>>,
    state: Mutex<State>,
    arrival: Condvar,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

struct State {
    first: VecDeque<(usize, Arc<Ready>)>,
    then: Arc<Ready>,
    received: usize,
    requests: Vec<Arc<Request>>,
    digests: Vec<Digest>,
    /// A notification is a system call, so it is made only where somebody waits.
    waiting: usize,
}

/// What can be chosen about a receiver before it starts.
#[derive(Default)]
pub struct Options {
    pub recording: Option<Recording>,
    pub find_secrets: Option<FindSecrets>,
    pub observer: Option<Observer>,
}

impl Receiver {
    /// On a free port of loopback, recording everything.
    pub fn start() -> Receiver {
        Receiver::start_with("127.0.0.1:0", Options::default()).expect("loopback has a free port")
    }

    pub fn start_recording(recording: Recording) -> Receiver {
        let options = Options { recording: Some(recording), ..Options::default() };
        Receiver::start_with("127.0.0.1:0", options).expect("loopback has a free port")
    }

    /// On the address of a receiver that was dropped: an endpoint that comes back.
    pub fn start_at(address: SocketAddr) -> io::Result<Receiver> {
        Receiver::start_with(&address.to_string(), Options::default())
    }

    pub fn start_with(address: &str, options: Options) -> io::Result<Receiver> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            endpoints: RwLock::default(),
            recording: options.recording.unwrap_or(Recording::Full),
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

    /// Adds a secret to those that the path accepts. With none, signatures stay unchecked.
    pub fn secret(&self, path: &str, secret: &str) {
        write(&self.shared.endpoint(path).secrets).push(Secret::new(secret));
    }

    /// What the path answers from now on (a plain 200 at first).
    pub fn answer(&self, path: &str, answer: Answer) {
        let endpoint = self.shared.endpoint(path);
        let mut state = lock(&endpoint.state);
        state.first.clear();
        state.then = Ready::new(answer);
    }

    /// What the next `count` requests on the path get, after those of earlier calls and before `answer`'s.
    pub fn answer_first(&self, path: &str, count: usize, answer: Answer) {
        let endpoint = self.shared.endpoint(path);
        lock(&endpoint.state).first.push_back((count, Ready::new(answer)));
    }

    /// Appends one line per request to a file:
    /// `epoch_ms path delivery_id event entity_id body_sha256 verified|refused|unchecked status`, `-` for what is not
    /// there. Each line is one write in append mode, made before the answer.
    pub fn log_to(&self, file: &Path) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(file)?;
        self.shared.log.set(file).map_err(|_| io::Error::other("the receiver has a log already"))
    }

    /// Waits until the path has received `count` requests since it was last cleared, and returns all there are.
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
                drop(state); // a panic must not poison it for the threads that still serve
                panic!("waited {patience:?} for {count} requests on {path}, received {received}: {seen:?}");
            }
            state = endpoint.arrival.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting -= 1;
        state.requests.clone()
    }

    /// In the order of their arrival. Empty unless everything is recorded.
    pub fn requests(&self, path: &str) -> Vec<Arc<Request>> {
        lock(&self.shared.endpoint(path).state).requests.clone()
    }

    pub fn digests(&self, path: &str) -> Vec<Digest> {
        lock(&self.shared.endpoint(path).state).digests.clone()
    }

    pub fn received(&self, path: &str) -> usize {
        lock(&self.shared.endpoint(path).state).received
    }

    /// The most requests that the path had unanswered at a time, since it was last cleared.
    pub fn most_in_flight(&self, path: &str) -> usize {
        self.shared.endpoint(path).most_in_flight.load(Ordering::Relaxed)
    }

    pub fn in_flight(&self, path: &str) -> usize {
        self.shared.endpoint(path).in_flight.load(Ordering::Relaxed)
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Forgets all requests; answers and secrets stay.
    pub fn clear(&self) {
        for endpoint in read(&self.shared.endpoints).values() {
            let mut state = lock(&endpoint.state);
            state.received = 0;
            state.requests.clear();
            state.digests.clear();
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
    /// Closes the port and all connections, those that hang too.
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        {
            let _lock = lock(&self.shared.end.0);
            self.shared.end.1.notify_all();
        }
        // `accept` returns for one more connection, and sees that it is over.
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

    /// Sleeps, unless the receiver ends meanwhile.
    fn pause(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let end = lock(&self.end.0);
        let _ = self.end.1.wait_timeout_while(end, duration, |()| !self.is_ending());
    }

    fn check(&self, endpoint: &Endpoint, known: &Known<'_>, body: &[u8], time: SystemTime) -> Signature {
        let first = check(known, body, &read(&endpoint.secrets), time);
        match (&self.find_secrets, first) {
            (None, _) | (_, Signature::Verified) => first,
            (Some(find), _) => {
                let secrets: Vec<Secret> = find(&endpoint.path).iter().map(|secret| Secret::new(secret)).collect();
                let second = check(known, body, &secrets, time);
                *write(&endpoint.secrets) = secrets;
                second
            }
        }
    }
}

impl Endpoint {
    fn new(path: &str) -> Endpoint {
        let state = State {
            first: VecDeque::new(),
            then: Ready::new(Answer::ok()),
            received: 0,
            requests: Vec::new(),
            digests: Vec::new(),
            waiting: 0,
        };
        Endpoint {
            path: path.into(),
            secrets: RwLock::default(),
            state: Mutex::new(state),
            arrival: Condvar::new(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    fn begin(&self) {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(now, Ordering::Relaxed);
    }

    fn finish(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn next_answer(&mut self) -> Arc<Ready> {
        while let Some((left, answer)) = self.first.front_mut() {
            if *left > 0 {
                *left -= 1;
                return answer.clone();
            }
            self.first.pop_front();
        }
        self.then.clone()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_ending() {
            return;
        }
        let Ok(stream) = stream.map(Arc::new) else {
            // Out of descriptors, most likely. Others have to close first.
            shared.pause(Duration::from_millis(10));
            continue;
        };
        let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
        lock(&shared.connections).insert(number, stream.clone());
        let started = thread::Builder::new().name("connection".into()).stack_size(256 << 10).spawn({
            let shared = shared.clone();
            move || {
                // An error is the other side's going away, which is its right.
                let _ = Connection::new(&stream, &shared).serve();
                lock(&shared.connections).remove(&number);
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        if started.is_err() {
            lock(&shared.connections).remove(&number);
        }
    }
}

struct Connection<'a> {
    stream: &'a TcpStream,
    shared: &'a Shared,
    /// What was read; `buffer[start..end]` is not handled yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Most connections serve one path for all their life.
    endpoint: Option<Arc<Endpoint>>,
    line: Vec<u8>,
}

impl<'a> Connection<'a> {
    fn new(stream: &'a TcpStream, shared: &'a Shared) -> Connection<'a> {
        let _ = stream.set_nodelay(true);
        Connection { stream, shared, buffer: vec![0; BUFFER], start: 0, end: 0, endpoint: None, line: Vec::new() }
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            let Some(head) = self.read_head()? else { return Ok(()) };
            let framing = Framing::of(&self.buffer[self.start..self.start + head])?;
            let chunked = match framing.length {
                Length::Known(length) => {
                    self.read_at_least(head + length)?;
                    None
                }
                Length::Chunked => Some(self.read_chunks(head)?),
            };
            let length = match (&chunked, framing.length) {
                (None, Length::Known(length)) => head + length,
                (Some((_, length)), _) => *length,
                (None, Length::Chunked) => unreachable!("chunks were read"),
            };
            let body = chunked.map(|(body, _)| body);
            let (endpoint, answer) = self.record(head, length, body.as_deref())?;
            self.start += length;
            self.shared.pause(answer.answer.delay);
            // Before an ordinary answer goes out: its reader may send the next request sooner than we count on.
            let ordinary = matches!(answer.answer.kind, Kind::Respond { .. });
            if ordinary {
                endpoint.finish();
            }
            let responded = self.respond(&answer);
            if !ordinary {
                endpoint.finish();
            }
            if !responded? || framing.close {
                return Ok(());
            }
        }
    }

    /// The length of the next request's head, which is then in the buffer. None when the connection ends before it.
    fn read_head(&mut self) -> io::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(position) = unread[searched..].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Ok(Some(searched + position + 4));
            }
            searched = unread.len().saturating_sub(3);
            if unread.len() > HEAD_LIMIT {
                return Err(io::Error::other("the head of the request does not end"));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn read_at_least(&mut self, length: usize) -> io::Result<()> {
        if length > HEAD_LIMIT + BODY_LIMIT {
            return Err(io::Error::other("the body of the request is too large"));
        }
        while self.end - self.start < length {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Reads a chunked body that begins at `head`. Returns it, and the length of the whole request as it was sent.
    fn read_chunks(&mut self, head: usize) -> io::Result<(Vec<u8>, usize)> {
        let mut body = Vec::new();
        let mut position = head;
        loop {
            let (size, after) = loop {
                let rest = &self.buffer[self.start + position..self.end];
                if let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
                    let digits = rest[..end].split(|&byte| byte == b';').next().unwrap_or_default();
                    let digits = str::from_utf8(digits).map_err(io::Error::other)?;
                    break (usize::from_str_radix(digits.trim(), 16).map_err(io::Error::other)?, position + end + 2);
                }
                self.read_at_least(self.end - self.start + 1)?;
            };
            // Each chunk, and the last and empty one too, is followed by a line end. We send nobody trailers.
            self.read_at_least(after.saturating_add(size).saturating_add(2))?;
            body.extend_from_slice(&self.buffer[self.start + after..self.start + after + size]);
            position = after + size + 2;
            if size == 0 {
                return Ok((body, position));
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            // Move what is left to the front; grow only when that is not enough.
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end * 2 > self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        let mut stream = self.stream;
        loop {
            match stream.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
            }
        }
    }

    /// Verifies, records and logs the request at the front of the buffer, and finds out what it gets.
    fn record(
        &mut self,
        head: usize,
        length: usize,
        chunked: Option<&[u8]>,
    ) -> io::Result<(Arc<Endpoint>, Arc<Ready>)> {
        let arrived = Instant::now();
        let time = SystemTime::now();
        let request = &self.buffer[self.start..self.start + length];
        let body = chunked.unwrap_or(&request[head..]);
        let Head { method, path, headers } = parse(&request[..head])?;
        let known = Known::of(headers.clone());

        let endpoint = match &self.endpoint {
            Some(endpoint) if endpoint.path == path => endpoint.clone(),
            _ => self.endpoint.insert(self.shared.endpoint(path)).clone(),
        };
        endpoint.begin();
        let signature = self.shared.check(&endpoint, &known, body, time);
        let delivery = known.delivery.unwrap_or_default();

        // Made before the lock is taken, at the cost of a status that is filled in later.
        let recording = self.shared.recording;
        let mut full = (recording == Recording::Full).then(|| Request {
            method: method.into(),
            path: path.into(),
            headers: headers.map(|(name, value)| (name.into(), String::from_utf8_lossy(value).into_owned())).collect(),
            body: body.into(),
            arrived,
            time,
            signature,
            status: 0,
        });
        let logged = self.shared.log.get();
        let sum = (recording == Recording::Digests || logged.is_some()).then(|| Sha256::digest(body));
        let digest = sum.filter(|_| recording == Recording::Digests).map(|sum| Digest {
            delivery: delivery_number(delivery),
            body: u64::from_be_bytes(*sum.first_chunk().expect("32 bytes")),
            verified: signature == Signature::Verified,
        });

        let answer = lock(&endpoint.state).next_answer();
        if logged.is_some() || self.shared.observer.is_some() {
            let seen = Seen {
                path,
                delivery: text_or_dash(delivery),
                event: known.event.and_then(|event| str::from_utf8(event).ok()).unwrap_or_else(|| event_of(body)),
                entity_type: member(body, b"\"entity_type\":").unwrap_or("-"),
                entity_id: entity_id_of(body),
                signature,
                status: answer.status,
                time,
                body,
            };
            if let (Some(mut log), Some(sum)) = (logged, sum) {
                self.line.clear();
                write_line(&mut self.line, &seen, &sum)?;
                log.write_all(&self.line).expect("the log can be written");
            }
            if let Some(observer) = &self.shared.observer {
                observer(&seen);
            }
        }

        if let Some(full) = &mut full {
            full.status = answer.status;
        }
        let full = full.map(Arc::new);
        let mut state = lock(&endpoint.state);
        state.received += 1;
        state.requests.extend(full);
        state.digests.extend(digest);
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            endpoint.arrival.notify_all();
        }
        Ok((endpoint, answer))
    }

    /// Returns whether the connection can go on.
    fn respond(&mut self, ready: &Ready) -> io::Result<bool> {
        let mut stream = self.stream;
        match &ready.answer.kind {
            Kind::Respond { .. } => {
                stream.write_all(&ready.bytes)?;
                Ok(true)
            }
            Kind::Close => Ok(false),
            Kind::Raw(_) => {
                stream.write_all(&ready.bytes)?;
                Ok(false)
            }
            Kind::Hang => {
                // Nothing will come; this returns when the other side has had enough.
                while stream.read(&mut self.buffer)? > 0 {}
                Ok(false)
            }
            Kind::Endless { repeat, .. } => {
                stream.write_all(&ready.bytes)?;
                while !self.shared.is_ending() {
                    stream.write_all(repeat)?;
                }
                Ok(false)
            }
            Kind::Drip { interval } => {
                for byte in &ready.bytes {
                    stream.write_all(std::slice::from_ref(byte))?;
                    self.shared.pause(*interval);
                }
                Ok(true)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Chunked,
}

/// How long the request is, and whether its connection ends with it.
struct Framing {
    length: Length,
    close: bool,
}

impl Framing {
    fn of(head: &[u8]) -> io::Result<Framing> {
        let Head { headers, .. } = parse(head)?;
        let mut framing = Framing { length: Length::Known(0), close: false };
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("content-length") {
                let value = str::from_utf8(value).map_err(io::Error::other)?;
                framing.length = Length::Known(value.parse().map_err(io::Error::other)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
                framing.length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case(b"close") {
                framing.close = true;
            }
        }
        Ok(framing)
    }
}

struct Head<'a, Headers> {
    method: &'a str,
    path: &'a str,
    headers: Headers,
}

/// Takes a complete head apart. What is no HTTP/1.1 is an error, and ends the connection.
fn parse(head: &[u8]) -> io::Result<Head<'_, impl Iterator<Item = (&str, &[u8])> + Clone>> {
    let wrong = || io::Error::other("this is not HTTP/1.1");
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut request = str::from_utf8(lines.next().unwrap_or_default()).map_err(io::Error::other)?.split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1")) = (request.next(), request.next(), request.next()) else {
        return Err(wrong());
    };
    let headers = lines.filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
    });
    Ok(Head { method, path, headers })
}

/// The headers that mean something here, found in one pass.
#[derive(Default)]
struct Known<'a> {
    delivery: Option<&'a [u8]>,
    event: Option<&'a [u8]>,
    /// `X-Hydra-Signature`
    hydra: Option<&'a [u8]>,
    /// `X-Webhook-Signature`, with the time of `X-Webhook-Timestamp`
    x_webhook: Option<&'a [u8]>,
    x_webhook_time: Option<&'a [u8]>,
    /// `webhook-signature`, with id and time
    standard: Option<&'a [u8]>,
    standard_time: Option<&'a [u8]>,
    standard_id: Option<&'a [u8]>,
    /// `X-Hub-Signature-256`
    github: Option<&'a [u8]>,
}

impl<'a> Known<'a> {
    fn of(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Known<'a> {
        let mut known = Known::default();
        for (name, value) in headers {
            // The first letter spares most comparisons.
            if !matches!(name.as_bytes().first(), Some(b'x' | b'X' | b'w' | b'W')) {
                continue;
            }
            let place = match name.len() {
                13 if name.eq_ignore_ascii_case("x-hydra-event") => &mut known.event,
                15 if name.eq_ignore_ascii_case("x-webhook-event") => &mut known.event,
                16 if name.eq_ignore_ascii_case("x-hydra-delivery") => &mut known.delivery,
                18 if name.eq_ignore_ascii_case("x-webhook-delivery") => &mut known.delivery,
                17 if name.eq_ignore_ascii_case("x-hydra-signature") => &mut known.hydra,
                19 if name.eq_ignore_ascii_case("x-webhook-signature") => &mut known.x_webhook,
                19 if name.eq_ignore_ascii_case("x-webhook-timestamp") => &mut known.x_webhook_time,
                17 if name.eq_ignore_ascii_case("webhook-signature") => &mut known.standard,
                17 if name.eq_ignore_ascii_case("webhook-timestamp") => &mut known.standard_time,
                10 if name.eq_ignore_ascii_case("webhook-id") => &mut known.standard_id,
                19 if name.eq_ignore_ascii_case("x-hub-signature-256") => &mut known.github,
                _ => continue,
            };
            *place = Some(value);
        }
        known.delivery = known.delivery.or(known.standard_id);
        known
    }
}

/// A signing secret with its keys worked out.
struct Secret {
    /// The whole string is the key, `whsec_` included.
    whole: Hmac<Sha256>,
    /// Standard Webhooks: the key is what the base64 after `whsec_` stands for.
    decoded: Option<Hmac<Sha256>>,
}

impl Secret {
    fn new(secret: &str) -> Secret {
        let keyed = |key: &[u8]| Hmac::new_from_slice(key).expect("a key of any length will do");
        let decoded = BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok();
        Secret { whole: keyed(secret.as_bytes()), decoded: decoded.map(|key| keyed(&key)) }
    }
}

fn check(known: &Known<'_>, body: &[u8], secrets: &[Secret], now: SystemTime) -> Signature {
    if secrets.is_empty() {
        return Signature::Unchecked;
    }
    let mut any = false;
    let mut refused = None;
    let mut note = |verdict: Result<(), &'static str>| {
        any = true;
        refused = refused.or(verdict.err());
    };
    if let Some(value) = known.hydra {
        note(check_hydra(value, body, secrets, now));
    }
    if let Some(value) = known.x_webhook {
        note(check_x_webhook(value, known.x_webhook_time, body, secrets, now));
    }
    if let Some(value) = known.standard {
        note(check_standard(value, known.standard_id, known.standard_time, body, secrets, now));
    }
    if let Some(value) = known.github {
        note(check_github(value, body, secrets));
    }
    match (any, refused) {
        (false, _) => Signature::Refused("there is no signature"),
        (true, Some(why)) => Signature::Refused(why),
        (true, None) => Signature::Verified,
    }
}

/// `t=<unix>,v1=<hex>`, where any of several `v1` will do.
fn check_hydra(value: &[u8], body: &[u8], secrets: &[Secret], now: SystemTime) -> Result<(), &'static str> {
    let parts = || value.split(|&byte| byte == b',');
    let time = parts().find_map(|part| part.strip_prefix(b"t=")).ok_or("X-Hydra-Signature has no t")?;
    recent(time, now)?;
    let genuine = parts()
        .filter_map(|part| part.strip_prefix(b"v1="))
        .filter_map(from_hex)
        .any(|provided| secrets.iter().any(|secret| matches(&secret.whole, &[time, b".", body], &provided)));
    genuine.then_some(()).ok_or("no v1 of X-Hydra-Signature fits")
}

/// `sha256=<hex>` over time and body.
fn check_x_webhook(
    value: &[u8],
    time: Option<&[u8]>,
    body: &[u8],
    secrets: &[Secret],
    now: SystemTime,
) -> Result<(), &'static str> {
    let time = time.ok_or("X-Webhook-Timestamp is missing")?;
    recent(time, now)?;
    let provided = value.strip_prefix(b"sha256=").and_then(from_hex).ok_or("X-Webhook-Signature is malformed")?;
    let genuine = secrets.iter().any(|secret| matches(&secret.whole, &[time, b".", body], &provided));
    genuine.then_some(()).ok_or("X-Webhook-Signature does not fit")
}

/// `v1,<base64>`, several separated by blanks, over id, time and body.
fn check_standard(
    value: &[u8],
    id: Option<&[u8]>,
    time: Option<&[u8]>,
    body: &[u8],
    secrets: &[Secret],
    now: SystemTime,
) -> Result<(), &'static str> {
    let id = id.ok_or("webhook-id is missing")?;
    let time = time.ok_or("webhook-timestamp is missing")?;
    recent(time, now)?;
    let signatures = value.split(|&byte| byte == b' ').filter_map(|part| part.strip_prefix(b"v1,"));
    let genuine = signatures.filter_map(|text| BASE64.decode(text).ok()).any(|provided| {
        let keys = secrets.iter().filter_map(|secret| secret.decoded.as_ref());
        keys.into_iter().any(|key| matches(key, &[id, b".", time, b".", body], &provided))
    });
    genuine.then_some(()).ok_or("no v1 of webhook-signature fits")
}

/// `sha256=<hex>` over the body alone.
fn check_github(value: &[u8], body: &[u8], secrets: &[Secret]) -> Result<(), &'static str> {
    let provided = value.strip_prefix(b"sha256=").and_then(from_hex).ok_or("X-Hub-Signature-256 is malformed")?;
    let genuine = secrets.iter().any(|secret| matches(&secret.whole, &[body], &provided));
    genuine.then_some(()).ok_or("X-Hub-Signature-256 does not fit")
}

fn matches(key: &Hmac<Sha256>, message: &[&[u8]], provided: &[u8]) -> bool {
    let mut mac = key.clone();
    for part in message {
        mac.update(part);
    }
    mac.verify_slice(provided).is_ok()
}

/// 64 lower-case digits, as the pages write them.
fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = !text.iter().any(u8::is_ascii_uppercase);
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

fn recent(time: &[u8], now: SystemTime) -> Result<(), &'static str> {
    let time: u64 = str::from_utf8(time).ok().and_then(|text| text.parse().ok()).ok_or("the time is no number")?;
    let now = now.duration_since(UNIX_EPOCH).expect("we live after 1970").as_secs();
    if now.abs_diff(time) <= TOLERANCE { Ok(()) } else { Err("the time is more than 300 s away") }
}

/// A delivery id as a number: that of the UUID, or of a hash where it is none.
pub fn delivery_number(id: impl AsRef<[u8]>) -> u128 {
    let id = id.as_ref();
    let mut number = 0;
    let mut digits = 0;
    for &byte in id.iter().filter(|&&byte| byte != b'-') {
        match char::from(byte).to_digit(16) {
            Some(digit) if digits < 32 => {
                number = number << 4 | u128::from(digit);
                digits += 1;
            }
            _ => {
                digits = 0;
                break;
            }
        }
    }
    if digits == 32 { number } else { u128::from_be_bytes(*Sha256::digest(id).first_chunk().expect("32 bytes")) }
}

/// The text of a JSON string, or the digits of a number, that follows a key. No parser: our own bodies are meant, where
/// these keys come before anything that a caller wrote.
fn member<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let start = body.windows(key.len()).position(|bytes| bytes == key)? + key.len();
    let rest = body[start..].trim_ascii_start();
    let (rest, ends): (_, &[u8]) = match rest.strip_prefix(b"\"") {
        Some(rest) => (rest, b"\""),
        None => (rest, b",}"),
    };
    let end = rest.iter().position(|byte| ends.contains(byte))?;
    str::from_utf8(&rest[..end]).ok()
}

fn event_of(body: &[u8]) -> &str {
    member(body, b"\"event\":").or_else(|| member(body, b"\"type\":")).unwrap_or("-")
}

/// Of the envelope, or else of an entity that is all the data there is.
fn entity_id_of(body: &[u8]) -> &str {
    member(body, b"\"entity_id\":").or_else(|| member(body, b"\"id\":")).unwrap_or("-")
}

fn text_or_dash(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).ok().filter(|text| !text.is_empty()).unwrap_or("-")
}

fn write_line(line: &mut Vec<u8>, seen: &Seen<'_>, sum: &[u8]) -> io::Result<()> {
    let milliseconds = seen.time.duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_millis();
    let mut digits = [0; 64];
    hex::encode_to_slice(sum, &mut digits).map_err(io::Error::other)?;
    write!(line, "{milliseconds} {} {} {} ", seen.path, seen.delivery, seen.event)?;
    // One field, whatever an entity calls itself.
    line.extend(
        seen.entity_id.bytes().map(|byte| if byte.is_ascii_graphic() || !byte.is_ascii() { byte } else { b'_' }),
    );
    line.push(b' ');
    line.extend_from_slice(&digits);
    let verdict = match seen.signature {
        Signature::Verified => "verified",
        Signature::Refused(_) => "refused",
        Signature::Unchecked => "unchecked",
    };
    writeln!(line, " {verdict} {}", seen.status)
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
