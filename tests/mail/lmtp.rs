//! A mail server that hands messages over, and sends exactly the bytes that a test wants to send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than anything that the gateway waits for.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Server(BufReader<TcpStream>);

impl Server {
    /// Connects, and reads the greeting.
    #[track_caller]
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut server = Self(BufReader::new(stream));
        assert_eq!(server.reply(), "220 Hydra Webhooks LMTP");
        server
    }

    #[track_caller]
    pub fn greet(address: &str) -> Self {
        let mut server = Self::connect(address);
        let greeting = server.command("LHLO mx.helpdesk.test");
        assert!(greeting.starts_with("250 SIZE "), "{greeting}");
        server
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).expect("the gateway reads");
    }

    /// Reads a reply, and returns its last line; empty: the connection is closed.
    #[track_caller]
    pub fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a reply");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    #[track_caller]
    pub fn command(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Sends the envelope of a message and the command for its content.
    #[track_caller]
    pub fn begin(&mut self, from: &str, to: &[&str]) {
        assert_eq!(self.command(&format!("MAIL FROM:<{from}>")), "250 2.1.0 OK");
        for to in to {
            assert_eq!(self.command(&format!("RCPT TO:<{to}>")), "250 2.1.5 OK", "{to}");
        }
        assert_eq!(self.command("DATA"), "354 Send the message");
    }

    /// Sends a message, whose lines have their ends, and returns the reply for each recipient.
    #[track_caller]
    pub fn deliver(&mut self, from: &str, to: &[&str], message: &str) -> Vec<String> {
        self.begin(from, to);
        let message = message.replace("\r\n.", "\r\n..");
        self.send(format!("{message}\r\n.\r\n"));
        to.iter().map(|_| self.reply()).collect()
    }

    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}
