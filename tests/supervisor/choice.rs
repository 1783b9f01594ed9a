//! Which database is served.

use testkit::{Cluster, PATIENCE, StopMode, ask, run, wait_until};

use crate::{
    DATABASE, LISTEN, assert_answers, demand_password, start, status, supervisor, wait_for_gateway, wait_for_state,
};

#[test]
fn the_only_database_is_served_and_a_second_one_changes_that_only_at_a_restart_which_is_announced() {
    let (cluster, mut first) = start(&[]);
    let gateway = wait_for_gateway(&mut first);
    assert_eq!(status(&mut first, "hint"), "");
    let mut second = cluster.create_database("second");
    wait_until("the second one is known", PATIENCE, || status(&mut second, "state") == "off");
    assert_eq!(status(&mut second, "detail"), "the gateway of this server serves another database");
    assert_eq!(status(&mut second, "address"), "");
    let fine = "SELECT ok AND remedy IS NULL FROM hydra.webhook_doctor() WHERE subject = 'gateway'";
    assert!(ask::<bool>(&mut second, fine), "a server has one gateway, and it serves one database");
    wait_until("it is announced", PATIENCE, || status(&mut first, "hint").contains("hydra_webhooks.gateway_database"));
    assert_eq!(wait_for_gateway(&mut first), gateway);

    cluster.stop(StopMode::Fast);
    cluster.start_again();
    let (mut first, mut second) = (cluster.connect(DATABASE), cluster.connect("second"));
    wait_for_state(&mut first, "failed");
    assert!(status(&mut second, "detail").contains("several databases"), "{}", status(&mut second, "detail"));
    assert!(status(&mut second, "hint").contains("hydra_webhooks.gateway_database"));
    let asked = "SELECT NOT ok AND remedy ~ 'gateway_database' FROM hydra.webhook_doctor() WHERE subject = 'gateway'";
    assert!(ask::<bool>(&mut second, asked));

    cluster.set(&[("hydra_webhooks.gateway_database", "second")]);
    wait_for_gateway(&mut second);
    assert_answers(&mut second);
    cluster.set(&[("hydra_webhooks.gateway_database", DATABASE)]);
    wait_for_gateway(&mut first);
    assert_answers(&mut first);
    wait_for_state(&mut second, "off");
}

#[test]
fn a_name_that_no_database_with_the_extension_has_is_said() {
    let (cluster, mut client) = start(&[("hydra_webhooks.gateway_database", "nowhere")]);
    wait_for_state(&mut client, "failed");
    assert!(status(&mut client, "detail").contains("does not exist"));
    cluster.set(&[("hydra_webhooks.gateway_database", "postgres")]);
    wait_until("it is said", PATIENCE, || status(&mut client, "detail").contains("does not have the extension"));
    cluster.set(&[("hydra_webhooks.gateway_database", DATABASE)]);
    wait_for_gateway(&mut client);
}

#[test]
fn a_standby_runs_no_gateway_before_its_promotion() {
    let (primary, mut client) = start(&[]);
    wait_for_gateway(&mut client);
    let standby = primary.start_standby();
    let mut reader = standby.connect(DATABASE);
    assert_eq!((status(&mut reader, "state"), supervisor(&mut reader)), ("standby".into(), None));
    primary.stop(StopMode::Immediate);
    standby.promote();
    let mut client = standby.connect(DATABASE);
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
}

#[test]
fn without_a_free_worker_slot_the_status_says_what_to_raise_and_the_gateway_takes_the_next_free_one() {
    // One is taken by a worker of Postgres, one by the launcher, two by the dispatchers.
    let named = ("hydra_webhooks.gateway_database", DATABASE);
    let cluster = Cluster::start(&[named, ("max_worker_processes", "4")]);
    demand_password(&cluster);
    let mut client = cluster.create_database(DATABASE);
    let mut other = cluster.create_database("other");
    cluster.dispatcher_pid(DATABASE);
    cluster.dispatcher_pid("other");
    cluster.set(&[LISTEN]);
    wait_until("it is said", PATIENCE, || status(&mut client, "hint").contains("max_worker_processes"));
    assert_eq!(status(&mut client, "state"), "failed");
    run(&mut other, "DROP EXTENSION hydra_webhooks");
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
}
