//! One healthy endpoint beside hundreds that hang or thousands that refuse, and how long its deliveries take.
//!
//! The healthy endpoint has a name. The others accept connections and never answer, or refuse connections, or have names
//! that the name server never answers.

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use testkit::names::{HANGING, NameServer};

use super::Workload;
use super::load::Pace;
use crate::bed::Bed;
use crate::cost::memory_of;
use crate::pairs::percentile;
use crate::receiver::{Manner, Mark, Receiver};
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["22"], name: "one healthy endpoint beside many others", in_full_run: true, run };

/// The interval of events for the healthy endpoint, and for all others.
const EVERY: Duration = Duration::from_millis(50);
const OTHERS_EVERY: Duration = Duration::from_secs(5);

/// The number of events for each of the others at the beginning.
const BURST: usize = 10;

const PATIENCE: Duration = Duration::from_secs(120);

struct Case {
    what: &'static str,
    others: usize,
    /// The URL of another endpoint is this with its number in place of `#`.
    url: String,
    timeout: &'static str,
    /// The size of the entity of the events for the others, and how many there are at the beginning.
    entity_bytes: usize,
    burst: usize,
    /// How long it is measured.
    time: Duration,
}

fn run(report: &mut Report) {
    let names = match NameServer::start() {
        Ok(names) => names,
        Err(reason) => return report.add(Row::skipped("22", "a healthy endpoint beside others", reason)),
    };
    let hangs = format!("http://{}/#", never_answering());
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let case = |what, others, url, timeout, seconds| {
        let time = Duration::from_secs(seconds);
        Case { what, others, url, timeout, entity_bytes: 130, burst: BURST, time }
    };
    let cases = [
        case("400 that never answer, limit 8 s", 400, hangs.clone(), "8 s", 45),
        case("400 that never answer, limit 60 s", 400, hangs, "60 s", 75),
        Case {
            entity_bytes: 240_000,
            burst: 1,
            ..case("4,000 that refuse one event of 240 kB", 4000, format!("http://{closed}/#"), "8 s", 40)
        },
        case("400 whose names hang", 400, format!("http://{HANGING}#.receiver.example:{}/", closed.port()), "8 s", 45),
    ];
    for case in cases {
        measure(report, &case, &names);
    }
}

/// Starts a receiver that accepts connections and never answers, and returns its address.
fn never_answering() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        let kept: Vec<_> = listener.incoming().collect();
        drop(kept);
    });
    address
}

fn measure(report: &mut Report, case: &Case, names: &NameServer) {
    let receiver = Receiver::with(Manner { mark: Mark::NumberAfter("\"number\": "), ..Manner::default() });
    let mut bed = Bed::start_within(names.surroundings(), &[("hydra_webhooks.max_entity_size", "1MB")]);
    let healthy = format!("http://healthy.receiver.example:{}/", receiver.address().port());
    bed.subscribe(&healthy, "ticket.resolved", &[]);
    bed.run(&format!(
        "SELECT count(hydra.webhook_create(replace('{}', '#', n::text), '{{ticket.created}}', timeout => '{}'))
         FROM generate_series(1, {}) AS n",
        case.url, case.timeout, case.others
    ));
    bed.settle();
    bed.send();
    let dispatcher = bed.dispatcher();

    let mut others = bed.session();
    let emit = |count| {
        format!(
            "SELECT count(hydra.webhook_emit('ticket.created', jsonb_build_object('text', repeat('x', {}))))
             FROM generate_series(1, {count})",
            case.entity_bytes
        )
    };
    others.batch_execute(&emit(case.burst)).expect("events can be emitted");
    let (start, mut last) = (Instant::now(), Instant::now());
    let (mut emitted, mut memory) = (Vec::new(), 0.0);
    let mut pace = Pace::new(EVERY);
    while start.elapsed() < case.time {
        pace.next(|| {
            if case.burst > 1 && last.elapsed() > OTHERS_EVERY {
                last = Instant::now();
                others.batch_execute(&emit(1)).expect("events can be emitted");
            }
            emitted.push(Instant::now());
            let number = emitted.len() - 1;
            bed.run(&format!("SELECT hydra.webhook_emit('ticket.resolved', '{{\"number\": {number}}}')"));
        });
        memory = f64::max(memory, memory_of(dispatcher));
    }
    assert!(receiver.wait_for(emitted.len(), PATIENCE), "{} of {} arrived", receiver.arrived(), emitted.len());
    let arrivals = receiver.take_arrivals();
    let waits: Vec<f64> = arrivals
        .iter()
        .map(|arrival| arrival.at.saturating_duration_since(emitted[arrival.mark as usize]).as_secs_f64() * 1e3)
        .collect();
    let row = |what: &str, value: f64, most: f64| {
        Row::new("22", format!("{what} of a healthy endpoint beside {}", case.what)).figure(value, "ms").at_most(most)
    };
    let median = percentile(waits.iter().copied(), 0.5);
    report.add(row("longest wait", percentile(waits.iter().copied(), 1.0), 1000.0));
    report.add(row("99 % of the waits", percentile(waits, 0.99), 300.0).note(format!("median {} ms", number(median))));
    report.add(
        Row::new("22", format!("resident memory of the dispatcher, {}", case.what)).figure(memory, "MB").at_most(250.0),
    );
}
