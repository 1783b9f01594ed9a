//! Measures the capacity of a receiver, with a client that only writes requests like those of the extension.
//!
//! The client is a single thread that polls. It has one request on each of its connections, and writes the next one
//! when the answer has arrived. It signs and parses nothing, and wakes no threads.
//!
//! The capacity is the number of requests that the receiver answers in one second of its CPU time. On a machine with two
//! processors the client may reach its own limit before the receiver does, so their rate would be too low a figure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::http::ANSWER;
use crate::receiver::{BUFFER, Receiver};
use crate::socket::Socket;

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(700);

/// How often both are measured. The highest figure is used, because other work of the machine can only lower it.
const TRIALS: usize = 3;

/// How fast a receiver answers a client, in requests per second.
#[derive(Clone, Copy, Default)]
struct Speed {
    /// Of time.
    rate: f64,
    /// Of CPU time of the receiver.
    capacity: f64,
}

/// Returns the number of requests per second that this receiver can answer.
pub fn capacity(receiver: &Receiver) -> f64 {
    best(receiver, None).capacity
}

/// Returns the number of requests per second that this client makes.
pub fn rate(receiver: &Receiver) -> f64 {
    best(receiver, None).rate
}

/// Returns the capacity over TLS, with these root certificates.
pub fn capacity_with_tls(receiver: &Receiver, roots: RootCertStore) -> f64 {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    best(receiver, Some(&Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))).capacity
}

fn best(receiver: &Receiver, tls: Option<&Arc<ClientConfig>>) -> Speed {
    let trial = |_| Client::connect(receiver, tls, CONNECTIONS).speed(receiver, WARM_UP, MEASURED);
    (0..TRIALS).map(trial).fold(Speed::default(), |best, one| Speed {
        rate: best.rate.max(one.rate),
        capacity: best.capacity.max(one.capacity),
    })
}

/// Returns the rate of a receiver that answers late, with this number of requests in flight.
pub fn rate_of_late_answers(receiver: &Receiver, delay: Duration, in_flight: usize) -> f64 {
    Client::connect(receiver, None, in_flight).speed(receiver, delay * 2, delay * 2).rate
}

struct Client {
    poll: Poll,
    lines: Vec<Line>,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

struct Line {
    socket: Socket,
    answer: Vec<u8>,
}

impl Client {
    fn connect(receiver: &Receiver, tls: Option<&Arc<ClientConfig>>, connections: usize) -> Self {
        let poll = Poll::new().expect("an epoll");
        let line = |number| {
            let stream = std::net::TcpStream::connect(receiver.address()).expect("the receiver accepts");
            stream.set_nonblocking(true).expect("a TCP socket");
            let mut socket = Socket::opened(TcpStream::from_std(stream), tls);
            socket.register(poll.registry(), Token(number)).expect("a socket can be polled");
            Line { socket, answer: Vec::new() }
        };
        let lines = (0..connections).map(line).collect();
        Self { poll, lines, request: request(), buffer: vec![0; BUFFER] }
    }

    fn speed(mut self, receiver: &Receiver, warm_up: Duration, measured: Duration) -> Speed {
        for line in &mut self.lines {
            line.socket.write(&self.request).expect("an open connection");
        }
        self.exchange_for(warm_up);
        let (start, cpu) = (Instant::now(), receiver.cpu());
        let answers = self.exchange_for(measured) as f64;
        Speed {
            rate: answers / start.elapsed().as_secs_f64(),
            capacity: answers / (receiver.cpu() - cpu).as_secs_f64(),
        }
    }

    fn exchange_for(&mut self, time: Duration) -> usize {
        let mut events = Events::with_capacity(1024);
        let until = Instant::now() + time;
        let mut answers = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return answers;
            }
            self.poll.poll(&mut events, Some(left)).expect("an epoll");
            for event in &events {
                let line = &mut self.lines[event.token().0];
                line.socket.flush().expect("an open connection");
                if event.is_readable() {
                    answers += line.exchange(&mut self.buffer, &self.request);
                }
            }
        }
    }
}

impl Line {
    fn exchange(&mut self, buffer: &mut [u8], request: &[u8]) -> usize {
        assert!(self.socket.read(buffer, &mut self.answer, false).expect("an open connection"), "the receiver closed");
        if self.answer.len() < ANSWER.len() {
            return 0;
        }
        self.answer.drain(..ANSWER.len());
        self.socket.write(request).expect("an open connection");
        1
    }
}

/// Returns a request whose head and body are as long as those of the extension.
fn request() -> Vec<u8> {
    let body = "x".repeat(300);
    let signature = "0".repeat(64);
    format!(
        "POST /capacity HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Hydra-Webhooks/1.0\r\n\
         Content-Type: application/json\r\nX-Hydra-Event: ticket.created\r\n\
         X-Hydra-Delivery: 00000000-0000-8000-8000-000000000000\r\n\
         X-Hydra-Signature: t=1700000000,v1={signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
