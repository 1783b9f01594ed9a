//! Copies of a database, from a dump or a template: they send nothing until they are adopted.

use std::collections::BTreeSet;
use std::time::Duration;

use postgres::Client;
use testkit::receiver::{Answer, Signature, entity_ids};
use testkit::{
    Bench, PATIENCE, ask, let_pass, rounds, run, subscribe, wait_for_empty_queue, wait_for_state, worker_status,
};

use crate::{RETRY_LATER, all_of, bench, cluster};

/// Dumps a database and restores it as another one, without an error.
#[track_caller]
pub fn copy_by_dump(from: &str, to: &str) -> Client {
    let file = cluster().directory().join(format!("{from}.sql"));
    let dumped = cluster().program("pg_dump").arg("--file").arg(&file).arg(from).output().unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    run(&mut cluster().connect("postgres"), &format!("CREATE DATABASE {to}"));
    let restored =
        cluster().program("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", to, "-f"]).arg(&file).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    cluster().connect(to)
}

pub fn emit_ticket(client: &mut Client, id: &str) {
    run(client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{id}\"}}')"));
}

pub fn copy_by_template(from: &str, to: &str) -> Client {
    let park = |verb: &str| run(&mut cluster().connect(from), &format!("SELECT hydra.webhook_{verb}()"));
    park("park");
    run(&mut cluster().connect("postgres"), &format!("CREATE DATABASE {to} TEMPLATE {from}"));
    park("unpark");
    cluster().connect(to)
}

#[test]
fn a_restored_dump_has_the_subscriptions_and_waits_to_be_adopted() {
    let mut bench = bench("original");
    bench.receiver.answer("/", Answer::status(500));
    bench.run("SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid', 'purchase', 'number')");
    let (id, _) = bench.subscribe("/", "ticket.created,order.paid", &[RETRY_LATER, "name => 'Ops'"]);
    let (gone, _) = bench.subscribe("/gone", "ticket.created", &[]);
    bench.run(&format!("SELECT hydra.webhook_delete({gone})"));
    bench.emit_ticket("of the original");
    bench.wait_for_failed_attempt(1);
    let original = all_of(&mut bench.client, id);

    let mut copy = copy_by_dump("original", "copy");
    assert_eq!(all_of(&mut copy, id), original);
    assert_eq!(
        ask::<i64>(
            &mut copy,
            "SELECT count(*) FROM hydra.webhook_event_types WHERE name = 'order.paid' AND id_key = 'number'"
        ),
        1
    );
    assert_eq!(ask::<i64>(&mut copy, "SELECT count(*) FROM hydra.webhook_event_types WHERE origin = 'catalogue'"), 25);
    for empty in ["event", "delivery", "attempt", "webhook_pending", "webhook_history"] {
        assert_eq!(ask::<i64>(&mut copy, &format!("SELECT count(*) FROM hydra.{empty}")), 0, "{empty} was copied");
    }

    bench.receiver.clear();
    bench.receiver.answer("/", Answer::ok());
    wait_for_state(&mut copy, "parked");
    emit_ticket(&mut copy, "of the copy");
    bench.emit_ticket("of the original again");
    bench.wait_for("/", 1);
    assert_eq!(entity_ids(&bench.receiver.requests("/")), ["of the original again"], "a copy sends nothing");
    assert_eq!(ask::<i64>(&mut copy, "SELECT count(*) FROM hydra.webhook_pending"), 1);

    run(&mut copy, "SELECT hydra.webhook_adopt(keep_queue => true)");
    let requests = bench.wait_for("/", 2);
    wait_for_state(&mut copy, "running");
    assert_eq!(requests[1].entity_id(), "of the copy");
    assert_eq!(requests[1].signature, Signature::Verified, "with the restored secret");
    assert_ne!(requests[0].delivery_id(), requests[1].delivery_id());
    let (next, _) = subscribe(&mut copy, &bench.receiver.url("/"), "ticket.created", &[]);
    assert!(next > gone, "an id is not used again");

    let mut second = copy_by_dump("copy", "second_copy");
    wait_for_state(&mut second, "parked");
    emit_ticket(&mut second, "of the second copy");
    run(&mut second, "SELECT hydra.webhook_adopt()");
    let requests = bench.wait_for("/", 3);
    wait_for_empty_queue(&mut second);
    assert_eq!(requests[2].entity_id(), "of the second copy");
}

