//! Settings that start, change and end the gateway.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use testkit::cluster::is_running;
use testkit::{Cluster, PATIENCE, ask, free_port, refusal, run, wait_until};

use crate::{
    LISTEN, assert_answers, assert_no_crash, assert_quick, demand_password, gone, start, status, supervisor,
    wait_for_gateway, wait_for_state,
};

#[test]
fn a_reload_with_an_address_starts_a_gateway_and_one_without_ends_it() {
    let cluster = Cluster::start(&[]);
    demand_password(&cluster);
    let mut client = cluster.create_database("helpdesk");
    assert_eq!((status(&mut client, "state"), supervisor(&mut client)), ("off".into(), None));
    assert!(status(&mut client, "hint").contains("hydra_webhooks.listen"));

    cluster.set(&[LISTEN]);
    let pid = wait_for_gateway(&mut client);
    assert_answers(&mut client);
    let address = status(&mut client, "address");
    assert_eq!(status(&mut client, "public_url"), format!("http://{address}"));
    assert!(ask::<bool>(
        &mut client,
        "SELECT since BETWEEN now() - interval '1 min' AND now() FROM hydra.gateway_status"
    ));
    wait_until("it has called", PATIENCE, || status(&mut client, "live") == "1");

    cluster.set(&[("hydra_webhooks.listen", "")]);
    gone(pid);
    wait_for_state(&mut client, "off");
    wait_until("the supervisor has ended", PATIENCE, || supervisor(&mut client).is_none());
    wait_until("nobody listens there", PATIENCE, || TcpStream::connect(&address).is_err());
    assert_no_crash(&cluster);
    assert!(!cluster.log().contains("WARNING:  hydra_webhooks"), "nothing is wrong");
}

#[test]
fn while_the_last_requests_finish_after_the_gateway_was_switched_off_no_statement_waits() {
    let (cluster, mut client) = start(&[("hydra_webhooks.request_timeout", "60s")]);
    let gateway = wait_for_gateway(&mut client);
    assert_answers(&mut client);
    let address = status(&mut client, "address");
    run(&mut client, "CREATE DATABASE unrelated");
    // DROP DATABASE makes one too, which takes long on a busy disk.
    run(&mut client, "CHECKPOINT");
    let key: String = ask(&mut client, "SELECT key FROM hydra.api_key_create('half', '{webhooks:read}')");
    let head = format!("Host: {address}\r\nAuthorization: Bearer {key}\r\nContent-Length: 9\r\n");
    let mut half = TcpStream::connect(&address).expect("it listens");
    half.write_all(format!("POST /api/v1/me HTTP/1.1\r\n{head}\r\n{{").as_bytes()).expect("it reads");
    // A gateway that waits for requests ends after ten seconds.
    assert_quick("switching it off, DROP DATABASE and parking", Duration::from_secs(9), || {
        cluster.set(&[("hydra_webhooks.listen", "")]);
        wait_until("it accepts nobody any more", PATIENCE, || TcpStream::connect(&address).is_err());
        // All processes of the server have to agree to this.
        run(&mut client, "DROP DATABASE unrelated");
        assert!(is_running(gateway), "the request was not finished");
        // Who waits for the end itself does not wait for the request.
        run(&mut client, "SELECT hydra.webhook_park()");
        gone(gateway);
    });
    drop(half);
}

#[test]
fn a_reload_reaches_the_running_gateway() {
    let (cluster, mut client) = start(&[]);
    let pid = wait_for_gateway(&mut client);
    let before = status(&mut client, "address");
    let port = free_port();
    cluster.set(&[
        ("hydra_webhooks.listen", &format!("127.0.0.1:{port}")),
        ("hydra_webhooks.public_url", "https://hooks.example.com/"),
    ]);
    wait_until("it listens on the other port", PATIENCE, || {
        status(&mut client, "address") == format!("127.0.0.1:{port}")
    });
    assert_answers(&mut client);
    wait_until("the former port is closed", PATIENCE, || TcpStream::connect(&before).is_err());
    assert_eq!(wait_for_gateway(&mut client), pid, "it is the same process");
    let link: String = ask(&mut client, "SELECT hydra.console_link('hydra_admin')");
    assert!(link.starts_with("https://hooks.example.com/login/hyl_"), "{link}");
}

#[test]
fn settings_that_the_running_gateway_cannot_use_are_reported_and_the_former_ones_stay() {
    let other = TcpListener::bind(("127.0.0.1", free_port())).expect("it is free");
    let (cluster, mut client) = start(&[]);
    let pid = wait_for_gateway(&mut client);
    let address = status(&mut client, "address");
    let taken = other.local_addr().expect("it is bound").to_string();
    cluster.set(&[("hydra_webhooks.listen", &taken)]);
    wait_until("it is said", PATIENCE, || status(&mut client, "detail").contains(&taken));
    assert_ne!(status(&mut client, "hint"), "");
    assert_eq!((wait_for_gateway(&mut client), status(&mut client, "address")), (pid, address));
    assert_answers(&mut client);
    drop(other);
    cluster.set(&[]);
    wait_until("it listens there", PATIENCE, || status(&mut client, "address") == taken);
    assert_eq!(status(&mut client, "hint"), "");
    assert_answers(&mut client);
}

#[test]
fn a_link_begins_with_the_address_of_the_gateway_only_if_this_machine_has_it() {
    let (cluster, mut client) = start(&[]);
    wait_for_gateway(&mut client);
    let address = status(&mut client, "address");
    let link: String = ask(&mut client, "SELECT hydra.console_link('hydra_admin')");
    assert!(link.starts_with(&format!("http://{address}/login/")), "{link}");
    cluster.set(&[("hydra_webhooks.listen", &format!("0.0.0.0:{}", free_port()))]);
    wait_until("it listens everywhere", PATIENCE, || status(&mut client, "address").starts_with("0.0.0.0:"));
    let link: String = ask(&mut client, "SELECT hydra.console_link('hydra_admin')");
    assert!(link.starts_with("/login/"), "{link}");
}

#[test]
fn settings_that_cannot_be_meant_are_refused_with_what_they_look_like() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.connect("postgres");
    for (setting, value, detail) in [
        ("listen", "8480", "127.0.0.1:8480"),
        ("listen", "127.0.0.1:99999", "127.0.0.1:8480"),
        ("public_url", "hooks.example.com", "https://hooks.example.com"),
        ("trusted_proxies", "10.0.0.0/8, everybody", "\"everybody\""),
    ] {
        let refusal = refusal(&mut client, &format!("ALTER SYSTEM SET hydra_webhooks.{setting} = '{value}'"));
        assert_eq!(refusal.code, "22023", "{refusal:?}");
        assert!(refusal.detail.contains(detail), "{refusal:?}");
    }
    for (setting, value) in
        [("gateway_connections", "0"), ("max_request", "1GB"), ("request_timeout", "1ms"), ("max_clients", "0")]
    {
        let refusal = refusal(&mut client, &format!("ALTER SYSTEM SET hydra_webhooks.{setting} = '{value}'"));
        assert_eq!(refusal.code, "22023", "{refusal:?}");
    }
    // The administrator of the server alone decides.
    let session = refusal(&mut client, "SET hydra_webhooks.listen = '127.0.0.1:8480'");
    assert_eq!(session.code, "55P02", "{session:?}");
    let mut stranger = cluster.connect_as_new_role("postgres", "stranger", &[]);
    let hidden = refusal(&mut stranger, "SHOW hydra_webhooks.gateway_conninfo");
    assert_eq!(hidden.code, "42501", "{hidden:?}");
    run(&mut stranger, "SHOW hydra_webhooks.listen");
}
