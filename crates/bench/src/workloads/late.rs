//! Many endpoints that answer late, so that thousands of requests are in flight.

use std::time::Duration;

use super::Workload;
use super::offer::{Offer, Sample};
use crate::receiver::{Manner, Receiver};
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["17", "18"], name: "many endpoints that answer late", in_full_run: true, run };

fn run(report: &mut Report) {
    for (rate, least) in [(3_000, 0.99), (6_000, 0.97)] {
        let offer = Offer { endpoints: 100, rate, warm_up: Duration::from_secs(5) };
        let sample = sample(&offer, Duration::from_millis(300));
        let what = format!("100 endpoints that answer after 300 ms, {rate} events a second");
        report.add(delivered("17", &what, &sample).at_least(least));
        report.add(
            Row::new("17", format!("CPU of the dispatcher per delivery, {what}"))
                .figure(sample.cpu, "µs")
                .at_most(70.0),
        );
        report.add(memory("17", &what, &sample).at_most(120.0));
    }
    let offer = Offer { endpoints: 500, rate: 2_000, warm_up: Duration::from_secs(12) };
    let sample = sample(&offer, Duration::from_secs(5));
    let what = "500 endpoints that answer after 5 s, 2,000 events a second";
    report.add(delivered("18", what, &sample).at_least(0.97));
    report.add(memory("18", what, &sample).at_most(200.0));
    report.add(Row::new("18", format!("threads of the dispatcher, {what}")).figure(sample.threads, "").at_most(12.0));
}

fn sample(offer: &Offer, delay: Duration) -> Sample {
    let receiver = Receiver::with(Manner { delay, ..Manner::default() });
    let mut bed = offer.bed(&receiver, |_| ());
    let sample = offer.sample(&mut bed, &receiver);
    bed.wait_for_empty_queue();
    sample
}

fn delivered(number: &'static str, what: &str, sample: &Sample) -> Row {
    Row::new(number, what)
        .figure(sample.delivered, "/s")
        .divided_by("offered", sample.offered, "/s")
        .note(format!("{:.1} µs CPU of the dispatcher per delivery", sample.cpu))
        .note(format!("{:.1} % of the requests on a new connection", 100.0 * sample.new_connections))
}

fn memory(number: &'static str, what: &str, sample: &Sample) -> Row {
    Row::new(number, format!("resident memory of the dispatcher, {what}"))
        .figure(sample.memory, "MB")
        .note(format!("{:.0} MB of it its own, the rest shared with the server", sample.own_memory))
}
