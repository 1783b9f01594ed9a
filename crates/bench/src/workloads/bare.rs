//! The sender without a database, compared with a common HTTP client, and with a client that only writes requests.

use super::Workload;
use crate::bare_sender::{AHEAD, BareSender, IN_FLIGHT};
use crate::pairs::{PAIRS, Pairs};
use crate::receiver::Receiver;
use crate::report::{Report, Row};
use crate::{plain_ureq, raw_client};

pub const WORKLOAD: Workload =
    Workload { numbers: &["2", "21"], name: "the sender without a database", in_full_run: true, run };

/// The number of requests. Each side takes some seconds.
const OURS: usize = 150_000;
const THEIRS: usize = 30_000;

fn run(report: &mut Report) {
    let mut receiver = Receiver::start();
    let capacity = raw_client::capacity(&receiver);
    let url = receiver.url("bare");
    let ours = || BareSender::start(&url, None).rate(OURS, IN_FLIGHT, AHEAD);
    let pairs = Pairs::measure(
        "bare sender / plain ureq",
        &mut receiver,
        |_| ours(),
        |_| plain_ureq::rate(&url, IN_FLIGHT, THEIRS),
    );
    report.add(
        Row::new("2", "the sender without a database, 64 requests in flight")
            .pairs("ureq as it comes, one shared agent, 64 threads", &pairs, "/s")
            .at_least(3.5)
            .receiver(capacity, pairs.one()),
    );
    let pairs = Pairs::measure_evenly(
        PAIRS,
        "bare sender / raw client",
        &mut receiver,
        |_| ours(),
        |receiver| raw_client::rate(receiver),
    );
    report.add(
        Row::new("21", "the sender without a database, 64 requests in flight")
            .pairs("a client that signs and reads nothing, 64 requests in flight", &pairs, "/s")
            .at_least(0.6),
    );
}
