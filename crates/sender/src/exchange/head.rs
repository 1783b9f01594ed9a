//! Reads the head of an answer.
//!
//! The status of an answer decides about an attempt, and a receiver that answered 200 must not get the request again
//! because a header of its answer is odd. So the head is read as leniently as curl reads it: any number of headers up to
//! [`MAX_HEAD_BYTES`], headers that cannot be read, and unusual versions. Of the headers only those are kept that say how
//! the body ends, whether the connection can be used again, and `Retry-After`. If the end of the body is not certain, it
//! ends with the connection.
//!
//! A receiver may send interim answers (100 to 199) first. They are skipped, except 101, which ends HTTP.

use std::borrow::Cow;
use std::fmt;

/// The maximum size of the head of an answer, together with the interim answers before it. Receivers send less. The
/// limit bounds the memory for an endless head.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// Why an answer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    NotHttp,
    TooLarge,
}

/// What matters of a head.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub framing: Framing,
    /// Whether the connection cannot be used again.
    pub closes: bool,
    pub retry_after: Option<String>,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// How far the search for the end of a head has come.
#[derive(Debug, Default)]
pub struct Search {
    /// Where the present answer begins, after interim answers.
    start: usize,
    /// Up to where there is no end of the head.
    searched: usize,
}

impl Search {
    /// Reads the head at the beginning of these bytes, which are all that have come so far. Returns it with its length.
    /// `None` if it is not complete.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, BadAnswer> {
        loop {
            while let Some(b'\r' | b'\n') = bytes.get(self.start) {
                self.start += 1;
            }
            let answer = &bytes[self.start..];
            let line_end = answer.iter().position(|byte| *byte == b'\n');
            if line_end.is_none() && !may_be_http(answer) {
                return Err(BadAnswer::NotHttp);
            }
            let status = line_end.map(|end| Status::read(&answer[..end]).ok_or(BadAnswer::NotHttp)).transpose()?;
            self.searched = self.searched.max(self.start);
            let (Some(status), Some(end)) = (status, self.find_end(bytes)) else {
                return if bytes.len() > MAX_HEAD_BYTES { Err(BadAnswer::TooLarge) } else { Ok(None) };
            };
            if status.is_interim() {
                self.start = end;
                continue;
            }
            return Ok(Some((Headers::read(&bytes[self.start..end]).head(status), end)));
        }
    }

    /// Returns the place after the empty line that ends the head.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(found) = bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let next = self.searched + found + 1;
            match bytes[next..] {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                [] | [b'\r'] => {
                    self.searched = next - 1;
                    return None;
                }
                _ => self.searched = next,
            }
        }
        self.searched = bytes.len();
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
struct Headers<'a> {
    closes: bool,
    keeps_alive: bool,
    length: Option<Length>,
    /// The last transfer encoding.
    encoding: Option<Cow<'a, [u8]>>,
    retry_after: Option<String>,
}

/// What the headers `Content-Length` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Certain(u64),
    /// They cannot be read, or contradict each other.
    Uncertain,
}

impl<'a> Headers<'a> {
    /// Reads the headers of a head. Lines that are not headers are skipped.
    fn read(head: &'a [u8]) -> Self {
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

    fn add(&mut self, name: &[u8], value: Cow<'a, [u8]>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("connection") {
            self.closes |= has_word(&value, b"close");
            self.keeps_alive |= has_word(&value, b"keep-alive");
        } else if is("content-length") {
            value.split(|byte| *byte == b',').for_each(|length| self.add_length(length.trim_ascii()));
        } else if is("transfer-encoding") {
            self.encoding = Some(value);
        } else if is("retry-after") && value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.retry_after.get_or_insert_with(|| String::from_utf8_lossy(&value).into_owned());
        }
    }

    fn add_length(&mut self, digits: &[u8]) {
        let number = str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let length = number.and_then(|digits| digits.parse().ok()).map_or(Length::Uncertain, Length::Certain);
        self.length = Some(match self.length {
            Some(before) if before != length => Length::Uncertain,
            _ => length,
        });
    }

    fn head(self, status: Status) -> Head {
        let is_chunked = |list: &Cow<[u8]>| {
            let last = list.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            last.trim_ascii().eq_ignore_ascii_case(b"chunked")
        };
        let framing = match (&self.encoding, self.length) {
            _ if matches!(status.code, 204 | 304) => Framing::Length(0),
            (Some(list), _) if is_chunked(list) => Framing::Chunked,
            (None, Some(Length::Certain(length))) => Framing::Length(length),
            _ => Framing::Close,
        };
        // With both a length and an encoding, somebody may have tried to hide where the answer ends.
        let is_doubtful = self.encoding.is_some() && self.length.is_some() || self.length == Some(Length::Uncertain);
        let closes = self.closes || !status.persistent && !self.keeps_alive;
        let closes = closes || is_doubtful || framing == Framing::Close || status.code == 101;
        Head { status: status.code, framing, closes, retry_after: self.retry_after }
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

#[cfg(test)]
mod tests;
