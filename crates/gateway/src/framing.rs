//! Where a request begins and ends in the bytes of a connection.
//!
//! A request that two programs read in two ways can smuggle a second one past the first of them: it has two lengths, a
//! length and a transfer coding, a line that ends in another way, a name that ends with a blank. A proxy in front may
//! read it in the other way. So only the requests that can be read in one way are accepted, and a connection that
//! brings anything else is answered once and closed. This is stricter than RFC 9112, which permits a recipient to mend
//! some of it: lines end with CR LF, values are not folded, a chunk has no extension, and there are no trailers.
//!
//! The head of a request is passed on when it is whole and was found to be good.

use std::fmt;

/// What the head of a request may have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes, with the empty line.
    pub head: usize,
    /// Header lines.
    pub headers: usize,
}

pub const LIMITS: Limits = Limits { head: 16 << 10, headers: 100 };

/// Why the bytes of a connection are not a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    HeadTooLarge,
    TooManyHeaders,
    LineEnd,
    RequestLine,
    Version,
    Folded,
    Header,
    Host,
    Length,
    TwoLengths,
    LengthAndCoding,
    Coding,
    Chunk,
    /// The head was not whole in time.
    Slow,
}

impl Fault {
    pub const ALL: [Self; 14] = [
        Self::HeadTooLarge,
        Self::TooManyHeaders,
        Self::LineEnd,
        Self::RequestLine,
        Self::Version,
        Self::Folded,
        Self::Header,
        Self::Host,
        Self::Length,
        Self::TwoLengths,
        Self::LengthAndCoding,
        Self::Coding,
        Self::Chunk,
        Self::Slow,
    ];

    pub fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::Version => 505,
            Self::Slow => 408,
            _ => 400,
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            Self::HeadTooLarge => "The head of the request is larger than 16 kB.",
            Self::TooManyHeaders => "The request has more than 100 headers.",
            Self::LineEnd => "A line of the head does not end with CR LF.",
            Self::RequestLine => "The first line is not a method in capital letters, a path and the version.",
            Self::Version => "The version is neither HTTP/1.1 nor HTTP/1.0.",
            Self::Folded => "The value of a header is folded over two lines.",
            Self::Header => "A header line is not a name, a colon and a value without control characters.",
            Self::Host => "The request does not have exactly one Host.",
            Self::Length => "The Content-Length is not a number.",
            Self::TwoLengths => "The request has two Content-Length headers.",
            Self::LengthAndCoding => "The request has both Content-Length and Transfer-Encoding.",
            Self::Coding => "The Transfer-Encoding is not chunked, alone and in HTTP/1.1.",
            Self::Chunk => "A chunk of the body is not well formed; extensions and trailers are not accepted.",
            Self::Slow => "The head of the request did not arrive in time.",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.detail())
    }
}

/// The length of a body, as the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Bytes(u64),
    Chunked,
}

/// Finds the end of a head in bytes that arrive in any pieces.
#[derive(Debug, Default)]
pub struct HeadSearch {
    searched: usize,
}

impl HeadSearch {
    /// Returns the length of the head, once `bytes`, which are all that have arrived, hold it. Bytes that no head
    /// begins with are refused at once, and not only when the head is whole.
    pub fn find(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Fault> {
        if self.searched == 0 && bytes.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            return Err(Fault::RequestLine);
        }
        while self.searched < bytes.len().min(limits.head) {
            let at = self.searched;
            self.searched += 1;
            if bytes[at] == b'\n' {
                if at == 0 || bytes[at - 1] != b'\r' {
                    return Err(Fault::LineEnd);
                }
                if bytes[..=at].ends_with(b"\r\n\r\n") {
                    return Ok(Some(at + 1));
                }
            }
        }
        if bytes.len() < limits.head { Ok(None) } else { Err(Fault::HeadTooLarge) }
    }
}

/// Reads a whole head, which ends with an empty line, and returns the length of the body.
pub fn read_head(head: &[u8], limits: &Limits) -> Result<Length, Fault> {
    let text = head.strip_suffix(b"\r\n\r\n").ok_or(Fault::LineEnd)?;
    let mut lines = Lines(Some(text));
    let is_new = read_request_line(lines.next().ok_or(Fault::RequestLine)?)?;
    let (mut length, mut is_chunked, mut hosts, mut count) = (None, false, 0, 0);
    for line in lines {
        count += 1;
        if count > limits.headers {
            return Err(Fault::TooManyHeaders);
        }
        let (name, value) = read_header(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(read_length(value)?).is_some() {
                return Err(Fault::TwoLengths);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if is_chunked || !is_new || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::Coding);
            }
            is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        }
    }
    if hosts > 1 || (is_new && hosts == 0) {
        return Err(Fault::Host);
    }
    match (length, is_chunked) {
        (Some(_), true) => Err(Fault::LengthAndCoding),
        (None, true) => Ok(Length::Chunked),
        (length, false) => Ok(Length::Bytes(length.unwrap_or(0))),
    }
}

