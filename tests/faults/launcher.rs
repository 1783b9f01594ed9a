//! The launcher, and settings of the server.

use std::thread;

use testkit::receiver::Answer;
use testkit::{Cluster, PATIENCE, StopMode, ask, number, run, wait_for_state, wait_until, worker_status};

use crate::{PATH, assert_no_crash, insert, launcher, seconds, settle, terminate, tickets};

#[test]
fn a_launcher_that_is_terminated_is_restarted_and_finds_its_dispatchers() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "before", &[]);
    let mut client = bench.session();
    let dispatcher = cluster.dispatcher_pid("before");
    let former = launcher(&mut client).expect("there is a launcher");
    terminate(&mut client, former);
    wait_until("there is a launcher again", PATIENCE, || launcher(&mut client).is_some_and(|pid| pid != former));

    // The dispatcher still runs, and the new launcher supervises it.
    run(&mut client, &insert(1, 3));
    settle(&bench);
    assert_eq!(cluster.find_dispatcher("before"), Some(dispatcher));
    terminate(&mut client, dispatcher);
    cluster.new_dispatcher_pid("before", Some(dispatcher));
    run(&mut client, &insert(4, 6));
    assert_eq!(settle(&bench), 0);

    let later = tickets(&cluster, "later", &[]);
    run(&mut later.session(), &insert(1, 3));
    assert_eq!(settle(&later), 0);
    // The launcher may be looking for the extension in another database.
    let dispatchers = "SELECT count(*) FROM pg_stat_activity
                       WHERE backend_type = 'hydra_webhooks dispatcher' AND datname IN ('before', 'later')";
    assert_eq!(ask::<i64>(&mut client, dispatchers), 2);
    assert_no_crash(&cluster);
}

#[test]
fn without_a_free_worker_slot_a_database_waits_says_so_and_starts_when_there_is_one() {
    // One is taken by a worker of Postgres and one by the launcher.
    let cluster = Cluster::start(&[("max_worker_processes", "3")]);
    let first = tickets(&cluster, "first", &[]);
    wait_for_state(&mut first.session(), "running");
    let second = tickets(&cluster, "second", &[]);
    wait_for_state(&mut second.session(), "stopped");
    // Each second, while it is tried again, the status says for a moment that it is being started.
    wait_until("the status says what to raise", PATIENCE, || {
        worker_status(&mut second.session(), "detail").contains("max_worker_processes")
    });
    run(&mut second.session(), &insert(1, 3));
    // It is tried again each second, and logged once.
    thread::sleep(seconds(3));
    let logged = "no background worker slot is free for database \"second\": raise max_worker_processes";
    assert_eq!(cluster.log().matches(logged).count(), 1);
    assert_eq!(second.receiver.received(PATH), 0);

    run(&mut first.session(), "DROP EXTENSION hydra_webhooks CASCADE");
    assert_eq!(settle(&second), 0);
}

/// Each of them is looked at after the start of the server, which takes a background worker slot for a moment.
#[test]
fn databases_without_the_extension_are_looked_at_a_few_at_a_time_and_cause_no_warning() {
    let cluster = Cluster::start(&[("log_min_messages", "debug1")]);
    let ours = tickets(&cluster, "ours", &[]);
    let mut admin = cluster.connect("postgres");
    for unrelated in 0..number("HYDRA_DATABASES").unwrap_or(20) {
        run(&mut admin, &format!("CREATE DATABASE unrelated_{unrelated}"));
    }
    cluster.stop(StopMode::Fast);
    let before = cluster.log().len();
    cluster.start_again();
    wait_for_state(&mut ours.session(), "running");
    run(&mut ours.session(), &insert(1, 3));
    settle(&ours);
    let begins = "starting background worker process \"hydra_webhooks dispatcher ";
    let ends = "background worker \"hydra_webhooks dispatcher\" (PID";
    let databases: i64 =
        ask(&mut cluster.connect("postgres"), "SELECT count(*) FROM pg_database WHERE NOT datistemplate");
    wait_until("all were looked at", PATIENCE, || cluster.log()[before..].matches(begins).count() as i64 == databases);
    let (mut running, mut most) = (0_i32, 0);
    let log = cluster.log();
    for line in log[before..].lines() {
        running += i32::from(line.contains(begins)) - i32::from(line.contains(ends));
        most = most.max(running);
    }
    // Ours, and two that look.
    assert!((1..=3).contains(&most), "{most} at a time");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARNING")).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

#[test]
fn databases_that_cannot_be_looked_at_are_logged_together_and_one_with_the_extension_says_what_to_raise() {
    // One is taken by a worker of Postgres, one by the launcher, one by the first dispatcher.
    let cluster = Cluster::start(&[("max_worker_processes", "4")]);
    let first = tickets(&cluster, "first", &[]);
    let second = tickets(&cluster, "second", &[]);
    wait_for_state(&mut first.session(), "running");
    wait_for_state(&mut second.session(), "running");
    // Last, so that it cannot take a slot before the others do.
    let third = tickets(&cluster, "third", &[]);
    run(&mut cluster.connect("postgres"), "CREATE DATABASE unrelated");
    cluster.stop(StopMode::Fast);
    cluster.set_while_stopped(&[("max_worker_processes", "3")]);
    cluster.start_again();
    let together = "no background worker slot is free to look for the extension in";
    wait_until("it is logged", PATIENCE, || cluster.log().contains(together));
    assert!(!cluster.log().contains("for database \"unrelated\""));
    // Whoever asks learns the reason.
    let benches = [&first, &second, &third];
    wait_until("two of three say what to raise", PATIENCE, || {
        let details = benches.map(|bench| worker_status(&mut bench.session(), "detail"));
        details.iter().filter(|detail| detail.contains("raise max_worker_processes")).count() == 2
    });
    assert_eq!(cluster.log().matches(together).count(), 1);
}

#[test]
fn enabled_stops_all_sending_and_starts_it_again() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "switched", &["retry_schedule => '{1 s,1 s,1 s}'"]);
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    wait_for_state(&mut bench.session(), "running");
    run(&mut bench.session(), &insert(1, 3));
    bench.wait_for(PATH, 3);
    cluster.set(&[("hydra_webhooks.enabled", "off")]);
    let mut client = bench.session();
    wait_for_state(&mut client, "off");
    wait_until("no request is under way", PATIENCE, || worker_status(&mut client, "in_flight") == "0");
    let received = bench.receiver.received(PATH);
    run(&mut bench.session(), &insert(4, 6));
    thread::sleep(seconds(2));
    assert_eq!(bench.receiver.received(PATH), received, "neither events nor retries are sent");

    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    bench.wait_for(PATH, received + 3);
    assert_eq!(settle(&bench), 3);
    assert_eq!(worker_status(&mut bench.session(), "state"), "running");
}

#[test]
fn without_preloading_events_are_kept_and_the_status_says_what_to_do() {
    let cluster = Cluster::start(&[("shared_preload_libraries", "")]);
    let bench = tickets(&cluster, "not_preloaded", &[]);
    let mut client = bench.session();
    run(&mut client, &insert(1, 3));
    let pending: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_pending");
    assert_eq!(pending, 3);
    assert_eq!(worker_status(&mut bench.session(), "state"), "not preloaded");
    let detail: String = ask(&mut client, "SELECT detail FROM hydra.webhook_worker_status");
    assert!(detail.contains("shared_preload_libraries"), "{detail}");
    drop(client);

    // With preloading, the server delivers what was kept.
    cluster.set(&[("shared_preload_libraries", "hydra_webhooks")]);
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    assert_eq!(settle(&bench), 0);
}
