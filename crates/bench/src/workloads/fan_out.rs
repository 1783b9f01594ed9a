//! Deliveries under live load with *fan-out*: ten subscriptions want each event. An event is written once for all of
//! them.

use super::Workload;
use super::load;
use crate::bed::Bed;
use crate::pairs::Pairs;
use crate::raw_client;
use crate::receiver::Receiver;
use crate::report::{Report, Row};

pub const WORKLOAD: Workload = Workload { numbers: &["13"], name: "fan-out under live load", in_full_run: true, run };

const MANY: usize = 10;

fn run(report: &mut Report) {
    let receiver = Receiver::start();
    let capacity = raw_client::capacity(&receiver);
    let mut bed = Bed::start(&[]);
    bed.subscribe(&receiver.url("one"), "ticket.created", &[]);
    for number in 1..=MANY {
        bed.subscribe(&receiver.url(&format!("many/{number}")), "ticket.resolved", &[]);
    }
    let pairs = Pairs::measure(
        "fan-out 10 / 1",
        &mut bed,
        |bed| sample(bed, &receiver, "ticket.resolved"),
        |bed| sample(bed, &receiver, "ticket.created"),
    );
    report.add(
        Row::new("13", "deliveries under live load, sync on, fan-out 10")
            .pairs("fan-out 1", &pairs, "/s")
            .at_least(2.0)
            .receiver(capacity, pairs.one())
            .note(format!("{} deliveries went through the retry queue", bed.retry_queue_rows())),
    );
}

fn sample(bed: &mut Bed, receiver: &Receiver, event_type: &str) -> f64 {
    let emit = format!("SELECT hydra.webhook_emit('{event_type}', '{{\"id\": 7, \"subject\": \"{:x<130}\"}}')", "");
    bed.send();
    let rate = load::rate(bed, receiver, &emit, &[]);
    bed.forget();
    rate
}
