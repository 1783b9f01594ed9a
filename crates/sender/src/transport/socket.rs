//! A TCP connection that never blocks, in the clear or under TLS.
//!
//! The poller reports once when something has come, and once when there is room to send after there was none. So after
//! each report everything is read, and as much as possible is sent.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{SockRef, TcpKeepalive};

use crate::exchange::Trouble;

/// After this time without traffic the system asks whether the receiver is still there, so that gateways on the way do
/// not forget the connection.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The maximum number of bytes that wait for being sent in a TLS connection.
const MAX_UNSENT: usize = 16 * 1024;

/// The maximum number of bytes that are decrypted at a time.
const MAX_TLS_READ: usize = 8 * 1024;

pub struct Socket {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
}

struct Tls {
    connection: ClientConnection,
    /// Whether nothing has been received so far.
    is_silent: bool,
}

/// Why reading stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing more has come.
    Empty,
    /// The receiver closed its side.
    Closed,
    /// The consumer has enough.
    Enough,
}

impl Socket {
    /// Begins to connect.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::connect(address)?, tls: None })
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Returns whether the connection is open, or the error with which it failed. To be called when the poller has
    /// reported something.
    pub fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.stream.set_nodelay(true)?;
                SockRef::from(&self.stream)
                    .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts TLS over the connection.
    pub fn start_tls(&mut self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<(), Trouble> {
        let mut connection = ClientConnection::new(config, name).map_err(Trouble::Tls)?;
        connection.set_buffer_limit(Some(MAX_UNSENT));
        self.tls = Some(Box::new(Tls { connection, is_silent: true }));
        Ok(())
    }

    /// Continues the TLS handshake. Returns whether it is complete, which it is without TLS.
    pub fn shake_hands(&mut self, buffer: &mut [u8]) -> Result<bool, Trouble> {
        loop {
            self.flush()?;
            if !self.is_shaking_hands() {
                return Ok(true);
            }
            match self.read_once(buffer)? {
                None => return Ok(false),
                Some(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                Some(_) => {}
            }
        }
    }

    fn is_shaking_hands(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.is_handshaking())
    }

    /// Sends as much as possible of these bytes. Returns how many of them were taken.
    pub fn write(&mut self, head: &[u8], body: &[u8]) -> io::Result<usize> {
        if self.tls.is_some() {
            return self.write_under_tls(head, body);
        }
        let mut taken = 0;
        while taken < head.len() + body.len() {
            let rest = (&head[taken.min(head.len())..], &body[taken.saturating_sub(head.len())..]);
            let sent = match rest {
                (head, []) => (&self.stream).write(head),
                (head, body) => (&self.stream).write_vectored(&[IoSlice::new(head), IoSlice::new(body)]),
            };
            match sent {
                Ok(amount) => taken += amount,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn write_under_tls(&mut self, head: &[u8], body: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            if let Some(tls) = &mut self.tls {
                let mut writer = tls.connection.writer();
                taken += writer.write(&head[taken.min(head.len())..])?;
                taken += writer.write(&body[taken.saturating_sub(head.len()).min(body.len())..])?;
            }
            if !self.flush()? || taken == head.len() + body.len() {
                return Ok(taken);
            }
        }
    }

    /// Sends what waits in the TLS connection. Returns whether nothing is left.
    pub fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.connection.wants_write() {
            match tls.connection.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Passes what has come to the consumer, until it has enough or nothing is left. `ends`: the receiver may have closed
    /// its side. Then the socket is read once more to find out: otherwise a read that does not fill the buffer has emptied
    /// the socket, and the poller reports when more comes.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        ends: bool,
        mut consume: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<End, Trouble> {
        // Something may have come with the end of the handshake, even the end of the connection.
        if let Some(tls) = &mut self.tls
            && tls.pass_on(buffer, &mut consume)?.is_break()
        {
            return Ok(End::Enough);
        }
        if self.has_ended()? {
            return Ok(End::Closed);
        }
        loop {
            let Some(amount) = self.read_once(buffer)? else { return Ok(End::Empty) };
            let has_enough = match &mut self.tls {
                Some(tls) => tls.pass_on(buffer, &mut consume)?.is_break(),
                None => amount > 0 && consume(&buffer[..amount]).is_break(),
            };
            if has_enough {
                return Ok(End::Enough);
            }
            if amount == 0 || self.has_ended()? {
                return Ok(End::Closed);
            }
            if amount < self.read_size(buffer) && !ends {
                return Ok(End::Empty);
            }
        }
    }

    /// How much is read at a time. The TLS connection takes no more than it has room to decrypt.
    fn read_size(&self, buffer: &[u8]) -> usize {
        if self.tls.is_some() { buffer.len().min(MAX_TLS_READ) } else { buffer.len() }
    }

    /// Reads from the socket once. `None` if nothing has come. Under TLS the bytes go to the TLS connection.
    fn read_once(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Trouble> {
        let size = self.read_size(buffer);
        let amount = loop {
            match self.stream.read(&mut buffer[..size]) {
                Ok(amount) => break amount,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        if let Some(tls) = self.tls.as_mut().filter(|_| amount > 0) {
            let taken = tls.take_in(&buffer[..amount]);
            // After an error this tells the receiver the reason, if it still listens.
            let _ = self.flush();
            taken?;
        }
        Ok(Some(amount))
    }

    /// Whether the receiver ended the TLS connection.
    fn has_ended(&mut self) -> Result<bool, Trouble> {
        let Some(tls) = &mut self.tls else { return Ok(false) };
        tls.connection.process_new_packets().map(|state| state.peer_has_closed()).map_err(Trouble::Tls)
    }

    /// Whether the connection can be used again. It cannot if it was closed, or has bytes that no request asked for.
    pub fn has_nothing_to_read(&self) -> bool {
        let seen = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        seen.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether everything that was written was also sent.
    pub fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.connection.wants_write())
    }
}

impl Tls {
    fn take_in(&mut self, mut received: &[u8]) -> Result<(), Trouble> {
        let is_first = std::mem::take(&mut self.is_silent);
        let is_plain_http = is_first && received.starts_with(b"HTTP/");
        // What comes after the receiver has ended the TLS connection is not taken.
        while !received.is_empty() && self.connection.read_tls(&mut received)? > 0 {
            self.connection.process_new_packets().map_err(|error| match is_plain_http {
                true => Trouble::PlainHttp,
                false => Trouble::Tls(error),
            })?;
        }
        Ok(())
    }

    /// Passes what was decrypted to the consumer.
    fn pass_on(
        &mut self,
        buffer: &mut [u8],
        consume: &mut impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        loop {
            match self.connection.reader().read(buffer) {
                Ok(0) => return Ok(ControlFlow::Continue(())),
                Ok(amount) => {
                    if consume(&buffer[..amount]).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::UnexpectedEof) => {
                    return Ok(ControlFlow::Continue(()));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
