use super::*;

fn length(head: &str) -> Result<Length, Fault> {
    let whole = format!("{head}\r\n\r\n");
    assert_eq!(HeadSearch::default().find(whole.as_bytes(), &LIMITS)?, Some(whole.len()), "{head:?}");
    read_head(whole.as_bytes(), &LIMITS)
}

#[test]
fn the_length_of_a_body_is_what_the_head_says() {
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nHost: x", Length::Bytes(0)),
        ("GET / HTTP/1.0", Length::Bytes(0)),
        ("POST /a?b=c%20d HTTP/1.1\r\nhost: x\r\ncontent-length: 12", Length::Bytes(12)),
        ("POST / HTTP/1.1\r\nhOST:x\r\nCONTENT-LENGTH:\t12 ", Length::Bytes(12)),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked", Length::Chunked),
        ("GET / HTTP/1.1\r\nHost: \r\nx: \u{e4}\ty", Length::Bytes(0)),
    ] {
        assert_eq!(length(head), Ok(expected), "{head:?}");
    }
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_refused() {
    let post = "POST / HTTP/1.1\r\nHost: x\r\n";
    for (rest, fault) in [
        ("Content-Length: 1\r\nContent-Length: 2", Fault::TwoLengths),
        ("Content-Length: 1\r\nContent-Length: 1", Fault::TwoLengths),
        ("Content-Length: 1, 1", Fault::Length),
        ("Content-Length: +1", Fault::Length),
        ("Content-Length: 0x1", Fault::Length),
        ("Content-Length:", Fault::Length),
        ("Content-Length: 9999999999999999999", Fault::Length),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", Fault::LengthAndCoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", Fault::LengthAndCoding),
        ("Transfer-Encoding: gzip, chunked", Fault::Coding),
        ("Transfer-Encoding: identity", Fault::Coding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Fault::Coding),
        ("Transfer-Encoding: xchunked", Fault::Coding),
        ("Transfer-Encoding : chunked", Fault::Header),
        ("Content-Length : 1", Fault::Header),
        ("X: a\r\n b", Fault::Folded),
        ("X: a\r\n\tb", Fault::Folded),
        (" X: a", Fault::Folded),
        ("X: a\rTransfer-Encoding: chunked", Fault::Header),
        ("X: a\0b", Fault::Header),
        ("X", Fault::Header),
        (": a", Fault::Header),
        ("X: a\nY: b", Fault::LineEnd),
        ("Host: y", Fault::Host),
    ] {
        assert_eq!(length(&format!("{post}{rest}")), Err(fault), "{rest:?}");
    }
    for (head, fault) in [
        ("GET / HTTP/1.1", Fault::Host),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked", Fault::Coding),
        ("GET / HTTP/2.0\r\nHost: x", Fault::Version),
        ("GET /", Fault::RequestLine),
        ("get / HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("GET  / HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("GET / HTTP/1.1 \r\nHost: x", Fault::RequestLine),
        ("GET http://x/ HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("GET /\u{e4} HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("GET /#a HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("CONNECT x:443 HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("OPTIONS * HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("\r\nGET / HTTP/1.1\r\nHost: x", Fault::RequestLine),
        ("\u{16}\u{3}\u{1}", Fault::RequestLine),
    ] {
        assert_eq!(length(head), Err(fault), "{head:?}");
    }
}

#[test]
fn a_head_is_found_in_pieces_of_any_size() {
    let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nrest";
    let mut search = HeadSearch::default();
    for end in 0..head.len() {
        let found = search.find(&head[..end], &LIMITS).unwrap();
        assert_eq!(found, (end == 27).then_some(27), "{end}");
        if found.is_some() {
            return;
        }
    }
    panic!("not found");
}

#[test]
fn a_head_is_bounded() {
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nx: {}", "a".repeat(LIMITS.head));
    assert_eq!(HeadSearch::default().find(long.as_bytes(), &LIMITS), Err(Fault::HeadTooLarge));
    let many = |count| format!("GET / HTTP/1.1\r\nHost: x{}", "\r\na: b".repeat(count));
    assert_eq!(length(&many(LIMITS.headers)), Err(Fault::TooManyHeaders));
    assert_eq!(length(&many(LIMITS.headers - 1)), Ok(Length::Bytes(0)));
}

/// Returns the number of bytes that belong to the body, which ends among them.
fn chunked(text: &str, step: usize) -> Result<Option<usize>, Fault> {
    let (mut body, mut taken) = (Body::new(Length::Chunked), 0);
    for piece in text.as_bytes().chunks(step) {
        taken += body.take(piece)?;
        if body.is_over() {
            return Ok(Some(taken));
        }
    }
    Ok(None)
}

#[test]
fn a_chunked_body_ends_after_its_last_chunk() {
    for step in 1..30 {
        assert_eq!(chunked("5\r\nhello\r\n0A\r\n0123456789\r\n0\r\n\r\nGET /", step), Ok(Some(31)), "{step}");
        assert_eq!(chunked("0\r\n\r\nGET /", step), Ok(Some(5)));
        assert_eq!(chunked("5\r\nhello\r\n0\r\n", step), Ok(None));
    }
}

#[test]
fn a_chunk_that_can_be_read_in_two_ways_is_refused() {
    for text in [
        "5;a=b\r\nhello\r\n",
        "5\nhello\n",
        "5 \r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "-1\r\n",
        "\r\n",
        "5\r\nhelloX\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "0\r\nTrailer: x\r\n\r\n",
        "1234567890abcdef\r\n",
        "fffffffffffffffff\r\n",
    ] {
        for step in 1..text.len() + 1 {
            assert_eq!(chunked(text, step), Err(Fault::Chunk), "{text:?}");
        }
    }
}
