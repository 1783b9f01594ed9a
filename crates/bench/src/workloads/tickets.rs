//! The application of the emit workloads: a table of tickets, and clients that insert one in each transaction.

use crate::bed::{Bed, Length};

const CLIENTS: u32 = 16;
const SECONDS: u32 = 2;

/// Creates a table of tickets. `trigger` is the function that is called for each row, with its arguments.
pub fn create(bed: &mut Bed, table: &str, trigger: Option<&str>) {
    bed.run(&format!(
        "CREATE TABLE {table} (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             tenant_id text,
             subject text NOT NULL,
             status text NOT NULL DEFAULT 'open',
             priority integer NOT NULL DEFAULT 3,
             created_at timestamptz NOT NULL DEFAULT now())"
    ));
    if let Some(function) = trigger {
        bed.run(&format!("CREATE TRIGGER emit AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}"));
    }
}

/// Returns a script that inserts one ticket.
pub fn insert(table: &str) -> String {
    format!("INSERT INTO {table} (tenant_id, subject) VALUES ('tenant-7', 'The radiator in room 4 does not get warm')")
}

/// Returns the transactions per second of clients that insert tickets, beginning with empty tables.
pub fn tps(bed: &mut Bed, table: &str) -> f64 {
    bed.run(&format!("TRUNCATE hydra.event, {table}"));
    bed.pgbench(&insert(table), CLIENTS, Length::Seconds(SECONDS), &[])
}

/// Sets `synchronous_commit` for new sessions.
pub fn wait_for_disk(bed: &mut Bed, wait: bool) {
    let value = if wait { "on" } else { "off" };
    bed.run(&format!("ALTER DATABASE bench SET synchronous_commit = {value}"));
}
