//! The parts of a MIME message.
//!
//! A parser that builds the whole tree at once can be made to nest a million messages in each other, or to keep a
//! million empty parts. So the structure is walked here, to a certain depth and up to a number of parts, and the parser
//! gets one header or one part that contains no other.

use std::borrow::Cow;

use mail_parser::{MessageParser, MimeHeaders, PartType};
use memchr::memmem;

use crate::message::TooComplex;

const MAX_DEPTH: usize = 16;
const MAX_PARTS: usize = 200;
/// Of the header of one part, in bytes and in lines.
const MAX_HEADER: usize = 256 << 10;
const MAX_HEADER_LINES: usize = 4000;

/// A part that contains no other.
#[derive(Debug)]
pub struct Leaf<'a> {
    /// Such as `text/plain`, in lower case.
    pub kind: String,
    pub name: Option<String>,
    pub is_attachment: bool,
    /// Whether it is one of several forms of the same content.
    pub is_alternative: bool,
    /// The part with its header, unless `is_raw`: then without.
    bytes: &'a [u8],
    is_raw: bool,
}

pub enum Content<'a> {
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Leaf<'a> {
    /// Decodes the part.
    pub fn content(&self) -> Content<'a> {
        if self.is_raw {
            return Content::Bytes(self.bytes.into());
        }
        let parsed = MessageParser::default().parse(self.bytes);
        match parsed.and_then(|parsed| parsed.parts.into_iter().next()).map(|part| part.body) {
            Some(PartType::Text(text) | PartType::Html(text)) => Content::Text(text),
            Some(PartType::Binary(bytes) | PartType::InlineBinary(bytes)) => Content::Bytes(bytes),
            _ => Content::Bytes(self.bytes.into()),
        }
    }

    /// Returns the part as text, if that is what it is.
    pub fn text(&self) -> Option<String> {
        match self.content() {
            Content::Text(text) => Some(text.into_owned()),
            Content::Bytes(bytes) if self.kind.starts_with("text/") => Some(String::from_utf8_lossy(&bytes).into()),
            Content::Bytes(_) => None,
        }
    }

    /// Returns the decoded bytes. Those of a text are its UTF-8.
    pub fn bytes(&self) -> Vec<u8> {
        match self.content() {
            Content::Text(text) => text.into_owned().into_bytes(),
            Content::Bytes(bytes) => bytes.into_owned(),
        }
    }
}

/// Returns the header, with the empty line after it, and the rest.
pub fn split_header(bytes: &[u8]) -> Result<(&[u8], &[u8]), TooComplex> {
    let end = if bytes.starts_with(b"\n") {
        1
    } else if bytes.starts_with(b"\r\n") {
        2
    } else {
        let crlf = memmem::find(bytes, b"\n\r\n").map(|at| at + 3);
        let lf = memmem::find(&bytes[..crlf.unwrap_or(bytes.len())], b"\n\n").map(|at| at + 2);
        lf.or(crlf).unwrap_or(bytes.len())
    };
    let (header, body) = bytes.split_at(end);
    if header.len() > MAX_HEADER || memchr::memchr_iter(b'\n', header).count() > MAX_HEADER_LINES {
        return Err(TooComplex::Header);
    }
    Ok((header, body))
}

/// Returns the parts that contain no others, in their order.
pub fn leaves(message: &[u8]) -> Result<Vec<Leaf<'_>>, TooComplex> {
    let mut found = Vec::new();
    let mut walk = Walk { found: &mut found, parts: 0 };
    walk.part(message, Place { depth: 0, default: "text/plain", in_alternative: false })?;
    Ok(found)
}

struct Walk<'a, 'w> {
    found: &'w mut Vec<Leaf<'a>>,
    parts: usize,
}

#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    default: &'static str,
    in_alternative: bool,
}

impl<'a> Walk<'a, '_> {
    fn part(&mut self, bytes: &'a [u8], place: Place) -> Result<(), TooComplex> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(TooComplex::Parts);
        }
        let (header, body) = split_header(bytes)?;
        let parsed = MessageParser::default().with_mime_headers().parse_headers(header);
        let kind_of = parsed.as_ref().and_then(|parsed| parsed.content_type());
        let kind = kind_of.map_or(place.default.to_owned(), |kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("plain")).to_ascii_lowercase()
        });
        let boundary = kind_of.and_then(|kind| kind.attribute("boundary")).filter(|boundary| !boundary.is_empty());
        if let Some(boundary) = boundary.filter(|_| kind.starts_with("multipart/")) {
            if place.depth == MAX_DEPTH {
                return Err(TooComplex::Depth);
            }
            let inner = Place {
                depth: place.depth + 1,
                default: if kind == "multipart/digest" { "message/rfc822" } else { "text/plain" },
                in_alternative: place.in_alternative || kind == "multipart/alternative",
            };
            return between(body, boundary.as_bytes()).try_for_each(|part| self.part(part, inner));
        }
        let disposition = parsed.as_ref().and_then(|parsed| parsed.content_disposition());
        let name = parsed.as_ref().and_then(|parsed| parsed.attachment_name()).map(clean_name);
        let is_message = kind.starts_with("message/") || kind.starts_with("multipart/");
        self.found.push(Leaf {
            is_attachment: name.is_some() || is_message || disposition.is_some_and(|d| d.is_attachment()),
            is_alternative: place.in_alternative,
            bytes: if is_message { body } else { bytes },
            is_raw: is_message,
            kind,
            name,
        });
        Ok(())
    }
}