/// Lines between CR LF. A line never holds a CR or LF, because names, values and targets may not.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0.take()?;
        match text.windows(2).position(|pair| pair == b"\r\n") {
            Some(end) => {
                self.0 = Some(&text[end + 2..]);
                Some(&text[..end])
            }
            None => Some(text),
        }
    }
}

/// Returns whether the version is HTTP/1.1.
fn read_request_line(line: &[u8]) -> Result<bool, Fault> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::RequestLine);
    };
    let is_method = (1..=16).contains(&method.len()) && method.iter().all(u8::is_ascii_uppercase);
    let is_path = target.starts_with(b"/") && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    if !is_method || !is_path {
        return Err(Fault::RequestLine);
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err(Fault::Version),
    }
}

fn read_header(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(Fault::Folded);
    }
    let colon = line.iter().position(|&byte| byte == b':').ok_or(Fault::Header)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_value = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) || !line[colon + 1..].iter().all(is_value) {
        return Err(Fault::Header);
    }
    Ok((name, value))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn read_length(value: &[u8]) -> Result<u64, Fault> {
    if !(1..=18).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Length);
    }
    Ok(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Finds the end of a body in bytes that arrive in any pieces.
#[derive(Debug)]
pub enum Body {
    Over,
    /// So many bytes are to come.
    Bytes(u64),
    Chunks(Chunk),
}

/// A place in a chunked body.
#[derive(Debug)]
pub enum Chunk {
    /// In the line with the size: the size so far, and the number of its digits.
    Size(u64, u8),
    /// After the CR of that line.
    SizeEnd(u64),
    Data(u64),
    /// After the data; the second time, after its CR.
    DataEnd(bool),
    /// After the last chunk: the number of bytes of CR LF that have been read.
    Last(u8),
}

impl Body {
    pub fn new(length: Length) -> Self {
        match length {
            Length::Bytes(0) => Self::Over,
            Length::Bytes(count) => Self::Bytes(count),
            Length::Chunked => Self::Chunks(Chunk::Size(0, 0)),
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Returns how many of the bytes belong to the body.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut taken = 0;
        while taken < bytes.len() {
            let (count, next) = match self {
                Self::Over => break,
                Self::Bytes(left) => match take_some(*left, bytes.len() - taken) {
                    (count, 0) => (count, Self::Over),
                    (count, left) => (count, Self::Bytes(left)),
                },
                Self::Chunks(Chunk::Data(left)) => match take_some(*left, bytes.len() - taken) {
                    (count, 0) => (count, Self::Chunks(Chunk::DataEnd(false))),
                    (count, left) => (count, Self::Chunks(Chunk::Data(left))),
                },
                Self::Chunks(chunk) => (1, chunk.after(bytes[taken])?),
            };
            taken += count;
            *self = next;
        }
        Ok(taken)
    }
}

/// Returns how many of `left` bytes are among `there`, and how many are left then.
fn take_some(left: u64, there: usize) -> (usize, u64) {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(there);
    (count, left - count as u64)
}

impl Chunk {
    /// Returns what follows a byte that is not data.
    fn after(&self, byte: u8) -> Result<Body, Fault> {
        Ok(Body::Chunks(match (self, byte) {
            (&Self::Size(size, digits @ 1..), b'\r') if digits <= 15 => Self::SizeEnd(size),
            (&Self::Size(size, digits @ ..15), _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Fault::Chunk)?;
                Self::Size(size * 16 + u64::from(digit), digits + 1)
            }
            (Self::SizeEnd(0), b'\n') => Self::Last(0),
            (&Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataEnd(false), b'\r') => Self::DataEnd(true),
            (Self::DataEnd(true), b'\n') => Self::Size(0, 0),
            (Self::Last(0), b'\r') => Self::Last(1),
            (Self::Last(1), b'\n') => return Ok(Body::Over),
            _ => return Err(Fault::Chunk),
        }))
    }
}

#[cfg(test)]
mod tests;
