//! The cost of TLS: the same queue is drained over https and over http, with connections that are kept open.
//!
//! The receiver encrypts as well, on the same machine, so this is the worst case.

use std::fs;

use testkit::authority::Authority;

use super::Workload;
use crate::bed::Bed;
use crate::pairs::Pairs;
use crate::raw_client;
use crate::receiver::{Manner, Receiver};
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload = Workload { numbers: &["16"], name: "https beside http", in_full_run: true, run };

const EVENTS: usize = 100_000;
const OVER_TLS: &str = "ticket.created";
const IN_THE_CLEAR: &str = "ticket.resolved";

fn run(report: &mut Report) {
    let authority = Authority::new();
    let plain = Receiver::start();
    let secure = Receiver::with(Manner { tls: Some(authority.server()), ..Manner::default() });
    let capacity = raw_client::capacity(&plain);
    let secure_capacity = raw_client::capacity_with_tls(&secure, authority.roots());

    let mut bed = Bed::start(&[]);
    trust(&bed, &authority);
    bed.subscribe(&secure.url("tls"), OVER_TLS, &[]);
    bed.subscribe(&plain.url("clear"), IN_THE_CLEAR, &[]);
    let pairs = Pairs::measure(
        "https / http",
        &mut bed,
        |bed| drain(bed, OVER_TLS, &secure),
        |bed| drain(bed, IN_THE_CLEAR, &plain),
    );
    // The report shows the side whose rate is nearer to the capacity of its receiver.
    let sides = [(secure_capacity, pairs.one()), (capacity, pairs.other())];
    let (taken, rate) = if secure_capacity / pairs.one() < capacity / pairs.other() { sides[0] } else { sides[1] };
    report.add(
        Row::new("16", "delivered over https with kept connections")
            .pairs("over http", &pairs, "/s")
            .at_least(0.6)
            .receiver(taken, rate)
            .note(format!("{} deliveries went through the retry queue", number(bed.retry_queue_rows() as f64)))
            .note(format!("over http the receiver takes {}/s", number(capacity))),
    );
}

/// Lets the dispatcher trust this authority.
pub fn trust(bed: &Bed, authority: &Authority) {
    let file = bed.cluster.directory().join("authority.pem");
    fs::write(&file, authority.pem()).expect("a file can be written into the directory of the cluster");
    bed.cluster.set(&[("hydra_webhooks.ca_file", file.to_str().expect("a name in UTF-8"))]);
}

fn drain(bed: &mut Bed, event_type: &str, receiver: &Receiver) -> f64 {
    bed.queue_events_of(event_type, EVENTS);
    EVENTS as f64 / bed.drain(EVENTS, receiver).as_secs_f64()
}
