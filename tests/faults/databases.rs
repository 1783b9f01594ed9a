//! Databases that are dropped, renamed and copied.

use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use testkit::receiver::Answer;
use testkit::{
    Bench, Cluster, PATIENCE, ask, let_pass, refusal, refused, rounds, run, subscribe, wait_for_state, wait_until,
    worker_status,
};

use crate::{PATH, assert_no_crash, assert_quick, cluster, insert, seconds, settle, tickets};

#[test]
fn a_database_can_be_dropped_with_its_dispatcher_or_next_to_others() {
    let cluster = cluster();
    let mut admin = cluster.connect("postgres");
    for _ in 0..rounds(1) {
        let bench = tickets(cluster, "doomed", &["timeout => '60 s'"]);
        run(&mut admin, "CREATE DATABASE unrelated");
        bench.receiver.answer(PATH, Answer::hang());
        run(&mut bench.session(), &insert(1, 16));
        bench.wait_for(PATH, 16);
        assert_quick("DROP DATABASE of another", seconds(20), || run(&mut admin, "DROP DATABASE unrelated"));
        assert_quick("DROP DATABASE", seconds(20), || run(&mut admin, "DROP DATABASE doomed WITH (FORCE)"));
    }

    // Another database can have its name at once.
    let again = tickets(cluster, "doomed", &[]);
    run(&mut again.session(), &insert(1, 3));
    assert_eq!(settle(&again), 0);
    assert_no_crash(cluster);
}

/// DROP DATABASE waits until all processes of the server have closed the files of the database.
#[test]
fn a_statement_cancelled_during_drop_database_of_another_does_not_block_it() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "busy", &[]);
    let mut admin = cluster.connect("postgres");
    run(&mut admin, "CREATE DATABASE unrelated");
    let pid = cluster.dispatcher_pid(&bench.database);
    let mut locking = bench.session();
    run(&mut locking, "BEGIN; LOCK TABLE hydra.event IN ACCESS EXCLUSIVE MODE");
    let waits = format!("SELECT count(*) > 0 FROM pg_locks WHERE pid = {pid} AND NOT granted");
    wait_until("it is stopped while it waits for the lock", PATIENCE, || {
        cluster.signal("CONT", pid);
        wait_until("it waits for the lock", PATIENCE, || ask(&mut locking, &waits));
        cluster.signal("STOP", pid);
        ask(&mut locking, &waits)
    });
    run(&mut locking, &format!("SELECT pg_cancel_backend({pid})"));
    let drop = thread::spawn(move || run(&mut admin, "DROP DATABASE unrelated"));
    let dropping = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'ProcSignalBarrier'";
    wait_until("the database is being dropped", PATIENCE, || ask(&mut locking, dropping));
    cluster.signal("CONT", pid);
    wait_until("the database is dropped", seconds(20), || drop.is_finished());
    run(&mut locking, "COMMIT");
}

/// Postgres itself gives up after waiting five seconds for other sessions to end. What takes longer is the disk. A
/// request that hangs takes a minute.
#[track_caller]
fn quickly(admin: &mut Client, statement: &str) {
    let begun = Instant::now();
    run(admin, statement);
    let took = begun.elapsed();
    println!("{statement}: {took:?}");
    assert!(took < Duration::from_secs(30), "{statement} took {took:?}");
}

#[test]
fn a_parked_database_can_be_renamed_copied_and_dropped() {
    // A separate cluster, since each statement waits for a checkpoint.
    let cluster = Cluster::start_shared(&[]);
    let mut admin = cluster.connect("postgres");
    let Bench { mut client, receiver, .. } = Bench::new(&cluster, "shop");
    // Requests that hang must not delay the end of the dispatcher.
    receiver.answer("/", Answer::hang());
    subscribe(&mut client, &receiver.url("/"), "ticket.created", &["timeout => '60 s'"]);
    for round in 1..=rounds(5) {
        let before = receiver.received("/");
        run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{}')");
        receiver.wait_for("/", before + 1, PATIENCE);
        run(&mut client, "SELECT hydra.webhook_park()");
        drop(client);
        quickly(&mut admin, "ALTER DATABASE shop RENAME TO store");
        quickly(&mut admin, "CREATE DATABASE branch TEMPLATE store");
        quickly(&mut admin, "DROP DATABASE branch");
        quickly(&mut admin, "ALTER DATABASE store RENAME TO shop");
        // A database that the launcher cannot connect to stays parked.
        quickly(&mut admin, "ALTER DATABASE shop ALLOW_CONNECTIONS false");
        run(&mut cluster.create_database("another"), "SELECT hydra.webhook_park()");
        quickly(&mut admin, "DROP DATABASE another");
        quickly(&mut admin, "ALTER DATABASE shop ALLOW_CONNECTIONS true");
        client = cluster.connect("shop");
        assert_eq!(worker_status(&mut client, "state"), "parked", "round {round}");
        assert_eq!(worker_status(&mut client, "coalesce(pid, 0)"), "0", "round {round}");
        assert!(worker_status(&mut client, "detail").contains("webhook_unpark"));
        run(&mut client, "SELECT hydra.webhook_unpark()");
        wait_for_state(&mut client, "running");
    }
    run(&mut client, "SELECT hydra.webhook_park()");
    drop(client);
    quickly(&mut admin, "DROP DATABASE shop");
}

