//! What an endpoint answers, and what the attempt then counts as.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use testkit::receiver::{Answer, Request};
use testkit::{millis, subscribe};

use crate::{LATE, assert_within, bench};

fn gaps(requests: &[Arc<Request>]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].arrived - pair[0].arrived).collect()
}

/// An address that refuses connections, as long as the socket is there: nobody else can listen on its port.
fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("loopback has a free port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
    (socket, address)
}

#[test]
fn retry_after_moves_an_attempt_later_but_not_earlier_and_not_beyond_the_longest_delay() {
    let mut bench = bench("retry_after");
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{0.4 s,0.4 s,0.4 s,0.4 s,6 s}'"]);
    bench.receiver.answer_first("/", 1, Answer::retry_after("1"));
    bench.receiver.answer_first("/", 1, Answer::status(429).with_header("Retry-After", "0"));
    bench.receiver.answer_first("/", 1, Answer::retry_after("3600"));
    bench.receiver.answer_first("/", 1, Answer::status(500).with_header("Retry-After", "3600"));
    bench.emit_ticket(1);
    let gaps = gaps(&bench.wait_for("/", 5));
    assert_within("later", gaps[0], millis(1000), millis(1000) + LATE);
    assert_within("not earlier", gaps[1], millis(360), millis(440) + LATE);
    assert_within("at most the longest delay", gaps[2], millis(6000), millis(6000) + LATE);
    assert_within("only with 429 and 503", gaps[3], millis(360), millis(440) + LATE);
}

#[test]
fn a_receiver_that_asks_for_time_is_left_alone_until_then_and_what_was_not_sent_uses_no_attempt() {
    const IN_FLIGHT: usize = 4;
    const EVENTS: usize = 200;
    let mut bench = bench("asks_for_time");
    let more = ["max_in_flight => 4", "disable_after => 2", "retry_schedule => '{0.1 s,1 min}'"];
    let (id, _) = bench.subscribe("/", "ticket.created", &more);
    // All that are in flight get this answer, so late that they are under way before.
    bench.receiver.answer_first("/", IN_FLIGHT, Answer::retry_after("2").after(millis(1000)));
    bench.emit_tickets(1..=EVENTS);
    bench.wait_for_empty_queue();
    let requests = bench.receiver.requests("/");
    assert_eq!(requests.len(), EVENTS + IN_FLIGHT);
    let mut arrived: Vec<_> = requests.iter().map(|request| request.arrived).collect();
    arrived.sort_unstable();
    assert_within("the pause", arrived[IN_FLIGHT] - arrived[IN_FLIGHT - 1], millis(2000), millis(3000) + LATE);
    let attempts = bench.history();
    assert_eq!(attempts.iter().filter(|attempt| attempt.attempt == 1).count(), IN_FLIGHT, "{attempts:?}");
    assert_eq!(["status", "failed"].map(|column| bench.column(id, column)), ["active", "0"]);
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    let mut bench = bench("redirect");
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{}'"]);
    bench.receiver.answer("/", Answer::redirect(&bench.receiver.url("/elsewhere")));
    bench.emit_ticket(1);
    bench.wait_for_failed_delivery();
    let attempts = bench.history();
    assert_eq!((attempts.len(), attempts[0].status, attempts[0].class.as_deref()), (1, Some(302), Some("status")));
    assert_eq!((bench.receiver.received("/"), bench.receiver.received("/elsewhere")), (1, 0));
}

#[test]
fn the_timeout_covers_the_whole_exchange_and_counts_as_one_failed_attempt() {
    const LIMIT: Duration = Duration::from_millis(500);
    let mut bench = bench("timeouts");
    let hostile = [
        ("/hang", Answer::hang(), &["timeout"][..]),
        ("/drip", Answer::drip(millis(100)), &["timeout"]),
        ("/late", Answer::ok().after(Duration::from_secs(5)), &["timeout"]),
        ("/headers", Answer::endless_headers(), &["protocol"]),
        ("/interim", Answer::endless_informational(), &["protocol", "timeout"]),
    ];
    for (path, answer, classes) in &hostile {
        // What ends by itself has time for it on a busy machine.
        let limit = if classes.contains(&"timeout") { "timeout => '500 ms'" } else { "timeout => '20 s'" };
        bench.subscribe(path, "ticket.created", &[limit, "retry_schedule => '{1 s}'"]);
        bench.receiver.answer(path, answer.clone());
    }
    bench.emit_ticket(1);
    let attempts = bench.wait_for_history(2 * hostile.len() as i64);
    bench.wait_for_empty_queue();
    for ((path, _, classes), attempts) in hostile.iter().zip(attempts.chunks(2)) {
        assert_eq!(bench.receiver.received(path), 2, "{path}");
        for attempt in attempts {
            assert!(attempt.class.as_deref().is_some_and(|class| classes.contains(&class)), "{path}: {attempt:?}");
            assert_eq!((attempt.status, attempt.excerpt.as_deref()), (None, None), "{path}");
            let took = millis(attempt.ms.expect("a duration") as u64);
            assert!(took <= LIMIT + LATE, "{path}: {took:?}");
            assert!(classes != &["timeout"] || took >= LIMIT, "{path}: {took:?}");
        }
    }
    bench.wait_for_count("webhook_failed", hostile.len() as i64);
}

