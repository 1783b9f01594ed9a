//! A client that makes one request on a connection of its own, and fails without a panic: the gateway may be killed.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longer than a gateway waits for the database.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The state of the one event of the request.
    #[track_caller]
    pub fn state(&self) -> String {
        let body = self.json();
        body["events"][0]["state"].as_str().unwrap_or_else(|| panic!("no event: {self:?}")).to_owned()
    }
}

/// Makes a request to a gateway with the URL `http://address`.
pub fn post(gateway: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    let host = gateway.strip_prefix("http://").unwrap_or(gateway);
    let mut head =
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    exchange(host, &[head.as_bytes(), body].concat())
}

/// Sends these bytes, and reads the answer to the end of the connection.
pub fn exchange(host: &str, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A gateway that refuses a large body answers before it has read all of it.
    let sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        sent?;
        read?;
    }
    parse(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Returns an answer that is complete.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length).then(|| Answer { status, head: head.clone(), body: body.to_owned() })
}
