//! One connection: reads requests, verifies, records and answers them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::answer::{Kind, Ready};
use super::endpoint::Endpoint;
use super::http::{Framing, Head, Length, parse};
use super::log::{Seen, entity_id_of, event_of, member, text_or_dash, write_line};
use super::request::Request;
use super::signature::SignatureHeaders;
use super::{Recording, Shared, lock};

/// A request larger than this is a mistake of the test.
const HEAD_LIMIT: usize = 1 << 20;
const BODY_LIMIT: usize = 64 << 20;

/// How much is read at once; most requests fit into it.
const BUFFER: usize = 16 << 10;

/// Starts a thread for each connection, until the receiver ends.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_ending() {
            return;
        }
        let Ok(stream) = stream.map(Arc::new) else {
            // Most likely no descriptor is free. Other connections have to close first.
            shared.pause(Duration::from_millis(10));
            continue;
        };
        let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
        lock(&shared.connections).insert(number, stream.clone());
        let started = thread::Builder::new().name("connection".into()).stack_size(256 << 10).spawn({
            let shared = shared.clone();
            move || {
                // An error means that the client has closed the connection, which is permitted.
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
    /// Bytes that were read; `buffer[start..end]` is not handled yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The endpoint of the latest request. It is kept because most connections serve only one path.
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
            // Counted down before an ordinary answer is written: its reader may send the next request at once.
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

    /// Reads until the head of the next request is in the buffer, and returns its length. `None` if the connection ends
    /// before.
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
            // A line end follows each chunk, also the empty last one. The sender sends no trailers.
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
            // Moves the rest to the front; grows only if that is not enough.
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

    /// Verifies, records and logs the request at the front of the buffer. Returns the answer to send.
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
        let known = SignatureHeaders::of(headers.clone());

        let endpoint = match &self.endpoint {
            Some(endpoint) if endpoint.path == path => endpoint.clone(),
            _ => self.endpoint.insert(self.shared.endpoint(path)).clone(),
        };
        endpoint.begin();
        let signature = self.shared.verify(&endpoint, &known, body, time);
        let delivery = known.delivery.unwrap_or_default();

        // Copied before the lock is taken; its status is filled in later.
        let mut full = (self.shared.recording == Recording::Full).then(|| Request {
            method: method.into(),
            path: path.into(),
            headers: headers.map(|(name, value)| (name.into(), String::from_utf8_lossy(value).into_owned())).collect(),
            body: body.into(),
            arrived,
            time,
            signature,
            status: 0,
        });

        let answer = lock(&endpoint.state).next_answer();
        let log = self.shared.log.get();
        if log.is_some() || self.shared.observer.is_some() {
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
            if let Some(mut log) = log {
                self.line.clear();
                write_line(&mut self.line, &seen)?;
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
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            endpoint.arrival.notify_all();
        }
        Ok((endpoint, answer))
    }

    /// Returns whether the connection can be used further.
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
                // Returns when the client closes the connection.
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
