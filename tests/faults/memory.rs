//! What the dispatcher takes of memory, and how long others wait, when events are large or many endpoints want them.
//!
//! `HYDRA_ENDPOINTS=20` and `HYDRA_REFUSING=4000` make long tests of it.

use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use testkit::receiver::Receiver;
use testkit::{Bench, Cluster, PATIENCE, let_pass, millis, number, wait_for_state, wait_until};

use crate::PATH;

/// The memory of the dispatcher never exceeds this, apart from the buffers that it shares with all processes.
const MOST: u64 = 256 << 20;

/// No event for a healthy endpoint arrives later than this. On a machine with nothing else to do it is less than a
/// second; other tests run at the same time, and the machine may pause.
const PROMPT: Duration = Duration::from_secs(5);

/// An endpoint that accepts connections and never reads or answers.
fn silent_endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || listener.incoming().map_while(Result::ok).collect::<Vec<_>>());
    url
}

/// The value of a line of `/proc/<pid>/status`, in bytes.
fn status(pid: i32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":")).expect("a known line");
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") << 10
}

/// The most memory that the process has used, apart from shared buffers.
fn peak(pid: i32) -> u64 {
    status(pid, "VmHWM") - status(pid, "RssShmem")
}

/// Emits events for a healthy endpoint until `is_over`, and returns the longest time that one took to arrive.
fn slowest(bench: &mut Bench, healthy: &Receiver, mut is_over: impl FnMut(&mut Bench) -> bool) -> Duration {
    let (mut slowest, mut sent) = (Duration::ZERO, 0);
    while !is_over(bench) {
        bench.emit("ticket.resolved", "{}");
        // The commit itself may wait for the disk, which is busy.
        let start = Instant::now();
        sent += 1;
        healthy.wait_for(PATH, sent, PATIENCE);
        slowest = slowest.max(start.elapsed());
        let_pass(millis(20));
    }
    println!("{sent} events to the healthy endpoint, the slowest after {slowest:?}");
    slowest
}

fn assert_modest(cluster: &Cluster, database: &str) {
    let peak = peak(cluster.dispatcher_pid(database));
    println!("the dispatcher took {} MB", peak >> 20);
    assert!(peak < MOST, "{} MB", peak >> 20);
}

/// Emits large events, each with other contents.
fn emit_large(bench: &mut Bench, events: usize, bytes: usize) {
    bench.run(&format!(
        "SELECT count(hydra.webhook_emit('ticket.created', jsonb_build_object('id', n::text, 'text',
                (SELECT string_agg(md5(n || ' ' || part), '') FROM generate_series(1, {}) AS part))))
         FROM generate_series(1, {events}) AS n",
        bytes / 32
    ));
}

#[test]
fn large_events_for_slow_endpoints_take_little_memory_and_delay_no_other_endpoint() {
    const EVENTS: usize = 200;
    let endpoints = number("HYDRA_ENDPOINTS").unwrap_or(8);
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "large");
    let healthy = Receiver::start();
    testkit::subscribe(&mut bench.client, &healthy.url(PATH), "ticket.resolved", &[]);
    let url = silent_endpoint();
    for _ in 0..endpoints {
        testkit::subscribe(&mut bench.client, &url, "ticket.created", &["timeout => '60 s'"]);
    }
    emit_large(&mut bench, EVENTS, 250_000);
    let rows = endpoints as i64 * EVENTS as i64;
    let slowest = slowest(&mut bench, &healthy, |bench| bench.count("delivery") == rows);
    assert_modest(&cluster, "large");
    assert!(slowest < PROMPT, "{slowest:?}");
}

#[test]
fn large_events_that_wait_when_the_dispatcher_starts_take_little_memory() {
    let cluster = Cluster::start(&[("hydra_webhooks.enabled", "off")]);
    let mut bench = Bench::new(&cluster, "start");
    bench.subscribe(PATH, "ticket.created", &[]);
    emit_large(&mut bench, 400, 250_000);
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    wait_for_state(&mut bench.client, "running");
    bench.wait_for_empty_queue();
    assert_modest(&cluster, "start");
    assert_eq!(bench.receiver.received(PATH), 400);
}

#[test]
fn a_large_event_for_many_endpoints_that_refuse_it_takes_little_memory_and_delays_no_other_endpoint() {
    let endpoints = number("HYDRA_REFUSING").unwrap_or(800) as i64;
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "refused");
    let healthy = Receiver::start();
    testkit::subscribe(&mut bench.client, &healthy.url(PATH), "ticket.resolved", &[]);
    // Nothing listens on this port.
    bench.run(&format!(
        "SELECT count(hydra.webhook_create('http://127.0.0.1:9/' || n, '{{ticket.created}}', retry_schedule => '{{1 h}}'))
         FROM generate_series(1, {endpoints}) AS n"
    ));
    emit_large(&mut bench, 1, 240_000);
    let slowest = slowest(&mut bench, &healthy, |bench| bench.count("webhook_history") == endpoints);
    wait_until("all wait", PATIENCE, || bench.count("delivery") == endpoints);
    assert_modest(&cluster, "refused");
    assert!(slowest < PROMPT, "{slowest:?}");
}

#[test]
fn the_health_of_many_endpoints_is_written_in_parts_so_that_events_are_read_in_between() {
    const ENDPOINTS: i64 = 3000;
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "parts");
    // Nothing listens on this port.
    bench.run(&format!(
        "SELECT count(hydra.webhook_create('http://127.0.0.1:9/' || n, '{{ticket.created}}', retry_schedule => '{{1 h}}'))
         FROM generate_series(1, {ENDPOINTS}) AS n"
    ));
    bench.emit("ticket.created", "{}");
    wait_until("all have failed", PATIENCE, || bench.count("subscription_health") == ENDPOINTS);
    let most: i64 = bench.ask(
        "SELECT max(number) FROM (SELECT count(*) AS number FROM hydra.subscription_health GROUP BY xmin::text) AS written",
    );
    assert!(most <= 500, "a transaction wrote the health of {most} subscriptions");
}
