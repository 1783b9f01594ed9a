//! Watching tables: `webhook_watch`, `webhook_unwatch`, `webhook_watches`.
//!
//! Most tests look at the events that were written, on a cluster that sends nothing. Their delivery is tested
//! elsewhere.

use std::sync::OnceLock;

use postgres::Client;
use testkit::{Cluster, ask, subscribe};

mod changes;
mod columns;
mod conditions;
mod emitted;
mod failures;
mod migrations;
mod previous;
mod refusals;
mod rights;
mod sessions;
mod tables;
mod virtual_columns;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[("hydra_webhooks.enabled", "off"), ("work_mem", "1MB")]))
}

/// A new database with a subscription to the events of parts and tickets.
fn database(name: &str) -> Client {
    let mut client = cluster().create_database(name);
    let types =
        "part.created,part.updated,part.deleted,part.stock_updated,ticket.created,ticket.resolved,ticket.assigned";
    subscribe(&mut client, "http://127.0.0.1:9/", types, &[]);
    client
}

/// A table of parts.
const PARTS: &str = "CREATE TABLE part (id int PRIMARY KEY, tenant_id text, name text, stock int)";

#[track_caller]
fn watch(client: &mut Client, arguments: &str) -> String {
    ask(client, &format!("SELECT hydra.webhook_watch({arguments})"))
}

/// What was emitted since it was last asked, in order: all but the type.
#[track_caller]
fn events_of(client: &mut Client, event_type: &str) -> Vec<String> {
    let rows = client.query(
        "WITH gone AS (DELETE FROM hydra.event WHERE event_type = $1 RETURNING *)
         SELECT concat_ws(' ', coalesce(entity_id, '-'), coalesce(tenant_id, '-'), coalesce(entity, entity_error)) FROM gone ORDER BY id",
        &[&event_type],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// What is kept because its watch does not fit, in order: all but the time.
fn kept(client: &mut Client) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', event, regexp_replace(source, '^public[.]', ''), part, sqlstate, reason,
                                coalesce(entity_id, '-'), coalesce(tenant_id, '-'), coalesce(entity, entity_error))
               FROM hydra.webhook_kept ORDER BY id";
    client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn problems(client: &mut Client) -> Vec<String> {
    let sql = "SELECT problem FROM hydra.webhook_watches WHERE problem IS NOT NULL ORDER BY trigger_name";
    client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}
