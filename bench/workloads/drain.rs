//! How fast a queue drains to one receiver: what the database costs on top of the network.
//!
//! The divisor is the same sender, given ready requests. It is driven with single requests and with chains, and the
//! better of the two is what counts. The dispatcher has a third more threads, since it keeps a quarter of them for
//! other subscriptions than a busy one; the subscription's limit is what makes both sides equal.

use super::Workload;
use crate::bare_sender::BareSender;
use crate::bed::Bed;
use crate::cost::Usage;
use crate::pairs::Pairs;
use crate::raw_client;
use crate::receiver::Receiver;
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["1"], name: "drain of a queue to one receiver", in_full_run: true, run };

const EVENTS: usize = 300_000;
const THREADS: usize = 64;
const CHAINS: [usize; 2] = [1, 8];

fn run(report: &mut Report) {
    let receiver = Receiver::start();
    let capacity = raw_client::capacity(&receiver);
    let mut bed = Bed::start(&[("hydra_webhooks.sender_threads", "86")]);
    bed.subscribe(&receiver.url("drain"), "ticket.created", &[&format!("max_in_flight => {THREADS}")]);
    let mut usage = Vec::new();
    let mut rates = CHAINS.map(|_| Vec::new());

    let drain = |bed: &mut Bed| drain(bed, &receiver, &mut usage);
    let pairs = Pairs::measure("drain / bare sender", &mut bed, drain, |bed| {
        bed.settle();
        better(&receiver, &mut rates)
    });

    let fastest = pairs.samples.iter().map(|pair| pair.0.max(pair.1)).fold(0.0, f64::max);
    let chains = CHAINS.iter().zip(&rates).map(|(chain, rates)| {
        format!("{chain} at a time {}", crate::report::number(crate::pairs::median(rates.iter().copied())))
    });
    let note = format!("the sender alone: {} /s", chains.collect::<Vec<_>>().join(", "));
    report.add(
        Row::new("1", "drain of 300,000 queued events to one receiver")
            .pairs(format!("the same sender, {THREADS} threads, no database"), &pairs, "/s")
            .at_least(0.80)
            .needs("2")
            .receiver(capacity, fastest)
            .cost(usage[usage.len() / 2].per(EVENTS))
            .note(note),
    );
}

fn drain(bed: &mut Bed, receiver: &Receiver, usage: &mut Vec<Usage>) -> f64 {
    bed.queue_events(EVENTS);
    let before = bed.usage();
    let took = bed.drain(EVENTS, receiver);
    usage.push(bed.usage() - before);
    EVENTS as f64 / took.as_secs_f64()
}

/// The better rate of those that the sender alone comes to.
fn better(receiver: &Receiver, rates: &mut [Vec<f64>; 2]) -> f64 {
    let url = receiver.url("bare");
    let mut best = 0.0;
    for (chain, rates) in CHAINS.into_iter().zip(rates) {
        let rate = BareSender::start(&url, THREADS, None).rate(EVENTS, chain);
        rates.push(rate);
        best = f64::max(best, rate);
    }
    best
}
