//! Clients that send what they should not, or nothing.

use std::io::Read;
use std::time::Instant;

use testkit::Bench;
use testkit::gateway::Gateway;

use crate::{cluster, create_key};

#[test]
fn a_request_that_can_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let mut bench = Bench::new(cluster(), "abuse_smuggling");
    let gateway = Gateway::start(&bench);
    let key = create_key(&mut bench.client, "role => 'app'");
    let smuggled = format!("GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    let post = |rest: &str| format!("POST /api/v1/me HTTP/1.1\r\nHost: x\r\n{rest}{smuggled}");
    for (bytes, status) in [
        (post("Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400),
        (post("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400),
        (post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"), 400),
        (post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"), 400),
        (post("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400),
        (post("X: y\r\n folded\r\n\r\n"), 400),
        (post("X: y\n\n"), 400),
        (post("X: y\rContent-Length: 5\r\n\r\n"), 400),
        (format!("GET /api/v1/me HTTP/1.1\nHost: x\n\n{smuggled}"), 400),
        (format!("GET /api/v1/me HTTP/1.1\r\n\r\n{smuggled}"), 400),
        (format!("GET http://x/api/v1/me HTTP/1.1\r\nHost: y\r\n\r\n{smuggled}"), 400),
        (format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{smuggled}"), 400),
        (format!("GET / HTTP/3.0\r\nHost: x\r\n\r\n{smuggled}"), 505),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
    ] {
        let mut connection = gateway.connect();
        connection.send(&bytes).unwrap();
        let answer = connection.answer().unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        assert_eq!(answer.status, status, "{bytes:?}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let mut rest = String::new();
        let _ = connection.stream.read_to_string(&mut rest);
        assert_eq!(rest, "", "the second request is not answered after {bytes:?}");
    }
}

#[test]
fn a_chunk_that_can_be_read_in_two_ways_is_refused() {
    let mut bench = Bench::new(cluster(), "abuse_chunks");
    let gateway = Gateway::start(&bench);
    let key = create_key(&mut bench.client, "role => 'app'");
    let head = format!(
        "POST /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for body in ["1;x=y\r\na\r\n0\r\n\r\n", "1\na\n0\n\n", "1\r\nab\r\n0\r\n\r\n", "0\r\nX: y\r\n\r\n", "-1\r\n"] {
        let mut connection = gateway.connect();
        connection.send(format!("{head}{body}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
        let answer = connection.answer().unwrap();
        assert_eq!(answer.status, 400, "{body:?}: {answer:?}");
        assert!(connection.is_closed(), "{body:?}");
    }
    let mut connection = gateway.connect();
    connection.send(format!("{head}5\r\nhello\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
    assert_eq!(connection.answer().unwrap().status, 405, "a body that is well formed reaches the database");
    assert_eq!(connection.answer().unwrap().status, 200, "and the next request is found behind it");
}

#[test]
fn heads_and_bodies_that_are_too_large_are_refused_before_they_are_read() {
    let mut bench = Bench::new(cluster(), "abuse_sizes");
    let gateway = Gateway::start_with(&bench, &["--max-request", "64kB"]);
    let key = create_key(&mut bench.client, "role => 'app'");
    let bearer = format!("Bearer {key}");
    let long = "a".repeat(20 << 10);
    for headers in [vec![("x", long.as_str())], vec![("x", "y"); 101]] {
        let answer = gateway.get("/api/v1/me", &headers);
        assert_eq!((answer.status, answer.header("connection")), (431, Some("close")), "{answer:?}");
    }
    assert_eq!(gateway.get(&format!("/{long}"), &[]).status, 431);
    let headers = [("authorization", bearer.as_str())];
    let allowed = gateway.connect().request("POST", "/api/v1/me", &headers, &[b'x'; 64 << 10]);
    assert_eq!(allowed.status, 405, "the largest body reaches the database: {allowed:?}");
    // Of this body nothing is sent, and so nothing can have been read.
    let mut connection = gateway.connect();
    let head =
        format!("POST /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nContent-Length: 65537\r\n\r\n");
    connection.send(head).unwrap();
    assert_eq!(connection.answer().unwrap().status, 413);
    assert!(connection.is_closed());
    // A body that does not say its length.
    let mut connection = gateway.connect();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    connection
        .send(format!("POST /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}"))
        .unwrap();
    assert_eq!(connection.answer().unwrap().status, 413);
}

#[test]
fn a_client_that_sends_its_request_too_slowly_is_given_up() {
    let mut bench = Bench::new(cluster(), "abuse_slow");
    let gateway = Gateway::start_with(&bench, &["--request-timeout", "5s", "--connections", "1"]);
    let key = create_key(&mut bench.client, "role => 'app'");
    let mut half_head = gateway.connect();
    half_head.send("GET /api/v1/me HTTP/1.1\r\nHost: x\r\n").unwrap();
    let began = Instant::now();
    let mut half_body = gateway.connect();
    half_body
        .send(format!(
            "POST /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 10\r\n\r\nhalf"
        ))
        .unwrap();
    // It has the only connection to the database no more than the others.
    assert_eq!(gateway.me(&key).status, 200);
    assert_eq!(half_body.answer().unwrap().status, 408);
    assert!(half_body.is_closed());
    assert_eq!(half_head.answer().unwrap().status, 408);
    assert!(half_head.is_closed() && began.elapsed().as_secs() >= 9, "a head has ten seconds");
    let broken = {
        let mut connection = gateway.connect();
        connection.send("POST /api/v1/me HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
        drop(connection);
        gateway.me(&key)
    };
    assert_eq!(broken.status, 200, "a client that has gone disturbs nobody");
}

#[test]
fn unknown_paths_are_answered_without_the_database_and_all_alike() {
    // There is no database at all.
    let gateway = Gateway::start_for("host=/nonexistent dbname=x user=x", &[]);
    let shapes: Vec<_> =
        ["/index.html", "/in/whk_secret", "/api", "/settingsx", "/favicon.ico", "/login/a/b", "/heartbeat"]
            .map(|path| {
                let answer = gateway.get(path, &[]);
                let mut body = answer.json();
                body["request_id"].take();
                (answer.status, body.to_string(), answer.headers.len())
            })
            .into();
    assert_eq!(shapes[0].0, 404);
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:#?}");
    assert_eq!(gateway.get("/healthz", &[]).status, 200);
    let ready = gateway.get("/readyz", &[]);
    assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")), "{ready:?}");
}

#[test]
fn a_flood_of_keys_that_nobody_has_does_not_keep_out_those_that_somebody_has() {
    let mut bench = Bench::new(cluster(), "abuse_flood");
    let gateway = Gateway::start_with(&bench, &["--connections", "2"]);
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 100000");
    assert_eq!(gateway.me(&key).status, 200);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stopper = testkit::StopWhenDropped(&stop);
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = gateway.connect();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let random = wire::token::Token::random(wire::token::Kind::ApiKey, &mut rand::rng());
                    let bearer = format!("Bearer {}", random.expose());
                    let answer = connection.request("GET", "/api/v1/me", &[("authorization", &bearer)], b"");
                    assert!(matches!(answer.status, 401 | 503), "{answer:?}");
                }
            });
        }
        // A request that waits while the machine pauses for a second gets no connection. A few may.
        let kept_out = (0..200).filter(|_| gateway.me(&key).status != 200).count();
        assert!(kept_out <= 10, "{kept_out} of 200 were kept out");
    });
}
