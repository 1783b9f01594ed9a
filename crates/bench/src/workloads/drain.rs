//! The rate at which a queue is *drained* (delivered until it is empty) to one receiver: the cost of the database in
//! addition to that of the network.
//!
//! The divisor is the rate of the same sender with prepared requests. It can get one or several requests at a time for
//! each thread; the best number is found first. The dispatcher has a third more threads, because it keeps a quarter of
//! them for subscriptions that are not busy. `max_in_flight` of the subscription gives both sides the same number of
//! requests in progress.

use std::time::Duration;

use super::Workload;
use crate::bare_sender::BareSender;
use crate::bed::Bed;
use crate::cost::{Usage, own_cpu_without};
use crate::pairs::{PAIRS, Pairs, median};
use crate::raw_client;
use crate::receiver::{self, Manner, Mark, Receiver, distinct};
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["1"], name: "drain of a queue to one receiver", in_full_run: true, run };

const EVENTS: usize = 300_000;
const THREADS: usize = 64;

/// How long the receiver may take to record what it answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// The numbers of requests at a time for one thread that are tried.
const CHAINS: [usize; 2] = [1, 32];
/// The number of requests of a trial, for about two seconds.
const TRIAL: usize = 60_000;

fn run(report: &mut Report) {
    let receiver = Receiver::with(Manner { mark: Mark::Delivery, ..Manner::default() });
    let capacity = raw_client::capacity(&receiver);
    receiver.take_arrivals();
    let (chain, trials) = best_chain(&receiver);
    let mut bed = Bed::start(&[("hydra_webhooks.sender_threads", "86")]);
    bed.subscribe(&receiver.url("drain"), "ticket.created", &[&format!("max_in_flight => {THREADS}")]);
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
            let rate = bare(&receiver, EVENTS, chain);
            bare_cpu.push((own_cpu_without(receiver::NAME) - before).as_secs_f64() * 1e6 / EVENTS as f64);
            rate
        },
    );
    // Measured again: the machine may have been slower at the beginning.
    let capacity = raw_client::capacity(&receiver).max(capacity);
    let fastest = pairs.samples.iter().map(|pair| pair.0.max(pair.1)).fold(0.0, f64::max);
    report.add(
        Row::new("1", "drain of 300,000 queued events to one receiver")
            .pairs(format!("the same sender, {THREADS} threads, no database"), &pairs, "/s")
            .at_least(0.80)
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

fn bare(receiver: &Receiver, requests: usize, chain: usize) -> f64 {
    let before = receiver.arrived();
    let rate = BareSender::start(&receiver.url("bare"), THREADS, None).rate(requests, chain);
    // The receiver answers before it records, so the last arrivals may still be missing.
    assert!(receiver.wait_for(before + requests, PATIENCE), "all requests arrived");
    receiver.take_arrivals();
    rate
}

/// Returns the best number of requests at a time for a thread of the sender, and the rate with each number that was
/// tried.
fn best_chain(receiver: &Receiver) -> (usize, String) {
    let trials = Pairs::measure(
        &format!("bare sender, {} at a time / {}", CHAINS[0], CHAINS[1]),
        &mut (),
        |()| bare(receiver, TRIAL, CHAINS[0]),
        |()| bare(receiver, TRIAL, CHAINS[1]),
    );
    let rates = [trials.one(), trials.other()];
    let best = if rates[0] > rates[1] { CHAINS[0] } else { CHAINS[1] };
    let found = CHAINS.iter().zip(rates).map(|(chain, rate)| format!("{chain} at a time {}/s", number(rate)));
    (best, format!("the sender alone: {}", found.collect::<Vec<_>>().join(", ")))
}
