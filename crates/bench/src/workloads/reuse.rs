//! How many requests need a new connection, and what deliveries to many endpoints cost, in the clear and over TLS.

use std::time::Duration;

use testkit::authority::Authority;

use super::Workload;
use super::offer::{Offer, Sample};
use super::tls::trust;
use crate::receiver::{Manner, Receiver};
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["19", "20"], name: "connections that are used again", in_full_run: true, run };

const WARM_UP: Duration = Duration::from_secs(5);

struct Case {
    endpoints: usize,
    /// Events for each endpoint in a second.
    each: usize,
    delay: Duration,
    /// The largest share of requests on a new connection.
    new_connections: f64,
}

const CASES: [Case; 3] = [
    Case { endpoints: 20, each: 50, delay: Duration::from_millis(50), new_connections: 0.05 },
    Case { endpoints: 200, each: 5, delay: Duration::from_millis(50), new_connections: 0.05 },
    Case { endpoints: 1_000, each: 2, delay: Duration::from_millis(100), new_connections: 0.10 },
];

fn run(report: &mut Report) {
    let samples = CASES.each_ref().map(|case| {
        let Case { endpoints, each, .. } = case;
        let sample = sample(case, None);
        let what = format!("{endpoints} endpoints, {each} events a second for each");
        report.add(
            Row::new("19", format!("new connections per delivery, {what}"))
                .figure(sample.new_connections, "")
                .at_most(case.new_connections)
                .note(format!("{:.0}/s delivered of {:.0}/s offered", sample.delivered, sample.offered)),
        );
        report.add(
            Row::new("19", format!("CPU of the dispatcher per delivery, {what}"))
                .figure(sample.cpu, "µs")
                .at_most(90.0),
        );
        sample
    });
    let secure = sample(&CASES[1], Some(&Authority::new()));
    report.add(
        Row::new("20", "CPU of the dispatcher per delivery over https, 200 endpoints, 5 events a second for each")
            .figure(secure.cpu, "µs")
            .divided_by("over http", samples[1].cpu, "µs")
            .at_most(1.5)
            .note(format!("{:.1} % of the requests on a new connection", 100.0 * secure.new_connections)),
    );
}

fn sample(case: &Case, authority: Option<&Authority>) -> Sample {
    let tls = authority.map(Authority::server);
    let receiver = Receiver::with(Manner { delay: case.delay, tls, ..Manner::default() });
    let offer = Offer { endpoints: case.endpoints, rate: case.endpoints * case.each, warm_up: WARM_UP };
    let mut bed = offer.bed(&receiver, |bed| authority.into_iter().for_each(|authority| trust(bed, authority)));
    let sample = offer.sample(&mut bed, &receiver);
    bed.wait_for_empty_queue();
    sample
}
