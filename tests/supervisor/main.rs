//! The gateway that the server runs: when it starts and ends, what it inherits, and what the server says about it.
//!
//! `hydra_webhooks.listen` is a setting of the server, so each test has a cluster of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use postgres::Client;
use testkit::cluster::is_running;
use testkit::{Cluster, PATIENCE, ask, wait_until};

mod choice;
mod crashes;
mod databases;
mod faults;
mod isolation;
mod login;
mod secrets;
mod settings;

/// Any free port.
const LISTEN: (&str, &str) = ("hydra_webhooks.listen", "127.0.0.1:0");

const DATABASE: &str = "helpdesk";

/// Starts a cluster with a gateway that has to log in with its password.
fn start(settings: &[(&str, &str)]) -> (Cluster, Client) {
    let cluster = Cluster::start(&[&[LISTEN], settings].concat());
    demand_password(&cluster);
    let client = cluster.create_database(DATABASE);
    (cluster, client)
}

/// Writes a `pg_hba.conf` in which the gateway needs its password.
fn demand_password(cluster: &Cluster) {
    write_hba(cluster, "local all hydra_gateway_embedded scram-sha-256");
}

/// Writes a `pg_hba.conf` with these lines before one that lets everybody in, and reloads it.
fn write_hba(cluster: &Cluster, lines: &str) {
    let path = cluster.data().join("pg_hba.conf");
    fs::write(path, format!("{lines}\nlocal all all trust\nlocal replication all trust\n")).expect("it can be written");
    cluster.set(&[]);
}

/// A column of `hydra.gateway_status`, as text; null is the empty text.
#[track_caller]
fn status(client: &mut Client, column: &str) -> String {
    ask(client, &format!("SELECT coalesce({column}::text, '') FROM hydra.gateway_status"))
}

#[track_caller]
fn wait_for_state(client: &mut Client, state: &str) {
    let mut seen = String::new();
    let start = Instant::now();
    while seen != state {
        assert!(start.elapsed() < PATIENCE, "the gateway is {seen} and not {state}: {}", status(client, "detail"));
        std::thread::sleep(Duration::from_millis(20));
        seen = status(client, "state");
    }
}

/// Waits until the gateway listens, and returns its process id.
#[track_caller]
fn wait_for_gateway(client: &mut Client) -> i32 {
    wait_for_state(client, "listening");
    wait_for_new_gateway(client, 0)
}

/// Waits until a gateway other than `former` listens, and returns its process id.
#[track_caller]
fn wait_for_new_gateway(client: &mut Client, former: i32) -> i32 {
    let sql = "SELECT pid FROM hydra.gateway_status WHERE state = 'listening' AND pid IS DISTINCT FROM $1";
    let mut found: Option<i32> = None;
    wait_until("another gateway listens", PATIENCE, || {
        found = client.query_opt(sql, &[&former]).expect("the status can be read").and_then(|row| row.get(0));
        found.is_some()
    });
    found.expect("wait_until returns when it is found")
}

fn supervisor(client: &mut Client) -> Option<i32> {
    ask(client, "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'hydra_webhooks supervisor'")
}

fn gone(pid: i32) {
    wait_until(format!("process {pid} is gone"), PATIENCE, || !is_running(pid));
}

/// The status of the answer to a request.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_whitespace().nth(1).unwrap_or_default().to_owned())
}

/// A request that needs the database is answered, as soon as the gateway has connected: it listens before.
#[track_caller]
fn assert_answers(client: &mut Client) {
    wait_until("the gateway is ready", PATIENCE, || {
        get(&status(client, "address"), "/readyz").is_ok_and(|status| status == "200")
    });
}

#[track_caller]
fn assert_quick(what: &str, limit: Duration, action: impl FnOnce()) {
    let start = Instant::now();
    action();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    assert!(took < limit, "{what} took {took:?}");
}

/// No process of the server crashed.
#[track_caller]
fn assert_no_crash(cluster: &Cluster) {
    let log = cluster.log();
    for sign in ["terminated by signal", "PANIC", "all server processes terminated"] {
        assert!(!log.contains(sign), "the log says {sign:?}");
    }
}
