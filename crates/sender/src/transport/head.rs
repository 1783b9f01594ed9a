//! Gives ureq the head of an answer in a simple form.
//!
//! The status of an answer decides about an attempt, and a receiver that answered 200 must not get the request again
//! because a header of its answer is odd. ureq refuses answers that other clients accept. So the head is read here, as
//! leniently as curl reads it: any number of headers up to [`MAX_HEAD_BYTES`], headers that cannot be read, and unusual
//! versions. ureq gets only the headers that it needs: how the body ends, whether the connection can be used again, and
//! `Retry-After`. If the end of the body is not certain, it ends with the connection.
//!
//! A receiver may send interim answers (100 to 199) first. They are skipped, except 101, which ends HTTP.

use std::borrow::Cow;
use std::fmt;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport, time};

use super::deadline::Limit;

/// The maximum size of the head of an answer, together with the interim answers before it. Receivers send less. The
/// limit bounds the memory for an endless head.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// The memory for a larger head is freed when it was read.
const MAX_KEPT_BYTES: usize = 16 * 1024;

/// Why an answer cannot be read. ureq returns this error unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    NotHttp,
    TooLarge,
}

/// Puts [`HeadTransport`] over a connection.
#[derive(Debug)]
pub struct HeadConnector;

impl<In: Transport> Connector<In> for HeadConnector {
    type Out = HeadTransport<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| HeadTransport { inner, head: Some(Head::default()), input: Input::default() }))
    }
}

/// A connection that simplifies the head of each answer.
#[derive(Debug)]
pub struct HeadTransport<In> {
    inner: In,
    /// What has come of the head. `None` after its end.
    head: Option<Head>,
    input: Input,
}

/// The input that ureq sees.
#[derive(Debug, Default)]
struct Input {
    bytes: Vec<u8>,
    /// How many of the bytes ureq has consumed.
    start: usize,
    /// Whether ureq consumed something the last time.
    progress: bool,
}

impl<In: Transport> Transport for HeadTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // The next request has begun.
        self.head.get_or_insert_default();
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = Limit::new(timeout);
        loop {
            let left = NextTimeout { after: time::Duration::Exact(limit.left()?), ..timeout };
            let progress = self.inner.await_input(left)?;
            let buffers = self.inner.buffers();
            let received = buffers.input();
            let amount = received.len();
            let is_read = match &mut self.head {
                None => {
                    self.input.bytes.extend_from_slice(received);
                    true
                }
                Some(head) => {
                    head.bytes.extend_from_slice(received);
                    head.read_into(&mut self.input.bytes).map_err(|error| Error::Other(Box::new(error)))?
                }
            };
            buffers.input_consume(amount);
            if is_read {
                self.head = None;
            }
            if is_read || !progress {
                return Ok(progress);
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.input().is_empty() && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<In: Transport> Buffers for HeadTransport<In> {
    fn output(&mut self) -> &mut [u8] {
        self.inner.buffers().output()
    }

    fn input(&self) -> &[u8] {
        &self.input.bytes[self.input.start..]
    }

    /// Only transports append, and no transport is over this one.
    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, amount: usize) {
        let Input { bytes, start, progress } = &mut self.input;
        *progress = amount > 0;
        *start += amount;
        if *start == bytes.len() {
            bytes.clear();
            bytes.shrink_to(MAX_KEPT_BYTES);
            *start = 0;
        }
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.inner.buffers().tmp_and_output()
    }

    fn can_use_input(&self) -> bool {
        !self.input().is_empty() && self.input.progress
    }
}

/// A head that is being received.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    /// Where the present answer begins, after interim answers.
    start: usize,
    /// Up to where there is no end of the head.
    searched: usize,
}

impl Head {
    /// If the head is complete, appends it in its simple form, with everything that came after it. Returns whether it is
    /// complete.
    fn read_into(&mut self, input: &mut Vec<u8>) -> Result<bool, BadAnswer> {
        loop {
            while let Some(b'\r' | b'\n') = self.bytes.get(self.start) {
                self.start += 1;
            }
            let answer = &self.bytes[self.start..];
            let line_end = answer.iter().position(|byte| *byte == b'\n');
            if line_end.is_none() && !may_be_http(answer) {
                return Err(BadAnswer::NotHttp);
            }
            let status = line_end.map(|end| Status::read(&answer[..end]).ok_or(BadAnswer::NotHttp)).transpose()?;
            self.searched = self.searched.max(self.start);
            let (Some(status), Some(end)) = (status, self.find_end()) else {
                return if self.bytes.len() > MAX_HEAD_BYTES { Err(BadAnswer::TooLarge) } else { Ok(false) };
            };
            if status.is_interim() {
                self.start = end;
                continue;
            }
            Headers::read(&self.bytes[self.start..end]).write(status, input);
            input.extend_from_slice(&self.bytes[end..]);
            return Ok(true);
        }
    }

