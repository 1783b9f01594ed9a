//! Gateways behind what stands between them and their clients, and between them and the database: haproxy, and
//! pgbouncer in transaction mode.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::gateway::{Connection, Gateway};
use testkit::{Bench, Cluster, PATIENCE, StopWhenDropped, free_port, let_pass, millis, wait_until};

use crate::pages::{Browser, whole_visit};
use crate::{cluster, create_key};

/// A program of Debian that a test has started. It runs as the user of the server: pgbouncer refuses to run as root.
struct Program(Child);

impl Program {
    fn start(cluster: &Cluster, path: &str, arguments: &[&str]) -> Self {
        assert!(Path::new(path).exists(), "there is no {path}: run `make prepare`");
        let mut command = cluster.program(path);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let path = cluster.directory().join(name);
    fs::write(&path, text).expect("the file can be written");
    path
}

/// Starts a pgbouncer for a database, with fewer sessions than the gateways have connections. Returns the connection
/// string for gateways.
fn pool(cluster: &Cluster, database: &str) -> (Program, String) {
    let port = free_port();
    let directory = cluster.directory().display();
    let config = format!(
        "[databases]\n{database} = host={directory} port=54321 user=far_gateway\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = 3\nlogfile = {directory}/{database}.pgbouncer.log\n"
    );
    let file = write(cluster, &format!("{database}.ini"), &config);
    let program = Program::start(cluster, "/usr/sbin/pgbouncer", &[file.to_str().expect("UTF-8")]);
    wait_until("pgbouncer listens", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    (program, format!("host=127.0.0.1 port={port} user=far_gateway dbname={database}"))
}

/// Starts a haproxy in front of gateways, and returns its address.
fn balancer(cluster: &Cluster, database: &str, gateways: &[Gateway]) -> (Program, String) {
    let port = free_port();
    let servers: String = gateways
        .iter()
        .enumerate()
        .map(|(number, gateway)| format!("    server g{number} {} check inter 1s fall 2 rise 1\n", gateway.address))
        .collect();
    let config = format!(
        "defaults\n    mode http\n    timeout connect 10s\n    timeout client 30s\n    timeout server 30s\n\
         \x20   timeout check 10s\n\
         \x20   option forwardfor\n    option redispatch\n    retries 3\n    option httpchk GET /readyz\n\
         listen gateways\n    bind 127.0.0.1:{port}\n{servers}"
    );
    let file = write(cluster, &format!("{database}.cfg"), &config);
    let program = Program::start(cluster, "/usr/sbin/haproxy", &["-db", "-f", file.to_str().expect("UTF-8")]);
    wait_until("haproxy listens", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    (program, format!("127.0.0.1:{port}"))
}

#[test]
fn a_gateway_works_through_pgbouncer_in_transaction_mode() {
    let mut bench = Bench::new(cluster(), "balanced_pool");
    let (_pool, dsn) = pool(cluster(), &bench.database);
    let gateway = Gateway::start_for(&dsn, &[]).when_ready();
    whole_visit(&mut bench, &gateway);
    // Many at a time, each of which may get another session each time.
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 100000");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = gateway.connect();
                let bearer = format!("Bearer {key}");
                for _ in 0..100 {
                    let answer = connection.request("GET", "/api/v1/me", &[("authorization", &bearer)], b"");
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            });
        }
    });
    assert!(gateway.event("call_failed").is_none(), "{:?}", gateway.event("call_failed"));
}

/// Three gateways behind haproxy, each behind pgbouncer; one is killed while visitors make things.
#[test]
fn what_was_answered_is_there_although_a_gateway_was_killed() {
    let mut bench = Bench::new(cluster(), "balanced_kill");
    let (_pool, dsn) = pool(cluster(), &bench.database);
    let gateways: Vec<Gateway> =
        (0..3).map(|_| Gateway::start_for(&dsn, &["--trusted-proxies", "127.0.0.1"]).when_ready()).collect();
    let (_balancer, address) = balancer(cluster(), &bench.database, &gateways);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut admin = Browser::at(&address);
    wait_until("haproxy has found a gateway", PATIENCE, || admin.get("/settings").status == 401);
    assert_eq!(admin.post(&link, "").status, 303);
    let cookie = admin.cookie.clone().expect("a session");

    let (made, after) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (killed, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _stopper = StopWhenDropped(&stop);
        for client in 0..4 {
            let (cookie, address, made, after, killed, stop) = (&cookie, &address, &made, &after, &killed, &stop);
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let name = format!("made.c{client}n{number}");
                    let was_killed = killed.load(Ordering::Relaxed);
                    let headers = [
                        ("content-type", "application/x-www-form-urlencoded"),
                        ("sec-fetch-site", "same-origin"),
                        ("cookie", cookie.as_str()),
                    ];
                    let form = format!("name={name}&description=x&entity_type=made&id_key=id");
                    let answer = Connection::open(address).try_request(
                        "POST",
                        "/settings/event-types",
                        &headers,
                        form.as_bytes(),
                    );
                    if answer.is_ok_and(|answer| answer.status == 303) {
                        made.lock().unwrap().push(name.clone());
                        if was_killed {
                            after.lock().unwrap().push(name);
                        }
                    }
                }
            });
        }
        wait_until("there is load", PATIENCE, || made.lock().unwrap().len() > 30);
        gateways[0].signal("KILL");
        killed.store(true, Ordering::Relaxed);
        wait_until("the others go on", PATIENCE, || after.lock().unwrap().len() > 30);
        let_pass(millis(100));
    });
    let made = made.into_inner().unwrap();
    let there: i64 = {
        let row = bench.client.query_one(
            "SELECT count(*) FROM unnest($1::text[]) AS name WHERE EXISTS (SELECT FROM hydra.webhook_event_types AS t WHERE t.name = name.name)",
            &[&made],
        );
        row.expect("the names are counted").get(0)
    };
    assert_eq!(there, made.len() as i64);
}
