//! Processes that are killed, and servers that stop.

use std::fs;
use std::time::{Duration, Instant};

use postgres::Client;
use testkit::cluster::is_running;
use testkit::{Cluster, PATIENCE, StopMode, ask, free_port, wait_until};

use crate::{
    DATABASE, assert_answers, assert_no_crash, assert_quick, gone, start, supervisor, wait_for_gateway,
    wait_for_new_gateway,
};

/// On a machine that does nothing else, the slowest of them takes a second. The disk may be busy.
const SOON: Duration = Duration::from_secs(20);

/// Kills the gateway and sees what the status says until it is started again, a second later. If that was missed, kills
/// the next one. Returns the process id of the last one.
fn kill_and_see(cluster: &Cluster, client: &mut Client) -> i32 {
    let mut killed = 0;
    let seen = "SELECT state::text, coalesce(detail, '')::text, pid FROM hydra.gateway_status";
    wait_until("the status says that it crashed", PATIENCE, || {
        let row = client.query_one(seen, &[]).expect("the status can be read");
        let (state, detail, pid): (String, String, Option<i32>) = (row.get(0), row.get(1), row.get(2));
        if state == "crashed" {
            assert_eq!((detail.as_str(), pid), ("the gateway was ended by signal 9", None));
        }
        if let Some(next) = pid.filter(|pid| state == "listening" && *pid != killed) {
            cluster.signal("KILL", next);
            killed = next;
        }
        state == "crashed"
    });
    killed
}

/// When a process was started, in seconds.
fn started(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    // The 22nd field, in hundredths. The second one is a name in parentheses.
    let field = stat[stat.rfind(')').expect("a name") + 1..].split_whitespace().nth(19).expect("a time");
    field.parse::<f64>().expect("a number") / 100.0
}

#[test]
fn a_gateway_that_is_killed_is_started_again_and_no_session_notices() {
    let (cluster, mut client) = start(&[]);
    wait_for_gateway(&mut client);
    let dispatcher = cluster.dispatcher_pid(DATABASE);
    let supervised_by = supervisor(&mut client);
    let killed = kill_and_see(&cluster, &mut client);
    let mut former = wait_for_new_gateway(&mut client, killed);
    assert_answers(&mut client);

    // The pauses become longer: they are two and four seconds, or more, and not one and one.
    let start = started(former);
    for _ in 0..2 {
        cluster.signal("KILL", former);
        former = wait_for_new_gateway(&mut client, former);
    }
    let pauses = started(former) - start;
    assert!(pauses > 3.5, "{pauses} s");
    assert_eq!(supervisor(&mut client), supervised_by);
    assert_eq!(cluster.find_dispatcher(DATABASE), Some(dispatcher));
    assert_no_crash(&cluster);
    assert!(cluster.log().contains("WARNING:  hydra_webhooks supervisor: the gateway was ended by signal 9"));
}

#[test]
fn a_gateway_that_does_not_read_its_settings_any_more_is_replaced() {
    let (cluster, mut client) = start(&[]);
    let stopped = wait_for_gateway(&mut client);
    cluster.signal("STOP", stopped);
    // Its pipe is full after some hundred lines.
    let start = Instant::now();
    while is_running(stopped) {
        assert!(start.elapsed() < PATIENCE, "it still runs");
        cluster.set(&[]);
    }
    wait_for_new_gateway(&mut client, stopped);
    assert_answers(&mut client);
    assert_no_crash(&cluster);
}

/// It is a process of Postgres, like every session, so its crash restarts the server.
#[test]
fn after_a_supervisor_was_killed_the_server_recovers_and_the_gateway_listens_again_on_its_port() {
    let (cluster, mut client) = start(&[("hydra_webhooks.listen", &format!("127.0.0.1:{}", free_port()))]);
    for _ in 0..2 {
        let gateway = wait_for_gateway(&mut client);
        let killed = supervisor(&mut client).expect("it runs");
        cluster.kill9(killed);
        gone(gateway);
        wait_until("the server accepts sessions", PATIENCE, || match cluster.try_connect_as(DATABASE, "postgres") {
            Ok(session) => {
                client = session;
                client.simple_query("SELECT 1").is_ok()
            }
            Err(_) => false,
        });
        wait_for_gateway(&mut client);
        assert_answers(&mut client);
    }
    assert!(!cluster.log().contains("PANIC"));
}

#[test]
fn a_supervisor_that_is_terminated_takes_its_gateway_along_and_is_started_again() {
    let (cluster, mut client) = start(&[]);
    let gateway = wait_for_gateway(&mut client);
    let terminated = supervisor(&mut client).expect("it runs");
    assert!(ask::<bool>(&mut client, &format!("SELECT pg_terminate_backend({terminated}, 10000)")));
    assert!(!is_running(gateway));
    wait_for_new_gateway(&mut client, gateway);
    assert_ne!(supervisor(&mut client), Some(terminated));
    assert_no_crash(&cluster);
}

#[test]
fn a_launcher_that_is_terminated_finds_the_supervisor_again() {
    let (cluster, mut client) = start(&[]);
    let gateway = wait_for_gateway(&mut client);
    let launcher = "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'hydra_webhooks launcher'";
    let former: i32 = ask(&mut client, launcher);
    assert!(ask::<bool>(&mut client, &format!("SELECT pg_terminate_backend({former}, 10000)")));
    wait_until("there is another launcher", PATIENCE, || {
        ask::<Option<i32>>(&mut client, launcher).is_some_and(|pid| pid != former)
    });
    // The new launcher has looked at the gateway before it ends it.
    cluster.set(&[("hydra_webhooks.gateway_database", DATABASE)]);
    assert_eq!(wait_for_gateway(&mut client), gateway);
    cluster.set(&[("hydra_webhooks.listen", "")]);
    gone(gateway);
    assert_no_crash(&cluster);
}

/// In this mode the server waits for its clients, and the gateway is one.
#[test]
fn a_smart_stop_does_not_wait_for_the_gateway() {
    let (cluster, mut client) = start(&[]);
    let gateway = wait_for_gateway(&mut client);
    assert_answers(&mut client);
    drop(client);
    assert_quick("a smart stop", SOON, || cluster.stop(StopMode::Smart));
    assert!(!is_running(gateway));
    assert_no_crash(&cluster);
}

#[test]
fn the_gateway_ends_with_the_server_however_that_ends() {
    let (cluster, mut client) = start(&[("hydra_webhooks.listen", &format!("127.0.0.1:{}", free_port()))]);
    for (what, mode) in [
        ("a fast stop", Some(StopMode::Fast)),
        ("an immediate stop", Some(StopMode::Immediate)),
        ("the end of all processes", None),
    ] {
        let gateway = wait_for_gateway(&mut client);
        assert_quick(what, SOON, || match mode {
            Some(mode) => cluster.stop(mode),
            None => cluster.kill9_everything(),
        });
        wait_until(format!("{what} has ended it"), SOON, || !is_running(gateway));
        cluster.start_again();
        client = cluster.connect(DATABASE);
    }
    wait_for_gateway(&mut client);
    assert_answers(&mut client);
}
