//! The cost of emitting for the application: the rate of an INSERT with a trigger that emits, divided by the rate of
//! the same INSERT without this trigger.
//!
//! The dispatcher is stopped by a signal. So emitting does all its work, including setting the wake flag, and no other
//! process uses a core. If the dispatcher were switched off by the setting `enabled`, it would still wake up for every
//! commit.
//!
//! The trigger is that of the extension. A trigger in PL/pgSQL that builds the entity itself is reported as well.

use super::Workload;
use super::tickets;
use crate::bed::Bed;
use crate::pairs::Pairs;
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["6", "7"], name: "what an emit costs the application", in_full_run: true, run };

const PAIRS: usize = 9;

const BARE: &str = "ticket";
const WATCHED: &str = "ticket_watched";
const UNWANTED: &str = "ticket_unwanted";
const BY_HAND: &str = "ticket_by_hand";

fn run(report: &mut Report) {
    let mut bed = prepare();
    bed.freeze_dispatcher();
    let by_hand = over_bare(&mut bed, BY_HAND, "webhook_emit in PL/pgSQL");
    let watched = over_bare(&mut bed, WATCHED, "webhook_emit_row");
    report.add(
        Row::new("6", "emit from a row trigger, 16 clients, sync on")
            .pairs("the same INSERT without trigger", &watched, "tps")
            .at_least(0.70)
            .note(format!(
                "by a PL/pgSQL trigger that calls webhook_emit: {} tps, ratio {:.2}",
                number(by_hand.one()),
                by_hand.ratio()
            )),
    );
    let unwanted = over_bare(&mut bed, UNWANTED, "nobody wants it");
    report.add(
        Row::new("7", "emit of an event that nobody wants, sync on")
            .pairs("the same INSERT without trigger", &unwanted, "tps")
            .at_least(0.90),
    );
    tickets::wait_for_disk(&mut bed, false);
    let watched = over_bare(&mut bed, WATCHED, "webhook_emit_row, async");
    report.add(
        Row::new("6", "emit from a row trigger, 16 clients, async")
            .pairs("the same INSERT without trigger", &watched, "tps")
            .at_least(0.55),
    );
    bed.thaw_dispatcher();
}

fn prepare() -> Bed {
    let mut bed = Bed::start(&[]);
    bed.subscribe("http://127.0.0.1:9/never", "ticket.created", &[]);
    bed.run(
        "CREATE FUNCTION emit_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM hydra.webhook_emit('ticket.created', to_jsonb(NEW));
             RETURN NULL;
         END $$",
    );
    tickets::create(&mut bed, BARE, None);
    tickets::create(&mut bed, WATCHED, Some("hydra.webhook_emit_row('ticket.created')"));
    tickets::create(&mut bed, UNWANTED, Some("hydra.webhook_emit_row('part.created')"));
    tickets::create(&mut bed, BY_HAND, Some("emit_by_hand()"));
    bed
}

fn over_bare(bed: &mut Bed, table: &str, name: &str) -> Pairs {
    Pairs::measure_evenly(PAIRS, name, bed, |bed| tickets::tps(bed, table), |bed| tickets::tps(bed, BARE))
}
