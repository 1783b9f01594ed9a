//! TCP connections, instead of those of ureq. Over loopback this gives a third more requests per second. There are these
//! differences:
//!
//! - ureq writes headers and body in two system calls and so in two packets. Here the bytes that ureq writes are
//!   collected, and sent with one system call when the answer is awaited.
//! - A receiver may answer before it has read the whole request, for example because the body is too large, and then
//!   never read the rest, or reset the connection. So nothing waits until a request is sent: while bytes cannot be sent,
//!   an answer is read, and after a failed write, what has arrived is read first.
//! - An answer belongs to its request. If anything arrives before a request is sent, the connection is not used.
//! - A connection is left after a minute, so that a changed address of its host is followed.
//! - ureq sets the timeout of the socket before each call, to the nanosecond. Here the timeout of the socket need
//!   not be exact, only not longer than the time that is left. When it has passed, the clock is compared with the
//!   deadline. So under constant load the timeout is never set again.
//! - A stop must be able to end requests that hang. [`OpenSockets`] lists all connections for this.
//! - A failed request is made again on a new connection if its connection was used before and no part of an answer
//!   came. [`Trace`] records whether the connection was new and whether a part of an answer came.

use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::connecting::Preferences;
use super::deadline::Limit;
use super::open_sockets::OpenSockets;
use super::readiness::wait_for_either;
use super::trace::Trace;

/// A connection is not used again when it is older.
pub const MAX_AGE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 60 });

/// If more bytes than this are collected, as many as possible are sent without waiting for the rest.
const MAX_UNSENT: usize = 16 * 1024;

/// The memory for a larger request is freed when it was sent.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// Makes the connections of one thread.
#[derive(Debug)]
pub struct TcpConnector {
    pub sockets: Arc<OpenSockets>,
    pub preferences: Arc<Preferences>,
    pub trace: Arc<Trace>,
}

impl Connector<()> for TcpConnector {
    type Out = TcpTransport;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<TcpTransport>, Error> {
        self.trace.opens_connection();
        self.sockets.admit()?;
        let limit = Limit::since(details.timeout, details.now);
        let host = details.uri.host().unwrap_or_default();
        let stream = Arc::new(self.preferences.open(host, &details.addrs, limit)?);
        stream.set_nodelay(true)?;
        self.sockets.add(&stream)?;
        Ok(Some(TcpTransport {
            stream,
            buffers: LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size()),
            unsent: Vec::new(),
            sent: 0,
            write_error: None,
            read_limit: Duration::ZERO,
            opened: Instant::now(),
            idle: false,
            silent: true,
            under_tls: details.needs_tls(),
            trace: self.trace.clone(),
        }))
    }
}

/// A connection, as ureq sees it.
#[derive(Debug)]
pub struct TcpTransport {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    /// Bytes that ureq has written. Those from `sent` on are not sent yet.
    unsent: Vec<u8>,
    sent: usize,
    /// Why the rest of the request could not be sent. It is returned if no answer can be read.
    write_error: Option<io::Error>,
    read_limit: Duration,
    opened: Instant,
    /// Whether no request was sent since the last answer.
    idle: bool,
    /// Whether nothing has been received so far.
    silent: bool,
    under_tls: bool,
    trace: Arc<Trace>,
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        self.unsent.extend_from_slice(&self.buffers.output()[..amount]);
        if self.unsent.len() - self.sent > MAX_UNSENT {
            self.check_idle()?;
            self.send();
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = Limit::new(timeout);
        self.check_idle()?;
        let amount = self.send_and_receive(limit)?;
        if amount > 0 {
            self.record_input();
        }
        Ok(amount > 0)
    }

    /// ureq calls this when the connection goes back to its pool, and when the connection is to be used again. Whether
    /// anything has arrived is checked later, just before the next request is sent.
    fn is_open(&mut self) -> bool {
        self.idle = true;
        self.unsent.is_empty()
            && self.write_error.is_none()
            && self.buffers.input().is_empty()
            && self.opened.elapsed() < MAX_AGE
    }
}

impl TcpTransport {
    /// Refuses to send a request on a connection that was closed, or has bytes that no request asked for. The error is
    /// that of a closed connection, so the request is made on a new one.
    fn check_idle(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.idle) && !has_nothing_to_read(&self.stream) {
            true => Err(ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    /// Sends what was not sent yet, until that is done or there is something to receive. Then receives.
    fn send_and_receive(&mut self, limit: Limit) -> Result<usize, Error> {
        while !self.send() {
            if wait_for_either(&*self.stream, limit.left()?)? {
                break;
            }
        }
        self.receive(limit)
    }

    /// Sends what was not sent yet, and does not wait. Returns whether nothing is left, or nothing more can be sent.
    fn send(&mut self) -> bool {
        while self.sent < self.unsent.len() && self.write_error.is_none() {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            match SockRef::from(&*self.stream).send_with_flags(&self.unsent[self.sent..], flags) {
                Ok(amount) => self.sent += amount,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => self.write_error = Some(error),
            }
        }
        self.sent = 0;
        self.unsent.clear();
        self.unsent.shrink_to(MAX_KEPT_BYTES);
        true
    }

    fn receive(&mut self, limit: Limit) -> Result<usize, Error> {
        loop {
            let wanted = socket_limit(self.read_limit, limit.left()?);
            if wanted != self.read_limit {
                self.stream.set_read_timeout(Some(wanted))?;
                self.read_limit = wanted;
            }
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Ok(amount) if amount > 0 || self.write_error.is_none() => {
                    self.buffers.input_appended(amount);
                    return Ok(amount);
                }
                Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {}
                end => {
                    let error = self.write_error.take().or(end.err());
                    return Err(error.unwrap_or_else(|| ErrorKind::UnexpectedEof.into()).into());
                }
            }
        }
    }

    /// Notes that something was received. Under TLS it may be only an alert, so there the TLS layer records the answer.
    fn record_input(&mut self) {
        let first = std::mem::take(&mut self.silent);
        match self.under_tls {
            false => self.trace.gets_answer(),
            true if first && self.buffers.input().starts_with(b"HTTP/") => self.trace.gets_plain_http(),
            true => {}
        }
    }
}

/// The timeout to set for the socket. The present one is kept if it ends in time and not needlessly early. A new one is
/// chosen so that the next request on this connection can keep it.
fn socket_limit(current: Duration, left: Duration) -> Duration {
    const FINE: Duration = Duration::from_millis(20);
    if current <= left && current >= left / 2 {
        current
    } else if left <= FINE {
        left.max(Duration::from_millis(1))
    } else {
        left * 3 / 4
    }
}

/// Whether the timeout of the socket has passed. This is also reported as "would block".
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// Whether the connection can be used again. It cannot if it was closed, or has bytes that no request asked for.
fn has_nothing_to_read(stream: &TcpStream) -> bool {
    let seen = SockRef::from(stream).recv_with_flags(&mut [MaybeUninit::uninit()], libc::MSG_DONTWAIT);
    seen.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
