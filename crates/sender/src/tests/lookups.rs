//! Host names, and hosts with several addresses.

use std::net::{IpAddr, TcpListener};
use std::time::Instant;

use super::receiver::{OK, Receiver, closed, full};
use super::*;
use crate::destination::LookupError;

/// A directory in which each name has these addresses.
fn with_addresses(addresses: &'static [&str]) -> Directory {
    Directory::new(8, Box::new(|_| Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())))
}

fn any_loopback() -> DestinationPolicy {
    let allow_networks = AllowedNetwork::parse_list("127.0.0.0/8").unwrap();
    DestinationPolicy { allow_networks, allow_http: true }
}

fn owner(directory: Directory) -> Owner {
    Owner::with_directory(directory, any_loopback(), Roots::load(None).unwrap())
}

/// An endpoint with a name, and a connection for each request.
fn by_name(port: u16) -> Endpoint {
    Endpoint { timeout: Duration::from_secs(8), ..endpoint(format!("http://two.example:{port}/")) }
}

/// A receiver on another loopback address that has the same port as this one, and closes after each answer.
fn beside(port: u16) -> Receiver {
    Receiver::on((IpAddr::from([127, 0, 0, 2]), port), |_, mut stream| {
        super::receiver::read_request(&mut stream);
        let _ = std::io::Write::write_all(&mut stream, OK.as_bytes());
    })
}

#[test]
fn a_dead_first_address_costs_a_small_share_of_the_limit_and_only_once() {
    let (dead, _sockets) = full();
    let receiver = beside(dead.port());
    let owner = owner(with_addresses(&["127.0.0.1", "127.0.0.2"]));
    let share = Duration::from_millis(250);
    let took: Vec<_> = (0..6)
        .map(|_| {
            let attempt = owner.attempt(by_name(dead.port()));
            assert!(attempt.outcome.is_success(), "{attempt:?}");
            attempt.took
        })
        .collect();
    assert!(took[0] >= share && took[0] < Duration::from_secs(4), "{took:?}");
    // If it was tried first each time, none would be quick. On a busy machine some may be slow.
    assert!(took[1..].iter().any(|took| *took < share), "{took:?}");
    assert_eq!(receiver.connections(), 6);
}

#[test]
fn an_address_that_refuses_costs_nothing_and_the_last_error_is_reported() {
    let (closed, _socket) = closed();
    let receiver = beside(closed.port());
    let attempts: Vec<_> =
        (1..=5).map(|_| owner(with_addresses(&["127.0.0.1", "127.0.0.2"])).attempt(by_name(closed.port()))).collect();
    assert!(attempts.iter().all(|attempt| attempt.outcome.is_success()), "{attempts:?}");
    // On a busy machine some may be slow.
    assert!(attempts.iter().any(|attempt| attempt.took < Duration::from_millis(250)), "{attempts:?}");
    assert_eq!(receiver.connections(), 5);
    let failure = owner(with_addresses(&["127.0.0.1", "127.0.0.3"])).failure_of(by_name(closed.port()));
    assert_eq!((failure.class, &*failure.message), (ErrorClass::Connection, "connection refused"));
}

#[test]
fn dead_addresses_run_into_the_time_limit() {
    let (dead, _sockets) = full();
    let started = Instant::now();
    let endpoint = Endpoint { timeout: Duration::from_millis(500), ..by_name(dead.port()) };
    let failure = owner(with_addresses(&["127.0.0.1", "127.0.0.1"])).failure_of(endpoint);
    assert_eq!((failure.class, &*failure.message), (ErrorClass::Timeout, "time limit ran out before an answer came"));
    assert!(started.elapsed() >= Duration::from_millis(500) && started.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_address_that_is_not_allowed_is_never_connected_to_although_another_one_is_allowed() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let directory = with_addresses(&["127.0.0.2", "10.0.0.1"]);
    let failure = owner(directory).failure_of(by_name(port));
    assert!(failure.message.starts_with("host name resolves to an address that is not allowed"), "{}", failure.message);
    assert!(listener.accept().is_err());
}

#[test]
fn a_name_that_is_not_answered_in_time_is_no_fault_of_its_endpoint() {
    let (_kept_back, answer) = mpsc::channel::<()>();
    let answer = std::sync::Mutex::new(answer);
    let hanging = Directory::new(
        8,
        Box::new(move |_| {
            let _ = answer.lock().unwrap().recv();
            Err(LookupError::Unanswered)
        }),
    );
    let failure = owner(hanging).failure_of(Endpoint { timeout: Duration::from_millis(200), ..by_name(80) });
    assert!(failure.class.is_ours(), "{failure:?}");
    assert_eq!(failure.message, "time limit ran out while the host name was looked up");
}
