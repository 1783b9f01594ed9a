//! The headers that a subscription may add to its requests.
//!
//! Some receivers need an API key or a routing hint with each request. A subscription must not set headers that say how
//! the request is to be read, where it goes or how it is signed: if a header occurs twice, some receivers read the
//! first value and others the last. A line break in a value would begin another header, so it is refused. Many receivers
//! read `X_A` as `X-A`, so these are the same name.
//!
//! Values may be secret. So each value is stored sealed, as signing secrets are, if there is a key.

use std::collections::HashSet;

use http::{HeaderName, HeaderValue};
use rand::CryptoRng;
use serde_json::{Map, Value};

use crate::ids::SubscriptionId;
use crate::preset::Preset;
use crate::refusal::Refusal;
use crate::secret::{Keys, Place, SEALED_PREFIX, Unreadable};
use crate::signature::Scheme;

/// These limits are far above what receivers need. They bound the size of a request.
const MOST: usize = 20;
const LONGEST_VALUE: usize = 2048;
const LONGEST_NAME: usize = 100;

/// How many inbound requests led to the event of a request. A system that sends it back lets an endless loop be noticed.
pub const HOPS: &str = "X-Hydra-Hops";

/// Headers that are set for each request, belong to the connection, replace the method, look like a signature, or are
/// cookies.
const RESERVED: [&str; 23] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "cookie2",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-hub-signature",
    "x-method-override",
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
        if !names.insert(folded(name)) {
            return refuse(
                format!("header \"{name}\" is given twice"),
                "Names that differ only in upper and lower case, or in hyphens and underscores, are the same.",
            );
        }
        parsed.push((name.clone(), check_value(name, value)?));
    }
    Ok(parsed)
}

/// Returns the form in which the headers of a subscription are to be stored.
pub fn seal(headers: &Value, subscription: SubscriptionId, keys: &Keys, rng: &mut impl CryptoRng) -> Value {
    let sealed = |name: &str, value: &str| Ok(keys.seal(value, Place::Header(subscription, name), rng));
    map_values(headers, sealed).unwrap_or_default()
}

/// Returns the headers of a subscription, given the form in which they are stored.
pub fn open(stored: &Value, subscription: SubscriptionId, keys: &Keys) -> Result<Value, Unreadable> {
    map_values(stored, |name, value| keys.open(value, Place::Header(subscription, name)))
}

/// Reads the headers of a subscription from the text that is stored. They were checked when they were set.
pub fn stored(text: &str, subscription: SubscriptionId, keys: &Keys) -> Result<Vec<(String, String)>, Unreadable> {
    let headers = serde_json::from_str(text).unwrap_or_default();
    Ok(parse(&open(&headers, subscription, keys)?).unwrap_or_default())
}

fn map_values(
    headers: &Value,
    mut convert: impl FnMut(&str, &str) -> Result<String, Unreadable>,
) -> Result<Value, Unreadable> {
    let values = headers.as_object().into_iter().flatten();
    let convert = |(name, value): (&String, &Value)| {
        Ok((name.clone(), Value::String(convert(name, value.as_str().unwrap_or_default())?)))
    };
    values.map(convert).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// Returns the name as receivers may see it.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.len() > LONGEST_NAME || HeaderName::try_from(name).is_err() {
        return refuse(
            format!("invalid header name: {:?}", name.chars().take(LONGEST_NAME).collect::<String>()),
            format!("A name has 1 to {LONGEST_NAME} letters, digits and hyphens, no spaces and no line breaks."),
        );
    }
    let folded = folded(name);
    let ours = Preset::ALL.into_iter().flat_map(Preset::headers).map(|(name, _)| *name);
    let signatures = Scheme::ALL.into_iter().flat_map(Scheme::header_names).copied();
    let mut reserved = ours.chain(signatures).chain(RESERVED);
    if RESERVED_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
        || reserved.any(|reserved| reserved.eq_ignore_ascii_case(&folded))
    {
        return refuse(
            format!("header \"{name}\" is reserved"),
            "It is set for each request, belongs to the connection, or could change how a receiver reads the request.",
        );
    }
    Ok(())
}

fn check_value(name: &str, value: &Value) -> Result<String, Refusal> {
    let text = value.as_str().unwrap_or_default();
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let trimmed = text.trim() == text && !text.is_empty();
    if !printable
        || !trimmed
        || text.len() > LONGEST_VALUE
        || HeaderValue::try_from(text).is_err()
        || text.starts_with(SEALED_PREFIX)
    {
        return refuse(
            format!("invalid value of header \"{name}\""),
            format!(
                "A value is a JSON string of 1 to {LONGEST_VALUE} printable ASCII characters, without line breaks and \
                 without spaces at its ends, and does not begin with \"{SEALED_PREFIX}\"."
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
            "X_Hydra_Signature",
            "x_hydra-delivery",
            "Content_Length",
            "TRANSFER_ENCODING",
            "X-Hub-Signature",
            "X_Hub_Signature_256",
            "X-HTTP-Method-Override",
            "Cookie",
            "Set-Cookie",
            "Proxy_Connection",
            "Keep-Alive",
            "TE",
        ] {
            assert!(message(&json!({name: "a"})).ends_with("is reserved"), "{name}");
        }
    }

    #[test]
    fn stored_values_are_sealed_if_there_is_a_key_and_are_read_as_they_were_set() {
        let (id, headers) = (SubscriptionId(7), json!({"Authorization": "Bearer abc", "X-Route": "eu"}));
        let keys = Keys::parse(&"1".repeat(64)).expect("a key");
        let sealed = seal(&headers, id, &keys, &mut rand::rng());
        assert!(!sealed.to_string().contains("abc") && sealed.to_string().contains("Authorization"), "{sealed}");
        let parsed = parse(&headers).expect("headers");
        assert_eq!(stored(&sealed.to_string(), id, &keys), Ok(parsed.clone()));
        assert!(matches!(stored(&sealed.to_string(), id, &Keys::default()), Err(Unreadable::KeyMissing(_))));
        assert_eq!(stored(&sealed.to_string(), SubscriptionId(8), &keys), Err(Unreadable::Damaged));
        // Without a key they are stored as they are, and such values can always be read.
        assert_eq!(seal(&headers, id, &Keys::default(), &mut rand::rng()), headers);
        assert_eq!(stored(&headers.to_string(), id, &keys), Ok(parsed));
        assert!(message(&json!({"X-A": "sealed:0011223344556677:AAAA"})).starts_with("invalid value"));
    }

    #[test]
    fn anything_but_an_object_of_strings_is_refused() {
        for headers in
            [json!([]), json!("a"), json!(null), json!({"X-A": 1}), json!({"X-A": null}), json!({"X-A": ["a"]})]
        {
            message(&headers);
        }
        assert_eq!(message(&json!({"X-A": "1", "x-a": "2"})), "header \"x-a\" is given twice");
        assert_eq!(message(&json!({"X-A": "1", "X_A": "2"})), "header \"X_A\" is given twice");
        let many: Value = (0..21).map(|n| (format!("X-{n}"), json!("a"))).collect();
        assert_eq!(message(&many), "too many headers");
    }
}
