//! Whether emitting gets slower the longer a connection exists, as it would if each transaction left something in
//! memory.
//!
//! Commits do not wait for the disk here, because that time is much longer than the time of the processor.

use std::time::Instant;

use super::Workload;
use super::tickets;
use crate::bed::Bed;
use crate::pairs::{PAIRS, Pairs};
use crate::pulse::Measured;
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["8"], name: "a connection that has emitted often", in_full_run: true, run };

const COMMITS: usize = 100_000;
const TENTH: usize = COMMITS / 10;
const TABLE: &str = "ticket";

fn run(report: &mut Report) {
    let mut bed = Bed::start(&[]);
    bed.subscribe("http://127.0.0.1:9/never", "ticket.created", &[]);
    tickets::create(&mut bed, TABLE, Some("hydra.webhook_emit_row('ticket.created')"));
    tickets::wait_for_disk(&mut bed, false);
    bed.freeze_dispatcher();
    let pairs = Pairs::even(PAIRS, &format!("last / first tenth of {COMMITS} commits"), || {
        bed.run(&format!("TRUNCATE hydra.event, {TABLE}"));
        last_and_first(&bed)
    });
    bed.thaw_dispatcher();
    report.add(
        Row::new("8", "emit in one connection, last 10 % of 100,000 commits")
            .pairs("the first 10 % of them", &pairs, "tps")
            .at_least(0.95)
            .note("commits do not wait for the disk"),
    );
}

/// Returns the transactions per second of a new connection, in the last and in the first tenth of its commits.
fn last_and_first(bed: &Bed) -> (Measured, Measured) {
    let mut session = bed.session();
    let insert = session.prepare(&tickets::insert(TABLE)).expect("the table exists");
    let mut tps = |commits: usize| {
        let start = Instant::now();
        for _ in 0..commits {
            session.execute(&insert, &[]).expect("an insert");
        }
        commits as f64 / start.elapsed().as_secs_f64()
    };
    let first = Measured::by(|| tps(TENTH));
    tps(COMMITS - 2 * TENTH);
    (Measured::by(|| tps(TENTH)), first)
}
