use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use super::receiver::{OK, Receiver, read_request, write_for_ever};
use super::*;

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
