//! The answers of a path, regular or hostile.

use std::sync::Arc;
use std::time::Duration;

/// An answer. It is made by one of the constructors, and changed by `with_…` and `after`.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) kind: Kind,
    pub(super) delay: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Respond {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Sends no answer, and waits until the client closes the connection.
    Hang,
    /// Closes the connection without an answer.
    Close,
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Sends `start`, and then `repeat` until the client closes the connection.
    Endless {
        start: Vec<u8>,
        repeat: Vec<u8>,
    },
    /// Sends a complete answer, byte by byte.
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

    /// Answers 503 with `Retry-After`: seconds, or an HTTP date.
    pub fn retry_after(when: &str) -> Answer {
        Answer::status(503).with_header("Retry-After", when)
    }

    pub fn hang() -> Answer {
        Answer::of(Kind::Hang)
    }

    pub fn close() -> Answer {
        Answer::of(Kind::Close)
    }

    /// Sends the greeting of a server of another protocol.
    pub fn garbage() -> Answer {
        Answer::raw(b"SSH-2.0-not-what-you-expected\r\n\x00\xff\xfe\r\n\r\n")
    }

    /// Sends any bytes, such as HTTP/1.0, a status of 999, or two lengths.
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

    /// Sends a complete answer with status 200, one byte at a time.
    pub fn drip(interval: Duration) -> Answer {
        Answer::of(Kind::Drip { interval })
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Answer {
        let Kind::Respond { headers, .. } = &mut self.kind else { panic!("{self:?} is raw bytes and takes no header") };
        headers.push((name.into(), value.into()));
        self
    }

    pub fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        let Kind::Respond { body, .. } = &mut self.kind else { panic!("{self:?} is raw bytes and takes no body") };
        *body = bytes.into();
        self
    }

    /// Makes the receiver wait before it answers.
    pub fn after(mut self, delay: Duration) -> Answer {
        self.delay = delay;
        self
    }

    fn of(kind: Kind) -> Answer {
        Answer { kind, delay: Duration::ZERO }
    }

    fn endless(start: &str, repeat: &str) -> Answer {
        // Large writes, so that a limit is reached soon.
        Answer::of(Kind::Endless { start: start.into(), repeat: repeat.repeat(200).into() })
    }
}

/// An answer with its bytes. They are built once, because most answers are sent thousands of times.
pub(super) struct Ready {
    pub answer: Answer,
    pub status: u16,
    pub bytes: Vec<u8>,
}

impl Ready {
    pub fn new(answer: Answer) -> Arc<Ready> {
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
