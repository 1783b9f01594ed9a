//! Databases that are dropped, renamed, copied and parked while a gateway serves them.

use std::time::Duration;

use testkit::cluster::is_running;
use testkit::{PATIENCE, run, wait_until};

use crate::{
    DATABASE, assert_answers, assert_no_crash, assert_quick, start, status, supervisor, wait_for_gateway,
    wait_for_state,
};

/// Such a statement fails if after five seconds there still is a session. The rest of its time is that of the disk.
const PROMPT: Duration = Duration::from_secs(30);

#[test]
fn a_served_database_is_renamed_copied_and_dropped_promptly() {
    let (cluster, mut client) = start(&[]);
    let mut admin = cluster.connect("postgres");
    let former = wait_for_gateway(&mut client);
    drop(client);
    assert_quick("the rename", PROMPT, || run(&mut admin, "ALTER DATABASE helpdesk RENAME TO support"));
    let mut client = cluster.connect("support");
    assert_ne!(wait_for_gateway(&mut client), former);
    assert_answers(&mut client);

    // The copy has the extension too, but the gateway stays where it was.
    drop(client);
    assert_quick("the copy", PROMPT, || run(&mut admin, "CREATE DATABASE branch TEMPLATE support"));
    let mut client = cluster.connect("support");
    let gateway = wait_for_gateway(&mut client);
    drop(client);
    assert_quick("the drop", PROMPT, || run(&mut admin, "DROP DATABASE support"));
    assert!(!is_running(gateway));
    assert_no_crash(&cluster);
    assert!(!cluster.log().lines().any(|line| line.contains("hydra_webhooks") && line.contains("FATAL")));
}

#[test]
fn a_named_database_that_is_dropped_and_created_again_is_served_again() {
    let (cluster, mut client) = start(&[("hydra_webhooks.gateway_database", DATABASE)]);
    wait_for_gateway(&mut client);
    drop(client);
    let mut admin = cluster.connect("postgres");
    assert_quick("the drop", PROMPT, || run(&mut admin, "DROP DATABASE helpdesk WITH (FORCE)"));
    let mut client = cluster.create_database(DATABASE);
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
    assert_no_crash(&cluster);
}

#[test]
fn parking_ends_the_gateway_until_the_database_is_unparked() {
    let (cluster, mut client) = start(&[]);
    let gateway = wait_for_gateway(&mut client);
    assert_quick("parking", PROMPT, || run(&mut client, "SELECT hydra.webhook_park()"));
    assert!(!is_running(gateway));
    // It has left its database, and its process ends a moment later.
    wait_until("the supervisor has ended", PATIENCE, || supervisor(&mut client).is_none());
    assert_eq!(status(&mut client, "state"), "parked");
    // It would be started again with a reload, or after a second.
    cluster.set(&[("hydra_webhooks.max_clients", "100")]);
    testkit::let_pass(Duration::from_secs(2));
    assert_eq!((status(&mut client, "state"), supervisor(&mut client)), ("parked".into(), None));
    run(&mut client, "SELECT hydra.webhook_unpark()");
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
}

#[test]
fn dropping_the_extension_ends_the_gateway_and_creating_it_again_starts_it() {
    let (cluster, mut client) = start(&[]);
    let gateway = wait_for_gateway(&mut client);
    run(&mut client, "DROP EXTENSION hydra_webhooks");
    wait_until("the gateway has ended", PATIENCE, || !is_running(gateway));
    wait_until("the supervisor has ended", PATIENCE, || supervisor(&mut client).is_none());
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    wait_for_state(&mut client, "listening");
    assert_answers(&mut client);
    assert_no_crash(&cluster);
}
