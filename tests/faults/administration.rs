//! What a DBA does to a database that sends: parks it to rename, copy or drop it, and bounds how much may wait in it.

use std::time::{Duration, Instant};

use postgres::Client;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver};
use testkit::{PATIENCE, ask, refused, rounds, run, start_shared_cluster, subscribe, wait_for_empty_queue};

const EMIT: &str = "SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1}')";

fn emit(client: &mut Client, count: usize) {
    run(client, &format!("{EMIT} FROM generate_series(1, {count})"));
}

fn status(client: &mut Client, column: &str) -> String {
    ask(client, &format!("SELECT {column}::text FROM hydra.webhook_worker_status"))
}

#[track_caller]
fn wait_for_state(client: &mut Client, state: &str) {
    wait_until(format!("state {state}"), PATIENCE, || status(client, "state") == state);
}

/// Postgres itself gives up after five seconds of waiting for somebody who is connected; what is slower is the disk.
#[track_caller]
fn quickly(admin: &mut Client, statement: &str) {
    let begun = Instant::now();
    run(admin, statement);
    let took = begun.elapsed();
    println!("{statement}: {took:?}");
    assert!(took < Duration::from_secs(10), "{statement} took {took:?}");
}

/// Opens a database, parks it and leaves it.
fn park(cluster: &Cluster, database: &str) {
    run(&mut cluster.connect(database), "SELECT hydra.webhook_park()");
}

#[test]
fn a_parked_database_can_be_renamed_copied_and_dropped() {
    let cluster = start_shared_cluster(&[]);
    let receiver = Receiver::start();
    // Requests that never end must not keep the dispatcher.
    receiver.answer("/hanging", Answer::hang());
    let mut admin = cluster.connect("postgres");
    let mut client = cluster.create_database("shop");
    subscribe(&mut client, &receiver.url("/hanging"), "ticket.created", &["timeout => '60 s'"]);
    for round in 1..=rounds(5) {
        let before = receiver.received("/hanging");
        emit(&mut client, 1);
        receiver.wait_for("/hanging", before + 1, PATIENCE);
        drop(client);
        park(&cluster, "shop");
        quickly(&mut admin, "ALTER DATABASE shop RENAME TO store");
        quickly(&mut admin, "CREATE DATABASE branch TEMPLATE store");
        quickly(&mut admin, "DROP DATABASE branch");
        quickly(&mut admin, "ALTER DATABASE store RENAME TO shop");
        // Not one that the launcher would look at, and parked all the same.
        quickly(&mut admin, "ALTER DATABASE shop ALLOW_CONNECTIONS false");
        run(&mut cluster.create_database("another"), "SELECT hydra.webhook_park()");
        quickly(&mut admin, "DROP DATABASE another");
        quickly(&mut admin, "ALTER DATABASE shop ALLOW_CONNECTIONS true");
        client = cluster.connect("shop");
        let parked: (String, Option<i32>) =
            (status(&mut client, "state"), ask(&mut client, "SELECT pid FROM hydra.webhook_worker_status"));
        assert_eq!(parked, ("parked".into(), None), "round {round}");
        assert!(status(&mut client, "detail").contains("webhook_unpark"));
        run(&mut client, "SELECT hydra.webhook_unpark()");
        wait_for_state(&mut client, "running");
    }
    drop(client);
    park(&cluster, "shop");
    quickly(&mut admin, "DROP DATABASE shop");
}

#[test]
fn events_of_a_parked_database_wait_until_it_is_unparked() {
    let cluster = start_shared_cluster(&[]);
    let receiver = Receiver::start();
    let mut client = cluster.create_database("waiting");
    subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    wait_for_state(&mut client, "running");
    // At once, and whatever becomes of the transaction.
    run(&mut client, "BEGIN; SELECT hydra.webhook_park(); ROLLBACK");
    assert_eq!(cluster.find_dispatcher("waiting"), None);
    emit(&mut client, 3);
    // A dispatcher that failed, and one that nobody sees, would both be started again within about a second.
    let mut elsewhere = cluster.create_database("elsewhere");
    wait_for_state(&mut elsewhere, "running");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((receiver.received("/"), cluster.find_dispatcher("waiting")), (0, None));
    run(&mut client, "SELECT hydra.webhook_park()");
    run(&mut client, "SELECT hydra.webhook_unpark()");
    receiver.wait_for("/", 3, PATIENCE);
    wait_for_empty_queue(&mut client);
    run(&mut client, "SELECT hydra.webhook_unpark()");
    assert_eq!(status(&mut client, "state"), "running");
}

/// A database in which ten events wait, of the ten that may.
fn full(cluster: &Cluster, receiver: &Receiver) -> Client {
    let mut client = cluster.create_database("crowded");
    subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    run(&mut client, "CREATE TABLE ticket (id int)");
    run(&mut client, "SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert')");
    wait_for_state(&mut client, "off");
    run(&mut client, "INSERT INTO ticket SELECT generate_series(1, 10)");
    client
}

fn pending(client: &mut Client) -> i64 {
    ask(client, "SELECT count(*) FROM hydra.event")
}

#[test]
fn events_above_max_pending_are_dropped_and_counted() {
    let cluster = Cluster::start(&[("hydra_webhooks.enabled", "off"), ("hydra_webhooks.max_pending", "10")]);
    let receiver = Receiver::start();
    let mut client = full(&cluster, &receiver);
    wait_until("an event is dropped", PATIENCE, || ask::<Option<i64>>(&mut client, EMIT).is_none());
    let (waiting, dropped) = (pending(&mut client), status(&mut client, "dropped").parse::<i64>().expect("a number"));
    assert!(waiting >= 10 && dropped >= 1, "{waiting} wait, {dropped} were dropped");

    // The application's own row is written all the same.
    run(&mut client, "INSERT INTO ticket VALUES (11)");
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM ticket"), 11);
    assert_eq!((pending(&mut client), status(&mut client, "dropped")), (waiting, (dropped + 1).to_string()));

    // With what waits gone, there is room again, and what waited is all that is sent.
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    wait_for_empty_queue(&mut client);
    assert_eq!(receiver.received("/") as i64, waiting);
    wait_until("there is room", PATIENCE, || ask::<Option<i64>>(&mut client, EMIT).is_some());
}

#[test]
fn events_above_max_pending_fail_the_statement_where_that_is_asked_for() {
    let settings =
        [("hydra_webhooks.enabled", "off"), ("hydra_webhooks.max_pending", "10"), ("hydra_webhooks.on_full", "error")];
    let cluster = Cluster::start(&settings);
    let receiver = Receiver::start();
    let mut client = full(&cluster, &receiver);
    wait_until("it is full", PATIENCE, || client.batch_execute(EMIT).is_err());
    let refusal = refused(&mut client, "INSERT INTO ticket VALUES (11)", "53400");
    assert!(refusal.message.contains("ticket.created") && refusal.detail.contains("max_pending is 10"), "{refusal:?}");
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM ticket"), 10);
    // What nobody wants needs no room.
    run(&mut client, "SELECT hydra.webhook_emit('ticket.resolved', '{}')");
    cluster.set(&[("hydra_webhooks.max_pending", "0")]);
    wait_until("there is no limit", PATIENCE, || client.batch_execute("INSERT INTO ticket VALUES (11)").is_ok());
}