#[test]
fn an_answer_of_success_need_not_be_complete() {
    let mut bench = bench("endless_body");
    bench.subscribe("/", "ticket.created", &["timeout => '3 s'", "log_successes => true"]);
    bench.receiver.answer("/", Answer::endless_body());
    bench.emit_ticket(1);
    let attempts = bench.wait_for_history(1);
    bench.wait_for_empty_queue();
    assert_eq!((attempts[0].status, attempts[0].class.as_deref()), (Some(200), None));
    assert!(
        attempts[0].excerpt.as_ref().is_some_and(|excerpt| excerpt.len() <= 1024 && excerpt.starts_with("0123456789"))
    );
    assert_eq!(bench.receiver.received("/"), 1);
}

#[test]
fn the_history_says_what_is_wrong_with_an_answer_that_is_not_http() {
    let mut bench = bench("no_answers");
    let (_socket, refusing) = closed_port();
    let cases = [
        ("/garbage", Some(Answer::garbage()), "protocol"),
        ("/old", Some(Answer::raw(b"HTTP/0.9 200 OK\r\n\r\n")), "protocol"),
        ("/closed", Some(Answer::close()), "connection"),
        ("/refused", None, "connection"),
    ];
    for (path, answer, _) in &cases {
        match answer {
            Some(answer) => {
                bench.subscribe(path, "ticket.created", &["retry_schedule => '{}'"]);
                bench.receiver.answer(path, answer.clone());
            }
            None => {
                let url = format!("http://{refusing}/");
                subscribe(&mut bench.client, &url, "ticket.created", &["retry_schedule => '{}'"]);
            }
        }
    }
    bench.emit_ticket(1);
    let attempts = bench.wait_for_history(cases.len() as i64);
    for ((path, answer, class), attempt) in cases.iter().zip(&attempts) {
        assert_eq!((attempt.status, attempt.class.as_deref()), (None, Some(*class)), "{path}: {attempt:?}");
        assert!(attempt.error.as_ref().is_some_and(|error| !error.contains("SSH")), "{path}: {attempt:?}");
        if answer.is_some() {
            assert_eq!(bench.receiver.received(path), 1, "{path}: one attempt is one request");
        }
    }
    bench.wait_for_count("webhook_failed", cases.len() as i64);
}

#[test]
fn the_status_decides_whatever_else_the_head_of_the_answer_has() {
    let mut bench = bench("odd_heads");
    let policy = "x".repeat(20_000);
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    let answers = [
        ("/interim", format!("HTTP/1.1 100 Continue\r\nDate: today\r\n\r\n{ok}\r\n")),
        ("/large", format!("{ok}Content-Security-Policy: {policy}\r\n\r\n")),
        ("/many", format!("{ok}{}\r\n", "Set-Cookie: a=b\r\n".repeat(140))),
        ("/odd", format!("{ok}X Bad Header: 1\r\nServer : x\r\nX-Folded: a\r\n b\r\n\r\n")),
    ];
    for (path, answer) in &answers {
        bench.subscribe(path, "ticket.created", &["log_successes => true", "retry_schedule => '{}'"]);
        bench.receiver.answer(path, Answer::raw(answer.as_bytes()));
    }
    let (gone, _) = bench.subscribe("/gone", "ticket.created", &["log_successes => true"]);
    bench.receiver.answer("/gone", Answer::status(410).with_header("Content-Security-Policy", &policy));
    bench.emit_ticket(1);
    let attempts = bench.wait_for_history(5);
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 410].map(Some), "{attempts:?}");
    bench.wait_for_column(gone, "status", "disabled");
    assert_eq!(bench.column(gone, "disabled_reason"), "gone");
}

#[test]
fn an_answer_that_comes_before_the_body_was_read_decides() {
    let mut bench = bench("early_answers");
    let receiver = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    // Less than the body fits into the buffers of the connection.
    SockRef::from(&receiver).set_recv_buffer_size(4096).expect("a size");
    let url = format!("http://{}/", receiver.local_addr().expect("it is bound"));
    let (id, _) = subscribe(&mut bench.client, &url, "ticket.created", &["retry_schedule => '{}'"]);
    let serving = thread::spawn(move || {
        let (mut stream, _) = receiver.accept()?;
        stream.read_exact(&mut [0; 100])?;
        stream.write_all(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
    });
    bench.emit("ticket.created", &format!("{{\"id\": \"{}\"}}", "x".repeat(200_000)));
    bench.wait_for_column(id, "status", "disabled");
    assert_eq!(bench.column(id, "disabled_reason"), "gone");
    assert_eq!(bench.wait_for_history(1)[0].status, Some(410));
    serving.join().expect("no panic").expect("it answered");
}
