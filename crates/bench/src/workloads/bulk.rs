//! The cost of a watch for a statement that changes many rows, with level `statement` and with level `row`.

use std::time::Instant;

use super::Workload;
use super::tickets;
use crate::bed::Bed;
use crate::pairs::Pairs;
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["bulk"], name: "a watch of 100,000 rows in one statement", in_full_run: true, run };

const ROWS: usize = 100_000;
const BARE: &str = "ticket";
const LEVELS: [&str; 2] = ["statement", "row"];

fn run(report: &mut Report) {
    let mut bed = Bed::start(&[]);
    bed.subscribe("http://127.0.0.1:9/never", "ticket.created", &[]);
    tickets::create(&mut bed, BARE, None);
    for level in LEVELS {
        tickets::create(&mut bed, level, None);
        bed.run(&format!("SELECT hydra.webhook_watch('{level}', 'ticket.created', 'insert', level => '{level}')"));
    }
    bed.freeze_dispatcher();
    for level in LEVELS {
        let pairs = Pairs::measure(
            &format!("watched by {level} / not"),
            &mut bed,
            |bed| micros_per_row(bed, level),
            |bed| micros_per_row(bed, BARE),
        );
        let cost = pairs.one() - pairs.other();
        report.add(
            Row::new("bulk", format!("INSERT of 100,000 rows, watched by {level}"))
                .pairs("not watched", &pairs, "µs a row")
                .note(format!("the watch costs {cost:.1} µs a row")),
        );
    }
    bed.thaw_dispatcher();
}

fn micros_per_row(bed: &mut Bed, table: &str) -> f64 {
    bed.run(&format!("TRUNCATE hydra.event, {table}"));
    let start = Instant::now();
    bed.run(&format!(
        "INSERT INTO {table} (tenant_id, subject)
         SELECT 'tenant-7', 'The radiator in room 4 does not get warm' FROM generate_series(1, {ROWS})"
    ));
    start.elapsed().as_secs_f64() * 1e6 / ROWS as f64
}
