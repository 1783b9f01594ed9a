use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use wire::attempt::{Answer, EXCERPT_BYTES};
use wire::event::Operation;
use wire::signature::{Scheme, verify};

use super::receiver::{OK, Receiver, read_request};
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
        ("x-hydra-event-time", "1970-01-01T00:00:00.000000Z"),
        ("content-length", "26"),
    ];
    for (name, value) in headers {
        assert_eq!(received.header(name), Some(value), "{name}");
    }
    assert_eq!(received.header("accept"), Some("*/*"));
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
        (
            Preset::Hydra,
            &[
                "x-hydra-event",
                "x-hydra-delivery",
                "x-hydra-event-id",
                "x-hydra-event-time",
                "x-hydra-operation",
                "x-hydra-signature",
            ],
        ),
        (
            Preset::XWebhook,
            &[
                "x-webhook-event",
                "x-webhook-delivery",
                "x-webhook-timestamp",
                "x-webhook-event-id",
                "x-webhook-event-time",
                "x-webhook-operation",
                "x-webhook-signature",
            ],
        ),
        (Preset::Standard, &["webhook-id", "webhook-timestamp", "webhook-signature"]),
    ];
    let all: Vec<&str> = expected.iter().flat_map(|(_, names)| *names).copied().collect();
    for (preset, names) in expected {
        let (receiver, kept) = Receiver::keeping();
        let owner = Owner::allowing_loopback();
        let operation = Some(Operation::Update);
        owner.sender.hand_over([Request { preset, operation, ..request(endpoint(receiver.url())) }]);
        assert!(owner.next().outcome.is_success());
        let kept = kept.lock().unwrap();
        for name in &all {
            let lines = kept[0].head.lines().filter(|line| line.to_lowercase().starts_with(&format!("{name}:")));
            assert_eq!(lines.count(), usize::from(names.contains(name)), "{name} of {preset:?}");
        }
    }
}

/// Returns the names of the headers as they came over the network.
fn names_in(head: &str) -> Vec<&str> {
    head.lines().skip(1).filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect()
}

