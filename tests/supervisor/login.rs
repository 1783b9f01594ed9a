//! How the gateway logs in.

use testkit::{PATIENCE, ask, run, wait_until};

use crate::{DATABASE, assert_answers, start, status, supervisor, wait_for_gateway, wait_for_state, write_hba};

#[test]
fn if_pg_hba_refuses_the_gateway_the_status_has_the_line_that_lets_it_in() {
    let (cluster, mut client) = start(&[]);
    wait_for_gateway(&mut client);
    // What Debian has by default.
    write_hba(&cluster, "local all hydra_gateway_embedded peer");
    let terminate = supervisor(&mut client).expect("it runs");
    run(&mut client, &format!("SELECT pg_terminate_backend({terminate}, 10000)"));
    wait_until("it is said", PATIENCE, || status(&mut client, "hint").contains("pg_hba.conf"));
    assert_eq!(status(&mut client, "state"), "failed");
    let detail = status(&mut client, "detail");
    assert!(detail.starts_with("the gateway cannot log in: "), "{detail}");
    let hint = status(&mut client, "hint");
    let line = hint.rsplit_once(": ").expect("the line is at the end").1;
    assert_eq!(line, "local helpdesk hydra_gateway_embedded scram-sha-256");

    write_hba(&cluster, &format!("{line}\nlocal all hydra_gateway_embedded peer"));
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
}

#[test]
fn every_start_has_another_password_and_only_that_one_works() {
    let (cluster, mut client) = start(&[]);
    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'hydra_gateway_embedded'";
    wait_for_gateway(&mut client);
    let first: String = ask(&mut client, stored);
    assert!(first.starts_with("SCRAM-SHA-256$4096:"), "{first}");
    let mut config = cluster.config();
    config.user("hydra_gateway_embedded").dbname(DATABASE).password("guessed");
    assert!(config.connect(postgres::NoTls).is_err());
    let terminated = supervisor(&mut client).expect("it runs");
    run(&mut client, &format!("SELECT pg_terminate_backend({terminated}, 10000)"));
    wait_until("the password is another one", PATIENCE, || ask::<String>(&mut client, stored) != first);
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
}

#[test]
fn a_connection_string_of_the_administrator_takes_the_place_of_the_password() {
    let (cluster, mut client) = start(&[]);
    wait_for_gateway(&mut client);
    run(&mut client, "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway");
    run(&mut client, "ALTER ROLE hydra_gateway_embedded PASSWORD NULL");
    let session = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'far_gateway'";
    let host = cluster.directory().display().to_string();
    let conninfo = |role: &str| format!("host={host} port=54321 dbname={DATABASE} user={role}");
    cluster.set(&[("hydra_webhooks.gateway_conninfo", &conninfo("far_gateway"))]);
    wait_until("it is used", PATIENCE, || ask::<i64>(&mut client, session) > 0);
    wait_for_gateway(&mut client);
    assert_answers(&mut client);

    cluster.set(&[("hydra_webhooks.gateway_conninfo", &conninfo("nobody"))]);
    wait_for_state(&mut client, "failed");
    assert_eq!(status(&mut client, "hint"), "See hydra_webhooks.gateway_conninfo.");
    assert!(status(&mut client, "detail").contains("nobody"), "{}", status(&mut client, "detail"));
    cluster.set(&[("hydra_webhooks.gateway_conninfo", "")]);
    wait_for_gateway(&mut client);
}
