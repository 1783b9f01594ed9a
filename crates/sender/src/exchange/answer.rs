//! Reads an answer. The status decides about the attempt. The rest is read for the history, and so that the connection
//! can be used again.
//!
//! Errors after the status line change nothing, because the receiver has answered. The beginning of the body is kept.
//! More of the body is read, up to as much as an ordinary receiver sends, because a connection can be used again only
//! if the answer was read to its end. If the body is longer or endless, the connection is dropped.

use std::io::Read;
use std::time::{Duration, SystemTime};

use http::response::Parts;
use http::{HeaderMap, header};
use wire::attempt::{Answer, EXCERPT_BYTES};

/// The maximum number of bytes that are read of a body. An ordinary receiver sends less.
const MAX_READ_BYTES: usize = 16 * 1024;
/// The maximum delay that a receiver can ask for. It is longer than any schedule, and can still be added to a time.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads the parts of an answer that are kept. A date in `Retry-After` is compared with `now`.
pub fn read_answer(head: &Parts, body: impl Read, now: SystemTime) -> Answer {
    Answer {
        status: head.status.as_u16(),
        excerpt: excerpt(&read_head(body)),
        retry_after: retry_after(&head.headers, now),
    }
}

/// Returns the beginning of a body. Continues to read when the excerpt is full, up to the end of the body or the limit.
fn read_head(mut body: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 2048];
    let mut total = 0;
    while total < MAX_READ_BYTES {
        match body.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(amount) => {
                total += amount;
                let room = EXCERPT_BYTES.saturating_sub(kept.len());
                kept.extend_from_slice(&buffer[..amount.min(room)]);
            }
        }
    }
    kept
}

/// Converts the beginning of a body to valid UTF-8. The result is not longer than the limit, even if bytes were replaced.
/// Control characters other than newline and tab are left out: Postgres does not accept NUL, and a terminal that shows
/// the history would obey others.
fn excerpt(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().chars().filter(|char| !char.is_control() || matches!(char, '\n' | '\t')));
        // A character that was cut through is left out. Invalid bytes are shown as a replacement character.
        let cut_through = bytes.len() == EXCERPT_BYTES && is_end_of(bytes, chunk.invalid());
        if !chunk.invalid().is_empty() && !cut_through {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text.truncate(text.floor_char_boundary(EXCERPT_BYTES));
    text
}

fn is_end_of(bytes: &[u8], part: &[u8]) -> bool {
    bytes.as_ptr_range().end == part.as_ptr_range().end
}

/// Returns the delay that the header `Retry-After` asks for, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large for its type is treated as a very long delay.
        true if !value.is_empty() => Duration::from_secs(value.parse().unwrap_or(u64::MAX)),
        // A time in the past means no delay.
        _ => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;

    fn asked_for(value: &str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap())]);
        retry_after(&headers, UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date() {
        assert_eq!(asked_for("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked_for(" 0 "), Some(Duration::ZERO));
        assert_eq!(asked_for("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked_for("Sat, 06 Nov 1993 08:50:37 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn a_pause_that_cannot_be_read_is_ignored_and_a_huge_one_is_bounded() {
        for value in ["", "-1", "+1", "1.5", "soon", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(asked_for(value), None, "{value:?}");
        }
        assert_eq!(asked_for("99999999999999999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after(&HeaderMap::new(), UNIX_EPOCH), None);
    }

    #[test]
    fn an_excerpt_is_valid_text_without_control_characters() {
        assert_eq!(excerpt(b"ok"), "ok");
        assert_eq!(excerpt(b"a\r\n\tb"), "a\n\tb");
        assert_eq!(excerpt("\u{1b}[31mred\u{7}\u{8}\u{7f}\u{9b}2J".as_bytes()), "[31mred2J");
        assert_eq!(excerpt(b"a\0b"), "ab");
        assert_eq!(excerpt(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(excerpt(b"\xed\xa0\x80").replace('\u{fffd}', ""), "");
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        let long = "é".repeat(1000);
        let kept = read_head(long.as_bytes());
        assert_eq!(excerpt(&kept), "é".repeat(512));
        let odd = format!("a{long}");
        assert_eq!(excerpt(&read_head(odd.as_bytes())), format!("a{}", "é".repeat(511)));
        assert!(excerpt(&[0xff; EXCERPT_BYTES]).len() <= EXCERPT_BYTES);
    }

    #[test]
    fn an_endless_body_is_given_up() {
        assert_eq!(read_head(std::io::repeat(b'x')), [b'x'; EXCERPT_BYTES]);
    }
}
