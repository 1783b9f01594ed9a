//! `pg_upgrade` makes a new cluster of the files of the former one. Who follows the advice of the status loses nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use postgres::Client;
use testkit::receiver::{Answer, Receiver, Signature};
use testkit::{Cluster, PATIENCE, StopMode, ask, refused, run, wait_for_empty_queue, wait_until, worker_status};

use crate::{PATH, prepare};

const IDS: &str = "SELECT string_agg(delivery_id::text, ',' ORDER BY delivery_id) FROM hydra.webhook_pending";

/// Writes a key that the server can read.
fn write_key(cluster: &Cluster) -> String {
    let file = cluster.directory().join("keys");
    fs::write(&file, "1".repeat(64)).expect("a file can be written into the directory of the cluster");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its mode can be changed");
    let server = fs::metadata(Path::new(&cluster.data())).expect("the cluster is there");
    chown(&file, Some(server.uid()), Some(server.gid())).expect("it can be given to the server");
    file.to_string_lossy().into_owned()
}

/// Returns the first call in a text.
fn first_call(text: &str) -> &str {
    let start = text.find("SELECT hydra.webhook_adopt(").unwrap_or_else(|| panic!("no call in: {text}"));
    let end = text[start..].find(')').expect("the end of the call");
    &text[start..=start + end]
}

#[test]
fn an_upgraded_cluster_sends_what_waited_after_the_call_that_the_status_names() {
    let receiver = Receiver::start();
    let old = Cluster::start(&[]);
    let key_file = write_key(&old);
    old.set(&[("hydra_webhooks.key_file", &key_file)]);
    let mut client = old.create_database("upgraded");
    wait_until("there is a key", PATIENCE, || ask::<String>(&mut client, "SHOW hydra_webhooks.key_file") == key_file);
    prepare(&mut client, &receiver, &["retry_schedule => '{1 h}'"]);
    run(
        &mut client,
        "CREATE TABLE part (id bigint);
         SELECT hydra.webhook_watch('part', 'ticket.created', 'insert', condition => 'new.id > 0', level => 'statement')",
    );
    assert!(ask::<bool>(&mut client, "SELECT bool_and(secret ^@ 'sealed:') FROM hydra.signing_secret"));

    receiver.answer(PATH, Answer::status(500));
    run(&mut client, "INSERT INTO ticket VALUES (1), (2)");
    wait_until("both wait for their retry", PATIENCE, || {
        ask::<i64>(&mut client, "SELECT count(*) FROM hydra.delivery WHERE claimed_by IS NULL") == 2
    });
    old.set(&[("hydra_webhooks.enabled", "off")]);
    testkit::wait_for_state(&mut client, "off");
    run(&mut client, "INSERT INTO ticket VALUES (3), (4), (5)");
    let before: String = ask(&mut client, IDS);
    drop(client);
    old.stop(StopMode::Fast);

    let new = old.start_upgraded(&[("hydra_webhooks.key_file", &key_file)]);
    let mut client = new.connect("upgraded");
    run(&mut client, "INSERT INTO ticket VALUES (6)");
    testkit::wait_for_state(&mut client, "parked");
    let detail = worker_status(&mut client, "detail");
    assert!(detail.contains("pg_upgrade"), "{detail}");
    assert!(detail.contains("3 events and 2 deliveries") && detail.contains("1 event and 0 deliveries"), "{detail}");
    wait_until("the log says so", PATIENCE, || new.log().contains("nothing is sent from database \"upgraded\""));
    assert!(new.log().contains("keep_queue => true"));
    assert_eq!(from_another_version(&mut client), "SELECT hydra.webhook_adopt(keep_queue => true)");
    refused(&mut client, "SELECT hydra.webhook_adopt()", "55000");

    receiver.clear();
    receiver.answer(PATH, Answer::ok());
    run(&mut client, first_call(&detail));
    testkit::wait_for_state(&mut client, "running");
    receiver.wait_for(PATH, 4, PATIENCE);
    run(&mut client, "SELECT hydra.webhook_retry(id) FROM hydra.delivery");
    let requests = receiver.wait_for(PATH, 6, PATIENCE);
    wait_for_empty_queue(&mut client);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified), "with the sealed secret");
    let mut sent: Vec<&str> = requests.iter().map(|request| request.delivery_id()).collect();
    sent.sort_unstable();
    assert!(before.split(',').all(|id| sent.contains(&id)), "{before} {sent:?}");
    sent.dedup();
    assert_eq!(sent.len(), 6);
    run(&mut client, "INSERT INTO ticket VALUES (7); INSERT INTO part VALUES (8), (-8)");
    receiver.wait_for(PATH, 8, PATIENCE);
    wait_for_empty_queue(&mut client);
    assert_eq!(receiver.received(PATH), 8);
}

/// Returns the call that the status names if the former cluster had another version.
fn from_another_version(client: &mut Client) -> String {
    run(client, "BEGIN; UPDATE hydra.identity SET server_version = 14");
    let detail = worker_status(client, "detail");
    run(client, "ROLLBACK");
    assert!(detail.contains("upgraded from PostgreSQL 14"), "{detail}");
    first_call(&detail).to_owned()
}
