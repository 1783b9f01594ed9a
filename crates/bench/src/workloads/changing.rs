//! Emitting while subscriptions change: every session has to learn of each change before its next emit, and so has the
//! dispatcher.
//!
//! The subscriptions are those of other tenants for the same event type. The dispatcher runs, and sends nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;

use super::Workload;
use super::tickets;
use crate::bed::Bed;
use crate::pairs::{PAIRS, Pairs};
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["23"], name: "emit while subscriptions change", in_full_run: true, run };

const SUBSCRIPTIONS: usize = 20_000;
const EVERY: Duration = Duration::from_millis(10);
const TABLE: &str = "ticket";

struct Changing {
    bed: Bed,
    changes: AtomicUsize,
    changed_for: Duration,
}

fn run(report: &mut Report) {
    let mut changing = Changing { bed: prepare(), changes: AtomicUsize::new(0), changed_for: Duration::ZERO };
    let tps = Pairs::measure_evenly(
        PAIRS,
        "emit while 100 subscriptions change a second / while none does",
        &mut changing,
        tps_while_changing,
        |changing| tickets::tps(&mut changing.bed, TABLE),
    );
    let rate = changing.changes.into_inner() as f64 / changing.changed_for.as_secs_f64();
    report.add(
        Row::new("23", "emit while 100 of 20,000 subscriptions change a second, 16 clients")
            .pairs("while none changes", &tps, "tps")
            .at_least(0.90)
            .note(format!("{rate:.0} changes a second")),
    );
}

fn prepare() -> Bed {
    let mut bed = Bed::start(&[]);
    bed.subscribe("http://127.0.0.1:9/never", "ticket.created", &["tenant_id => 'tenant-7'"]);
    bed.run(&format!(
        "SELECT count(hydra.webhook_create('http://127.0.0.1:9/never', '{{ticket.created}}', tenant_id => 'other-' || n))
         FROM generate_series(2, {SUBSCRIPTIONS}) AS n"
    ));
    bed.run("ANALYZE hydra.subscription, hydra.signing_secret");
    tickets::create(&mut bed, TABLE, Some("hydra.webhook_emit_row('ticket.created')"));
    bed
}

fn tps_while_changing(changing: &mut Changing) -> f64 {
    let (session, stop) = (changing.bed.session(), AtomicBool::new(false));
    let began = Instant::now();
    let tps = thread::scope(|scope| {
        scope.spawn(|| change(session, &changing.changes, &stop));
        let tps = tickets::tps(&mut changing.bed, TABLE);
        stop.store(true, Ordering::Relaxed);
        tps
    });
    changing.changed_for += began.elapsed();
    tps
}

/// Changes one subscription after the other at an even rate, until `stop` is set.
fn change(mut session: Client, changes: &AtomicUsize, stop: &AtomicBool) {
    let update = session.prepare("SELECT hydra.webhook_update($1, name => $2)").expect("the function exists");
    let start = Instant::now();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep((start + EVERY * number).saturating_duration_since(Instant::now()));
        let id = 2 + i64::from(number) % (SUBSCRIPTIONS as i64 - 1);
        session.execute(&update, &[&id, &format!("name {number}")]).expect("the subscription is changed");
        changes.fetch_add(1, Ordering::Relaxed);
    }
}
