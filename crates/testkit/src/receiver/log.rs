//! The parts of a request that an observer gets, and the line for a request in a log.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::signature::Signature;

/// A request, borrowed from the buffer of the connection.
pub struct Seen<'a> {
    pub path: &'a str,
    pub delivery: &'a str,
    pub event: &'a str,
    pub entity_type: &'a str,
    pub entity_id: &'a str,
    pub signature: Signature,
    pub status: u16,
    pub time: SystemTime,
    pub body: &'a [u8],
}

/// Returns the text of the JSON string, or the digits of the number, that follows a key. It does not parse JSON: in the
/// bodies of all presets, these keys come before the entity.
pub(super) fn member<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let start = body.windows(key.len()).position(|bytes| bytes == key)? + key.len();
    let rest = body[start..].trim_ascii_start();
    let (rest, ends): (_, &[u8]) = match rest.strip_prefix(b"\"") {
        Some(rest) => (rest, b"\""),
        None => (rest, b",}"),
    };
    let end = rest.iter().position(|byte| ends.contains(byte))?;
    str::from_utf8(&rest[..end]).ok()
}

pub(super) fn event_of(body: &[u8]) -> &str {
    member(body, b"\"event\":").or_else(|| member(body, b"\"type\":")).unwrap_or("-")
}

/// Returns the id of the entity: from the body of the preset `hydra`, or from the entity in the other presets.
pub(super) fn entity_id_of(body: &[u8]) -> &str {
    member(body, b"\"entity_id\":").or_else(|| member(body, b"\"id\":")).unwrap_or("-")
}

pub(super) fn text_or_dash(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).ok().filter(|text| !text.is_empty()).unwrap_or("-")
}

pub(super) fn write_line(line: &mut Vec<u8>, seen: &Seen<'_>) -> io::Result<()> {
    let milliseconds = seen.time.duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_millis();
    let mut digits = [0; 64];
    hex::encode_to_slice(Sha256::digest(seen.body), &mut digits).map_err(io::Error::other)?;
    write!(line, "{milliseconds} {} {} {} ", seen.path, seen.delivery, seen.event)?;
    // An id may hold blanks, and the line has one field for it.
    line.extend(
        seen.entity_id.bytes().map(|byte| if byte.is_ascii_graphic() || !byte.is_ascii() { byte } else { b'_' }),
    );
    line.push(b' ');
    line.extend_from_slice(&digits);
    let verdict = match seen.signature {
        Signature::Verified => "verified",
        Signature::Refused(_) => "refused",
        Signature::Unchecked => "unchecked",
    };
    writeln!(line, " {verdict} {}", seen.status)
}
