//! How much WAL is written for each webhook, compared with a queue in SQL: a row with the body to send, leased by an
//! UPDATE and removed by a DELETE, five hundred at a time.
//!
//! On both sides, transactions of one row each fill the queue, which is emptied afterwards. Full page images are
//! switched off: their size cannot be subtracted, because a record omits the data that its page image contains. The
//! table of the queue has the default storage parameters. With a fillfactor of 50, its updates need no new index
//! entries; this is reported as well.

use super::Workload;
use super::load;
use crate::bed::{Bed, Length};
use crate::pairs::Pairs;
use crate::receiver::Receiver;
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["15"], name: "the log that a webhook costs", in_full_run: true, run };

const EACH: u32 = 500;
const WEBHOOKS: usize = (load::CLIENTS * EACH) as usize;

fn run(report: &mut Report) {
    let receiver = Receiver::start();
    let mut bed = Bed::start(&[("full_page_writes", "off")]);
    bed.subscribe(&receiver.url("log"), "ticket.created", &[]);
    make_queue(&mut bed, "queue", 100);
    make_queue(&mut bed, "roomy_queue", 50);
    let ours = |bed: &mut Bed| ours(bed, &receiver);
    let roomy = Pairs::measure("log, webhook / roomy queue", &mut bed, ours, |bed| theirs(bed, "roomy_queue"));
    let plain = Pairs::measure("log, webhook / queue", &mut bed, ours, |bed| theirs(bed, "queue"));
    report.add(
        Row::new("15", "log written for each webhook")
            .pairs("a lease queue in SQL", &plain, "bytes")
            .at_most(0.5)
            .note(format!("{} deliveries went through the retry queue", bed.retry_queue_rows()))
            .note(format!(
                "with fillfactor 50 the queue writes {} bytes, ratio {:.2}",
                number(roomy.other()),
                roomy.ratio()
            )),
    );
}

fn ours(bed: &mut Bed, receiver: &Receiver) -> f64 {
    bytes_per_webhook(bed, &format!("SELECT hydra.webhook_emit('ticket.created', '{}')", entity()), |bed| {
        bed.drain(WEBHOOKS, receiver);
    })
}

fn theirs(bed: &mut Bed, table: &str) -> f64 {
    let body = format!(
        r#"{{"event":"ticket.created","tenant_id": null,"data":{{"entity_type":"ticket","entity_id":"7","entity":{}}},"timestamp":"2026-04-29T18:33:00Z"}}"#,
        entity()
    );
    bytes_per_webhook(bed, &format!("INSERT INTO {table} (body) VALUES ('{body}')"), |bed| {
        bed.run(&format!("CALL work_off_{table}()"));
    })
}

fn bytes_per_webhook(bed: &mut Bed, fill: &str, empty: impl FnOnce(&mut Bed)) -> f64 {
    bed.settle();
    let before = bed.usage();
    bed.pgbench(fill, load::CLIENTS, Length::Transactions(EACH), &[]);
    empty(bed);
    (bed.usage() - before).wal_bytes as f64 / WEBHOOKS as f64
}

fn make_queue(bed: &mut Bed, table: &str, fillfactor: u32) {
    bed.run(&format!(
        "CREATE TABLE {table} (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             body text NOT NULL,
             leased_until timestamptz) WITH (fillfactor = {fillfactor});
         CREATE PROCEDURE work_off_{table}() LANGUAGE plpgsql AS $$
         DECLARE
             leased bigint[];
         BEGIN
             LOOP
                 WITH free AS (
                     SELECT id FROM {table} WHERE leased_until IS NULL OR leased_until < now()
                     ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
                 ), taken AS (
                     UPDATE {table} AS q SET leased_until = now() + interval '30 s' FROM free WHERE q.id = free.id
                     RETURNING q.id, q.body)
                 SELECT array_agg(id) INTO leased FROM taken;
                 COMMIT;
                 EXIT WHEN leased IS NULL;
                 DELETE FROM {table} WHERE id = ANY (leased);
                 COMMIT;
             END LOOP;
         END $$"
    ));
}

fn entity() -> String {
    format!(r#"{{"id": 7, "subject": "{:x<130}"}}"#, "")
}
