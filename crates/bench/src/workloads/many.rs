//! Ten thousand subscriptions of which one wants the event: the cost of the other subscriptions for the application and
//! the dispatcher.
//!
//! The others want the same event type for other tenants, which is the most expensive case: subscriptions for other
//! event types are not considered at all.

use super::Workload;
use super::{load, tickets};
use crate::bed::Bed;
use crate::cost::cpu_of;
use crate::pairs::{PAIRS, Pairs};
use crate::raw_client;
use crate::receiver::Receiver;
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload = Workload { numbers: &["12"], name: "many subscriptions", in_full_run: true, run };

const OTHERS: usize = 9_999;
const EVENTS: usize = 50_000;
const TABLE: &str = "ticket";

struct Beds {
    many: Bed,
    one: Bed,
    receiver: Receiver,
    drains: Vec<f64>,
}

fn run(report: &mut Report) {
    let receiver = Receiver::start();
    let capacity = raw_client::capacity(&receiver);
    let mut beds = Beds { many: bed(OTHERS, &receiver), one: bed(0, &receiver), receiver, drains: Vec::new() };
    let cpu = Pairs::measure_evenly(
        PAIRS,
        "CPU, 10,000 subscriptions / 1",
        &mut beds,
        |beds| micros_per_delivery(&mut beds.many, &beds.receiver, &mut beds.drains),
        |beds| micros_per_delivery(&mut beds.one, &beds.receiver, &mut beds.drains),
    );
    let fastest = beds.drains.iter().copied().fold(0.0, f64::max);
    report.add(
        Row::new("12", "CPU of the dispatcher per delivery, 10,000 subscriptions")
            .pairs("1 subscription", &cpu, "µs")
            .at_most(1.5)
            .receiver(capacity, fastest)
            .note(format!("{} deliveries went through the retry queue", beds.many.retry_queue_rows()))
            .note(format!("in drains of {} events", number(EVENTS as f64))),
    );
    beds.many.freeze_dispatcher();
    beds.one.freeze_dispatcher();
    let tps = Pairs::measure_evenly(
        PAIRS,
        "emit, 10,000 subscriptions / 1",
        &mut beds,
        |beds| tickets::tps(&mut beds.many, TABLE),
        |beds| tickets::tps(&mut beds.one, TABLE),
    );
    report.add(
        Row::new("12", "emit, 16 clients, sync on, 10,000 subscriptions")
            .pairs("1 subscription", &tps, "tps")
            .at_least(0.90),
    );
    beds.many.thaw_dispatcher();
    beds.one.thaw_dispatcher();
}

fn bed(others: usize, receiver: &Receiver) -> Bed {
    let mut bed = Bed::start(&[]);
    let url = receiver.url("tickets");
    bed.subscribe(&url, "ticket.created", &["tenant_id => 'tenant-7'"]);
    bed.run(&format!(
        "SELECT count(hydra.webhook_create('{url}', '{{ticket.created}}', tenant_id => 'other-' || n))
         FROM generate_series(1, {others}) AS n"
    ));
    bed.run("ANALYZE hydra.subscription, hydra.signing_secret");
    tickets::create(&mut bed, TABLE, Some("hydra.webhook_emit_row('ticket.created')"));
    bed
}

fn micros_per_delivery(bed: &mut Bed, receiver: &Receiver, rates: &mut Vec<f64>) -> f64 {
    bed.run(&format!(
        "INSERT INTO {TABLE} (tenant_id, subject) SELECT 'tenant-7', repeat('x', 60) FROM generate_series(1, {EVENTS})"
    ));
    bed.settle();
    let dispatcher = bed.dispatcher();
    let before = cpu_of(dispatcher);
    rates.push(load::per_second(EVENTS, bed.drain(EVENTS, receiver)));
    let used = cpu_of(dispatcher) - before;
    used.as_secs_f64() * 1e6 / EVENTS as f64
}
