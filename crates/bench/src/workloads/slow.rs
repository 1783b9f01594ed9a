//! A receiver that takes a second to answer, with enough requests in flight to deliver all events.
//!
//! The memory is measured as well as the rate.

use std::time::{Duration, Instant};

use super::Workload;
use super::load::Pace;
use crate::bed::Bed;
use crate::cost::{memory_of, own_memory_of};
use crate::pairs::{PAIRS, Pairs};
use crate::raw_client;
use crate::receiver::{Manner, Receiver};
use crate::report::{Report, Row};

pub const WORKLOAD: Workload = Workload { numbers: &["14"], name: "a slow receiver", in_full_run: true, run };

const ANSWER_AFTER: Duration = Duration::from_secs(1);
const IN_FLIGHT: usize = 2_000;

/// The number of events in a batch. 2,000 events are emitted per second.
const LOT: usize = 100;
const LOT_EVERY: Duration = Duration::from_millis(50);
const LOTS_PER_WINDOW: u32 = 80;
/// The number of batches until the number of requests in flight no longer grows.
const WARM_UP_LOTS: u32 = 100;

fn run(report: &mut Report) {
    let receiver = Receiver::with(Manner { delay: ANSWER_AFTER, ..Manner::default() });
    let capacity = raw_client::rate_of_late_answers(&receiver, ANSWER_AFTER, 3 * IN_FLIGHT);
    let mut bed = Bed::start(&[]);
    bed.subscribe(&receiver.url("slow"), "ticket.created", &[&format!("max_in_flight => {IN_FLIGHT}")]);
    bed.send();
    let dispatcher = bed.dispatcher();

    let mut pace = Pace::new(LOT_EVERY);
    let mut offer = |bed: &mut Bed, lots| (0..lots).for_each(|_| pace.next(|| bed.emit("ticket.created", LOT)));
    offer(&mut bed, WARM_UP_LOTS);
    let (mut memory, mut own_memory) = (0.0, 0.0);
    let window = |_| {
        let (answered, start) = (receiver.answered(), Instant::now());
        offer(&mut bed, LOTS_PER_WINDOW);
        let seconds = start.elapsed().as_secs_f64();
        memory = f64::max(memory, memory_of(dispatcher));
        own_memory = f64::max(own_memory, own_memory_of(dispatcher));
        ((receiver.answered() - answered) as f64 / seconds, (LOTS_PER_WINDOW as usize * LOT) as f64 / seconds)
    };
    let pairs = Pairs::from((0..PAIRS).map(window).collect::<Vec<_>>());
    bed.wait_for_empty_queue();

    report.add(
        Row::new("14", "delivered at 2,000 in flight, receiver answers after 1 s")
            .pairs("offered", &pairs, "/s")
            .at_least(0.95)
            .receiver(capacity, pairs.one()),
    );
    report.add(
        Row::new("14", "resident memory of the dispatcher meanwhile")
            .figure(memory, "MB")
            .at_most(250.0)
            .note(format!("{own_memory:.0} MB of it its own, the rest shared with the server")),
    );
}
