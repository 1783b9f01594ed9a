use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use super::receiver::{OK, Received, Receiver, read_request};
use super::*;
use crate::event_loop::MAX_WAIT;

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

/// A receiver that answers when the sender is dropped. Each request that arrives is reported.
fn holding() -> (Receiver, std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<()>) {
    let (arrived, arrivals) = channel();
    let (release, released) = channel::<()>();
    let (arrived, released) = (Mutex::new(arrived), Mutex::new(released));
    let receiver = Receiver::serving(move |_, mut stream| {
        while read_request(&mut stream).is_some() {
            arrived.lock().unwrap().send(()).unwrap();
            let _ = released.lock().unwrap().recv();
            if stream.write_all(OK.as_bytes()).is_err() {
                break;
            }
        }
    });
    (receiver, arrivals, release)
}

/// Requests one to `count` to one endpoint, of which one may be in flight at a time.
fn one_at_a_time(endpoint: Endpoint, count: u8) -> Vec<Request> {
    let endpoint = Arc::new(endpoint);
    let numbered = |number| Request {
        delivery: DeliveryId([number; 16]),
        endpoint: endpoint.clone(),
        max_in_flight: 1,
        ..request(with_short_limit(""))
    };
    (1..=count).map(numbered).collect()
}

#[test]
fn a_gate_that_closes_while_a_request_waits_for_another_stops_it() {
    let (receiver, arrivals, release) = holding();
    let owner = Owner::allowing_loopback();
    let requests = one_at_a_time(endpoint(receiver.url()), 2);
    let endpoint = requests[0].endpoint.clone();
    owner.sender.hand_over(requests);
    arrivals.recv_timeout(PATIENCE).unwrap();
    endpoint.gate.close();
    drop(release);
    let attempts = [owner.next(), owner.next()];
    let not_started = attempts.iter().filter(|attempt| attempt.outcome == Outcome::NotStarted);
    assert_eq!(not_started.map(|attempt| attempt.delivery).collect::<Vec<_>>(), [DeliveryId([2; 16])]);
    assert!(attempts.iter().any(|attempt| attempt.outcome.is_success()), "the first one had begun: {attempts:?}");
    assert!(arrivals.try_recv().is_err(), "the second one never arrived");
}

#[test]
fn a_gate_that_closes_while_a_connection_is_being_opened_stops_the_request() {
    let (kept_back, addresses) = channel::<()>();
    let addresses = Mutex::new(addresses);
    let directory = Directory::new(
        8,
        Box::new(move |_| {
            let _ = addresses.lock().unwrap().recv();
            Ok(vec![[127, 0, 0, 1].into()])
        }),
    );
    let (receiver, kept) = Receiver::keeping();
    let owner = Owner::with_directory(directory, loopback_policy(), Roots::load(None).unwrap());
    let paused = request(endpoint(format!("http://receiver.example:{}/", receiver.port())));
    let endpoint = paused.endpoint.clone();
    owner.sender.hand_over([paused]);
    endpoint.gate.close();
    drop(kept_back);
    assert_eq!(owner.next().outcome, Outcome::NotStarted);
    assert!(kept.lock().unwrap().is_empty());
}

#[test]
fn requests_to_one_endpoint_are_made_in_their_order_over_one_connection_if_one_may_be_in_flight() {
    for _ in 0..50 {
        let receiver = Receiver::answering(OK);
        let owner = Owner::allowing_loopback();
        owner.sender.hand_over(one_at_a_time(endpoint(receiver.url()), 20));
        let attempts: Vec<_> = (1..=20).map(|_| owner.next()).collect();
        if attempts.iter().any(|attempt| attempt.outcome == Outcome::NotStarted) {
            // A busy machine may take longer than a request may wait.
            continue;
        }
        assert!(attempts.iter().all(|attempt| attempt.outcome.is_success()), "{attempts:?}");
        assert!(attempts.iter().map(|attempt| attempt.delivery.0[0]).eq(1..=20), "{attempts:?}");
        assert_eq!(receiver.connections(), 1);
        return;
    }
    panic!("some requests came back each time");
}

#[test]
fn no_more_requests_are_in_flight_than_the_endpoint_may_have() {
    let (receiver, arrivals, release) = holding();
    let owner = Owner::allowing_loopback();
    let endpoint = Arc::new(endpoint(receiver.url()));
    let of_three = || Request { endpoint: endpoint.clone(), max_in_flight: 3, ..request(with_short_limit("")) };
    owner.sender.hand_over((0..10).map(|_| of_three()));
    (0..3).for_each(|_| arrivals.recv_timeout(PATIENCE).unwrap());
    // The others come back, because they have waited for long.
    let given_back: Vec<_> = (0..7).map(|_| owner.next().outcome).collect();
    assert!(given_back.iter().all(|outcome| *outcome == Outcome::NotStarted), "{given_back:?}");
    assert!(arrivals.try_recv().is_err());
    drop(release);
    (0..3).for_each(|_| assert!(owner.next().outcome.is_success()));
}

#[test]
fn requests_behind_one_that_hangs_come_back_in_their_order_and_soon() {
    let (receiver, arrivals, _release) = holding();
    let owner = Owner::allowing_loopback();
    owner.sender.hand_over(one_at_a_time(endpoint(receiver.url()), 4));
    arrivals.recv_timeout(PATIENCE).unwrap();
    let started = Instant::now();
    let attempts: Vec<_> = (2..=4).map(|_| owner.next()).collect();
    // The rest is for a busy machine. The request that hangs has twenty seconds.
    assert!(started.elapsed() < 100 * MAX_WAIT, "{:?}", started.elapsed());
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::NotStarted), "{attempts:?}");
    // The dispatcher queues them again in this order, which may have been promised to the subscription.
    assert!(attempts.iter().map(|attempt| attempt.delivery.0[0]).eq(2..=4), "{attempts:?}");
}

