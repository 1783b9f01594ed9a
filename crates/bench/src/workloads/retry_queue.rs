//! A million deliveries of the retry queue that are due at the same time, for an endpoint that works again.
//!
//! Before a delivery is sent, it is claimed by a transaction whose commit waits for the disk. Its row is deleted
//! afterwards.

use std::time::{Duration, Instant};

use super::Workload;
use super::{backlog, load};
use crate::bed::Bed;
use crate::raw_client;
use crate::receiver::Receiver;
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["retry"], name: "a million retries due at once", in_full_run: true, run };

const WAITING: usize = 1_000_000;
/// The number of arrivals after which the rate is computed. The rest would be sent at the same rate.
const SENT: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(300);

fn run(report: &mut Report) {
    let receiver = Receiver::start();
    let capacity = raw_client::capacity(&receiver);
    let mut bed = Bed::start(&[]);
    let subscription = bed.subscribe(&receiver.url("retries"), "ticket.created", &[]);
    backlog::add(&mut bed, subscription, WAITING);
    let before = bed.usage();
    let (start, others) = (Instant::now(), receiver.arrived());
    bed.send();
    assert!(receiver.wait_for(others + SENT, PATIENCE), "{} arrived", receiver.arrived() - others);
    let rate = load::per_second(SENT, start.elapsed());
    let cost = (bed.usage() - before).per(SENT);
    report.add(
        Row::new("retry", "1,000,000 deliveries of the retry queue due at once")
            .figure(rate, "/s")
            .receiver(capacity, rate)
            .cost(cost)
            .note(format!("the first {}", number(SENT as f64))),
    );
}
