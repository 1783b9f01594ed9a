//! The extension is dropped and created again.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use testkit::receiver::{Answer, Receiver};
use testkit::{Cluster, Need, PATIENCE, ask, lacks, rounds, run, wait_until};

use crate::{PATH, assert_no_crash, assert_quick, cluster, insert, prepare, seconds, settle, tickets};

#[test]
fn the_extension_can_be_dropped_while_it_delivers_and_created_again() {
    let cluster = cluster();
    let bench = tickets(cluster, "dropped", &["max_in_flight => 4"]);
    let mut client = bench.session();
    for _ in 0..rounds(1) {
        // All of them would take fifty seconds.
        bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(100)));
        let pid = cluster.dispatcher_pid(&bench.database);
        run(&mut client, &insert(1, 2000));
        bench.wait_for(PATH, 20);
        assert_quick("DROP EXTENSION", seconds(15), || {
            run(&mut client, "DROP EXTENSION hydra_webhooks CASCADE; DROP TABLE ticket")
        });
        wait_until("its dispatcher has ended", seconds(15), || cluster.find_dispatcher(&bench.database) != Some(pid));
        assert!(bench.receiver.received(PATH) < 1000, "it continued for long");
        wait_until("nothing is in flight", PATIENCE, || bench.receiver.in_flight(PATH) == 0);
        bench.receiver.clear();

        run(&mut client, "CREATE EXTENSION hydra_webhooks");
        prepare(&mut client, &bench.receiver, &["max_in_flight => 4"]);
        run(&mut client, &insert(2001, 2020));
        assert_eq!(settle(&bench), 0);
        run(&mut client, "TRUNCATE ticket");
        bench.receiver.clear();
    }
    assert_no_crash(cluster);
}

#[test]
fn an_extension_that_was_dropped_and_created_at_once_delivers() {
    let cluster = cluster();
    let bench = tickets(cluster, "replaced", &[]);
    let mut client = bench.session();
    for round in 1..=3 {
        cluster.dispatcher_pid(&bench.database);
        bench.receiver.clear();
        let drop = "DROP EXTENSION hydra_webhooks CASCADE; DROP TABLE ticket; CREATE EXTENSION hydra_webhooks";
        run(&mut client, &if round == 2 { drop.replace(';', ";\n") } else { format!("BEGIN; {drop}; COMMIT") });
        prepare(&mut client, &bench.receiver, &[]);
        run(&mut client, &insert(round, round));
        assert_eq!(settle(&bench), 0, "round {round}");
    }
    assert_no_crash(cluster);
}

/// Each makes the roles, which all databases of a cluster share, unless they are there.
#[test]
fn extensions_that_are_created_at_the_same_time_in_a_new_cluster_all_work() {
    let cluster = Cluster::start(&[("hydra_webhooks.enabled", "off")]);
    let mut sessions = ["one", "two", "three", "four", "five", "six"].map(|database| {
        run(&mut cluster.connect("postgres"), &format!("CREATE DATABASE {database}"));
        cluster.connect(database)
    });
    let start = Barrier::new(sessions.len());
    thread::scope(|scope| {
        for session in &mut sessions {
            scope.spawn(|| {
                start.wait();
                run(session, "CREATE EXTENSION hydra_webhooks");
            });
        }
    });
}

#[test]
fn a_creation_that_is_rolled_back_leaves_no_dispatcher_and_a_later_one_works() {
    let cluster = cluster();
    let mut client = {
        run(&mut cluster.connect("postgres"), "CREATE DATABASE rolled_back");
        cluster.connect("rolled_back")
    };
    run(&mut client, "BEGIN; CREATE EXTENSION hydra_webhooks; ROLLBACK");
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    let receiver = Receiver::start();
    prepare(&mut client, &receiver, &[]);
    run(&mut client, &insert(1, 3));
    receiver.wait_for(PATH, 3, PATIENCE);
}

#[test]
fn the_server_shows_name_and_version_of_the_library() {
    let mut client = cluster().create_database("library");
    if lacks(&mut client, Need::Version(18)) {
        return;
    }
    let shown =
        "SELECT count(*) = 1 FROM pg_get_loaded_modules() AS m JOIN pg_extension AS e ON e.extname = m.module_name
                 WHERE m.module_name = 'hydra_webhooks' AND m.version = e.extversion";
    assert!(ask::<bool>(&mut client, shown));
}