#[test]
fn a_panic_costs_one_attempt_and_no_thread() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::with(loopback_policy(), Roots::load(None).unwrap());
    for _ in 0..3 {
        assert_eq!(owner.failure_of(panicking(receiver.url())).class, ErrorClass::Internal);
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
}

#[test]
fn a_receiver_that_hangs_delays_no_other_receiver() {
    let (hanging, receiver) = (Receiver::silent(), Receiver::answering(OK));
    let owner = Owner::with(loopback_policy(), Roots::load(None).unwrap());
    owner.sender.hand_over([request(endpoint(hanging.url()))]);
    for _ in 0..20 {
        assert_eq!(owner.status_of(endpoint(receiver.url())), 200);
    }
}

#[test]
fn every_request_of_a_burst_comes_back() {
    let receiver = Receiver::answering(OK);
    let owner = Owner::allowing_loopback();
    let (mut left, mut made) = (500, 0);
    while made < 500 {
        owner.sender.hand_over((0..std::mem::take(&mut left)).map(|_| request(endpoint(receiver.url()))));
        match owner.next().outcome {
            // A busy machine may take longer than a request may wait.
            Outcome::NotStarted => left += 1,
            outcome if outcome.is_success() => made += 1,
            outcome => panic!("{outcome:?}"),
        }
    }
    assert!(receiver.connections() <= 8);
}

#[test]
fn a_stop_waits_for_requests_under_way() {
    let (receiver, arrivals, release) = holding();
    let owner = Owner::allowing_loopback();
    owner.sender.hand_over(one_at_a_time(endpoint(receiver.url()), 2));
    arrivals.recv_timeout(PATIENCE).unwrap();
    let stopping = std::thread::spawn(move || owner.sender.stop(PATIENCE));
    // The request that was not started comes back first. This shows that the stop has begun, or that it has waited long.
    let waited = owner.outcomes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(waited.outcome, Outcome::NotStarted);
    drop(release);
    assert_eq!(stopping.join().unwrap(), 0);
    assert!(owner.outcomes.recv_timeout(PATIENCE).unwrap().outcome.is_success());
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn a_stop_cuts_off_lookups_and_connections_that_are_being_opened() {
    let (_kept_back, addresses) = channel::<()>();
    let addresses = Mutex::new(addresses);
    let (asked, asks) = channel();
    let directory = Directory::new(
        8,
        Box::new(move |_| {
            asked.send(()).unwrap();
            let _ = addresses.lock().unwrap().recv();
            Ok(vec![[127, 0, 0, 1].into()])
        }),
    );
    let (full, _sockets) = receiver::full();
    let owner = Owner::with_directory(directory, loopback_policy(), Roots::load(None).unwrap());
    owner
        .sender
        .hand_over([request(endpoint("http://receiver.example/")), request(endpoint(format!("http://{full}/")))]);
    asks.recv_timeout(PATIENCE).unwrap();
    let started = Instant::now();
    assert_eq!(owner.sender.stop(Duration::from_millis(50)), 0);
    assert!(started.elapsed() < PATIENCE / 2);
    assert!(owner.outcomes.try_recv().is_err());
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
    assert!(started.elapsed() < PATIENCE / 2);
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
fn a_connection_with_nothing_to_do_is_closed_after_a_while() {
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

/// A receiver whose queue has room for two connections that were not accepted.
fn with_a_short_queue() -> (TcpListener, String) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    let listener = TcpListener::from(listener);
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn id_of(request: &Received) -> &str {
    request.header("x-hydra-delivery").unwrap()
}

#[test]
fn a_receiver_with_a_short_queue_that_accepts_one_connection_after_the_other_gets_each_request_once() {
    let (listener, url) = with_a_short_queue();
    let received = std::thread::spawn(move || {
        let one = |_| {
            let mut stream = listener.accept().unwrap().0;
            let request = read_request(&mut stream).unwrap();
            stream.write_all(OK.as_bytes()).unwrap();
            id_of(&request).to_owned()
        };
        (0..5).map(one).collect::<BTreeSet<String>>()
    });
    let owner = Owner::allowing_loopback();
    let numbered = |number| Request { delivery: DeliveryId([number; 16]), ..request(endpoint(url.as_str())) };
    owner.sender.hand_over((1..=5).map(numbered));
    // Those for which there is no room are tried again by the system, after a second and later.
    let attempts: Vec<_> = (0..5).map(|_| owner.next()).collect();
    assert!(attempts.iter().all(|attempt| attempt.outcome.is_success()), "{attempts:?}");
    assert_eq!(received.join().unwrap().len(), 5);
}

#[test]
fn a_request_that_waits_in_the_queue_of_a_receiver_fails_when_its_time_ends_and_is_there_afterwards() {
    let (listener, url) = with_a_short_queue();
    let owner = Owner::allowing_loopback();
    owner.sender.hand_over((0..2).map(|_| request(with_short_limit(url.as_str()))));
    for _ in 0..2 {
        match owner.next().outcome {
            Outcome::Failed(Failure { class: ErrorClass::Timeout, message }) => {
                assert_eq!(message, "time limit ran out before an answer came");
            }
            other => panic!("{other:?}"),
        }
    }
    for _ in 0..2 {
        let mut stream = listener.accept().unwrap().0;
        let late = read_request(&mut stream).expect("the whole request");
        assert_eq!((id_of(&late), late.body.as_str()), ("09090909-0909-0909-0909-090909090909", BODY));
    }
}
