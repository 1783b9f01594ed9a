//! A gateway that a supervisor has started: settings by standard input, states by standard output.

use std::io::Write;
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use testkit::gateway::{Gateway, login, program};
use testkit::{PATIENCE, free_port, wait_until};

use crate::{cluster, create_key};

fn start() -> Gateway {
    let mut command = Command::new(program());
    // As the supervisor does: nothing of its environment.
    command.env_clear().arg("--supervised");
    Gateway::spawn(command)
}

fn tell(gateway: &mut Gateway, settings: &Value) {
    let stdin = gateway.stdin.as_mut().expect("it is open");
    writeln!(stdin, "{settings}").expect("the gateway reads");
}

/// Waits until the last state is this one, and returns it.
#[track_caller]
fn state(gateway: &mut Gateway, name: &str) -> Value {
    gateway.wait_for(name, |gateway| gateway.states().last().is_some_and(|state| state["state"] == name));
    gateway.states().pop().unwrap()
}

#[test]
fn a_supervised_gateway_obeys_lines_and_ends_with_them() {
    let mut bench = testkit::Bench::new(cluster(), "supervised");
    let key = create_key(&mut bench.client, "role => 'app'");
    let taken = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let socket = login(cluster(), &bench.database);
    let settings = |listen: String| {
        json!({"listen": listen, "dsns": ["host=/nonexistent user=x dbname=x", socket], "public_url": "",
               "connections": 2, "max_request": 1_048_576, "request_timeout_ms": 10_000, "max_clients": 512,
               "trusted_proxies": "", "tls_certificate": "", "tls_key": "", "database": "supervised"})
    };
    let mut gateway = start();
    tell(&mut gateway, &json!("no settings"));
    assert!(state(&mut gateway, "failed")["hint"].is_string());
    tell(&mut gateway, &settings(taken.local_addr().unwrap().to_string()));
    gateway.wait_for("the port is taken", |gateway| {
        gateway.states().last().is_some_and(|state| state["error"].as_str().unwrap_or_default().contains("in use"))
    });
    // It mends itself.
    drop(taken);
    let first = state(&mut gateway, "listening")["address"].as_str().unwrap().to_owned();
    gateway.address.clone_from(&first);
    wait_until("it answers", PATIENCE, || gateway.me(&key).status == 200);

    // Another address: requests on the old connections go on, new ones are accepted at the new address.
    let mut open = gateway.connect();
    assert_eq!(open.request("GET", "/healthz", &[], b"").status, 200);
    tell(&mut gateway, &settings("127.0.0.1:0".into()));
    gateway.wait_for("it listens elsewhere", |gateway| {
        gateway.states().last().is_some_and(|state| state["state"] == "listening" && state["address"] != first.as_str())
    });
    gateway.address = state(&mut gateway, "listening")["address"].as_str().unwrap().to_owned();
    assert_eq!(gateway.me(&key).status, 200);
    assert_eq!(open.request("GET", "/healthz", &[], b"").status, 200);

    // Settings that cannot be used change nothing.
    tell(&mut gateway, &settings("nowhere".into()));
    gateway.wait_for("it says why", |gateway| gateway.states().last().is_some_and(|state| state["error"].is_string()));
    assert_eq!(state(&mut gateway, "listening")["address"], gateway.address.as_str());
    assert_eq!(gateway.me(&key).status, 200);

    let mut without_database = settings("127.0.0.1:0".into());
    without_database["dsns"] = json!(["host=/nonexistent user=x dbname=x"]);
    tell(&mut gateway, &without_database);
    assert!(state(&mut gateway, "cannot_connect")["error"].as_str().unwrap().contains("No such file"));

    drop(gateway.stdin.take());
    assert!(gateway.end().success(), "it ends when its parent has gone");
}
