//! The life of a gateway: a database that comes and goes, an end without a lost answer, a reload.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::gateway::{Connection, Gateway, login, program};
use testkit::receiver::Answer as Response;
use testkit::{Bench, Cluster, PATIENCE, StopMode, StopWhenDropped, run, wait_until};

use crate::pages::Browser;
use crate::{cluster, create_key};

#[test]
fn a_gateway_answers_503_while_the_database_is_away_and_goes_on_when_it_is_back() {
    let own = Cluster::start(&[]);
    let mut client = own.create_database("coming_and_going");
    run(&mut client, "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE app");
    let key = create_key(&mut client, "role => 'app'");
    drop(client);
    let mut gateway = Gateway::start_for(&login(&own, "coming_and_going"), &["--connections", "2"]).when_ready();
    assert_eq!(gateway.me(&key).status, 200);
    assert_eq!(gateway.get("/readyz", &[]).status, 200);
    for mode in [StopMode::Fast, StopMode::Immediate] {
        own.stop(mode);
        let away = gateway.me(&key);
        assert_eq!((away.status, away.header("retry-after")), (503, Some("1")), "{away:?}");
        assert_eq!(gateway.get("/readyz", &[]).status, 503);
        assert_eq!(gateway.get("/healthz", &[]).status, 200);
        gateway.wait_for("it says why", |gateway| gateway.event("cannot_connect").is_some());
        own.start_again();
        wait_until("it answers again", PATIENCE, || gateway.me(&key).status == 200);
        assert_eq!(gateway.get("/readyz", &[]).status, 200);
    }
}

/// A statement alone would be a transaction as the database has them by default.
#[test]
fn a_request_is_read_committed_and_may_write_whatever_the_default_of_the_database_is() {
    let mut bench = Bench::new(cluster(), "life_defaults");
    bench.run(
        "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text, text text,
                            isolation text DEFAULT current_setting('transaction_isolation'));
         GRANT SELECT, INSERT ON note TO app;
         CREATE INDEX ON note (tenant_id);
         SELECT hydra.api_expose('note', creatable => '{text}')",
    );
    let key: String = bench.ask("SELECT key FROM hydra.api_key_create('writer', '{note:write}', role => 'app')");
    let create = |gateway: &Gateway, text: &str| {
        let headers = [("authorization", &*format!("Bearer {key}")), ("content-type", "application/json")];
        let answer =
            gateway.connect().request("POST", "/api/v1/note", &headers, format!("{{\"text\": \"{text}\"}}").as_bytes());
        assert_eq!((answer.status, &answer.json()["isolation"]), (201, &"read committed".into()), "{answer:?}");
    };
    create(&Gateway::start_with(&bench, &["--connections", "1"]), "as usual");
    for setting in ["default_transaction_isolation = serializable", "default_transaction_read_only = on"] {
        bench.run(&format!("SET default_transaction_read_only = off; ALTER DATABASE {} SET {setting}", bench.database));
        let gateway = Gateway::start_with(&bench, &["--connections", "1"]);
        create(&gateway, setting);
        create(&gateway, "and again on the same connection");
    }
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM note"), 5);
}

#[track_caller]
fn wait_for_sessions(bench: &mut Bench<'_>, count: i64) {
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'far_gateway' AND datname = current_database()";
    wait_until(format!("the gateway has {count} sessions"), PATIENCE, || bench.ask::<i64>(sessions) == count);
}