/// A name of a file as it may be shown: without directories and control characters.
fn clean_name(name: &str) -> String {
    const LONGEST: usize = 200;
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|char| !char.is_control()).take(LONGEST).collect()
}

/// Returns what is between the lines with the boundary. What is before the first and after the last is no part.
fn between<'a>(body: &'a [u8], boundary: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let line = [b"--", boundary].concat();
    let mut rest = after_line(body, &line).and_then(|(_, rest, is_last)| (!is_last).then_some(rest));
    std::iter::from_fn(move || {
        let bytes = rest.take()?;
        match after_line(bytes, &line) {
            Some((before, after, is_last)) => {
                rest = (!is_last).then_some(after);
                Some(before)
            }
            // The last part of a message that was cut off.
            None => Some(bytes),
        }
    })
}

/// Finds the next line with the boundary: returns what is before and after it, and whether it is the last one.
fn after_line<'a>(bytes: &'a [u8], line: &[u8]) -> Option<(&'a [u8], &'a [u8], bool)> {
    let mut from = 0;
    loop {
        let start = from + memmem::find(&bytes[from..], line)?;
        from = start + line.len();
        if start > 0 && bytes[start - 1] != b'\n' {
            continue;
        }
        let rest = &bytes[from..];
        let (is_last, rest) = match rest.strip_prefix(b"--") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (end, after) = rest.split_at(length);
        if end.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            let before = &bytes[..start];
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            return Some((before.strip_suffix(b"\r").unwrap_or(before), after, is_last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(message: &str) -> Vec<String> {
        leaves(message.as_bytes()).unwrap().into_iter().map(|leaf| leaf.kind).collect()
    }

    #[test]
    fn the_parts_of_a_message_are_found_whatever_its_line_ends_are() {
        let message = "Content-Type: multipart/mixed; boundary=\"a\"\n\nprologue\n--a\nContent-Type: multipart/alternative; \
            boundary=ab\n\n--ab\n\nplain\n--ab\nContent-Type: text/html\n\n<p>html\n--ab--\n--a\nContent-Type: image/png\n\
            Content-Disposition: attachment; filename=\"../x/y.png\"\nContent-Transfer-Encoding: base64\n\naGk=\n--a--\nepilogue";
        for message in [message.to_owned(), message.replace('\n', "\r\n")] {
            let leaves = leaves(message.as_bytes()).unwrap();
            let kinds: Vec<_> = leaves.iter().map(|leaf| leaf.kind.as_str()).collect();
            assert_eq!(kinds, ["text/plain", "text/html", "image/png"]);
            assert_eq!(leaves[0].text().as_deref(), Some("plain"));
            assert!(leaves[0].is_alternative && !leaves[2].is_alternative);
            assert_eq!((leaves[2].name.as_deref(), leaves[2].bytes()), (Some("y.png"), b"hi".to_vec()));
        }
    }

    #[test]
    fn a_message_in_a_message_is_an_attachment_and_is_not_entered() {
        let nested = "Content-Type: message/rfc822\n\n".repeat(100_000);
        assert_eq!(kinds(&nested), ["message/rfc822"]);
        let digest = "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\nb\n--x--\n";
        assert_eq!(kinds(digest), ["message/rfc822"]);
    }

    #[test]
    fn too_many_parts_and_too_many_levels_are_refused() {
        let many = format!("Content-Type: multipart/mixed; boundary=x\n\n{}", "--x\n\n".repeat(1_000_000));
        assert_eq!(leaves(many.as_bytes()).err(), Some(TooComplex::Parts));
        let deep: String = (0..50_000)
            .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"))
            .collect();
        assert_eq!(leaves(deep.as_bytes()).err(), Some(TooComplex::Depth));
        let same = "Content-Type: multipart/mixed; boundary=x\n\n--x\n".repeat(50_000);
        assert!(leaves(same.as_bytes()).is_err());
        let header = "X: y\n".repeat(1_000_000);
        assert_eq!(leaves(header.as_bytes()).err(), Some(TooComplex::Header));
    }
}
