use std::time::{SystemTime, UNIX_EPOCH};

use wire::attempt::{Answer, EXCERPT_BYTES};
use wire::signature::{Scheme, verify};

use super::receiver::{OK, Receiver};
use super::*;

fn answer_to(answer: &str) -> Answer {
    match Owner::allowing_loopback().outcome_of(endpoint(Receiver::answering(answer).url())) {
        Outcome::Answered(answer) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

#[test]
fn a_request_has_the_headers_and_the_body_of_its_preset() {
    let (receiver, kept) = Receiver::keeping();
    let attempt = Owner::allowing_loopback().attempt(endpoint(receiver.url()));
    assert!(attempt.outcome.is_success());
    assert_eq!(attempt.subscription, SubscriptionId(7));
    assert_eq!(attempt.delivery, DeliveryId([9; 16]));

    let kept = kept.lock().unwrap();
    let [received] = &kept[..] else { panic!("{} requests", kept.len()) };
    assert!(received.head.starts_with("POST /in?key=hidden HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.body, BODY);
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "Hydra-Webhooks/1.0"),
        ("x-hydra-event", "ticket.created"),
        ("x-hydra-delivery", "09090909-0909-0909-0909-090909090909"),
        ("content-length", "26"),
    ];
    for (name, value) in headers {
        assert_eq!(received.header(name), Some(value), "{name}");
    }
    for name in ["accept-encoding", "cookie", "transfer-encoding", "expect"] {
        assert_eq!(received.header(name), None, "{name}");
    }
}

#[test]
fn the_signature_verifies_and_its_time_is_that_of_the_attempt() {
    let (receiver, kept) = Receiver::keeping();
    let attempt = Owner::allowing_loopback().attempt(endpoint(receiver.url()));
    let kept = kept.lock().unwrap();
    let header = kept[0].header("x-hydra-signature").unwrap();
    let secret = SigningSecret::from(SECRET.to_owned());
    assert!(verify(BODY, header, &secret, PATIENCE, SystemTime::now()));
    let at = attempt.at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(header.starts_with(&format!("t={at},v1=")), "{header}");
}

#[test]
fn each_preset_has_its_own_headers_and_signature() {
    let expected: [(Preset, &[&str]); 3] = [
        (Preset::Hydra, &["x-hydra-event", "x-hydra-delivery", "x-hydra-signature"]),
        (Preset::XWebhook, &["x-webhook-event", "x-webhook-delivery", "x-webhook-timestamp", "x-webhook-signature"]),
        (Preset::Standard, &["webhook-id", "webhook-timestamp", "webhook-signature"]),
    ];
    let all: Vec<&str> = expected.iter().flat_map(|(_, names)| *names).copied().collect();
    for (preset, names) in expected {
        let (receiver, kept) = Receiver::keeping();
        let owner = Owner::allowing_loopback();
        owner.sender.hand_over([Request { preset, ..request(endpoint(receiver.url())) }]);
        assert!(owner.next().outcome.is_success());
        let kept = kept.lock().unwrap();
        for name in &all {
            let lines = kept[0].head.lines().filter(|line| line.to_lowercase().starts_with(&format!("{name}:")));
            assert_eq!(lines.count(), usize::from(names.contains(name)), "{name} of {preset:?}");
        }
    }
}

#[test]
fn the_headers_of_a_subscription_are_sent() {
    let (receiver, kept) = Receiver::keeping();
    let headers = vec![("Authorization".to_owned(), "Bearer abc".to_owned())];
    Owner::allowing_loopback().attempt(Endpoint { headers, ..endpoint(receiver.url()) });
    assert_eq!(kept.lock().unwrap()[0].header("authorization"), Some("Bearer abc"));
}

#[test]
fn a_request_is_signed_with_every_scheme_of_its_subscription() {
    let (receiver, kept) = Receiver::keeping();
    let schemes = Scheme::ALL.to_vec();
    Owner::allowing_loopback().attempt(Endpoint { schemes, ..endpoint(receiver.url()) });
    let kept = kept.lock().unwrap();
    for name in Scheme::ALL.iter().flat_map(|scheme| scheme.header_names()) {
        assert!(kept[0].header(name).is_some(), "{name}");
    }
}

#[test]
fn a_large_body_arrives_whole() {
    let (receiver, kept) = Receiver::keeping();
    let owner = Owner::allowing_loopback();
    let body: Arc<str> = "0123456789abcdef".repeat(16 * 1024).into();
    owner.sender.hand_over([Request { body: body.clone(), ..request(endpoint(receiver.url())) }]);
    assert!(owner.next().outcome.is_success());
    assert_eq!(kept.lock().unwrap()[0].body, *body);
}

#[test]
fn the_beginning_of_the_answer_is_kept() {
    assert_eq!(answer_to(OK), Answer { status: 200, excerpt: "ok".into(), retry_after: None });
    let long = "x".repeat(5000);
    let answer = answer_to(&format!("HTTP/1.1 500 Oops\r\nContent-Length: 5000\r\n\r\n{long}"));
    assert_eq!((answer.status, answer.excerpt.len()), (500, EXCERPT_BYTES));
}

#[test]
fn an_answer_without_a_body_has_an_empty_excerpt() {
    assert_eq!(answer_to("HTTP/1.1 204 No Content\r\n\r\n").excerpt, "");
    assert_eq!(answer_to("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").status, 200);
}

#[test]
fn a_chunked_answer_is_read() {
    let answer = answer_to("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    assert_eq!(answer.excerpt, "ok");
}

#[test]
fn a_pause_that_the_receiver_asks_for_is_reported() {
    let answer = answer_to("HTTP/1.1 429 Slow down\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(30))));
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, kept) = Receiver::keeping();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("HTTP/1.1 {status} Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url());
        assert_eq!(answer_to(&location).status, status);
    }
    assert_eq!(elsewhere.connections(), 0);
    assert!(kept.lock().unwrap().is_empty());
}

#[test]
fn an_interim_answer_is_skipped() {
    assert_eq!(answer_to(&format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{OK}")).status, 200);
}
