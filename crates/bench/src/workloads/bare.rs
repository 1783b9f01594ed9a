//! The sender compared with the HTTP client that it uses, with the defaults of that client.

use super::Workload;
use crate::bare_sender::BareSender;
use crate::pairs::Pairs;
use crate::receiver::Receiver;
use crate::report::{Report, Row};
use crate::{plain_ureq, raw_client};

pub const WORKLOAD: Workload =
    Workload { numbers: &["2"], name: "the sender without a database", in_full_run: true, run };

const THREADS: usize = 64;

/// The number of requests. Each side takes some seconds.
const OURS: usize = 150_000;
const THEIRS: usize = 30_000;

fn run(report: &mut Report) {
    let mut receiver = Receiver::start();
    let capacity = raw_client::capacity(&receiver);
    let url = receiver.url("bare");
    let pairs = Pairs::measure(
        "bare sender / plain ureq",
        &mut receiver,
        |_| BareSender::start(&url, THREADS, None).rate(OURS, 1),
        |_| plain_ureq::rate(&url, THREADS, THEIRS),
    );
    report.add(
        Row::new("2", "the sender without a database, 64 threads")
            .pairs("ureq as it comes, one shared agent, 64 threads", &pairs, "/s")
            .at_least(3.5)
            .receiver(capacity, pairs.one()),
    );
}
