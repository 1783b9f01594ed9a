//! Deliveries under live load, compared with pg_net on the same server and with the same receiver.
//!
//! Each event has a number, so that the committed events can be compared with those that arrived. pg_net sends in
//! batches. With larger batches it is faster, until it loses requests. The run finds the batch size at which pg_net is
//! fastest without losing any. Requests that pg_net has not sent at the end of a sample are deleted, because sending
//! them would take minutes.

use super::Workload;
use super::{load, pg_net};
use crate::bed::Bed;
use crate::cost::Usage;
use crate::pairs::Pairs;
use crate::raw_client;
use crate::receiver::{Manner, Mark, Receiver, distinct};
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["3", "4"], name: "live load beside pg_net", in_full_run: true, run };

const LARGER_BATCHES: [u32; 5] = [500, 1000, 2000, 5000, 10_000];

const NAMES: [(&str, &str); 2] = [
    ("3", "delivered under live load, 16 clients, sync on"),
    ("4", "delivered under live load, beside pg_net at its best"),
];

struct Live {
    bed: Bed,
    receiver: Receiver,
    ours: Count,
    theirs: Count,
    usage: Vec<Usage>,
}

/// What happened to the committed events.
#[derive(Default)]
struct Count {
    sent: i64,
    arrived: i64,
    twice: i64,
}

fn run(report: &mut Report) {
    if !pg_net::is_installed() {
        for (number, workload) in NAMES {
            report.add(Row::skipped(number, workload, "pg_net is not installed"));
        }
        return;
    }
    let (mut live, version) = Live::start();
    let capacity = raw_client::capacity(&live.receiver);
    let row = |(number, name): (&'static str, &str), by: String, pairs: &Pairs| {
        Row::new(number, name).pairs(by, pairs, "/s").receiver(capacity, pairs.one())
    };

    let pairs = live.pairs(pg_net::DEFAULT_BATCH);
    let by = format!("pg_net {version}, batches of {}", pg_net::DEFAULT_BATCH);
    let usage = live.usage[live.usage.len() / 2];
    let delivered = pairs.one() * f64::from(load::SECONDS);
    report.add(
        row(NAMES[0], by, &pairs)
            .at_least(40.0)
            .cost(usage.per(delivered as usize))
            .note("CPU, WAL and commits are those of emits and deliveries together")
            .note(format!("{} deliveries went through the retry queue", live.bed.retry_queue_rows()))
            .note(live.counts()),
    );

    let (batch, search) = live.best_lossless_batch();
    let pairs = live.pairs(batch);
    let by = format!("pg_net {version}, batches of {batch}");
    report.add(row(NAMES[1], by, &pairs).at_least(8.0).note(search).note(live.counts()));
}

impl Live {
    fn start() -> (Self, String) {
        let receiver = Receiver::with(Manner { mark: Mark::NumberAfter("\"number\": "), ..Manner::default() });
        let mut bed = Bed::start(pg_net::SETTINGS);
        let version = pg_net::install(&mut bed);
        bed.run("CREATE SEQUENCE numbers");
        bed.subscribe(&receiver.url("ours"), "ticket.created", &[]);
        bed.send();
        let live = Self { bed, receiver, ours: Count::default(), theirs: Count::default(), usage: Vec::new() };
        (live, version)
    }

    fn pairs(&mut self, batch: u32) -> Pairs {
        pg_net::set_batch(&mut self.bed, batch);
        (self.ours, self.theirs) = (Count::default(), Count::default());
        Pairs::measure(&format!("live load / pg_net, batches of {batch}"), self, Self::ours, Self::theirs)
    }

    fn ours(&mut self) -> f64 {
        let (before, committed) = (self.bed.usage(), self.committed());
        let emit = format!("SELECT hydra.webhook_emit('ticket.created', {})", entity());
        let rate = load::rate(&mut self.bed, &self.receiver, &emit, &[]);
        self.usage.push(self.bed.usage() - before);
        self.bed.wait_for_empty_queue();
        let sent = self.committed() - committed;
        self.ours.add(sent, &self.receiver);
        self.bed.settle();
        rate
    }

    fn theirs(&mut self) -> f64 {
        let committed = self.committed();
        let post = format!("SELECT net.http_post('{}', {})", self.receiver.url("theirs"), entity());
        let rate = load::rate(&mut self.bed, &self.receiver, &post, &[]);
        let unsent = pg_net::clear(&mut self.bed);
        let sent = self.committed() - committed - unsent;
        self.theirs.add(sent, &self.receiver);
        self.bed.settle();
        rate
    }

    /// Returns the batch size with the highest rate that loses nothing, and the results of all sizes that were tried.
    fn best_lossless_batch(&mut self) -> (u32, String) {
        let mut best = (0.0, pg_net::DEFAULT_BATCH);
        let mut findings = Vec::new();
        for batch in LARGER_BATCHES {
            pg_net::set_batch(&mut self.bed, batch);
            self.theirs = Count::default();
            let rate = self.theirs();
            eprintln!("pg_net, batches of {batch}: {rate:.0}/s, {}", self.theirs);
            findings.push(format!("{batch}: {}/s, {}", number(rate), self.theirs));
            if !self.theirs.is_exact() {
                break;
            }
            best = if rate > best.0 { (rate, batch) } else { best };
        }
        (best.1, format!("pg_net with batches of {}", findings.join("; ")))
    }

    fn committed(&mut self) -> i64 {
        self.bed.ask("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM numbers")
    }

    fn counts(&self) -> String {
        format!("ours: {}; pg_net: {}", self.ours, self.theirs)
    }
}

impl Count {
    fn add(&mut self, sent: i64, receiver: &Receiver) {
        let arrivals = receiver.take_arrivals();
        let distinct = distinct(&arrivals) as i64;
        self.sent += sent;
        self.arrived += distinct;
        self.twice += arrivals.len() as i64 - distinct;
    }

    fn lost(&self) -> i64 {
        self.sent - self.arrived
    }

    /// Whether each event arrived exactly once. The number of lost events is negative if a batch is rolled back after
    /// it was sent, and sent again.
    fn is_exact(&self) -> bool {
        self.lost() == 0 && self.twice == 0
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} lost, {} twice", self.lost(), self.sent, self.twice)
    }
}

fn entity() -> String {
    format!("jsonb_build_object('number', nextval('numbers'), 'subject', '{:x<130}')", "")
}
