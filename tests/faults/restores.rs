//! Restores and copies that are made of files. They set the numbers of events back; an id of a delivery still never
//! stands for two bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postgres::Client;
use testkit::receiver::{Answer, Receiver, Request, entity_ids};
use testkit::{Bench, Cluster, PATIENCE, StopMode, ask, run, subscribe, wait_for_empty_queue, wait_for_state};

use crate::{PATH, cluster};

/// Emits tickets in one session, and returns the numbers of the events.
#[track_caller]
fn emit(client: &mut Client, name: &str, count: i32) -> BTreeSet<i64> {
    let sql = "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', $1::text || n))
               FROM generate_series(1, $2::int) AS n";
    let rows = client.query(sql, &[&name, &count]).expect("events can be emitted");
    rows.iter().map(|row| row.get::<_, Option<i64>>(0).expect("it is wanted")).collect()
}

#[track_caller]
fn assert_ids_stand_for_one_body(requests: &[Arc<Request>]) {
    let mut bodies = BTreeMap::new();
    for request in requests {
        let first = bodies.entry(request.delivery_id()).or_insert(&request.body);
        assert_eq!(*first, &request.body, "delivery {}", request.delivery_id());
    }
}

#[test]
fn after_a_restore_of_files_new_events_get_new_delivery_ids() {
    let cluster = Cluster::start(&[]);
    let receiver = Receiver::start();
    let mut client = cluster.create_database("restored");
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[]);
    cluster.stop(StopMode::Fast);
    cluster.save_files();
    let mut numbers = Vec::new();
    for (round, name) in ["before ", "after "].into_iter().enumerate() {
        cluster.start_again();
        let mut client = cluster.connect("restored");
        numbers.push(emit(&mut client, name, 5));
        receiver.wait_for(PATH, (round + 1) * 5, PATIENCE);
        wait_for_empty_queue(&mut client);
        cluster.stop(StopMode::Immediate);
        if round == 0 {
            cluster.put_back_files();
        }
    }
    assert_eq!(numbers[0], numbers[1], "the restore has set the numbers back");
    assert_ids_stand_for_one_body(&receiver.requests(PATH));
}

#[test]
fn a_standby_that_lags_behind_and_is_promoted_gives_new_events_new_delivery_ids() {
    let receiver = Receiver::start();
    let primary = Cluster::start(&[]);
    let mut client = primary.create_database("lagging");
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[]);
    let standby = primary.start_standby();
    standby.stop(StopMode::Fast);
    // A sequence writes to the log what it will give out next, 1024 numbers each time.
    let on_primary = emit(&mut client, "primary ", 2100);
    receiver.wait_for(PATH, 2100, PATIENCE);
    primary.stop(StopMode::Immediate);
    standby.start_again();
    standby.promote();
    let mut client = standby.connect("lagging");
    let on_standby = emit(&mut client, "standby ", 1100);
    receiver.wait_for(PATH, 3200, PATIENCE);
    assert!(!on_primary.is_disjoint(&on_standby), "some numbers come again");
    assert_ids_stand_for_one_body(&receiver.requests(PATH));
}

#[test]
fn an_event_with_the_number_of_a_failed_one_is_retried_and_has_its_own_delivery_id() {
    let mut bench = Bench::new(cluster(), "restarted");
    let (id, _) = bench.subscribe(PATH, "ticket.created", &["retry_schedule => '{}'"]);
    bench.receiver.answer_first(PATH, 2, Answer::status(500));
    let former = emit(&mut bench.session(), "old ", 1);
    let failed = bench.wait_for_failed_delivery();
    bench.run(&format!("SELECT hydra.webhook_update({id}, retry_schedule => '{{0.1 s}}')"));
    bench.run("TRUNCATE hydra.event RESTART IDENTITY");
    let new = emit(&mut bench.session(), "new ", 1);
    assert_eq!(new, former, "the number comes again");
    let requests = bench.wait_for(PATH, 3);
    bench.wait_for_empty_queue();
    assert_eq!(entity_ids(&requests), ["old 1", "new 1", "new 1"]);
    assert_ids_stand_for_one_body(&requests);
    assert_eq!(bench.ask::<String>("SELECT delivery_id::text FROM hydra.webhook_failed"), failed);
}

