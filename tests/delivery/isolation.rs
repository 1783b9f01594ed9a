//! Slow and dead endpoints do not delay deliveries to others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use testkit::receiver::{Answer, entity_numbers};
use testkit::{Bench, PATIENCE, let_pass, millis, wait_until, worker_status};

use crate::bench;

/// How long after its emit each event arrived, sorted.
fn latencies(bench: &mut Bench, events: RangeInclusive<usize>) -> Vec<Duration> {
    let mut emitted = BTreeMap::new();
    for event in events {
        bench.emit_ticket(event);
        emitted.insert(event, Instant::now());
        let_pass(millis(5));
    }
    // When each of these events arrived, by its number.
    let arrivals = |bench: &Bench| {
        let requests = bench.receiver.requests("/healthy");
        let arrivals = entity_numbers(&requests).into_iter().zip(requests.iter().map(|request| request.arrived));
        arrivals.filter(|(event, _)| emitted.contains_key(event)).collect::<Vec<_>>()
    };
    wait_until("the healthy endpoint has received all", PATIENCE, || arrivals(bench).len() >= emitted.len());
    let took = |(event, arrived): (usize, Instant)| arrived.saturating_duration_since(emitted[&event]);
    let mut latencies: Vec<Duration> = arrivals(bench).into_iter().map(took).collect();
    latencies.sort_unstable();
    latencies
}

/// Emits 200 events with numbers from `first` on, and asserts that they arrive at once. Tests that run at the same time
/// may load the machine, so this is tried several times: an endpoint that delays others delays them each time.
#[track_caller]
fn assert_prompt(bench: &mut Bench, first: usize) {
    let mut slow = Vec::new();
    for round in 0..8 {
        let latencies = latencies(bench, first + round * 200..=first + round * 200 + 199);
        let (p99, worst) = (latencies[197], latencies[199]);
        if p99 < millis(300) && worst < millis(1000) {
            return;
        }
        slow.push((p99, worst));
    }
    panic!("p99 and worst of each round: {slow:?}");
}

#[test]
fn with_one_dead_endpoint_of_ten_the_others_receive_each_event_once_and_at_once() {
    const EVENTS: usize = 20;
    let mut bench = bench("fan_out");
    let paths: Vec<String> = (0..10).map(|number| format!("/{number}")).collect();
    for path in &paths {
        bench.subscribe(path, "ticket.created", &["timeout => '10 s'", "retry_schedule => '{}'"]);
    }
    bench.receiver.answer("/9", Answer::hang());
    let start = Instant::now();
    bench.emit_tickets(1..=EVENTS);
    for path in &paths[..9] {
        bench.wait_for(path, EVENTS);
    }
    assert!(start.elapsed() < Duration::from_secs(9), "the others waited for the dead endpoint: {:?}", start.elapsed());

    // In the meantime the deliveries to the dead endpoint have moved to the retry queue and been given up.
    bench.wait_for_count("webhook_failed", EVENTS as i64);
    bench.wait_for_empty_queue();
    for path in &paths[..9] {
        let mut received = entity_numbers(&bench.receiver.requests(path));
        received.sort_unstable();
        assert_eq!(received, (1..=EVENTS).collect::<Vec<_>>(), "{path}");
    }
    assert_eq!(bench.history().len(), EVENTS);
}

#[test]
fn an_endpoint_that_hangs_does_not_delay_another_one() {
    let mut bench = bench("one_hangs");
    bench.subscribe("/hangs", "ticket.created", &["timeout => '3 s'", "retry_schedule => '{0.5 s,0.5 s}'"]);
    bench.subscribe("/healthy", "ticket.created", &[]);
    bench.receiver.answer("/hangs", Answer::hang());
    bench.emit_tickets(1..=300);
    bench.wait_for("/healthy", 300);
    assert_prompt(&mut bench, 301);
}

/// The system accepts the connections, and nobody reads from them.
fn silent_listener() -> Socket {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port on loopback");
    listener.listen(4096).expect("a bound socket");
    listener
}

#[test]
fn four_hundred_endpoints_that_hang_do_not_delay_another_one() {
    let mut bench = bench("many_hang");
    let listener = silent_listener();
    let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    bench.run(&format!(
        "SELECT count(hydra.webhook_create('http://{address}/' || n, '{{ticket.resolved}}', timeout => '60 s'))
         FROM generate_series(1, 400) AS n"
    ));
    bench.run("SELECT hydra.webhook_emit('ticket.resolved', '{}') FROM generate_series(1, 10)");
    wait_until("all of them hang", PATIENCE, || worker_status(&mut bench.client, "in_flight") == "4000");
    bench.subscribe("/healthy", "ticket.created", &[]);
    assert_prompt(&mut bench, 1);
}

#[test]
fn an_endpoint_that_is_slow_does_not_delay_another_one() {
    let mut bench = bench("one_is_slow");
    bench.subscribe("/slow", "ticket.created", &["max_in_flight => 2"]);
    bench.subscribe("/healthy", "ticket.created", &[]);
    bench.receiver.answer("/slow", Answer::ok().after(millis(100)));
    bench.emit_tickets(1..=3000);
    bench.wait_for("/healthy", 3000);
    assert_prompt(&mut bench, 3001);
}
