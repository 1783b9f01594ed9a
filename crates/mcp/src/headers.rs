//! Headers that repeat parts of the body, so that proxies can see them. If they differed, a proxy would have allowed
//! something else than what is done.
//!
//! A value that is not plain ASCII is written as `=?base64?…?=`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::failure::Failure;
use crate::message::Message;

const ENCODED: (&str, &str) = ("=?base64?", "?=");

pub const REVISION: &str = "MCP-Protocol-Version";
pub const METHOD: &str = "Mcp-Method";
pub const NAME: &str = "Mcp-Name";

/// The headers of a request: names and values.
#[derive(Clone, Copy)]
pub struct Headers<'a>(pub &'a [(String, String)]);

impl<'a> Headers<'a> {
    /// Returns the value of a header that may be there once.
    pub fn value(self, name: &str) -> Result<Option<&'a str>, Failure> {
        let mut values = self.0.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (first, None) => Ok(first.map(|value| value.trim_matches([' ', '\t']))),
            _ => Err(Failure::header_mismatch(&format!("the header {name} is there more than once"))),
        }
    }

    /// Fails unless the headers of a request repeat its method and the name of what it is about.
    pub fn check(self, message: &Message) -> Result<(), Failure> {
        self.check_one(METHOD, &message.method, |value| Some(value.to_owned()))?;
        match message.name() {
            Some(name) => self.check_one(NAME, name, decode),
            None => Ok(()),
        }
    }

    fn check_one(self, name: &str, body: &str, decode: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
        let missing = || Failure::header_mismatch(&format!("the header {name} is missing"));
        let unreadable = || Failure::header_mismatch(&format!("the value of {name} is not well formed"));
        let value = decode(self.value(name)?.ok_or_else(missing)?).ok_or_else(unreadable)?;
        if value == body { Ok(()) } else { Err(Failure::header_mismatch(&format!("{name} differs from the body"))) }
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

fn is_encoded(text: &str) -> Option<&str> {
    text.strip_prefix(ENCODED.0)?.strip_suffix(ENCODED.1)
}

fn decode(value: &str) -> Option<String> {
    match is_encoded(value) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => is_plain(value).then(|| value.to_owned()),
    }
}

/// Returns a value as it is written in a header.
pub fn encode(text: &str) -> String {
    let is_trimmed = text.trim_matches([' ', '\t']) == text;
    if is_plain(text) && is_trimmed && is_encoded(text).is_none() {
        return text.to_owned();
    }
    format!("{}{}{}", ENCODED.0, STANDARD.encode(text), ENCODED.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_read_from_a_header_as_it_was_written() {
        for (text, written) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?base64?open", "=?base64?open"),
            ("", ""),
        ] {
            assert_eq!(encode(text), written);
            assert_eq!(decode(written).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_value_that_is_not_well_formed_is_not_guessed() {
        for value in ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "=?base64?/w==?=", "ä"] {
            assert_eq!(decode(value), None, "{value}");
        }
    }
}
