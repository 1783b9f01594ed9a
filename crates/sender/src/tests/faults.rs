use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;

use super::receiver::{Receiver, closed, read_request, write_for_ever};
use super::*;

/// A receiver that reads the request and then writes this piece again and again.
fn repeating(head: &'static str, piece: &'static str) -> Receiver {
    Receiver::serving(move |_, mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(head.as_bytes());
        write_for_ever(&mut stream, piece);
    })
}

/// A receiver that reads the request, writes this text and waits.
fn stopping_after(part: &'static str) -> Receiver {
    Receiver::serving(move |_, mut stream| {
        read_request(&mut stream);
        stream.write_all(part.as_bytes()).unwrap();
        let _ = stream.read(&mut [0]);
    })
}

/// An endpoint with a time limit in which an answer begins also on a busy machine.
fn with_time_to_begin(url: String) -> Endpoint {
    Endpoint { timeout: Duration::from_secs(2), ..endpoint(url) }
}

#[test]
fn a_receiver_that_does_not_answer_runs_into_the_time_limit() {
    let started = Instant::now();
    let failure = Owner::allowing_loopback().failure_of(with_short_limit(Receiver::silent().url()));
    assert_eq!(failure.class, ErrorClass::Timeout);
    assert_eq!(failure.message, "time limit ran out before an answer came");
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert!(started.elapsed() < PATIENCE / 2);
}

#[test]
fn the_time_limit_covers_the_header() {
    let failure =
        Owner::allowing_loopback().failure_of(with_time_to_begin(stopping_after("HTTP/1.1 200 OK\r\nX-Slow: ").url()));
    assert_eq!(failure.class, ErrorClass::Timeout);
    assert_eq!(failure.message, "time limit ran out while reading the answer");
}

#[test]
fn a_receiver_that_never_reads_runs_into_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let owner = Owner::allowing_loopback();
    let body = "x".repeat(32 * 1024 * 1024).into();
    owner.sender.hand_over([Request { body, ..request(with_short_limit(url)) }]);
    let Outcome::Failed(failure) = owner.next().outcome else { panic!("an answer came") };
    assert_eq!(failure.class, ErrorClass::Timeout);
}

#[test]
fn a_body_that_does_not_end_in_time_changes_nothing_about_the_status() {
    let receiver = stopping_after("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    let started = Instant::now();
    let Outcome::Answered(answer) = Owner::allowing_loopback().outcome_of(with_time_to_begin(receiver.url())) else {
        panic!("no answer")
    };
    assert_eq!((answer.status, &*answer.excerpt), (200, "part"));
    assert!(started.elapsed() < PATIENCE / 2);
}

#[test]
fn an_endless_header_is_given_up() {
    let failure =
        Owner::allowing_loopback().failure_of(endpoint(repeating("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n").url()));
    assert_eq!(failure.class, ErrorClass::Protocol);
    let failure =
        Owner::allowing_loopback().failure_of(endpoint(repeating("HTTP/1.1 200 OK\r\nX-Long: ", "aaaaaaaa").url()));
    assert_eq!(failure.message, "header of the answer is too large");
}

#[test]
fn endless_interim_answers_are_given_up() {
    let receiver = repeating("", "HTTP/1.1 103 Early Hints\r\n\r\n");
    let class = Owner::allowing_loopback().failure_of(with_short_limit(receiver.url())).class;
    assert!(matches!(class, ErrorClass::Protocol | ErrorClass::Timeout), "{class:?}");
}

#[test]
fn an_answer_that_is_not_http_is_refused_without_being_quoted() {
    for garbage in ["SSH-2.0-OpenSSH_9.9\r\n\r\n", "\0\0\0\0\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "{}\r\n\r\n"] {
        let failure = Owner::allowing_loopback().failure_of(endpoint(Receiver::answering(garbage).url()));
        assert_eq!(failure.class, ErrorClass::Protocol, "{garbage:?}");
        assert_eq!(failure.message, "answer is not valid HTTP");
    }
}

#[test]
fn a_refused_connection_is_reported_as_such() {
    let (closed, _socket) = closed();
    let failure = Owner::allowing_loopback().failure_of(endpoint(format!("http://{closed}/?key=hidden")));
    assert_eq!((failure.class, &*failure.message), (ErrorClass::Connection, "connection refused"));
}

#[test]
fn an_unknown_name_is_reported_as_such() {
    // Where no name server answers, the system may ask for longer than the test waits.
    let endpoint = Endpoint { timeout: PATIENCE / 4, ..endpoint("http://name.invalid/") };
    let failure = Owner::allowing_loopback().failure_of(endpoint);
    match failure.class {
        ErrorClass::Dns => assert_eq!(failure.message, "host name could not be resolved"),
        // Without a network no name server answers.
        class => assert_eq!(class, ErrorClass::Resolver, "{failure:?}"),
    }
}

#[test]
fn loopback_and_plain_http_are_refused_by_default() {
    let receiver = Receiver::silent();
    let owner = Owner::with(DestinationPolicy::default(), Roots::load(None).unwrap());
    assert_eq!(owner.failure_of(endpoint(receiver.url())).class, ErrorClass::Destination);

    let owner = Owner::with(DestinationPolicy { allow_http: true, ..Default::default() }, Roots::load(None).unwrap());
    let failure = owner.failure_of(endpoint(receiver.url()));
    assert_eq!(failure.class, ErrorClass::Destination);
    assert!(failure.message.starts_with("webhook URL points to an address that is not allowed"), "{}", failure.message);
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn a_name_that_resolves_to_loopback_is_refused() {
    let receiver = Receiver::silent();
    let owner = Owner::with(DestinationPolicy { allow_http: true, ..Default::default() }, Roots::load(None).unwrap());
    let failure = owner.failure_of(endpoint(format!("http://localhost:{}/", receiver.port())));
    assert_eq!(failure.class, ErrorClass::Destination);
    assert!(failure.message.starts_with("host name resolves to an address that is not allowed"), "{}", failure.message);
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn a_url_that_became_unusable_is_refused_at_the_attempt() {
    for url in ["", "ftp://127.0.0.1/", "http://user:pass@127.0.0.1/", "http://127.1/", "http://127.0.0.1:99999/"] {
        assert_eq!(Owner::allowing_loopback().failure_of(endpoint(url)).class, ErrorClass::Destination, "{url}");
    }
}
