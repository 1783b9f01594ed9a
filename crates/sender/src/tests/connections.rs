use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Instant;

use super::receiver::{OK, Receiver, read_request, write_for_ever};
use super::*;
use crate::event_loop::MAX_AGE;

#[test]
fn a_connection_serves_request_after_request() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::allowing_loopback();
    for _ in 0..20 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn requests_that_follow_each_other_go_over_the_connection_that_was_used_last() {
    let used = Arc::new(Mutex::new(Vec::new()));
    let (list, both) = (used.clone(), Barrier::new(2));
    let receiver = Receiver::serving(move |number, mut stream| {
        let mut is_first = true;
        while read_request(&mut stream).is_some() {
            if std::mem::take(&mut is_first) {
                both.wait();
            }
            list.lock().unwrap().push(number);
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    let owner = Owner::allowing_loopback();
    owner.sender.hand_over([request(endpoint(receiver.url())), request(endpoint(receiver.url()))]);
    assert!(owner.next().outcome.is_success() && owner.next().outcome.is_success());
    for _ in 0..10 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
    let used = used.lock().unwrap();
    // The second of the first two threads may have become idle only after the third request.
    assert!(used[used.len() - 8..].iter().all(|number| Some(number) == used.last()), "{used:?}");
    assert_eq!(receiver.connections(), 2);
}

#[test]
fn a_connection_serves_again_after_a_failing_answer_with_a_body() {
    let body = "x".repeat(4000);
    let receiver = Receiver::answering(format!("HTTP/1.1 500 Oops\r\nContent-Length: 4000\r\n\r\n{body}"));
    let owner = Owner::allowing_loopback();
    for _ in 0..3 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 500);
    }
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn a_receiver_that_closes_after_each_answer_costs_no_attempt() {
    let receiver = Receiver::serving(|_, mut stream| {
        read_request(&mut stream);
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let owner = Owner::allowing_loopback();
    for _ in 0..20 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
    assert_eq!(receiver.connections(), 20);
}

/// Serves one request on each connection, and closes the connection when a second request comes.
fn closing_at_the_second(seen: Arc<AtomicUsize>) -> Receiver {
    Receiver::serving(move |_, mut stream| {
        seen.fetch_add(read_request(&mut stream).is_some().into(), Ordering::SeqCst);
        stream.write_all(OK.as_bytes()).unwrap();
        seen.fetch_add(read_request(&mut stream).is_some().into(), Ordering::SeqCst);
    })
}

#[test]
fn a_used_connection_that_closes_during_a_request_costs_no_attempt() {
    let seen = Arc::new(AtomicUsize::new(0));
    let receiver = closing_at_the_second(seen.clone());
    let owner = Owner::allowing_loopback();
    for _ in 0..3 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
    assert_eq!((receiver.connections(), seen.load(Ordering::SeqCst)), (3, 5));
}

#[test]
fn a_new_connection_that_closes_during_a_request_costs_an_attempt() {
    let receiver = Receiver::serving(|_, mut stream| {
        read_request(&mut stream);
    });
    let failure = Owner::allowing_loopback().failure_of(endpoint(receiver.url()));
    assert_eq!(failure.class, ErrorClass::Connection);
    assert_eq!(failure.message, "connection closed by the receiver before an answer came");
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn a_connection_with_bytes_left_over_is_not_used_again() {
    let receiver = Receiver::answering(format!("{OK}{OK}"));
    let owner = Owner::allowing_loopback();
    for _ in 0..2 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
    assert_eq!(receiver.connections(), 2);
}

#[test]
fn the_connection_of_an_endless_answer_is_dropped() {
    let receiver = Receiver::serving(|_, mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        write_for_ever(&mut stream, "8\r\nabcdefgh\r\n");
    });
    let owner = Owner::allowing_loopback();
    for _ in 0..2 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
    assert_eq!(receiver.connections(), 2);
}

#[test]
fn a_new_policy_closes_the_connections_of_the_old_one() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    owner.sender.set_policy(Arc::new(loopback_policy()));
    assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    assert_eq!(receiver.connections(), 2);

    owner.sender.set_policy(Arc::new(DestinationPolicy { allow_http: true, ..DestinationPolicy::default() }));
    assert_eq!(owner.failure_of(endpoint(receiver.url())).class, ErrorClass::Destination);
    assert_eq!(receiver.connections(), 2);
}

/// The endpoint of another subscription.
fn of_subscription(number: i64, url: String) -> Endpoint {
    Endpoint { subscription: SubscriptionId(number), ..endpoint(url) }
}

#[test]
fn subscriptions_do_not_share_connections() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::with(loopback_policy(), Roots::load(None).unwrap());
    for _ in 0..5 {
        for number in 1..=3 {
            assert_eq!(owner.status_of(of_subscription(number, receiver.url())), 200);
        }
    }
    assert_eq!(receiver.connections(), 3);
}

/// Two subscriptions have the same host. The handler of one of them sends a second answer a moment after the first.
#[test]
fn a_connection_is_not_used_for_another_host_or_port_although_the_subscription_is_the_same() {
    let (former, present) = (Receiver::answering(OK), Receiver::answering(OK));
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.status_of(endpoint(former.url())), 200);
    // The URL of the subscription has changed.
    assert_eq!(owner.status_of(endpoint(present.url())), 200);
    assert_eq!((former.connections(), present.connections()), (1, 1));
}

#[test]
fn an_answer_that_is_sent_ahead_is_not_taken_for_the_answer_to_another_subscription() {
    let receiver = Receiver::serving(|_, mut stream| {
        while let Some(request) = read_request(&mut stream) {
            stream.write_all(OK.as_bytes()).unwrap();
            if request.head.starts_with("POST /evil") {
                std::thread::sleep(Duration::from_micros(500));
                let _ = stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\nforged");
            }
        }
    });
    let url = |path: &str| format!("http://127.0.0.1:{}/{path}", receiver.port());
    let owner = Owner::with(loopback_policy(), Roots::load(None).unwrap());
    for _ in 0..500 {
        owner.sender.hand_over([request(of_subscription(1, url("evil"))), request(of_subscription(2, url("victim")))]);
        for attempt in [owner.next(), owner.next()] {
            assert!(attempt.subscription == SubscriptionId(1) || attempt.outcome.is_success(), "{attempt:?}");
        }
    }
}

#[test]
fn bytes_that_come_before_a_request_make_the_connection_useless() {
    let (sent, ahead) = std::sync::mpsc::channel();
    let sent = Mutex::new(sent);
    let receiver = Receiver::serving(move |_, mut stream| {
        while read_request(&mut stream).is_some() && stream.write_all(OK.as_bytes()).is_ok() {
            // The second answer comes in another segment, when the first one may have been read.
            std::thread::sleep(Duration::from_millis(20));
            let _ = stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
            let _ = sent.lock().unwrap().send(());
        }
    });
    let owner = Owner::with(loopback_policy(), Roots::load(None).unwrap());
    for number in 1..=5 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
        ahead.recv_timeout(PATIENCE).unwrap();
        assert_eq!(receiver.connections(), number);
    }
}

#[test]
fn a_connection_is_left_after_a_while_although_it_is_busy() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::with(loopback_policy(), Roots::load(None).unwrap());
    let started = Instant::now();
    while receiver.connections() < 3 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
        assert!(started.elapsed() < PATIENCE);
    }
    assert!(started.elapsed() >= 2 * MAX_AGE, "{:?}", started.elapsed());
}
