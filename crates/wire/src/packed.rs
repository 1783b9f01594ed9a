//! Headers and answers as bytes, as they pass between a gateway and the database. JSON would be parsed and written several times
//! on the way.
//!
//! A text is its length in four bytes, the highest first, and its bytes. Headers are their number, likewise in four bytes, and
//! names and values in turn. An answer is its status in four bytes, its headers, and its body, which is the rest.

/// Names and values, in their order.
pub type Headers = Vec<(String, String)>;

/// Returns headers as bytes.
pub fn headers<N: AsRef<str>, V: AsRef<str>>(headers: &[(N, V)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(256);
    put_headers(&mut packed, headers);
    packed
}

/// Returns an answer as bytes.
pub fn answer<N: AsRef<str>, V: AsRef<str>>(status: i32, headers: &[(N, V)], body: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(512 + body.len());
    packed.extend(status.to_be_bytes());
    put_headers(&mut packed, headers);
    packed.extend_from_slice(body);
    packed
}

fn put_headers<N: AsRef<str>, V: AsRef<str>>(packed: &mut Vec<u8>, headers: &[(N, V)]) {
    packed.extend(length(headers.len()));
    for text in headers.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]) {
        packed.extend(length(text.len()));
        packed.extend_from_slice(text.as_bytes());
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("no text of a request is that long").to_be_bytes()
}

/// Reads headers; `None` if the bytes are none.
pub fn read_headers(packed: &[u8]) -> Option<Headers> {
    let mut rest = packed;
    let headers = take_headers(&mut rest)?;
    rest.is_empty().then_some(headers)
}

/// Reads an answer, whose body is returned without a copy; `None` if the bytes are none.
pub fn read_answer(packed: &[u8]) -> Option<(i32, Headers, &[u8])> {
    let mut rest = packed;
    let status = i32::from_be_bytes(take(&mut rest)?);
    let headers = take_headers(&mut rest)?;
    Some((status, headers, rest))
}

fn take_headers(rest: &mut &[u8]) -> Option<Headers> {
    let count = u32::from_be_bytes(take(rest)?);
    (0..count).map(|_| Some((take_text(rest)?, take_text(rest)?))).collect()
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = u32::from_be_bytes(take(rest)?) as usize;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

fn take(rest: &mut &[u8]) -> Option<[u8; 4]> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let given = [("content-type", "text/plain"), ("x-empty", ""), ("x-name", "Jürgen")];
        let packed = answer(207, &given, b"\0 body");
        let (status, read, body) = read_answer(&packed).expect("an answer");
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!((status, &read[..], body), (207, &given[..], &b"\0 body"[..]));
        assert_eq!(read_answer(&answer::<&str, &str>(204, &[], b"")), Some((204, vec![], &[][..])));
    }

    #[test]
    fn bytes_that_end_too_early_or_too_late_or_are_no_text_are_refused() {
        let packed = headers(&[("a", "b"), ("c", "d")]);
        assert!(read_headers(&packed).is_some());
        for end in 0..packed.len() {
            assert_eq!(read_headers(&packed[..end]), None, "{end}");
        }
        assert_eq!(read_headers(&[&packed[..], b"x"].concat()), None);
        assert_eq!(read_headers(&[0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0, 0, 0, 0]), None);
        assert_eq!(read_headers(&[0xff; 64]), None);
    }
}
