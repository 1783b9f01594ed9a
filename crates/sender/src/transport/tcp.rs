//! TCP connections, instead of those of ureq. Over loopback this gives a third more requests per second. There are four
//! differences:
//!
//! - ureq writes headers and body in two system calls and so in two packets. Here the bytes that ureq writes are
//!   collected, and sent with one system call when the answer is awaited.
//! - ureq sets the timeout of the socket before each call, to the nanosecond. Here the timeout of the socket need
//!   not be exact, only not longer than the time that is left. When it has passed, the clock is compared with the
//!   deadline. So under constant load the timeout is never set again.
//! - A stop must be able to end requests that hang. [`OpenSockets`] lists all connections for this.
//! - A failed request is made again on a new connection if its connection was used before and no part of an answer
//!   came. [`Trace`] records whether the connection was new and whether a part of an answer came.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use ureq::Error;
use ureq::unversioned::resolver::ResolvedSocketAddrs;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::deadline::Limit;
use super::open_sockets::OpenSockets;
use super::trace::Trace;

/// If more bytes than this are collected, they are sent without waiting for the rest.
const MAX_UNSENT: usize = 16 * 1024;

/// Makes the connections of one thread.
#[derive(Debug)]
pub struct TcpConnector {
    pub sockets: Arc<OpenSockets>,
    pub trace: Arc<Trace>,
}

impl Connector<()> for TcpConnector {
    type Out = TcpTransport;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<TcpTransport>, Error> {
        self.trace.opens_connection();
        self.sockets.admit()?;
        let limit = Limit::since(details.timeout, details.now);
        let stream = Arc::new(open(&details.addrs, limit)?);
        stream.set_nodelay(true)?;
        self.sockets.add(&stream)?;
        Ok(Some(TcpTransport {
            stream,
            buffers: LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size()),
            unsent: Vec::new(),
            write_limit: Duration::ZERO,
            read_limit: Duration::ZERO,
            resting: false,
            // Under TLS, bytes that are received may be only an alert, so the TLS layer records the answer in the
            // trace.
            trace: (!details.needs_tls()).then(|| self.trace.clone()),
        }))
    }
}

/// Tries the addresses in turn. Each address gets its share of the time that is left, so that an address that does not
/// answer leaves time for the next one.
fn open(addresses: &ResolvedSocketAddrs, limit: Limit) -> Result<TcpStream, Error> {
    let mut failure = Error::HostNotFound;
    for (tried, address) in addresses.iter().enumerate() {
        let share = limit.left()? / (addresses.len() - tried) as u32;
        match connect(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) if is_timeout(&error) => failure = limit.exceeded(),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

fn connect(address: &SocketAddr, share: Duration) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(address, share)
}

/// A connection, as ureq sees it.
#[derive(Debug)]
pub struct TcpTransport {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    /// Bytes that ureq has written and that are not sent yet.
    unsent: Vec<u8>,
    write_limit: Duration,
    read_limit: Duration,
    /// Whether ureq has called `is_open` since the last answer.
    resting: bool,
    trace: Option<Arc<Trace>>,
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.unsent.extend_from_slice(&self.buffers.output()[..amount]);
        match self.unsent.len() {
            0..=MAX_UNSENT => Ok(()),
            _ => self.send(Limit::new(timeout)),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = Limit::new(timeout);
        self.send(limit)?;
        self.resting = false;
        let amount = self.receive(limit)?;
        if let Some(trace) = self.trace.as_deref().filter(|_| amount > 0) {
            trace.gets_answer();
        }
        Ok(amount > 0)
    }

    /// ureq calls this twice: when the connection goes back to its pool, and when the connection is to be used again.
    /// Only the second result matters, so the socket is checked only then.
    fn is_open(&mut self) -> bool {
        if !self.resting {
            self.resting = true;
            return true;
        }
        has_nothing_to_read(&self.stream)
    }
}

impl TcpTransport {
    fn send(&mut self, limit: Limit) -> Result<(), Error> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            let wanted = socket_limit(self.write_limit, limit.left()?);
            if wanted != self.write_limit {
                self.stream.set_write_timeout(Some(wanted))?;
                self.write_limit = wanted;
            }
            match (&*self.stream).write(&self.unsent[sent..]) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(amount) => sent += amount,
                Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.unsent.clear();
        Ok(())
    }

    fn receive(&mut self, limit: Limit) -> Result<usize, Error> {
        loop {
            let wanted = socket_limit(self.read_limit, limit.left()?);
            if wanted != self.read_limit {
                self.stream.set_read_timeout(Some(wanted))?;
                self.read_limit = wanted;
            }
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount);
                }
                Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
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
