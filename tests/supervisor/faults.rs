//! A gateway that cannot listen.

use std::net::TcpListener;

use testkit::{PATIENCE, free_port, wait_until};

use crate::{assert_answers, assert_no_crash, start, status, wait_for_gateway, wait_for_state};

#[test]
fn a_port_in_use_is_reported_and_taken_once_it_is_free() {
    let other = TcpListener::bind(("127.0.0.1", free_port())).expect("it is free");
    let address = other.local_addr().expect("it is bound").to_string();
    let (cluster, mut client) = start(&[("hydra_webhooks.listen", &address)]);
    wait_for_state(&mut client, "failed");
    assert!(status(&mut client, "detail").contains(&address), "{}", status(&mut client, "detail"));
    assert_eq!(status(&mut client, "address"), address);
    assert_ne!(status(&mut client, "hint"), "");
    wait_until("it is logged", PATIENCE, || cluster.log().contains("WARNING:  hydra_webhooks supervisor: "));
    drop(other);
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
    assert_no_crash(&cluster);
}

#[test]
fn a_certificate_that_cannot_be_read_is_reported() {
    let (cluster, mut client) =
        start(&[("hydra_webhooks.tls_certificate", "nowhere.pem"), ("hydra_webhooks.tls_key", "nowhere.key")]);
    wait_for_state(&mut client, "failed");
    // A relative path begins in the data directory.
    let path = cluster.data().join("nowhere.pem");
    let detail = status(&mut client, "detail");
    assert!(detail.contains(path.to_str().expect("a path in UTF-8")), "{detail}");
    cluster.set(&[("hydra_webhooks.tls_certificate", ""), ("hydra_webhooks.tls_key", "")]);
    wait_for_gateway(&mut client);
}
