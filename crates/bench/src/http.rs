//! As much of HTTP/1.1 as the receiver needs: where a request ends, and which delivery it carries.

use memchr::{memchr_iter, memmem};

/// The answer to every request. All answers are the same, so the raw client counts answers by their bytes.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

const DELIVERY_HEADER: &[u8] = b"X-Hydra-Delivery";

/// A whole request.
pub struct Request<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Returns the request at the beginning of these bytes, if it is complete.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let length = header(&bytes[..head], b"Content-Length").map_or(0, |value| number(value) as usize);
        let body = bytes.get(head..head + length)?;
        Some(Self { head: &bytes[..head], body })
    }

    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Returns the delivery id, as the number that its hexadecimal digits make.
    pub fn delivery(&self) -> Option<u128> {
        let digits = header(self.head, DELIVERY_HEADER)?.iter().filter_map(|byte| (*byte as char).to_digit(16));
        Some(digits.fold(0, |id, digit| id << 4 | u128::from(digit)))
    }

    /// Returns the number that follows `key` in the body.
    pub fn number_after(&self, key: &[u8]) -> Option<u128> {
        let place = memmem::find(self.body, key)?;
        Some(number(&self.body[place + key.len()..]))
    }
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    memchr_iter(b'\n', head).find_map(|end| {
        let (found, value) = head[end + 1..].split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then(|| value.strip_prefix(b":")).flatten()
    })
}

fn number(text: &[u8]) -> u128 {
    let digits = text.trim_ascii_start().iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u128::from(digit - b'0'))
}
