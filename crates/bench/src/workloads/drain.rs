//! The rate at which a queue is *drained* (delivered until it is empty) to one receiver: the cost of the database in
//! addition to that of the network.
//!
//! The divisor is the rate of the same sender with prepared requests. It gets some or many more requests than may be in
//! flight; the best number is found first.

use std::time::Duration;

use super::Workload;
use crate::bare_sender::{BareSender, IN_FLIGHT};
use crate::bed::Bed;
use crate::cost::{Usage, own_cpu_without};
use crate::pairs::{PAIRS, Pairs, median};
use crate::raw_client;
use crate::receiver::{self, Manner, Mark, Receiver, distinct};
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["1"], name: "drain of a queue to one receiver", in_full_run: true, run };

const EVENTS: usize = 300_000;

/// How long the receiver may take to record what it answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// The numbers of requests that are tried, of those that are handed over in addition to those in flight.
const AHEAD: [usize; 2] = [64, 1000];
/// The number of requests of a trial, for about two seconds.
const TRIAL: usize = 60_000;

fn run(report: &mut Report) {
    let receiver = Receiver::with(Manner { mark: Mark::Delivery, ..Manner::default() });
    let capacity = raw_client::capacity(&receiver);
    receiver.take_arrivals();
    let (ahead, trials) = best_ahead(&receiver);
    let mut bed = Bed::start(&[]);
    bed.subscribe(&receiver.url("drain"), "ticket.created", &[&format!("max_in_flight => {IN_FLIGHT}")]);
    let (mut usage, mut bare_cpu, mut twice) = (Vec::new(), Vec::new(), 0);
    let pairs = Pairs::measure_evenly(
        PAIRS,
        "drain / bare sender",
        &mut bed,
        |bed| {
            let (rate, used) = drain(bed, &receiver);
            let arrivals = receiver.take_arrivals();
            let different = distinct(&arrivals);
            assert!(different == EVENTS, "{different} of {EVENTS} deliveries arrived");
            twice += arrivals.len() - different;
            usage.push(used);
            rate
        },
        |bed| {
            bed.settle();
            let before = own_cpu_without(receiver::NAME);
            let rate = bare(&receiver, EVENTS, ahead);
            bare_cpu.push((own_cpu_without(receiver::NAME) - before).as_secs_f64() * 1e6 / EVENTS as f64);
            rate
        },
    );
    // Measured again: the machine may have been slower at the beginning.
    let capacity = raw_client::capacity(&receiver).max(capacity);
    let fastest = pairs.samples.iter().map(|pair| pair.0.max(pair.1)).fold(0.0, f64::max);
    report.add(
        Row::new("1", "drain of 300,000 queued events to one receiver")
            .pairs("the same sender without a database", &pairs, "/s")
            .at_least(0.75)
            .needs("2")
            .receiver(capacity, fastest)
            .cost(usage[usage.len() / 2].per(EVENTS))
            .note(format!("the sender alone uses {:.1} µs CPU per request", median(bare_cpu)))
            .note(format!("0 deliveries lost, {twice} made twice"))
            .note(format!("{} deliveries went through the retry queue", number(bed.retry_queue_rows() as f64)))
            .note(trials),
    );
}

fn drain(bed: &mut Bed, receiver: &Receiver) -> (f64, Usage) {
    bed.queue_events(EVENTS);
    let before = bed.usage();
    let took = bed.drain(EVENTS, receiver);
    (EVENTS as f64 / took.as_secs_f64(), bed.usage() - before)
}

fn bare(receiver: &Receiver, requests: usize, ahead: usize) -> f64 {
    let before = receiver.arrived();
    let rate = BareSender::start(&receiver.url("bare"), None).rate(requests, IN_FLIGHT, ahead);
    // The receiver answers before it records, so the last arrivals may still be missing.
    assert!(receiver.wait_for(before + requests, PATIENCE), "all requests arrived");
    receiver.take_arrivals();
    rate
}

/// Returns the best number of requests that are handed over ahead, and the rate with each number that was tried.
fn best_ahead(receiver: &Receiver) -> (usize, String) {
    let trials = Pairs::measure(
        &format!("bare sender, {} ahead / {}", AHEAD[0], AHEAD[1]),
        &mut (),
        |()| bare(receiver, TRIAL, AHEAD[0]),
        |()| bare(receiver, TRIAL, AHEAD[1]),
    );
    let rates = [trials.one(), trials.other()];
    let best = if rates[0] > rates[1] { AHEAD[0] } else { AHEAD[1] };
    let found = AHEAD.iter().zip(rates).map(|(ahead, rate)| format!("{ahead} ahead {}/s", number(rate)));
    (best, format!("the sender alone: {}", found.collect::<Vec<_>>().join(", ")))
}
