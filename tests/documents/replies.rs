//! Answers that a receiver could give: hand-picked ones that are not HTTP or hard to store, and then random bytes.

use std::fmt;

use rand::RngExt;
use rand::rngs::StdRng;

/// What the history says of an answer: its status, or why it is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Status(i32),
    /// The class of the error.
    Failure(&'static str),
    /// Random bytes can be either.
    Either,
}

pub struct Reply {
    pub bytes: Vec<u8>,
    pub expected: Recorded,
}

impl fmt::Debug for Reply {
    /// The beginning is enough to recognize it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.bytes[..self.bytes.len().min(100)];
        write!(f, "{:?} to \"{}\"", self.expected, head.escape_ascii())
    }
}

/// The hard ones first.
pub fn replies(chance: &mut StdRng, count: usize) -> Vec<Reply> {
    let mut replies = hand_picked();
    while replies.len() < count {
        replies.push(Reply { bytes: any(chance), expected: Recorded::Either });
    }
    replies
}

fn hand_picked() -> Vec<Reply> {
    use Recorded::{Failure, Status};
    const NO_HTTP: Recorded = Failure("protocol");
    const END: &str = "\r\n\r\n";
    let body = |bytes: &[u8]| [b"HTTP/1.1 200 OK\r\n\r\n", bytes].concat();
    let mut replies = Vec::new();
    let mut add = |expected, bytes: &[u8]| replies.push(Reply { bytes: bytes.into(), expected });

    // Status lines.
    for (expected, line) in [
        (NO_HTTP, "HTTP/1.1 000 Nothing"),
        (NO_HTTP, "HTTP/1.1 099 Nearly"),
        (Status(999), "HTTP/1.1 999 Last"),
        (NO_HTTP, "HTTP/1.1 1000 Long"),
        (NO_HTTP, "HTTP/1.1 65536 Overflow"),
        (NO_HTTP, "HTTP/1.1 -200 Negative"),
        (NO_HTTP, "HTTP/1.1 20 Short"),
        (NO_HTTP, "HTTP/1.1 \u{ff12}00 Wide"),
        (Status(200), "HTTP/1.1 200"),
        (Status(200), "HTTP/1.1 200 "),
        (Status(200), "HTTP/1.0 200 OK"),
        (NO_HTTP, "HTTP/0.9 200 OK"),
        (Status(200), "HTTP/2 200 OK"),
        (Status(200), "http/1.1 200 OK"),
        (NO_HTTP, "ICY 200 OK"),
        (Status(200), "HTTP/1.1  200 OK"),
        (NO_HTTP, "HTTP/1.1\t200\tOK"),
        (Failure("connection"), "HTTP/1.1 100 Continue"),
        (NO_HTTP, "PRI * HTTP/2.0\r\n\r\nSM"),
        (NO_HTTP, "SSH-2.0-OpenSSH_9.2"),
        (NO_HTTP, "<!DOCTYPE html><title>200 OK</title>"),
    ] {
        add(expected, format!("{line}{END}").as_bytes());
    }
    add(Status(200), format!("HTTP/1.1 200 {}{END}", "very ".repeat(1000)).as_bytes());
    add(NO_HTTP, format!("HTTP/1.1 200 {}{END}", "x".repeat(1 << 20)).as_bytes());
    add(Status(204), b"HTTP/1.1 204 \xc3\xa9\xff\r\n\r\n");
    add(Status(302), b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n");
    add(Failure("connection"), b"");
    add(NO_HTTP, b"\0");
    add(Failure("connection"), b"\r\n\r\n");
    add(NO_HTTP, b"\x15\x03\x01\x00\x02\x02\x28");

    // Headers.
    for (expected, header) in [
        (Status(200), "X-A: a\0b"),
        (Status(200), "X\0A: b"),
        (Status(200), "X A: b"),
        (Status(200), ": nothing"),
        (Status(200), "nothing"),
        (Status(200), "X-A: a\r\n folded"),
        (Status(200), "X-A: \u{e9}\u{1f600}"),
        (Status(200), "X-A: a\nX-B: b"),
        (Status(200), "X-A: a\rX-B: b"),
        (Status(200), "Content-Length: -1"),
        (Status(200), "Content-Length: 99999999999999999999999"),
        (Status(200), "Content-Length: 1\r\nContent-Length: 2"),
        (Status(200), "Content-Length: 1, 2"),
        (Status(200), "Content-Length: \u{0661}"),
        (Status(200), "Content-Length: 18446744073709551615"),
        (Status(200), "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        (Status(200), "Transfer-Encoding: gzip, chunked"),
        (Status(200), "Content-Encoding: gzip"),
        (Status(200), "Upgrade: h2c\r\nConnection: upgrade"),
        (Status(200), "Set-Cookie: a=\u{7f}"),
    ] {
        add(expected, format!("HTTP/1.1 200 OK\r\n{header}{END}rest").as_bytes());
    }
    add(NO_HTTP, format!("HTTP/1.1 200 OK\r\nX-A: {}{END}", "x".repeat(1 << 20)).as_bytes());
    add(Status(200), format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(2000)).as_bytes());
    add(NO_HTTP, format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(200_000)).as_bytes());
    for pause in [
        "0",
        "-1",
        "+1",
        "1.5",
        "1e9",
        " 7 ",
        "99999999999999999999999999",
        "soon",
        "",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Mon, 01 Jan 0000 00:00:00 GMT",
        "1\r\nRetry-After: 2",
        "\u{e9}",
    ] {
        add(Status(503), format!("HTTP/1.1 503 Busy\r\nRetry-After: {pause}{END}").as_bytes());
    }

    // Chunks.
    for chunks in [
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhel",
        "0\r\nX-Trailer: a\r\n\r\n",
        "ffffffffffffffff\r\nx",
        "fffffffffffffffffffffff\r\nx",
        "-1\r\nx",
        "0x5\r\nhello",
        "5;a=\"\r\n\"\r\nhello",
        "\r\n",
        "",
    ] {
        add(Status(200), format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked{END}{chunks}").as_bytes());
    }

    // Bodies.
    add(Status(200), &body(b"a\0b\0"));
    add(Status(200), &body(&[0; 5000]));
    add(Status(200), &body(&[0xff; 5000]));
    add(Status(200), &body(b"\xed\xa0\x80\xed\xb0\x80 \xc0\x80 \xf4\x90\x80\x80 \xef\xbf\xbf"));
    add(Status(200), &body("é😀".repeat(500).as_bytes()));
    add(Status(200), &body("x".repeat(1 << 20).as_bytes()));
    add(Status(200), &body(&(0..=255).collect::<Vec<u8>>()));
    add(Status(200), &body(b"\x1b]0;title\x07\x1b[2J\x08"));
    add(Status(200), &body("\u{202e}'; DROP TABLE hydra.attempt; --\\".as_bytes()));
    add(Status(200), b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0");
    add(Status(200), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more\r\nHTTP/1.1 500 Two\r\n\r\n");
    add(Status(201), b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 100 Go\r\n\r\nHTTP/1.1 201 Made\r\n\r\n");
    add(Status(201), b"HTTP/1.1 100 Go\r\nDate: today\r\nContent-Length: 3\r\n\r\nHTTP/1.1 201 Made\r\n\r\n");
    replies
}

/// Random bytes, mostly inserted into an answer. Not 410, which disables the subscription: another status can become
/// that.
fn any(chance: &mut StdRng) -> Vec<u8> {
    loop {
        let bytes = altered(chance);
        let line = &bytes[..bytes.len().min(20)];
        if !line.windows(3).any(|status| status == b"410") {
            return bytes;
        }
    }
}

fn altered(chance: &mut StdRng) -> Vec<u8> {
    let status = [200, 204, 304, 400, 429, 500, 503, 599, 102][chance.random_range(0..9)];
    let body: Vec<u8> = (0..1 << chance.random_range(0..13)).map(|_| chance.random()).collect();
    let header = [
        "Content-Length: 10",
        "Transfer-Encoding: chunked",
        "Retry-After: 1",
        "Connection: keep-alive",
        "Content-Type: text/html; charset=utf-16",
    ][chance.random_range(0..5)];
    let mut bytes = format!("HTTP/1.1 {status} Any\r\n{header}\r\n\r\n").into_bytes();
    let head = bytes.len();
    bytes.extend(body);
    for _ in 0..chance.random_range(0..4) {
        let place = chance.random_range(0..head);
        match chance.random_range(0..3) {
            0 => bytes[place] ^= 1 << chance.random_range(0..8),
            1 => drop(bytes.remove(place)),
            _ => bytes.insert(place, chance.random()),
        }
    }
    bytes
}