#[test]
fn names_of_headers_go_out_as_they_are_documented_and_given() {
    let usual = ["Host", "User-Agent", "Accept", "Content-Type", "Content-Length"];
    let expected: [(Preset, &[&str]); 3] = [
        (
            Preset::Hydra,
            &["X-Hydra-Event", "X-Hydra-Delivery", "X-Hydra-Event-Id", "X-Hydra-Event-Time", "X-Hydra-Signature"],
        ),
        (
            Preset::XWebhook,
            &[
                "X-Webhook-Event",
                "X-Webhook-Delivery",
                "X-Webhook-Event-Id",
                "X-Webhook-Event-Time",
                "X-Webhook-Timestamp",
                "X-Webhook-Signature",
            ],
        ),
        (Preset::Standard, &["webhook-id", "webhook-timestamp", "webhook-signature"]),
    ];
    for (preset, names) in expected {
        let (receiver, kept) = Receiver::keeping();
        let owner = Owner::allowing_loopback();
        let headers = [("X-aPI-key", "a"), ("authorization", "b")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let endpoint = Endpoint { headers, ..endpoint(receiver.url()) };
        owner.sender.hand_over([Request { preset, ..request(endpoint) }]);
        assert!(owner.next().outcome.is_success());
        let kept = kept.lock().unwrap();
        assert_eq!(names_in(&kept[0].head), [&usual, names, &["X-aPI-key", "authorization"]].concat());
    }
}

#[test]
fn only_a_request_for_an_event_that_an_inbound_request_caused_says_so() {
    for (hops, expected) in [(0, None), (3, Some("3"))] {
        let (receiver, kept) = Receiver::keeping();
        let owner = Owner::allowing_loopback();
        owner.sender.hand_over([Request { hops, ..request(endpoint(receiver.url())) }]);
        assert!(owner.next().outcome.is_success());
        assert_eq!(kept.lock().unwrap()[0].header("x-hydra-hops"), expected);
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
fn many_large_headers_arrive_whole() {
    let (receiver, kept) = Receiver::keeping();
    let headers: Vec<_> = (0..20).map(|number| (format!("X-Long-{number}"), "x".repeat(2048))).collect();
    let attempt = Owner::allowing_loopback().attempt(Endpoint { headers: headers.clone(), ..endpoint(receiver.url()) });
    assert!(attempt.outcome.is_success());
    let kept = kept.lock().unwrap();
    assert!(headers.iter().all(|(name, value)| kept[0].header(name) == Some(value)));
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

/// The receiver has done its work, and other clients take its answer.
#[test]
fn an_odd_head_changes_nothing_about_the_status() {
    let policy = format!("Content-Security-Policy: {}\r\n", "x".repeat(20_000));
    let cookies = "Set-Cookie: a=b\r\n".repeat(140);
    for lines in [
        "Server : x\r\n",
        "X Bad Header: 1\r\n",
        "no colon\r\n",
        "X-Folded: a\r\n b\r\n",
        "X-Zero: a\0b\r\n",
        &policy,
        &cookies,
    ] {
        let answer = answer_to(&format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"));
        assert_eq!(answer.status, 200, "{lines}");
    }
    assert_eq!(answer_to(&format!("HTTP/1.1 410 Gone\r\n{policy}Content-Length: 0\r\n\r\n")).status, 410);
    // The end of the body is not certain, so it ends with the connection.
    let closing = Receiver::serving(|_, mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok").unwrap();
    });
    assert_eq!(Owner::allowing_loopback().status_of(endpoint(closing.url())), 200);
    for version in ["HTTP/2.0", "http/1.1"] {
        assert_eq!(answer_to(&format!("{version} 200 OK\r\nContent-Length: 2\r\n\r\nok")).excerpt, "ok");
    }
}

#[test]
fn interim_answers_with_headers_are_skipped_also_if_they_come_earlier() {
    for interim in ["100 Continue\r\nDate: today", "103 Early Hints\r\nVia: x", "199 Odd\r\nX: y"] {
        assert_eq!(answer_to(&format!("HTTP/1.1 {interim}\r\n\r\n{OK}")).status, 200, "{interim}");
        let receiver = Receiver::serving(move |_, mut stream| {
            while read_request(&mut stream).is_some() {
                stream.write_all(format!("HTTP/1.1 {interim}\r\n\r\n").as_bytes()).unwrap();
                stream.flush().unwrap();
                // A segment of its own.
                std::thread::yield_now();
                stream.write_all(OK.as_bytes()).unwrap();
            }
        });
        let owner = Owner::allowing_loopback();
        for _ in 0..5 {
            assert_eq!(owner.status_of(endpoint(receiver.url())), 200, "{interim}");
        }
        assert_eq!(receiver.connections(), 1);
    }
}

/// A body that does not fit into the buffers of a socket.
fn large_request(endpoint: Endpoint) -> Request {
    Request { body: "0123456789abcdef".repeat(1 << 19).into(), ..request(endpoint) }
}

/// Answers as soon as the head of a request has come, and then does what it is given.
fn answering_early(answer: &'static str, then: impl Fn(TcpStream) + Send + Sync + 'static) -> Receiver {
    Receiver::serving(move |_, mut stream| {
        stream.read_exact(&mut [0; 100]).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        then(stream);
    })
}

#[test]
fn an_answer_that_comes_before_the_body_was_read_decides() {
    let cases = [
        ("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410, None),
        ("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", 413, None),
        ("HTTP/1.1 429 Later\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, Some(Duration::from_secs(7))),
        (OK, 200, None),
    ];
    for (answer, status, pause) in cases {
        let closing = answering_early(answer, drop);
        let leaving_open = answering_early(answer, |stream| {
            let _ = stream.peek(&mut [0]);
            std::thread::park();
        });
        for receiver in [closing, leaving_open] {
            let owner = Owner::allowing_loopback();
            owner.sender.hand_over([large_request(endpoint(receiver.url()))]);
            match owner.next().outcome {
                Outcome::Answered(answer) => assert_eq!((answer.status, answer.retry_after), (status, pause)),
                other => panic!("{status}: {other:?}"),
            }
            assert_eq!(receiver.connections(), 1);
            // What was not sent makes the connection useless.
            owner.sender.hand_over([large_request(endpoint(receiver.url()))]);
            assert!(matches!(owner.next().outcome, Outcome::Answered(_)));
            assert_eq!(receiver.connections(), 2);
        }
    }
}

#[test]
fn an_early_answer_to_a_later_request_on_a_connection_decides_and_nothing_is_sent_again() {
    let receiver = Receiver::serving(|_, mut stream| {
        read_request(&mut stream);
        stream.write_all(OK.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        stream.write_all(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    owner.sender.hand_over([large_request(endpoint(receiver.url()))]);
    assert!(matches!(owner.next().outcome, Outcome::Answered(Answer { status: 410, .. })));
    assert_eq!(receiver.connections(), 1);
}

/// The loop is busy with another request while the connection opens, so what it learns of it comes in one report.
#[test]
fn an_answer_that_is_complete_before_the_request_was_sent_is_not_waited_for() {
    let receiver = Receiver::serving(|_, mut stream| {
        // It has no length, so it ends with the connection.
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nok").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        while stream.read(&mut [0; 1024]).is_ok_and(|amount| amount > 0) {}
    });
    let other = Receiver::answering(OK);
    let of_same_loop = || Endpoint { subscription: SubscriptionId(9), ..endpoint(other.url()) };
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.status_of(of_same_loop()), 200);
    let long_to_sign = Request { body: "0123456789abcdef".repeat(1 << 21).into(), ..request(of_same_loop()) };
    owner.sender.hand_over([request(endpoint(receiver.url())), long_to_sign]);
    for _ in 0..2 {
        let Attempt { outcome, took, .. } = owner.next();
        assert!(matches!(outcome, Outcome::Answered(Answer { status: 200, .. })), "{outcome:?}");
        assert!(took < PATIENCE / 2, "{took:?}");
    }
}
