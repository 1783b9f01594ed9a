//! Logical replication between two clusters that both have the extension.

use postgres::Client;
use testkit::{Bench, Cluster, PATIENCE, ask, run, wait_until};

mod applied;
mod ignored;

const PATH: &str = "/tickets";

fn start() -> Cluster {
    Cluster::start(&[("wal_level", "logical")])
}

/// A database with a table of the application, every new row of which is an event, and a subscription to these events.
fn shop(cluster: &Cluster) -> Bench<'_> {
    let mut bench = Bench::new(cluster, "shop");
    bench.run("CREATE TABLE ticket (id text PRIMARY KEY)");
    bench.run("SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert')");
    bench
}

fn publish(bench: &mut Bench, what: &str) {
    bench.run(&format!("CREATE PUBLICATION shop FOR {what}"));
}

/// Makes `to` follow the publication of `from`.
fn follow(to: &mut Bench, from: &Bench, options: &str) {
    let connection = from.cluster.conninfo(&from.database);
    to.run(&format!("CREATE SUBSCRIPTION follows CONNECTION '{connection}' PUBLICATION shop WITH ({options})"));
    // Without an initial copy, the tables are ready from the start. With one, each takes two processes their time.
    wait_until("all tables are replicated", 3 * PATIENCE, || {
        to.ask::<i64>("SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'") == 0
    });
}

/// Writes a ticket, and waits until it has been replicated: then so has everything before it.
#[track_caller]
fn replicate_ticket(from: &mut Client, to: &mut Client, id: &str) {
    run(from, &format!("INSERT INTO ticket VALUES ('{id}')"));
    wait_until(format!("ticket {id} is replicated"), PATIENCE, || {
        ask::<i64>(to, &format!("SELECT count(*) FROM ticket WHERE id = '{id}'")) == 1
    });
}

/// The stream of the application never stopped, not even for a moment.
#[track_caller]
fn assert_no_error(cluster: &Cluster) {
    let log = cluster.log();
    let errors: Vec<&str> =
        log.lines().filter(|line| line.contains("logical replication") && line.contains("ERROR")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