/// The sessions are ended, as by a failover, while clients make requests that read. None of them notices.
#[test]
fn a_request_on_a_connection_that_breaks_is_made_again_on_another() {
    let mut bench = Bench::new(cluster(), "life_broken");
    let gateway = Gateway::start_with(&bench, &["--connections", "4"]);
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 1000000");
    let (failed, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let answered = [const { AtomicUsize::new(0) }; 2];
    wait_for_sessions(&mut bench, 4);
    std::thread::scope(|scope| {
        let _stopper = StopWhenDropped(&stop);
        for answered in &answered {
            let (gateway, key, failed, stop) = (&gateway, &key, &failed, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = gateway.me(key);
                    if answer.status != 200 {
                        failed.lock().unwrap().push(answer);
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..5 {
            // One at a time, so that there is another one: the call returns when the session has ended.
            bench.run(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
                 WHERE usename = 'far_gateway' AND datname = current_database() LIMIT 1",
            );
            wait_for_sessions(&mut bench, 4);
            // Now no request begins on the connection that was lost. Those that did are being made again, once: their second
            // connection must not be the next to end.
            let so_far = answered.each_ref().map(|count| count.load(Ordering::Relaxed));
            wait_until("requests that were under way are answered", PATIENCE, || {
                answered.iter().zip(so_far).all(|(count, so_far)| count.load(Ordering::Relaxed) > so_far)
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?}: {:?}", gateway.events("call_failed"));
}

/// How long a gateway that ends keeps a connection whose client says nothing.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// Makes a request again and again. Every one gets an answer, and the last one says that it is the last.
fn ask_to_the_end(mut connection: Connection, request: &str, answered: &AtomicUsize) {
    let mut former = Instant::now();
    loop {
        let began = Instant::now();
        let answer = match connection.send(request).and_then(|()| connection.answer()) {
            Ok(answer) => answer,
            // The machine has paused, and the gateway has heard nothing for too long.
            Err(error) => return assert!(former.elapsed() > LAST_REQUESTS, "an answer was lost: {error}"),
        };
        former = began;
        assert_eq!(answer.status, 200, "{answer:?}");
        answered.fetch_add(1, Ordering::Relaxed);
        if answer.header("connection") == Some("close") {
            assert!(connection.is_closed());
            return;
        }
    }
}

#[test]
fn a_gateway_that_ends_under_load_answers_every_request_that_it_has_read() {
    let mut bench = Bench::new(cluster(), "life_ending");
    // More than clients, so that none waits for the heartbeat.
    let mut gateway = Gateway::start_with(&bench, &["--connections", "10"]);
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 1000000");
    assert_eq!(gateway.me(&key).status, 200);
    wait_for_sessions(&mut bench, 10);
    let host = &gateway.address;
    let request = format!("GET /api/v1/me HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n");
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (connection, request, answered) = (gateway.connect(), &request, &answered);
            scope.spawn(move || ask_to_the_end(connection, request, answered));
        }
        wait_until("there is load", PATIENCE, || answered.load(Ordering::Relaxed) > 100);
        gateway.signal("TERM");
    });
    assert!(gateway.end().success());
    wait_until("nobody listens there", PATIENCE, || TcpStream::connect(&gateway.address).is_err());
}

#[test]
fn a_request_under_way_is_answered_although_the_gateway_was_told_to_end() {
    let mut bench = Bench::new(cluster(), "life_last");
    let mut gateway = Gateway::start(&bench);
    let (id, _) = bench.subscribe("/slow", "ticket.*", &["timeout => '20 s'"]);
    // Longer than the time in which clients may begin a last request.
    bench.receiver.answer("/slow", Response::ok().after(8 * LAST_REQUESTS));
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut admin = Browser::log_in(&gateway, &link);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || admin.post(&format!("/settings/webhooks/{id}/test"), ""));
        bench.wait_for("/slow", 1);
        gateway.signal("TERM");
        wait_until("it accepts nobody any more", PATIENCE, || TcpStream::connect(&gateway.address).is_err());
        assert_eq!(waiting.join().unwrap().status, 200);
    });
    assert!(gateway.end().success());
}

#[test]
fn two_gateways_can_share_a_port_so_that_one_replaces_the_other() {
    let mut bench = Bench::new(cluster(), "life_replaced");
    let former = Gateway::start_with(&bench, &["--reuse-port"]);
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 1000000");
    let mut command = std::process::Command::new(program());
    command.env("HYDRA_DSN", login(cluster(), &bench.database)).args(["--listen", &former.address, "--reuse-port"]);
    let mut next = Gateway::spawn(command);
    next.wait_for("it listens too", |next| next.event("listening").is_some());
    next.address.clone_from(&former.address);
    former.signal("TERM");
    let mut former = former;
    former.end();
    assert_eq!(next.me(&key).status, 200);
}

#[test]
fn what_is_wrong_at_the_start_is_said_with_what_to_do() {
    let gateway = Gateway::start_for("host=/nonexistent dbname=x user=x", &[]);
    for (arguments, expected) in [
        (vec!["--listen", gateway.address.as_str()], "Another program listens there"),
        (vec!["--listen", "nowhere"], "Write an address and a port"),
        (vec!["--public-url", "hooks"], "public_url"),
        (vec!["--tls-certificate", "/nonexistent", "--tls-key", "/nonexistent"], "/nonexistent"),
        (vec!["--max-request", "1 mb"], "the units are B, kB, MB and GB"),
        (vec!["--trusted-proxies", "everybody"], "10.0.0.0/8"),
    ] {
        let mut command = std::process::Command::new(program());
        command.env("HYDRA_DSN", "host=/nonexistent dbname=x").args(&arguments);
        let mut failing = Gateway::spawn(command);
        assert!(!failing.end().success(), "{arguments:?}");
        let said = failing.lines().join("\n");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let help = std::process::Command::new(program()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in ["--listen", "--dsn", "--public-url", "--trusted-proxies", "--supervised", "IN ROLE hydra_gateway"] {
        assert!(help.contains(option), "{help}");
    }
}
