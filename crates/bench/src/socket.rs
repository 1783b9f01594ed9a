//! A non-blocking socket, in the clear or under TLS: what the receiver and the raw client have in common.
//!
//! Both ends share two cores with what they measure, so a turn is one read and one write. A read that does not fill the
//! buffer has emptied the socket, and the poll reports when there is more.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

pub struct Socket {
    stream: TcpStream,
    tls: Option<Box<Connection>>,
    unsent: Vec<u8>,
}

impl Socket {
    pub fn accepted(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Self {
        let start = |config: &Arc<ServerConfig>| ServerConnection::new(config.clone()).expect("a usable configuration");
        Self::new(stream, tls.map(|config| start(config).into()))
    }

    pub fn opened(stream: TcpStream, tls: Option<&Arc<ClientConfig>>) -> Self {
        let name = ServerName::try_from("127.0.0.1").expect("an address is a name");
        let start = |config: &Arc<ClientConfig>| ClientConnection::new(config.clone(), name);
        Self::new(stream, tls.map(|config| start(config).expect("a usable configuration").into()))
    }

    fn new(stream: TcpStream, tls: Option<Connection>) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, tls: tls.map(Box::new), unsent: Vec::new() }
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Reads by way of `buffer`, appends the received bytes to `into`, and returns whether more can follow. `ends`: the peer may have closed its
    /// side; then the socket is read once more to find out.
    pub fn read(&mut self, buffer: &mut [u8], into: &mut Vec<u8>, ends: bool) -> io::Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(amount) => {
                    self.take_in(&buffer[..amount], into)?;
                    if amount < buffer.len() && !ends {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take_in(&mut self, mut bytes: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            into.extend_from_slice(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let start = into.len();
            into.resize(start + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut into[start..])?;
        }
        // The handshake may have something to send.
        self.flush()
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes)?,
            None => self.unsent.extend_from_slice(bytes),
        }
        self.flush()
    }

    /// Sends as much as the socket takes. The rest is sent when the poll reports that there is room.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.unsent)?;
            }
        }
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(amount) => drop(self.unsent.drain(..amount)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