#[test]
fn a_changed_event_type_of_the_catalogue_survives_a_dump() {
    let mut bench = bench("retyped");
    bench.run("SELECT hydra.webhook_register_event_type('ticket.created', id_key => 'number')");
    bench.run("SELECT hydra.webhook_register_event_type('order.paid')");
    let mut copy = copy_by_dump("retyped", "retyped_copy");
    let types = "SELECT string_agg(name || ' ' || id_key, ',' ORDER BY name) FROM hydra.webhook_event_types WHERE origin = 'application'";
    assert_eq!(ask::<String>(&mut copy, types), "order.paid id,ticket.created number");
}

/// A copy, a copy of that copy and so on: each sends nothing and says why, and once adopted sends what waited.
#[track_caller]
fn assert_copies_wait_to_be_adopted(original: &str, copy: fn(&str, &str) -> Client) {
    let mut bench = bench(original);
    bench.subscribe("/", "ticket.created", &[]);
    // CREATE DATABASE needs a template without sessions.
    let Bench { client, receiver, .. } = bench;
    drop(client);
    let mut from = original.to_owned();
    for round in 1..=rounds(5) {
        receiver.clear();
        let to = format!("{original}_{round}");
        let mut copied = copy(&from, &to);
        wait_for_state(&mut copied, "parked");
        let detail = worker_status(&mut copied, "detail");
        assert!(detail.contains("SELECT hydra.webhook_adopt() makes it send"), "{detail}");
        emit_ticket(&mut copied, "of the copy");
        emit_ticket(&mut cluster().connect(&from), "of what it is a copy of");
        receiver.wait_for("/", 1, PATIENCE);
        run(&mut copied, "SELECT hydra.webhook_adopt()");
        let requests = receiver.wait_for("/", 2, PATIENCE);
        assert_eq!(entity_ids(&requests), ["of what it is a copy of", "of the copy"], "round {round}");
        assert_ne!(requests[0].delivery_id(), requests[1].delivery_id());
        wait_for_state(&mut copied, "running");
        from = to;
    }
}

#[test]
fn each_of_five_restored_dumps_waits_to_be_adopted() {
    assert_copies_wait_to_be_adopted("dump_source", copy_by_dump);
}

#[test]
fn each_of_five_template_copies_waits_to_be_adopted() {
    assert_copies_wait_to_be_adopted("template_source", copy_by_template);
}

#[test]
fn a_template_copy_is_adopted_without_the_queue_of_its_original() {
    let mut bench = bench("failing_source");
    bench.subscribe("/", "ticket.created", &[RETRY_LATER]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit_tickets(1..=2);
    bench.wait_for_history(2);
    let Bench { client, receiver, .. } = bench;
    drop(client);

    // A template has no dispatcher, so it can be copied without parking it.
    let mut admin = cluster().connect("postgres");
    run(&mut admin, "ALTER DATABASE failing_source IS_TEMPLATE true");
    let dispatcher = cluster().dispatcher_pid("failing_source");
    assert!(ask::<bool>(&mut admin, &format!("SELECT pg_terminate_backend({dispatcher}, 10000)")));
    run(&mut admin, "CREATE DATABASE failing_copy TEMPLATE failing_source");
    run(&mut admin, "ALTER DATABASE failing_source IS_TEMPLATE false");

    receiver.answer("/", Answer::ok());
    let mut copy = cluster().connect("failing_copy");
    wait_for_state(&mut copy, "parked");
    assert_eq!(ask::<i64>(&mut copy, "SELECT count(*) FROM hydra.webhook_pending"), 2);
    emit_ticket(&mut copy, "3");
    let_pass(Duration::from_secs(1));
    assert_eq!(receiver.received("/"), 2, "a copy that is not adopted sends nothing");

    run(&mut copy, "SELECT hydra.webhook_adopt(keep_queue => false)");
    wait_for_state(&mut copy, "running");
    emit_ticket(&mut copy, "4");
    let requests = receiver.wait_for("/", 4, PATIENCE);
    wait_for_empty_queue(&mut copy);
    assert_eq!(receiver.received("/"), 4, "the copied queue was deleted");
    let own: BTreeSet<String> = entity_ids(&requests[2..]).into_iter().collect();
    assert!(own.iter().eq(["3", "4"]));
    let originals = requests[..2].iter().map(|request| request.delivery_id());
    assert!(
        originals.into_iter().all(|id| requests[2..].iter().all(|own| own.delivery_id() != id)),
        "the copy has its own delivery ids"
    );
}