#[test]
fn an_event_that_was_put_back_by_hand_is_sent_under_its_former_delivery_id_and_the_log_says_so() {
    let mut bench = Bench::new(cluster(), "put_back");
    let (id, _) = bench.subscribe(PATH, "ticket.created", &["retry_schedule => '{}'"]);
    bench.receiver.answer_first(PATH, 2, Answer::status(500));
    bench.run(
        "BEGIN; SELECT hydra.webhook_emit('ticket.created', '{\"id\": \"7\"}');
         CREATE TABLE kept AS SELECT random, installation, event_type, entity_type, entity_id, entity, emitted_at, id, targets FROM hydra.event;
         COMMIT",
    );
    let failed = bench.wait_for_failed_delivery();
    bench.run(&format!("SELECT hydra.webhook_update({id}, retry_schedule => '{{0.1 s}}')"));
    bench.run(
        "INSERT INTO hydra.event (random, installation, event_type, entity_type, entity_id, entity, emitted_at, id, targets)
         SELECT * FROM kept",
    );
    let requests = bench.wait_for(PATH, 3);
    bench.wait_for_empty_queue();
    assert!(requests.iter().all(|request| request.delivery_id() == failed), "it is the same delivery");
    bench.wait_for_count("webhook_failed", 0);
    let warning = format!("delivery {failed} was in the retry queue already; its row was replaced");
    assert!(cluster().log().contains(&warning));
}

const WAITING: &str = "SELECT coalesce(string_agg(delivery_id::text || ' ' || event_id, ',' ORDER BY event_id), '')
                       FROM hydra.webhook_pending";
const INSTALLATION: &str = "SELECT installation::text FROM hydra.event ORDER BY emitted_at DESC LIMIT 1";

/// A clone whose original waits to retry two deliveries, and a session in it that has emitted an event.
fn clone_with_a_queue(database: &str) -> (Cluster, Cluster, Receiver, Client) {
    let receiver = Receiver::start();
    let original = Cluster::start(&[]);
    let mut client = original.create_database(database);
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{1 h}'"]);
    receiver.answer(PATH, Answer::status(500));
    emit(&mut client, "of the original ", 2);
    receiver.wait_for(PATH, 2, PATIENCE);
    testkit::wait_until("both wait for their retry", PATIENCE, || {
        ask::<i64>(&mut client, "SELECT count(*) FROM hydra.delivery WHERE claimed_by IS NULL") == 2
    });
    let clone = original.start_clone(&[("hydra_webhooks.enabled", "off")]);
    let mut cloned = clone.connect(database);
    wait_for_state(&mut cloned, "off");
    emit(&mut cloned, "of the clone ", 1);
    (original, clone, receiver, cloned)
}

#[test]
fn a_clone_of_files_becomes_a_new_installation_and_keeps_the_ids_of_what_waits() {
    let (_original, clone, receiver, mut client) = clone_with_a_queue("cloned");
    let waiting: String = ask(&mut client, WAITING);
    let installation: String = ask(&mut client, INSTALLATION);
    // It cannot be recognized as a copy.
    run(&mut client, "SELECT hydra.webhook_adopt()");
    assert_eq!(ask::<String>(&mut client, WAITING), waiting);
    let refusal = testkit::refused(&mut client, "SELECT hydra.webhook_adopt(new_identity => true)", "55000");
    assert!(refusal.detail.contains("1 event and 2 deliveries"), "{}", refusal.detail);

    let mut warm = clone.connect("cloned");
    emit(&mut warm, "of the clone, too ", 1);
    let waiting: String = ask(&mut client, WAITING);
    run(&mut client, "SELECT hydra.webhook_adopt(keep_queue => true, new_identity => true)");
    assert_eq!(ask::<String>(&mut client, WAITING), waiting, "ids do not change");
    emit(&mut warm, "later ", 1);
    assert_ne!(ask::<String>(&mut client, INSTALLATION), installation, "in a session that has emitted before");

    clone.set(&[("hydra_webhooks.enabled", "on")]);
    receiver.answer(PATH, Answer::ok());
    run(
        &mut client,
        "SELECT hydra.webhook_retry(id) FROM hydra.delivery WHERE state = 'pending' AND claimed_by IS NULL",
    );
    let requests = receiver.wait_for(PATH, 7, PATIENCE);
    wait_for_empty_queue(&mut client);
    assert_ids_stand_for_one_body(&requests);
    let sent: BTreeSet<&str> = requests[2..].iter().map(|request| request.delivery_id()).collect();
    assert!(waiting.split(',').all(|row| sent.contains(row.split(' ').next().expect("an id"))), "{waiting} {sent:?}");
}

#[test]
fn a_clone_of_files_can_leave_what_waits_to_its_original() {
    let (_original, _clone, receiver, mut client) = clone_with_a_queue("cloned");
    run(&mut client, "SELECT hydra.webhook_adopt(keep_queue => false, new_identity => true)");
    assert_eq!(ask::<String>(&mut client, WAITING), "");
    emit(&mut client, "later ", 1);
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_pending"), 1);
    assert_eq!(receiver.received(PATH), 2);
}
