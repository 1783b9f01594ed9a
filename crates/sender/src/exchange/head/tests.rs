use super::*;

/// Reads this answer, which arrives in pieces of this size. Returns its head, and what comes after it.
fn read_in_pieces(answer: &[u8], size: usize) -> Result<Option<(Head, String)>, BadAnswer> {
    let mut search = Search::default();
    for end in (0..answer.len()).step_by(size).map(|start| (start + size).min(answer.len())) {
        if let Some((head, length)) = search.read(&answer[..end])? {
            return Ok(Some((head, String::from_utf8(answer[length..].to_vec()).expect("text"))));
        }
    }
    Ok(None)
}

#[track_caller]
fn read(answer: impl AsRef<[u8]>) -> Result<Option<(Head, String)>, BadAnswer> {
    let answer = answer.as_ref();
    let whole = read_in_pieces(answer, answer.len());
    for size in [1, 2, 3, 7] {
        assert_eq!(read_in_pieces(answer, size), whole, "in pieces of {size}");
    }
    whole
}

/// Reads a head that must be complete, and writes it and what comes after it in a simple form.
#[track_caller]
fn assert_reads(answer: impl AsRef<[u8]>, expected: &str) {
    let (Head { status, framing, closes, retry_after }, rest) = read(answer).expect("an answer").expect("a head");
    let framing = match framing {
        Framing::Length(length) => format!(" length {length}"),
        Framing::Chunked => " chunked".to_owned(),
        Framing::Close => String::new(),
    };
    let closes = if closes { " closes" } else { "" };
    let retry_after = retry_after.map(|value| format!(" after {value}")).unwrap_or_default();
    assert_eq!(format!("{status}{framing}{closes}{retry_after}|{rest}"), expected);
}

#[test]
fn an_ordinary_head_keeps_what_matters() {
    assert_reads(
        "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\nok",
        "200 length 2 after 7|ok",
    );
    assert_reads(
        "HTTP/1.1 503\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "503 chunked|2\r\nok\r\n0\r\n\r\n",
    );
    assert_reads("HTTP/1.1 204 \r\nConnection: Upgrade, CLOSE\r\n\r\n", "204 length 0 closes|");
    assert_reads("\r\n\nHTTP/1.1 200 OK\nContent-Length: 0\n\nrest", "200 length 0|rest");
}

#[test]
fn interim_answers_are_skipped_with_and_without_headers() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nDate: today\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\nHTTP/1.1 100 Continue\r\nVia: x\r\n\r\n",
        "HTTP/1.1 199 Odd\r\nRetry-After: 7\r\n\r\n",
    ] {
        assert_reads(format!("{interim}{ok}"), "200 length 0|");
        assert_eq!(read(interim), Ok(None), "{interim}");
    }
    assert_reads("HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 closes|");
}

#[test]
fn unusual_versions_are_read_and_others_are_refused() {
    for version in ["HTTP/2.0", "HTTP/2", "HTTP/3", "http/1.0", "HTTP/1.0"] {
        assert_reads(format!("{version} 200 OK\r\n\r\n"), "200 closes|");
    }
    for version in ["http/1.1", "Http/1.1", "HTTP/1.2"] {
        assert_reads(format!("{version} 200 OK\r\n\r\n"), "200 closes|");
    }
    assert_reads("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", "200 closes|");
    for line in [
        "HTTP/0.9 200 OK",
        "HTTP/9.9 200 OK",
        "HTTP/1.1 99 Odd",
        "HTTP/1.1 2000 Odd",
        "HTTP/1.1 OK",
        "HTTP/1.1200 OK",
        "HTTPS/1.1 200 OK",
        "SSH-2.0-OpenSSH_9.9",
        "<html>",
        "{}",
    ] {
        assert_eq!(read(format!("{line}\r\n\r\n")), Err(BadAnswer::NotHttp), "{line}");
        assert_eq!(read(format!("{line}\r\n")), Err(BadAnswer::NotHttp), "{line}");
    }
    assert_eq!(read(b"\0\x01"), Err(BadAnswer::NotHttp));
}

#[test]
fn headers_that_cannot_be_read_change_nothing() {
    for line in [
        "Server : x",
        "X Bad Header: 1",
        "no colon",
        ": no name",
        "X-Folded: a\r\n  b: c\r\n\tContent-Length: 9",
        "X-Zero: a\0b",
        "X-Latin: \u{e9}",
        "X-Control: \u{7}",
        " folded from the status line: 1",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length : 2\r\n\r\nok");
        assert_reads(head, "200 length 2|ok");
    }
    assert_reads("HTTP/1.1 429 No\r\nRetry-After:\r\n 30\r\n\r\n", "429 closes after  30|");
}

#[test]
fn a_body_whose_end_is_not_certain_ends_with_the_connection() {
    for lines in [
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length: ",
        "Content-Length: 99999999999999999999",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 2",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip\r\nContent-Length: 1",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
        assert_reads(head, "200 closes|");
    }
    assert_reads(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n",
        "200 chunked closes|",
    );
    for same in ["Content-Length: 0, 0", "Content-Length: 0\r\nContent-Length: 0"] {
        assert_reads(format!("HTTP/1.1 200 OK\r\n{same}\r\n\r\n"), "200 length 0|");
    }
}

#[test]
fn a_large_head_is_read_up_to_the_limit() {
    let many = "Set-Cookie: a=b\r\n".repeat(1000);
    let long = format!("Content-Security-Policy: {}\r\n", "x".repeat(200_000));
    for headers in [many, long] {
        let head = format!("HTTP/1.1 410 Gone\r\n{headers}Content-Length: 0\r\n\r\n");
        assert_reads(head, "410 length 0|");
    }
    for endless in ["HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 ", "HTTP/1.1 103 Early\r\nX: "] {
        let head = format!("{endless}{}", "x".repeat(MAX_HEAD_BYTES));
        assert_eq!(read_in_pieces(head.as_bytes(), 4096), Err(BadAnswer::TooLarge));
    }
    let interim = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n".repeat(MAX_HEAD_BYTES / 30);
    assert_eq!(read_in_pieces(interim.as_bytes(), 4096), Err(BadAnswer::TooLarge));
}