/// Administrators are alarmed by each FATAL line. The prefix of each line has the type of the process.
#[track_caller]
fn assert_nothing_fatal(cluster: &Cluster) {
    let log = cluster.log();
    let ours = log.lines().filter(|line| line.contains("hydra_webhooks"));
    // A copy warns that it was not adopted.
    let ours = ours.filter(|line| !line.contains("is a copy"));
    let fatal: Vec<&str> = ours.filter(|line| line.contains("FATAL") || line.contains("WARNING")).collect();
    assert!(fatal.is_empty(), "{fatal:#?}");
    assert_no_crash(cluster);
}

/// How soon a database is served again. Postgres itself is done in milliseconds; the rest is for a busy machine. The
/// launcher looks for new databases once a minute.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_database_can_be_renamed_copied_moved_and_dropped_while_its_requests_hang() {
    let cluster = Cluster::start_shared(&[]);
    let mut admin = cluster.connect("postgres");
    let directory = cluster.directory().join("tablespace");
    run(&mut admin, &format!("COPY (SELECT) TO PROGRAM 'cat > /dev/null; mkdir {}'", directory.display()));
    run(&mut admin, &format!("CREATE TABLESPACE elsewhere LOCATION '{}'", directory.display()));
    let mut bench = Bench::new(&cluster, "shop");
    bench.receiver.answer("/", Answer::hang());
    bench.subscribe("/", "ticket.created", &["timeout => '60 s'"]);
    bench.emit_ticket("1");
    bench.wait_for("/", 1);
    let Bench { client, receiver, .. } = bench;
    drop(client);

    let statements = [
        "ALTER DATABASE shop RENAME TO store",
        "ALTER DATABASE store RENAME TO shop",
        "ALTER DATABASE shop SET TABLESPACE elsewhere",
        "ALTER DATABASE shop SET TABLESPACE pg_default",
        "CREATE DATABASE branch TEMPLATE shop",
    ];
    for (done, statement) in statements.into_iter().enumerate() {
        quickly(&mut admin, statement);
        // The next dispatcher makes the request that was aborted again.
        receiver.wait_for("/", done + 2, SOON);
    }
    cluster.dispatcher_pid("branch");
    quickly(&mut admin, "DROP DATABASE branch");
    quickly(&mut admin, "DROP DATABASE shop");
    assert_nothing_fatal(&cluster);
}

#[test]
fn a_database_can_be_dropped_by_force_and_nothing_fatal_is_logged() {
    let cluster = Cluster::start_shared(&[]);
    let mut admin = cluster.connect("postgres");
    for _ in 0..rounds(3) {
        let mut bench = Bench::new(&cluster, "shop");
        bench.receiver.answer("/", Answer::hang());
        bench.subscribe("/", "ticket.created", &["timeout => '60 s'"]);
        bench.emit_ticket("1");
        bench.wait_for("/", 1);
        drop(bench.client);
        quickly(&mut admin, "DROP DATABASE shop WITH (FORCE)");
    }
    // The launcher has seen that it is gone.
    wait_for_state(&mut cluster.create_database("another"), "running");
    assert_nothing_fatal(&cluster);
}

#[test]
fn a_database_can_be_dropped_and_created_again_and_again_while_its_dispatcher_is_being_started() {
    let cluster = Cluster::start_shared(&[]);
    let mut admin = cluster.connect("postgres");
    for round in 0..rounds(9) {
        let mut client = cluster.create_database("app_test");
        if round % 3 == 0 {
            wait_for_state(&mut client, "running");
        }
        drop(client);
        quickly(
            &mut admin,
            if round % 2 == 0 { "DROP DATABASE app_test" } else { "DROP DATABASE app_test WITH (FORCE)" },
        );
    }
    assert_nothing_fatal(&cluster);
}

