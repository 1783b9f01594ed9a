//! The headers that a subscription may add: those that are accepted can be sent, and change nothing else in a request.
//!
//! Input: JSON; where it is not JSON, lines of names and values with `: ` between them.
#![no_main]

use std::collections::HashSet;

use http::Request;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wire::headers::{parse, stored};
use wire::ids::SubscriptionId;
use wire::secret::Keys;

fuzz_target!(|input: &str| {
    let lines = || input.split('\n').filter_map(|line| line.split_once(": "));
    let headers = serde_json::from_str::<Value>(input)
        .unwrap_or_else(|_| lines().map(|(name, value)| (name.to_owned(), Value::from(value))).collect());
    let Ok(parsed) = parse(&headers) else { return };
    let read = stored(&headers.to_string(), SubscriptionId(7), &Keys::default());
    assert_eq!(read.as_ref(), Ok(&parsed), "stored headers are read in the same way");

    assert!(parsed.len() <= 20 && parsed.len() == headers.as_object().expect("an object").len());
    let mut request = Request::post("https://receiver.example/");
    let mut names = HashSet::new();
    for (name, value) in &parsed {
        assert_eq!(headers[name], **value, "{name} is kept as it was written");
        let folded = name.to_lowercase().replace('_', "-");
        assert!(!is_reserved(&folded), "{name} is reserved");
        assert!(names.insert(folded), "{name} is there twice");
        assert!((1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!((1..=2048).contains(&value.len()) && value.trim() == value);
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name} has a control character");
        request = request.header(name, value);
    }
    request.body(()).expect("a request can carry them");
});

fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "user-agent",
        "expect",
        "x-hub-signature",
        "x-hub-signature-256",
        "cookie",
    ];
    let begins = ["x-hydra-", "x-webhook-", "webhook-", "proxy-"];
    NAMES.contains(&name) || begins.iter().any(|begin| name.starts_with(begin))
}
