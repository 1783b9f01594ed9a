//! What happens when there is too much of something.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::process::{Resource, getrlimit, setrlimit};
use testkit::gateway::{Gateway, login};
use testkit::receiver::Answer as Response;
use testkit::{Bench, PATIENCE, StopWhenDropped, millis, number, run, wait_until};

use crate::pages::{Browser, encoded, hidden};
use crate::{cluster, create_key};

#[test]
fn a_request_that_gets_no_connection_is_told_so_after_a_second() {
    let mut bench = Bench::new(cluster(), "limits_pool");
    let gateway = Gateway::start_with(&bench, &["--connections", "2"]);
    let key = create_key(&mut bench.client, "role => 'app'");
    assert_eq!(gateway.me(&key).status, 200);
    let mut holder = bench.session();
    run(&mut holder, "BEGIN; LOCK TABLE hydra.api_key IN ACCESS EXCLUSIVE MODE");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stopper = StopWhenDropped(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // A lock is waited for two seconds. Then the next request waits for it.
                    assert!(matches!(gateway.me(&key).status, 200 | 503));
                }
            });
        }
        wait_until("two requests wait for the lock", PATIENCE, || {
            bench.ask::<i64>("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'hydra.api_key'::regclass")
                == 2
        });
        let began = Instant::now();
        let busy = gateway.me(&key);
        assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")), "{busy:?}");
        assert!(began.elapsed() >= millis(900), "it has waited: {:?}", began.elapsed());
        run(&mut holder, "COMMIT");
    });
    assert_eq!(gateway.me(&key).status, 200);
}

#[test]
fn tests_that_wait_for_an_endpoint_leave_connections_to_the_others() {
    let mut bench = Bench::new(cluster(), "limits_tests");
    let gateway = Gateway::start_with(&bench, &["--connections", "4"]);
    let link: String = bench.ask("SELECT hydra.console_link('hydra_admin')");
    let mut admin = Browser::log_in(&gateway, &link);
    let once = hidden(&admin.get("/settings/webhooks/new"), "once");
    let form = format!("url={}&event_types=ticket.*&timeout=20+s&once={once}", encoded(&bench.receiver.url("/slow")));
    assert_eq!(admin.post("/settings/webhooks", &form).status, 201);
    bench.receiver.answer("/slow", Response::ok().after(millis(8000)));
    let cookie = admin.cookie.clone().unwrap();
    std::thread::scope(|scope| {
        let tests: Vec<_> = (0..4)
            .map(|_| {
                let (gateway, cookie) = (&gateway, cookie.clone());
                scope.spawn(move || {
                    let mut visitor = Browser::new(gateway);
                    visitor.cookie = Some(cookie);
                    visitor.post("/settings/webhooks/1/test", "").status
                })
            })
            .collect();
        bench.receiver.wait_for("/slow", 2, PATIENCE);
        assert_eq!(admin.get("/settings/webhooks").status, 200);
        let statuses: Vec<u16> = tests.into_iter().map(|test| test.join().unwrap()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2, "{statuses:?}");
    });
}

/// `HYDRA_IDLE` is the number of connections.
#[test]
fn idle_connections_cost_little_and_keep_nobody_out() {
    let mut bench = Bench::new(cluster(), "limits_idle");
    let mut gateway = Gateway::start(&bench);
    let key = create_key(&mut bench.client, "role => 'app'");
    assert_eq!(gateway.me(&key).status, 200);
    let at_rest = gateway.memory();
    assert!(at_rest < 40 << 10, "{at_rest} kB at rest");
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("up to the maximum");
    let count = number("HYDRA_IDLE").unwrap_or(2000);
    let idle: Vec<TcpStream> = (0..count).map(|_| TcpStream::connect(&gateway.address).unwrap()).collect();
    gateway.wait_for("they are accepted", |gateway| {
        let open = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count();
        open as u64 > count
    });
    let crowded = gateway.memory();
    println!("{at_rest} kB at rest, {crowded} kB with {count} idle connections");
    assert!(crowded < at_rest + 11 * count, "{crowded} kB with {count} idle connections, {at_rest} kB at rest");
    assert_eq!(gateway.me(&key).status, 200);
    drop(idle);
}

#[test]
fn a_client_too_many_is_told_so() {
    let bench = Bench::new(cluster(), "limits_clients");
    // Not `start`, whose connection may still be open.
    let gateway = Gateway::start_for(&login(cluster(), &bench.database), &["--max-clients", "2"]);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut connection = gateway.connect();
            assert_eq!(connection.request("GET", "/healthz", &[], b"").status, 200);
            connection
        })
        .collect();
    let refused = gateway.connect().answer().unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{refused:?}");
    drop(held);
    wait_until("there is room again", PATIENCE, || {
        gateway.connect().try_request("GET", "/healthz", &[], b"").is_ok_and(|answer| answer.status == 200)
    });
}

/// 64 MB of bodies, and 512 requests, at a time.
#[test]
fn bodies_and_requests_under_way_are_limited_and_whoever_comes_next_is_told_so() {
    let mut bench = Bench::new(cluster(), "limits_under_way");
    let gateway = Gateway::start_with(&bench, &["--request-timeout", "10min"]);
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 100000");
    // Sends requests without the end of their body until one is refused, and returns this answer.
    let fill = |length: usize, room: usize| {
        let mut held = Vec::new();
        loop {
            let mut connection = gateway.connect();
            let head = format!(
                "POST /api/v1/me HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n.",
                gateway.address
            );
            connection.send(head).unwrap();
            connection.stream.get_ref().set_read_timeout(Some(millis(2))).unwrap();
            match connection.answer() {
                Ok(answer) => {
                    assert!(held.len() >= room, "only {} requests of {length} bytes", held.len());
                    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
                    return (held, answer.json()["detail"].as_str().unwrap_or_default().to_owned());
                }
                Err(_) => held.push(connection),
            }
        }
    };
    let (held, detail) = fill(1_000_000, 67);
    assert_eq!(detail, "The gateway has too many bodies under way.");
    assert_eq!(gateway.me(&key).status, 200);
    drop(held);
    wait_until("there is room for a body", PATIENCE, || {
        gateway
            .connect()
            .request("POST", "/api/v1/me", &[("authorization", &format!("Bearer {key}"))], &[b'.'; 1_000_000])
            .status
            == 405
    });

    let (held, detail) = fill(10, 512 - 67);
    assert_eq!(detail, "The gateway has too many requests under way.");
    assert_eq!(gateway.me(&key).status, 503);
    assert_eq!(gateway.connect().request("GET", "/healthz", &[], b"").status, 200);
    drop(held);
    wait_until("there is room for a request", PATIENCE, || gateway.me(&key).status == 200);
}
