//! Reads an answer. The status decides about the attempt. The rest is read for the history, and so that the connection
//! can be used again.
//!
//! Errors after the head change nothing, because the receiver has answered. The beginning of the body is kept. More of
//! the body is read, up to as much as an ordinary receiver sends, because a connection can be used again only if the
//! answer was read to its end. If the body is longer or endless, the connection is dropped.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use wire::attempt::{Answer, EXCERPT_BYTES};

use super::body::{Body, Progress};
use super::head::{BadAnswer, Head, Search};

/// The maximum number of bytes that are read of a body. An ordinary receiver sends less.
const MAX_READ_BYTES: usize = 16 * 1024;
/// The maximum delay that a receiver can ask for. It is longer than any schedule, and can still be added to a time.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(366 * 24 * 3600);

/// If the incomplete heads of all answers take more than this, only those of the usual size are read further.
const MAX_PENDING_BYTES: usize = 16 * 1024 * 1024;
const USUAL_HEAD_BYTES: usize = 16 * 1024;

/// What has come of a head that did not come in one piece. The bytes of all heads of a loop are counted together.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    all: Rc<Cell<usize>>,
}

impl Pending {
    fn extend(&mut self, input: &[u8]) -> Result<(), BadAnswer> {
        self.bytes.extend_from_slice(input);
        self.all.set(self.all.get() + input.len());
        match self.bytes.len() > USUAL_HEAD_BYTES && self.all.get() > MAX_PENDING_BYTES {
            true => Err(BadAnswer::TooLarge),
            false => Ok(()),
        }
    }

    fn take(&mut self) -> Vec<u8> {
        self.all.set(self.all.get() - self.bytes.len());
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.take();
    }
}

/// An answer that is being read.
#[derive(Debug, Default)]
pub struct Reader {
    pending: Pending,
    search: Search,
    head: Option<(Head, Body)>,
    /// The beginning of the body.
    kept: Vec<u8>,
    /// How many bytes were read after the head.
    amount: usize,
    has_input: bool,
}

/// What is to be done after some input was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    ReadMore,
    /// The answer is complete, or enough of it was read. Says whether the connection can be used again.
    Finish {
        is_reusable: bool,
    },
}

impl Reader {
    /// `pending` has the number of bytes of all incomplete heads.
    pub fn new(pending: Rc<Cell<usize>>) -> Self {
        Self { pending: Pending { bytes: Vec::new(), all: pending }, ..Self::default() }
    }

    /// Reads the next input.
    pub fn read(&mut self, input: &[u8]) -> Result<Next, BadAnswer> {
        self.has_input = true;
        if self.head.is_some() {
            return Ok(self.read_body(input));
        }
        if self.pending.bytes.is_empty() {
            let found = self.search.read(input)?;
            if found.is_none() {
                self.pending.extend(input)?;
            }
            return Ok(self.begin_body(found, input));
        }
        self.pending.extend(input)?;
        let found = self.search.read(&self.pending.bytes)?;
        if found.is_none() {
            return Ok(Next::ReadMore);
        }
        let pending = self.pending.take();
        Ok(self.begin_body(found, &pending))
    }

    fn begin_body(&mut self, found: Option<(Head, usize)>, input: &[u8]) -> Next {
        let Some((head, length)) = found else { return Next::ReadMore };
        let body = Body::new(head.framing);
        self.head = Some((head, body));
        self.read_body(&input[length..])
    }

    fn read_body(&mut self, input: &[u8]) -> Next {
        let Some((head, body)) = &mut self.head else { return Next::ReadMore };
        let input = &input[..input.len().min(MAX_READ_BYTES)];
        self.amount += input.len();
        let kept = &mut self.kept;
        let progress = body.read(input, |data| {
            let room = EXCERPT_BYTES.saturating_sub(kept.len());
            kept.extend_from_slice(&data[..data.len().min(room)]);
        });
        match progress {
            // Bytes after the answer belong to no request.
            Progress::Complete(end) => Next::Finish { is_reusable: !head.closes && end == input.len() },
            Progress::More if head.status != 101 && self.amount < MAX_READ_BYTES => Next::ReadMore,
            Progress::More | Progress::Bad => Next::Finish { is_reusable: false },
        }
    }

