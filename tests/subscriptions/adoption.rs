//! `webhook_adopt` and the status of a copy: nothing is deleted that nobody asked to delete, and no id changes.

use postgres::Client;
use testkit::receiver::{Answer, Receiver, entity_ids};
use testkit::{
    Bench, PATIENCE, ask, refused, run, subscribe, wait_for_empty_queue, wait_for_state, wait_until, worker_status,
};

use crate::cluster;
use crate::copies::{copy_by_dump, copy_by_template, emit_ticket};

const IDS: &str = "SELECT string_agg(delivery_id::text, ',' ORDER BY emitted_at) FROM hydra.webhook_pending";

/// A database in which one event is not sent, one delivery waits for its retry, and one has failed.
fn with_a_queue(database: &str) -> Receiver {
    let mut bench = Bench::new(cluster(), database);
    bench.receiver.answer_first("/", 2, Answer::status(500));
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{}'"]);
    bench.emit_ticket("failed");
    bench.wait_for_failed_delivery();
    bench.run("SELECT hydra.webhook_update(min(id), retry_schedule => '{1 h}') FROM hydra.webhook_subscriptions");
    bench.emit_ticket("waiting");
    bench.wait_for_history(2);
    bench.run("SELECT hydra.webhook_park()");
    bench.emit_ticket("unsent");
    let Bench { client, receiver, .. } = bench;
    drop(client);
    receiver
}

/// A copy by template of such a database, which is parked. The copy has emitted an event.
fn copy_with_a_queue(database: &str) -> (Receiver, Client) {
    let receiver = with_a_queue(database);
    let name = format!("{database}_copy");
    run(&mut cluster().connect("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {database}"));
    let mut copy = cluster().connect(&name);
    emit_ticket(&mut copy, "of the copy");
    (receiver, copy)
}

fn retry_all(client: &mut Client) {
    run(client, "SELECT hydra.webhook_retry(id) FROM hydra.delivery WHERE state = 'pending' AND claimed_by IS NULL");
}

#[test]
fn adopting_a_copy_in_which_copied_events_wait_must_be_told_what_to_do_with_them() {
    let (_receiver, mut copy) = copy_with_a_queue("undecided");
    let before: String = ask(&mut copy, IDS);
    for call in ["hydra.webhook_adopt()", "hydra.webhook_adopt(NULL)", "hydra.webhook_adopt(new_identity => true)"] {
        let refusal = refused(&mut copy, &format!("SELECT {call}"), "55000");
        assert_eq!(
            refusal.detail,
            "Copied: 1 event and 1 delivery. Emitted here, and kept in any case: 1 event and 0 deliveries."
        );
        assert!(refusal.hint.contains("keep_queue => true") && refusal.hint.contains("keep_queue => false"));
    }
    refused(&mut copy, "SELECT hydra.webhook_adopt(true, NULL)", "22004");
    assert_eq!(ask::<String>(&mut copy, IDS), before);
    assert_eq!(worker_status(&mut copy, "state"), "parked");
}

#[test]
fn a_copy_that_does_not_keep_the_queue_keeps_what_it_has_emitted_itself() {
    let (receiver, mut copy) = copy_with_a_queue("leaving");
    let own: String =
        ask(&mut copy, "SELECT delivery_id::text FROM hydra.webhook_pending WHERE entity_id = 'of the copy'");
    run(&mut copy, "SELECT hydra.webhook_adopt(keep_queue => false)");
    wait_for_state(&mut copy, "running");
    let requests = receiver.wait_for("/", 3, PATIENCE);
    wait_for_empty_queue(&mut copy);
    assert_eq!(entity_ids(&requests), ["failed", "waiting", "of the copy"]);
    assert_eq!(requests[2].delivery_id(), own, "the id is that which the view has shown before");
    assert_eq!(ask::<i64>(&mut copy, "SELECT count(*) FROM hydra.webhook_failed"), 1, "failed deliveries are kept");
}

#[test]
fn a_copy_that_keeps_the_queue_sends_all_of_it_under_unchanged_ids() {
    let (receiver, mut copy) = copy_with_a_queue("keeping");
    let before: String = ask(&mut copy, IDS);
    run(&mut copy, "SELECT hydra.webhook_adopt(keep_queue => true)");
    wait_for_state(&mut copy, "running");
    receiver.wait_for("/", 4, PATIENCE);
    retry_all(&mut copy);
    let requests = receiver.wait_for("/", 5, PATIENCE);
    wait_for_empty_queue(&mut copy);
    let sent: Vec<&str> = requests[2..].iter().map(|request| request.delivery_id()).collect();
    assert!(before.split(',').all(|id| sent.contains(&id)), "{before} {sent:?}");
    assert_eq!(sent[2], requests[1].delivery_id(), "the retry of the delivery that waits in the original, too");

    // What was copied from a copy belongs neither to it nor to its original.
    drop(copy);
    let mut second = copy_by_template("keeping_copy", "keeping_copy_2");
    run(&mut second, "SELECT hydra.webhook_adopt()");
    wait_for_state(&mut second, "running");
}

