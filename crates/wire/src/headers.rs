//! The headers that a subscription may add to its requests.
//!
//! Some receivers need an API key or a routing hint with each request. A subscription must not set headers that say how
//! the request is to be read, where it goes or how it is signed: if a header occurs twice, some receivers read the
//! first value and others the last. A line break in a value would begin another header, so it is refused.

use std::collections::HashSet;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::preset::Preset;
use crate::refusal::Refusal;
use crate::signature::Scheme;

/// These limits are far above what receivers need. They bound the size of a request.
const MOST: usize = 20;
const LONGEST_VALUE: usize = 2048;
const LONGEST_NAME: usize = 100;

/// Headers that are set for each request, or belong to the connection.
const RESERVED: [&str; 15] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// Headers whose names have these prefixes are set by the extension, now or in the future, or belong to proxies.
const RESERVED_PREFIXES: [&str; 4] = ["x-hydra-", "x-webhook-", "webhook-", "proxy-"];

/// Reads the headers from a JSON object, in its order.
pub fn parse(headers: &Value) -> Result<Vec<(String, String)>, Refusal> {
    let Some(headers) = headers.as_object() else {
        return refuse("invalid headers", "Headers are a JSON object of names and values.");
    };
    if headers.len() > MOST {
        return refuse("too many headers", format!("A subscription can add at most {MOST} headers."));
    }
    let mut names = HashSet::new();
    let mut parsed = Vec::new();
    for (name, value) in headers {
        check_name(name)?;
        if !names.insert(name.to_ascii_lowercase()) {
            return refuse(
                format!("header \"{name}\" is given twice"),
                "Names that differ only in upper and lower case are the same.",
            );
        }
        parsed.push((name.clone(), check_value(name, value)?));
    }
    Ok(parsed)
}

/// Reads the headers of a subscription from the text that is stored. They were checked when they were set.
pub fn stored(text: &str) -> Vec<(String, String)> {
    serde_json::from_str(text).ok().and_then(|headers| parse(&headers).ok()).unwrap_or_default()
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.len() > LONGEST_NAME || HeaderName::try_from(name).is_err() {
        return refuse(
            format!("invalid header name: {:?}", name.chars().take(LONGEST_NAME).collect::<String>()),
            format!("A name has 1 to {LONGEST_NAME} letters, digits and hyphens, no spaces and no line breaks."),
        );
    }
    let lower = name.to_ascii_lowercase();
    let ours = Preset::ALL.into_iter().flat_map(Preset::headers).map(|(name, _)| *name);
    let signatures = Scheme::ALL.into_iter().flat_map(Scheme::header_names).copied();
    let mut reserved = ours.chain(signatures).chain(RESERVED);
    if RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
        || reserved.any(|reserved| reserved.eq_ignore_ascii_case(name))
    {
        return refuse(
            format!("header \"{name}\" is reserved"),
            "It is set for each request, or belongs to the connection.",
        );
    }
    Ok(())
}

fn check_value(name: &str, value: &Value) -> Result<String, Refusal> {
    let text = value.as_str().unwrap_or_default();
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let trimmed = text.trim() == text && !text.is_empty();
    if !printable || !trimmed || text.len() > LONGEST_VALUE || HeaderValue::try_from(text).is_err() {
        return refuse(
            format!("invalid value of header \"{name}\""),
            format!(
                "A value is a JSON string of 1 to {LONGEST_VALUE} printable ASCII characters, without line breaks and \
                 without spaces at its ends."
            ),
        );
    }
    Ok(text.to_owned())
}

fn refuse<T>(message: impl Into<String>, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(message).detail(detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(headers: &Value) -> String {
        parse(headers).expect_err("they are refused").message
    }

    #[test]
    fn names_and_values_are_kept_as_they_were_written() {
        let headers = parse(&json!({"Authorization": "Bearer abc.def", "X-Route": "eu west"})).expect("headers");
        let expected = [("Authorization", "Bearer abc.def"), ("X-Route", "eu west")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parse(&json!({})), Ok(Vec::new()));
    }

    #[test]
    fn line_breaks_cannot_begin_another_header() {
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\u{0}", "\ta", " a", "a ", "", "é"] {
            assert!(message(&json!({"X-A": value})).starts_with("invalid value"), "{value:?}");
        }
        for name in ["X-A\r\nX-Evil", "X A", "", "X:A", "ü", &"x".repeat(101)] {
            assert!(message(&json!({name: "a"})).starts_with("invalid header name"), "{name:?}");
        }
    }

    #[test]
    fn headers_that_are_set_for_each_request_are_reserved_in_any_case() {
        for name in [
            "Content-Type",
            "HOST",
            "content-length",
            "Transfer-Encoding",
            "User-Agent",
            "x-hydra-signature",
            "X-HYDRA-ANYTHING",
            "X-Webhook-Event",
            "Webhook-Id",
            "x-hub-signature-256",
            "Proxy-Authorization",
        ] {
            assert!(message(&json!({name: "a"})).ends_with("is reserved"), "{name}");
        }
    }

    #[test]
    fn anything_but_an_object_of_strings_is_refused() {
        for headers in
            [json!([]), json!("a"), json!(null), json!({"X-A": 1}), json!({"X-A": null}), json!({"X-A": ["a"]})]
        {
            message(&headers);
        }
        assert_eq!(message(&json!({"X-A": "1", "x-a": "2"})), "header \"x-a\" is given twice");
        let many: Value = (0..21).map(|n| (format!("X-{n}"), json!("a"))).collect();
        assert_eq!(message(&many), "too many headers");
    }
}
