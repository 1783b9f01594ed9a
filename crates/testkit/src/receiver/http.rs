//! The part of HTTP/1.1 that a receiver needs: the head of a request, and the end of its body.

use std::io;

#[derive(Clone, Copy)]
pub(super) enum Length {
    Known(usize),
    Chunked,
}

/// The length of a request, and whether the connection ends after it.
pub(super) struct Framing {
    pub length: Length,
    pub close: bool,
}

impl Framing {
    pub fn of(head: &[u8]) -> io::Result<Framing> {
        let Head { headers, .. } = parse(head)?;
        let mut framing = Framing { length: Length::Known(0), close: false };
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("content-length") {
                let value = str::from_utf8(value).map_err(io::Error::other)?;
                framing.length = Length::Known(value.parse().map_err(io::Error::other)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
                framing.length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case(b"close") {
                framing.close = true;
            }
        }
        Ok(framing)
    }
}

pub(super) struct Head<'a, Headers> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: Headers,
}

/// Parses a complete head. Anything but HTTP/1.1 is an error and ends the connection.
pub(super) fn parse(head: &[u8]) -> io::Result<Head<'_, impl Iterator<Item = (&str, &[u8])> + Clone>> {
    let wrong = || io::Error::other("this is not HTTP/1.1");
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut request = str::from_utf8(lines.next().unwrap_or_default()).map_err(io::Error::other)?.split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1")) = (request.next(), request.next(), request.next()) else {
        return Err(wrong());
    };
    let headers = lines.filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
    });
    Ok(Head { method, path, headers })
}