    /// Whether any part of an answer has come.
    pub fn has_input(&self) -> bool {
        self.has_input
    }

    /// Returns the answer as far as it was read. `None` if its head is not complete. A date in `Retry-After` is compared
    /// with `now`.
    pub fn answer(&mut self, now: SystemTime) -> Option<Answer> {
        let (head, _) = self.head.take()?;
        let retry_after = head.retry_after.and_then(|value| retry_after(&value, now));
        Some(Answer { status: head.status, excerpt: excerpt(&self.kept), retry_after })
    }
}

/// Reads an answer that came in pieces, up to the end of its connection. `None` if its head is not complete.
pub fn read_answer<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    now: SystemTime,
) -> Result<Option<Answer>, BadAnswer> {
    let mut reader = Reader::default();
    for piece in pieces {
        if reader.read(piece)? != Next::ReadMore {
            break;
        }
    }
    Ok(reader.answer(now))
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
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
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

    use super::*;

    fn asked_for(value: &str) -> Option<Duration> {
        retry_after(value, UNIX_EPOCH + Duration::from_secs(784_111_777))
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

    fn answer(pieces: &[&[u8]]) -> Answer {
        read_answer(pieces.iter().copied(), UNIX_EPOCH).expect("an answer").expect("a head")
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        let long = "é".repeat(1000);
        assert_eq!(answer(&[head, long.as_bytes()]).excerpt, "é".repeat(512));
        assert_eq!(answer(&[head, b"a", long.as_bytes()]).excerpt, format!("a{}", "é".repeat(511)));
        assert!(excerpt(&[0xff; EXCERPT_BYTES]).len() <= EXCERPT_BYTES);
    }

    #[test]
    fn an_endless_body_is_given_up() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(b"HTTP/1.1 200 OK\r\n\r\n"), Ok(Next::ReadMore));
        let read = (1..1000).find(|_| reader.read(&[b'x'; 100]) != Ok(Next::ReadMore));
        assert_eq!(read, Some(MAX_READ_BYTES.div_ceil(100)));
        assert_eq!(reader.answer(UNIX_EPOCH).map(|answer| answer.excerpt.len()), Some(EXCERPT_BYTES));
    }

    #[test]
    fn large_heads_are_given_up_when_all_together_take_much_memory() {
        let all = Rc::new(Cell::new(0));
        let begin = |amount: usize| {
            let mut reader = Reader::new(all.clone());
            let mut result = reader.read(b"HTTP/1.1 200 OK\r\nX: ");
            for _ in 0..amount / 1024 {
                result = result.and_then(|_| reader.read(&[b'x'; 1024]));
            }
            (reader, result)
        };
        let readers: Vec<_> = (0..80).map(|_| begin(200 * 1024)).collect();
        assert!(readers.iter().all(|(_, result)| *result == Ok(Next::ReadMore)), "sixteen megabytes");
        assert_eq!(begin(200 * 1024).1, Ok(Next::ReadMore));
        let _more: Vec<_> = (0..4).map(|_| begin(200 * 1024)).collect();
        assert_eq!(begin(200 * 1024).1, Err(BadAnswer::TooLarge));
        assert_eq!(begin(8 * 1024).1, Ok(Next::ReadMore), "others are read");
        drop(readers);
        assert_eq!(begin(200 * 1024).1, Ok(Next::ReadMore));
    }

    #[test]
    fn an_answer_is_read_in_pieces_of_any_size_and_says_whether_its_connection_can_be_used_again() {
        let whole = "HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for (text, is_reusable) in [(whole.to_owned(), true), (format!("{whole}more"), false)] {
            for size in [1, 2, 7, text.len()] {
                let mut reader = Reader::default();
                let mut steps = text.as_bytes().chunks(size).map(|piece| reader.read(piece).expect("an answer"));
                let end = steps.find(|next| *next != Next::ReadMore);
                // What comes after the end is noticed when the connection is to be used again.
                let expected = is_reusable || text.len() - whole.len() >= size && size < 7;
                assert_eq!(end, Some(Next::Finish { is_reusable: expected }), "{text:?} in pieces of {size}");
                assert_eq!(reader.answer(UNIX_EPOCH).map(|answer| answer.excerpt), Some("ok".to_owned()));
            }
        }
    }
}
