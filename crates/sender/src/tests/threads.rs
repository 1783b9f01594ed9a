use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Instant;

use super::receiver::{OK, Receiver, read_request};
use super::*;
use crate::worker::QUICK;

/// A request that makes the clock overflow inside the client, which panics.
fn panicking(url: String) -> Endpoint {
    Endpoint { timeout: Duration::MAX, ..endpoint(url) }
}

#[test]
fn no_request_is_made_after_the_gate_was_closed() {
    let receiver = Receiver::answering(OK);
    let paused = endpoint(receiver.url());
    paused.gate.close();
    assert_eq!(Owner::allowing_loopback().outcome_of(paused), Outcome::NotStarted);
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn a_gate_that_closes_while_a_request_waits_for_a_thread_stops_it() {
    let (receiver, kept) = Receiver::keeping();
    let (arrived, first) = channel();
    let (release, released) = channel::<()>();
    let (arrived, released) = (Mutex::new(arrived), Mutex::new(released));
    let busy = Receiver::serving(move |_, mut stream| {
        read_request(&mut stream);
        arrived.lock().unwrap().send(()).unwrap();
        let _ = released.lock().unwrap().recv();
    });
    let owner = Owner::with(1, loopback_policy(), Roots::load(None).unwrap());
    let waiting = request(endpoint(receiver.url()));
    let gate = waiting.endpoint.clone();
    owner.sender.hand_over([request(endpoint(busy.url())), waiting]);
    first.recv_timeout(PATIENCE).unwrap();
    gate.gate.close();
    drop(release);
    assert!(matches!(owner.next().outcome, Outcome::Failed(_)));
    assert_eq!(owner.next().outcome, Outcome::NotStarted);
    assert!(kept.lock().unwrap().is_empty());
}

/// A chain of requests one to four.
fn chain_of_four(endpoint: Endpoint) -> Request {
    let endpoint = Arc::new(endpoint);
    let chain = (1..=4).rev().fold(None, |next: Option<Box<Request>>, number| {
        let delivery = DeliveryId([number; 16]);
        Some(Box::new(Request { delivery, endpoint: endpoint.clone(), next, ..request(with_short_limit("")) }))
    });
    *chain.expect("four requests")
}

#[test]
fn the_requests_of_a_chain_are_made_in_their_order_over_one_connection_if_answers_come_quickly() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::allowing_loopback();
    owner.sender.hand_over([chain_of_four(endpoint(receiver.url()))]);
    let attempts: Vec<_> = (1..=4).map(|_| owner.next()).collect();
    assert!(attempts.iter().all(|attempt| attempt.outcome.is_success()), "{attempts:?}");
    assert!(attempts.iter().map(|attempt| attempt.delivery.0[0]).eq(1..=4), "{attempts:?}");
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn requests_behind_a_slow_one_in_a_chain_come_back_in_their_order() {
    let slow = Receiver::serving(|_, mut stream| {
        read_request(&mut stream);
        std::thread::sleep(2 * QUICK);
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let owner = Owner::allowing_loopback();
    owner.sender.hand_over([chain_of_four(endpoint(slow.url()))]);
    let attempts: Vec<_> = (1..=4).map(|_| owner.next()).collect();
    assert!(attempts[0].outcome.is_success());
    assert!(attempts[1..].iter().all(|attempt| attempt.outcome == Outcome::NotStarted), "{attempts:?}");
    // The dispatcher queues them again in this order, which may have been promised to the subscription.
    assert!(attempts.iter().map(|attempt| attempt.delivery.0[0]).eq(1..=4), "{attempts:?}");
}

#[test]
fn a_panic_costs_one_attempt_and_no_thread() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::with(1, loopback_policy(), Roots::load(None).unwrap());
    for _ in 0..3 {
        assert_eq!(owner.failure_of(panicking(receiver.url())).class, ErrorClass::Internal);
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
}

#[test]
fn a_receiver_that_hangs_delays_no_other_receiver() {
    let (hanging, receiver) = (Receiver::silent(), Receiver::answering(OK));
    let owner = Owner::with(2, loopback_policy(), Roots::load(None).unwrap());
    owner.sender.hand_over([request(endpoint(hanging.url()))]);
    for _ in 0..20 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
}

#[test]
fn the_threads_of_the_sender_run_while_others_leave_a_processor_free() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.join("stat")).ok());
    // After the name in parentheses: the scheduling policy is field 41, the first one after the name is field 3.
    let policies = stats.filter_map(|stat| {
        let (_, rest) = stat.split_once("(hydra sender) ")?;
        rest.split(' ').nth(41 - 3)?.parse::<i32>().ok()
    });
    // Other tests may have threads that are just starting.
    assert!(policies.collect::<Vec<_>>().contains(&libc::SCHED_BATCH));
}

#[test]
fn every_request_of_a_burst_comes_back() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::with(4, loopback_policy(), Roots::load(None).unwrap());
    owner.sender.hand_over((0..500).map(|_| request(endpoint(receiver.url()))));
    for _ in 0..500 {
        assert!(owner.next().outcome.is_success());
    }
    assert!(receiver.connections() <= 4);
}

#[test]
fn a_stop_waits_for_requests_under_way() {
    let (arrived, on_its_way) = channel();
    let arrived = Mutex::new(arrived);
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let receiver = Receiver::serving(move |_, mut stream| {
        read_request(&mut stream);
        arrived.lock().unwrap().send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        std::io::Write::write_all(&mut stream, OK.as_bytes()).unwrap();
    });
    let owner = Owner::with(1, loopback_policy(), Roots::load(None).unwrap());
    owner.sender.hand_over([request(endpoint(receiver.url())), request(endpoint(receiver.url()))]);
    on_its_way.recv_timeout(PATIENCE).unwrap();
    let stopping = std::thread::spawn(move || owner.sender.stop(PATIENCE));
    // The requests that were not started come back first. This shows that the stop has begun.
    let waited = owner.outcomes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(waited.outcome, Outcome::NotStarted);
    drop(release);
    assert_eq!(stopping.join().unwrap(), 0);
    assert!(owner.outcomes.recv_timeout(PATIENCE).unwrap().outcome.is_success());
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn a_stop_cuts_off_requests_that_hang_and_does_not_report_them() {
    let receiver = Receiver::silent();
    let owner = Owner::allowing_loopback();
    owner.sender.hand_over((0..8).map(|_| request(endpoint(receiver.url()))));
    let started = Instant::now();
    while receiver.connections() < 8 {
        assert!(started.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let started = Instant::now();
    assert_eq!(owner.sender.stop(Duration::from_millis(50)), 0);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(owner.outcomes.try_recv().is_err());
}

#[test]
fn a_stop_without_work_is_immediate() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    let started = Instant::now();
    assert_eq!(owner.sender.stop(PATIENCE), 0);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_thread_with_nothing_to_do_ends_and_closes_its_connection() {
    let (closed, end) = channel();
    let closed = Mutex::new(closed);
    let receiver = Receiver::serving(move |_, mut stream| {
        while read_request(&mut stream).is_some() {
            std::io::Write::write_all(&mut stream, OK.as_bytes()).unwrap();
        }
        let _ = closed.lock().unwrap().send(());
    });
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    end.recv_timeout(PATIENCE).unwrap();
    assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    assert_eq!(receiver.connections(), 2);
}
