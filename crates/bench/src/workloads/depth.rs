//! The time to find new events when millions are queued.
//!
//! PL/pgSQL runs the statement of the dispatcher through the same interface and with the same settings, and reads the
//! clock of the server before and after it, so no client is involved. Each new event comes from its own transaction.

use super::Workload;
use crate::bed::{Bed, Length};
use crate::pairs::{PAIRS, Pairs, median};
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["10"], name: "new events beside many queued", in_full_run: true, run };

const DEEP: usize = 10_000_000;
const SHALLOW: usize = 10_000;
/// The number of events in each transaction of those that are queued.
const TOGETHER: usize = 1000;

const CLIENTS: u32 = 8;
const NEW: u32 = 1000;
const REPEATS: usize = 200;

const FETCH: &str = include_str!("../../../../sql/queries/fetch_new_events.sql");

/// The settings of the dispatcher.
const SETTINGS: &str = "
    SET search_path = pg_catalog, pg_temp;
    SET jit = off;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET plan_cache_mode = force_generic_plan;";

struct Queue {
    bed: Bed,
}

fn run(report: &mut Report) {
    let mut queues = (Queue::of(DEEP), Queue::of(SHALLOW));
    let pairs = Pairs::measure_evenly(
        PAIRS,
        "fetch beside 10 million / 10,000",
        &mut queues,
        |(deep, _)| deep.micros_to_fetch(),
        |(_, shallow)| shallow.micros_to_fetch(),
    );
    report.add(
        Row::new("10", "fetch of 1,000 new events beside 10 million queued")
            .pairs("beside 10,000", &pairs, "µs")
            .at_most(1.3)
            .note(format!("medians of {REPEATS} fetches, warm")),
    );
}

impl Queue {
    /// Creates a bed with this number of queued events. They are inserted with SQL, because emitting ten million events
    /// takes minutes.
    fn of(events: usize) -> Self {
        let mut bed = Bed::start(&[("max_wal_size", "16GB")]);
        bed.subscribe("http://127.0.0.1:9/never", "ticket.created", &[]);
        bed.run("SET synchronous_commit = off");
        bed.run(&format!(
            "DO $$ BEGIN FOR batch IN 1..{} LOOP
                 INSERT INTO hydra.event (random, installation, event_type, entity_type, entity_id, entity, targets)
                 SELECT n, (SELECT hydra._installation()), 'ticket.created', 'ticket', n::text, '{}', '{{1}}'
                 FROM generate_series(1, {TOGETHER}) AS n;
                 COMMIT;
             END LOOP; END $$",
            events / TOGETHER,
            entity()
        ));
        bed.settle();
        bed.run(SETTINGS);
        bed.run(&function());
        Self { bed }
    }

    fn micros_to_fetch(&mut self) -> f64 {
        let before: String = self.bed.ask("SELECT pg_current_snapshot()::text");
        let emit = format!("SELECT hydra.webhook_emit('ticket.created', '{}')", entity());
        self.bed.pgbench(&emit, CLIENTS, Length::Transactions(NEW / CLIENTS), &[]);
        let fetch = format!("SELECT pg_temp.micros_to_fetch('{before}', pg_current_snapshot(), {NEW})");
        median((0..REPEATS).map(|_| self.bed.ask::<f64>(&fetch)))
    }
}

/// Returns the entity, which is the same for all events. Smaller new events would be stored in the free space of pages
/// with queued events, each on another page.
fn entity() -> String {
    format!(r#"{{"id": 7, "subject": "{:x<130}"}}"#, "")
}

/// Returns the definition of a function that fetches the events that the snapshot `target` sees and `done` does not,
/// like the first page of the dispatcher.
fn function() -> String {
    format!(
        "CREATE FUNCTION pg_temp.fetch(xid8, bigint, xid8, xid8[], bigint)
             RETURNS bigint LANGUAGE plpgsql AS $$
         DECLARE
             found record;
             events bigint := 0;
         BEGIN
             FOR found IN {FETCH} LOOP
                 events := events + 1;
             END LOOP;
             RETURN events;
         END $$;
         CREATE FUNCTION pg_temp.micros_to_fetch(done pg_snapshot, target pg_snapshot, rows bigint)
             RETURNS float8 LANGUAGE plpgsql AS $$
         DECLARE
             open xid8[] := ARRAY(SELECT pg_snapshot_xip(target));
             start timestamptz := clock_timestamp();
             events bigint := pg_temp.fetch(pg_snapshot_xmax(done), 0, pg_snapshot_xmax(target), open, rows);
         BEGIN
             ASSERT events = rows, format('%s events', events);
             RETURN extract(epoch FROM clock_timestamp() - start) * 1000000;
         END $$"
    )
}