#[test]
fn a_session_that_has_emitted_before_the_adoption_emits_as_the_same_installation_after_it() {
    let (_receiver, mut copy) = copy_with_a_queue("warm");
    let mut warm = cluster().connect("warm_copy");
    emit_ticket(&mut warm, "before");
    // Nothing is sent, so that the rows stay.
    run(&mut copy, "SELECT hydra.webhook_pause(id) FROM hydra.webhook_subscriptions");
    run(&mut copy, "SELECT hydra.webhook_adopt(keep_queue => false)");
    run(&mut copy, "BEGIN; SELECT hydra.webhook_resume(id) FROM hydra.webhook_subscriptions");
    emit_ticket(&mut copy, "after");
    let installations: i64 = ask(
        &mut copy,
        "SELECT count(DISTINCT installation) FROM (SELECT installation FROM hydra.event UNION ALL SELECT installation FROM
         hydra.delivery WHERE state = 'pending' UNION ALL SELECT namespace FROM hydra.identity) AS all_of_them (installation)",
    );
    run(&mut copy, "ROLLBACK");
    assert_eq!(installations, 1);
}

#[test]
fn the_status_of_a_copy_names_its_origin_what_waits_and_the_call() {
    let (_receiver, mut copy) = copy_with_a_queue("described");
    let detail = |client: &mut Client| worker_status(client, "detail");
    assert_eq!(
        detail(&mut copy),
        "this database is a copy of database \"described\", and nothing is sent before it is adopted (copied: 1 event and \
         1 delivery; emitted here: 1 event and 0 deliveries): SELECT hydra.webhook_adopt(keep_queue => false) makes it \
         send its own events and leaves the copied ones to the original; with true it sends these too"
    );
    run(&mut cluster().connect("postgres"), "DROP DATABASE described");
    let orphaned = detail(&mut copy);
    assert!(orphaned.starts_with("this database is a copy of a database that no longer exists"), "{orphaned}");
    assert!(
        orphaned.ends_with("SELECT hydra.webhook_adopt(keep_queue => true) makes it send all of them"),
        "{orphaned}"
    );

    drop(copy);
    let mut restored = copy_by_dump("described_copy", "described_dump");
    emit_ticket(&mut restored, "of the restored database");
    assert_eq!(
        detail(&mut restored),
        "this database was restored from a dump, and nothing is sent before it is adopted (copied: 0 events and 0 \
         deliveries; emitted here: 1 event and 0 deliveries): SELECT hydra.webhook_adopt() makes it send"
    );
}

#[test]
fn no_test_request_is_made_from_a_copy_or_a_parked_database() {
    let (receiver, mut copy) = copy_with_a_queue("untested");
    let id: i64 = ask(&mut copy, "SELECT id FROM hydra.webhook_subscriptions");
    let test = format!("SELECT hydra.webhook_send_test({id})");
    let refusal = refused(&mut copy, &test, "55000");
    assert!(refusal.message.contains("copy"), "{refusal:?}");
    let endpoint = format!("http://{}/…", receiver.address());
    assert!(refusal.detail.contains(&endpoint) && refusal.detail.contains(&id.to_string()), "{refusal:?}");
    assert_eq!(
        refused(&mut copy, "SELECT hydra.webhook_send_test(0)", "42704").message,
        "subscription 0 does not exist"
    );

    run(&mut copy, "SELECT hydra.webhook_adopt(keep_queue => false); SELECT hydra.webhook_park()");
    assert!(refused(&mut copy, &test, "55000").hint.contains("hydra.webhook_unpark()"));
    let before = receiver.received("/");
    run(&mut copy, "SELECT hydra.webhook_unpark()");
    wait_until("a test request is made", PATIENCE, || copy.batch_execute(&test).is_ok());
    assert!(receiver.received("/") > before);
    let (other, _) = subscribe(&mut copy, &receiver.url("/other"), "ticket.created", &[]);
    run(&mut copy, &format!("SELECT hydra.webhook_send_test({other})"));
    assert_eq!(receiver.received("/other"), 1);
}
