//! Draining a queue while an old snapshot is held (a transaction stays open). Rows that were deleted since then cannot
//! be vacuumed, and a query for the oldest events would have to skip all of them.
//!
//! There are two servers, one with a held snapshot and one without. On the first, a transaction is opened before
//! anything is emitted and stays open to the end. Each sample adds hundreds of thousands of dead rows.

use postgres::Client;

use super::Workload;
use super::load;
use crate::bed::Bed;
use crate::pairs::{PAIRS, Pairs};
use crate::raw_client;
use crate::receiver::Receiver;
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["9"], name: "drain under a held snapshot", in_full_run: true, run };

const BEFORE: usize = 300_000;
const EVENTS: usize = 50_000;

struct Beds {
    held: Bed,
    free: Bed,
    receiver: Receiver,
}

fn run(report: &mut Report) {
    let mut beds = Beds { held: Bed::start(&[]), free: Bed::start(&[]), receiver: Receiver::start() };
    let capacity = raw_client::capacity(&beds.receiver);
    for bed in [&mut beds.held, &mut beds.free] {
        bed.subscribe(&beds.receiver.url("drain"), "ticket.created", &[]);
    }
    let mut holder = beds.held.session();
    hold(&mut holder);
    drain(&mut beds.held, BEFORE, &beds.receiver);
    let pairs = Pairs::measure_evenly(
        PAIRS,
        "drain, held / not held",
        &mut beds,
        |beds| drain(&mut beds.held, EVENTS, &beds.receiver),
        |beds| drain(&mut beds.free, EVENTS, &beds.receiver),
    );
    let dead: i64 = beds.held.ask("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'hydra.event'::regclass");
    report.add(
        Row::new("9", "drain under a held snapshot, after 300,000 events")
            .pairs("not held", &pairs, "/s")
            .at_least(0.90)
            .receiver(capacity, pairs.one().max(pairs.other()))
            .note(format!("{} deliveries went through the retry queue", beds.held.retry_queue_rows()))
            .note(format!("dead rows of hydra.event at the end: {dead}")),
    );
}

/// Opens a transaction with a snapshot, which is held until the session ends.
fn hold(session: &mut Client) {
    session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").expect("a transaction");
    session.query("SELECT count(*) FROM hydra.event", &[]).expect("a snapshot");
}

fn drain(bed: &mut Bed, events: usize, receiver: &Receiver) -> f64 {
    bed.queue_events(events);
    let took = bed.drain(events, receiver);
    load::per_second(events, took)
}