#[test]
fn a_database_can_be_dropped_while_its_dispatcher_waits_because_of_errors() {
    let cluster = Cluster::start_shared(&[]);
    let mut admin = cluster.connect("postgres");
    // At the start, and later.
    for table in ["hydra.delivery", "hydra.event"] {
        let mut client = cluster.create_database("broken");
        wait_for_state(&mut client, "running");
        let pid = cluster.dispatcher_pid("broken");
        run(&mut client, &format!("REVOKE ALL ON {table} FROM hydra_worker"));
        run(&mut client, "SELECT hydra._announce_changes()");
        if table == "hydra.delivery" {
            run(&mut client, &format!("SELECT pg_terminate_backend({pid}, 10000)"));
        }
        wait_for_state(&mut client, "stopped");
        wait_until("the privilege is missing", PATIENCE, || {
            worker_status(&mut client, "detail").contains("lacks a privilege")
        });
        drop(client);
        quickly(&mut admin, "DROP DATABASE broken");
    }
    let log = cluster.log();
    assert!(!log.lines().any(|line| line.contains("hydra_webhooks") && line.contains("FATAL")));
}

#[test]
fn events_of_a_parked_database_wait_until_it_is_unparked() {
    let cluster = cluster();
    let mut bench = Bench::new(cluster, "waiting");
    bench.subscribe("/", "ticket.created", &[]);
    wait_for_state(&mut bench.client, "running");
    // It is parked at once, also if the transaction is rolled back.
    bench.run("BEGIN; SELECT hydra.webhook_park(); ROLLBACK");
    // It has left the database, and may still be about to leave the list of processes.
    wait_until("the dispatcher is gone", PATIENCE, || cluster.find_dispatcher("waiting").is_none());
    bench.emit_tickets(1..=3);
    // A dispatcher that has failed, or that the launcher does not see, would be started again within about a second.
    let mut elsewhere = cluster.create_database("elsewhere");
    wait_for_state(&mut elsewhere, "running");
    let_pass(Duration::from_secs(3));
    assert_eq!((bench.receiver.received("/"), cluster.find_dispatcher("waiting")), (0, None));
    bench.run("SELECT hydra.webhook_park()");
    bench.run("SELECT hydra.webhook_unpark()");
    bench.wait_for("/", 3);
    bench.wait_for_empty_queue();
    bench.run("SELECT hydra.webhook_unpark()");
    assert_eq!(worker_status(&mut bench.client, "state"), "running");
}

#[test]
fn databases_are_left_out_and_taken_in_by_patterns_of_their_names() {
    let cluster = Cluster::start(&[]);
    let (app, test) = (tickets(&cluster, "app", &[]), tickets(&cluster, "app_test", &[]));
    let mut client = test.session();
    wait_for_state(&mut client, "running");
    cluster.set(&[("hydra_webhooks.databases", "app*, !*_test")]);
    wait_until("the dispatcher leaves", PATIENCE, || cluster.find_dispatcher("app_test").is_none());
    wait_for_state(&mut client, "off");
    assert!(worker_status(&mut client, "detail").contains("hydra_webhooks.databases"));
    run(&mut client, &insert(1, 3));
    let refused = refused(&mut client, "SELECT hydra.webhook_send_test(1)", "55000");
    assert!(refused.message.contains("hydra_webhooks.databases"), "{refused:?}");

    // One that is created meanwhile is not looked at, and others are served.
    let later = tickets(&cluster, "later_test", &[]);
    run(&mut later.session(), &insert(1, 3));
    run(&mut app.session(), &insert(1, 3));
    assert_eq!(settle(&app), 0);
    wait_for_state(&mut later.session(), "off");
    assert_eq!((test.receiver.received(PATH), later.receiver.received(PATH)), (0, 0));
    assert!(!cluster.log().contains("started in database \"later_test\""));

    cluster.set(&[("hydra_webhooks.databases", "")]);
    assert_eq!((settle(&test), settle(&later)), (0, 0));
    assert_no_crash(&cluster);

    let wrong = refusal(&mut client, "ALTER SYSTEM SET hydra_webhooks.databases = 'app,,test'");
    assert!(wrong.detail.contains("is no pattern of a name"), "{wrong:?}");
}
