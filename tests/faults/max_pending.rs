//! `max_pending`: how many events may wait in a database, and what happens to more.

use testkit::{Bench, Cluster, PATIENCE, wait_for_state, wait_until, worker_status};

use crate::PATH;

const EMIT: &str = "SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1}')";

/// With ten events that wait, of ten that may.
fn full(cluster: &Cluster) -> Bench<'_> {
    let mut bench = Bench::new(cluster, "crowded");
    bench.subscribe(PATH, "ticket.created", &[]);
    bench.run("CREATE TABLE ticket (id int); SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert')");
    wait_for_state(&mut bench.client, "off");
    bench.run("INSERT INTO ticket SELECT generate_series(1, 10)");
    bench
}

#[test]
fn events_above_max_pending_are_dropped_and_counted() {
    let cluster = Cluster::start(&[("hydra_webhooks.enabled", "off"), ("hydra_webhooks.max_pending", "10")]);
    let mut bench = full(&cluster);
    wait_until("an event is dropped", PATIENCE, || bench.ask::<Option<i64>>(EMIT).is_none());
    let (waiting, dropped) =
        (bench.count("event"), worker_status(&mut bench.client, "dropped").parse::<i64>().expect("a number"));
    assert!(waiting >= 10 && dropped >= 1, "{waiting} wait, {dropped} were dropped");

    // The row of the application is written all the same.
    bench.run("INSERT INTO ticket VALUES (11)");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM ticket"), 11);
    assert_eq!(
        (bench.count("event"), worker_status(&mut bench.client, "dropped")),
        (waiting, (dropped + 1).to_string())
    );

    // When the waiting events are gone, there is room again. Only those that waited are sent.
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH) as i64, waiting);
    wait_until("there is room", PATIENCE, || bench.ask::<Option<i64>>(EMIT).is_some());
}

#[test]
fn events_above_max_pending_fail_the_statement_where_that_is_asked_for() {
    let settings =
        [("hydra_webhooks.enabled", "off"), ("hydra_webhooks.max_pending", "10"), ("hydra_webhooks.on_full", "error")];
    let cluster = Cluster::start(&settings);
    let mut bench = full(&cluster);
    wait_until("it is full", PATIENCE, || bench.client.batch_execute(EMIT).is_err());
    let refusal = bench.refused("INSERT INTO ticket VALUES (11)", "53400");
    assert!(refusal.message.contains("ticket.created") && refusal.detail.contains("max_pending is 10"), "{refusal:?}");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM ticket"), 10);
    // An event that nobody wants needs no room.
    bench.run("SELECT hydra.webhook_emit('ticket.resolved', '{}')");
    cluster.set(&[("hydra_webhooks.max_pending", "0")]);
    wait_until("there is no limit", PATIENCE, || bench.client.batch_execute("INSERT INTO ticket VALUES (11)").is_ok());
}

#[test]
fn events_that_are_not_kept_for_those_who_miss_them_are_counted_and_do_not_fail() {
    for on_full in ["drop", "error"] {
        let cluster = Cluster::start(&[("hydra_webhooks.max_pending", "5"), ("hydra_webhooks.on_full", on_full)]);
        let mut bench = Bench::new(&cluster, "missing");
        bench.subscribe(PATH, "ticket.created", &[]);
        let (missing, _) = bench.subscribe("/paused", "ticket.created", &[]);
        bench.run(&format!("SELECT hydra.webhook_pause({missing}, keep_events => true)"));
        let mut emitted = 0;
        wait_until("one is not kept", PATIENCE, || {
            emitted += 1;
            bench.run(EMIT);
            bench.wait_for(PATH, emitted as usize);
            worker_status(&mut bench.client, "dropped") != "0"
        });
        let dropped: i64 = worker_status(&mut bench.client, "dropped").parse().expect("a number");
        assert_eq!(bench.receiver.received(PATH) as i64, emitted, "{on_full}: the others have room");
        bench.wait_for_column(missing, "missed", &(emitted - dropped).to_string());
    }
}
