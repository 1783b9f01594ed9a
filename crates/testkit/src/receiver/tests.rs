use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::signature::{Secret, Signature, SignatureHeaders, verify};
use super::{Answer, Receiver};
use crate::PATIENCE;

fn verdict(headers: &[(&str, &str)], body: &str, secret: &str, now: SystemTime) -> Signature {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    verify(&SignatureHeaders::of(headers), body.as_bytes(), &[Secret::new(secret)], now)
}

/// The example of the documentation of GitHub.
#[test]
fn the_example_of_github_verifies() {
    let value = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let verdict =
        |body| verdict(&[("X-Hub-Signature-256", value)], body, "It's a Secret to Everybody", SystemTime::now());
    assert_eq!(verdict("Hello, World!"), Signature::Verified);
    assert!(matches!(verdict("Hello, World"), Signature::Refused(_)));
}

/// The example of the documentation of Standard Webhooks.
#[test]
fn the_example_of_standard_webhooks_verifies_while_it_is_recent() {
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let after = |seconds: u64| {
        let now = UNIX_EPOCH + Duration::from_secs(1_614_265_330 + seconds);
        verdict(&headers, "{\"test\": 2432232314}", secret, now)
    };
    assert_eq!(after(300), Signature::Verified);
    assert!(matches!(after(301), Signature::Refused(_)));
}

/// Sends these bytes, which end with the request, to a receiver. Returns its answer.
fn exchange(receiver: &Receiver, request: &str) -> String {
    let mut stream = TcpStream::connect(receiver.address()).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    answer
}

#[test]
fn answers_are_given_in_order_and_every_request_is_recorded() {
    let receiver = Receiver::start();
    receiver.answer("/", Answer::ok().with_body("done"));
    receiver.answer_first("/", 1, Answer::status(503));
    let request = "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    let answers = [(); 3].map(|()| exchange(&receiver, request));
    assert!(answers[0].starts_with("HTTP/1.1 503 "), "{answers:?}");
    assert!(answers[1..].iter().all(|answer| answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done")));
    let requests = receiver.wait_for("/", 3, PATIENCE);
    assert!(requests.iter().all(|request| request.text() == "abc" && request.signature == Signature::Unchecked));
    assert_eq!(requests.iter().map(|request| request.status).collect::<Vec<_>>(), [503, 200, 200]);
}

#[test]
fn a_chunked_body_is_recorded_without_its_chunks() {
    let receiver = Receiver::start();
    let request =
        "POST /x HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n";
    assert!(exchange(&receiver, request).starts_with("HTTP/1.1 200 "));
    assert_eq!(receiver.requests("/x")[0].text(), "abc");
}
