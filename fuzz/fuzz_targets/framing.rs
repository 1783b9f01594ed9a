//! Requests in the bytes of a connection: what is accepted is read again by the parser of the HTTP library, and does not
//! depend on the pieces in which it arrives.
//!
//! Input: a byte that chooses the size of the pieces, and bytes of a connection.
#![no_main]

use gateway::framing::{Body, Fault, HeadSearch, LIMITS, Length, read_head};
use libfuzzer_sys::fuzz_target;

/// A request as a range of bytes: the length of the head, of the rest, and whether it is whole.
type Request = (usize, Length, usize, bool);

fuzz_target!(|input: &[u8]| {
    let Some((&size, bytes)) = input.split_first() else { return };
    let whole = requests(bytes, bytes.len().max(1));
    assert_eq!(whole, requests(bytes, usize::from(size) % 16 + 1), "it depends on the pieces");
    let mut at = 0;
    for (head, length, body, _) in whole.0 {
        read_again(&bytes[at..at + head], length);
        at += head + body;
    }
});

/// Reads requests until the bytes end or are refused.
fn requests(bytes: &[u8], piece: usize) -> (Vec<Request>, Option<Fault>) {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let head = match find_head(&bytes[at..], piece) {
            Ok(Some(head)) => head,
            Ok(None) => return (found, None),
            Err(fault) => return (found, Some(fault)),
        };
        let length = match read_head(&bytes[at..at + head], &LIMITS) {
            Ok(length) => length,
            Err(fault) => return (found, Some(fault)),
        };
        at += head;
        let (mut body, mut taken, mut fault) = (Body::new(length), 0, None);
        for piece in bytes[at..].chunks(piece) {
            match body.take(piece) {
                Ok(count) => taken += count,
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
            if body.is_over() {
                break;
            }
        }
        if fault.is_some() {
            return (found, fault);
        }
        if let Length::Bytes(length) = length {
            assert!(taken as u64 <= length && (!body.is_over() || taken as u64 == length));
        }
        found.push((head, length, taken, body.is_over()));
        at += taken;
    }
    (found, None)
}

fn find_head(bytes: &[u8], piece: usize) -> Result<Option<usize>, Fault> {
    let mut search = HeadSearch::default();
    let mut end = 0;
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        if let Some(length) = search.find(&bytes[..end], &LIMITS)? {
            return Ok(Some(length));
        }
    }
    Ok(None)
}

fn read_again(head: &[u8], length: Length) {
    let mut headers = [httparse::EMPTY_HEADER; LIMITS.headers];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(head).expect("a head that is accepted can be parsed");
    assert_eq!(parsed, httparse::Status::Complete(head.len()), "two ends of one head");
    let values = |name: &str| -> Vec<&[u8]> {
        request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
            .collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    match length {
        Length::Chunked => {
            assert!(lengths.is_empty() && codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked"))
        }
        Length::Bytes(length) => {
            assert!(codings.is_empty() && lengths.len() <= 1);
            let said =
                lengths.first().map_or(Ok(0), |value| std::str::from_utf8(value).expect("digits").trim().parse());
            assert_eq!(said, Ok(length));
        }
    }
    assert!(values("host").len() == 1 || request.version == Some(0));
    assert!(request.path.is_some_and(|path| path.starts_with('/')));
}