    /// Returns the place after the empty line that ends the head.
    fn find_end(&mut self) -> Option<usize> {
        while let Some(found) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let next = self.searched + found + 1;
            match self.bytes[next..] {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                [] | [b'\r'] => {
                    self.searched = next - 1;
                    return None;
                }
                _ => self.searched = next,
            }
        }
        self.searched = self.bytes.len();
        None
    }
}

const PROTOCOL: &[u8] = b"HTTP/";

/// Whether a status line may begin like this.
fn may_be_http(begin: &[u8]) -> bool {
    let amount = begin.len().min(PROTOCOL.len());
    begin[..amount].eq_ignore_ascii_case(&PROTOCOL[..amount])
}

/// What a status line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status {
    code: u16,
    /// Whether the connection stays open by default.
    persistent: bool,
}

impl Status {
    /// Reads a status line. Answers that give the version of a later protocol are in the form of HTTP/1.1 nevertheless.
    fn read(line: &[u8]) -> Option<Self> {
        let (protocol, rest) = line.split_at_checked(PROTOCOL.len())?;
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let (version, rest) = (&rest[..space], rest[space..].trim_ascii());
        let known = matches!(version, [b'1', b'.', b'0'..=b'9'] | [b'2' | b'3'] | [b'2' | b'3', b'.', b'0']);
        let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', after @ ..] = rest else {
            return None;
        };
        if !protocol.eq_ignore_ascii_case(PROTOCOL) || !known || after.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let code = [a, b, c].into_iter().fold(0, |code, digit| 10 * code + u16::from(digit - b'0'));
        Some(Self { code, persistent: version[0] == b'1' && version != b"1.0" })
    }

    fn is_interim(self) -> bool {
        self.code < 200 && self.code != 101
    }
}

/// The headers that matter.
#[derive(Debug, Default)]
struct Headers {
    connection: Vec<u8>,
    lengths: Vec<Vec<u8>>,
    encodings: Vec<u8>,
    retry_after: Option<Vec<u8>>,
}

impl Headers {
    /// Reads the headers of a head. Lines that are not headers are skipped.
    fn read(head: &[u8]) -> Self {
        let mut headers = Self::default();
        let mut field: Option<(&[u8], Cow<[u8]>)> = None;
        for line in head.split(|byte| *byte == b'\n').skip(1) {
            // A line that begins with a space continues the one before it.
            if let ([b' ' | b'\t', ..], Some((_, value))) = (line, &mut field) {
                let value = value.to_mut();
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
                continue;
            }
            if let Some((name, value)) = field.take() {
                headers.add(name, value);
            }
            let colon = line.iter().position(|byte| *byte == b':');
            field = colon.map(|colon| (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii().into()));
        }
        headers
    }

    fn add(&mut self, name: &[u8], value: Cow<[u8]>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("connection") {
            self.connection.push(b',');
            self.connection.extend_from_slice(&value);
        } else if is("content-length") {
            self.lengths.extend(value.split(|byte| *byte == b',').map(|length| length.trim_ascii().to_vec()));
        } else if is("transfer-encoding") {
            self.encodings.push(b',');
            self.encodings.extend_from_slice(&value);
        } else if is("retry-after") && value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.retry_after.get_or_insert_with(|| value.into_owned());
        }
    }

    /// Appends a head that says the same in a simple form.
    fn write(self, status: Status, input: &mut Vec<u8>) {
        let mut close = has_word(&self.connection, b"close");
        close |= !status.persistent && !has_word(&self.connection, b"keep-alive");
        input.extend_from_slice(format!("HTTP/1.1 {} Status\r\n", status.code).as_bytes());
        if !self.encodings.is_empty() {
            let last = self.encodings.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
            let chunked = last.eq_ignore_ascii_case(b"chunked");
            if chunked {
                input.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            // With a length as well, somebody may have tried to hide where the answer ends.
            close |= !chunked || !self.lengths.is_empty();
        } else if let [length, others @ ..] = &*self.lengths {
            let number = str::from_utf8(length).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            match number.and_then(|digits| digits.parse::<u64>().ok()) {
                Some(number) if others.iter().all(|other| other == length) => {
                    input.extend_from_slice(format!("Content-Length: {number}\r\n").as_bytes());
                }
                _ => close = true,
            }
        }
        if close {
            input.extend_from_slice(b"Connection: close\r\n");
        }
        if let Some(value) = self.retry_after {
            input.extend_from_slice(b"Retry-After: ");
            input.extend_from_slice(&value);
            input.extend_from_slice(b"\r\n");
        }
        input.extend_from_slice(b"\r\n");
    }
}

fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|entry| entry.trim_ascii().eq_ignore_ascii_case(word))
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadAnswer::NotHttp => "answer is not valid HTTP",
            BadAnswer::TooLarge => "header of the answer is too large",
        })
    }
}

impl std::error::Error for BadAnswer {}

#[cfg(test)]
mod tests;
