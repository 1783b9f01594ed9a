//! Databases that the worker may not enter say so, with the command that helps, and send soon after it.

use std::time::Instant;

use testkit::{Bench, Cluster, PATIENCE, ask, run, wait_for_state, wait_until, worker_status};

use crate::{PATH, insert, seconds, settle, terminate, tickets};

/// A session that stays, and nothing else in the database. What bars the worker, and the command that the status names.
const BARS: [(&str, &str); 5] = [
    ("REVOKE CONNECT ON DATABASE barred FROM PUBLIC, hydra_worker", "GRANT CONNECT ON DATABASE barred TO hydra_worker"),
    ("ALTER DATABASE barred CONNECTION LIMIT 0", "ALTER DATABASE barred CONNECTION LIMIT -1"),
    ("ALTER DATABASE barred IS_TEMPLATE true", "ALTER DATABASE barred IS_TEMPLATE false"),
    ("ALTER DATABASE barred ALLOW_CONNECTIONS false", "ALTER DATABASE barred ALLOW_CONNECTIONS true"),
    ("ALTER ROLE hydra_worker NOLOGIN", "ALTER ROLE hydra_worker LOGIN"),
];

#[test]
fn a_database_that_the_worker_may_not_enter_says_what_to_do_and_sends_within_seconds_of_it() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "barred", &[]);
    let mut client = bench.session();
    let mut admin = cluster.connect("postgres");
    wait_for_state(&mut client, "running");
    for (round, (bar, command)) in BARS.into_iter().enumerate() {
        run(&mut admin, bar);
        terminate(&mut admin, cluster.dispatcher_pid("barred"));
        run(&mut client, &insert(round * 2 + 1, round * 2 + 2));
        wait_until(format!("{bar} is noticed"), PATIENCE, || {
            worker_status(&mut client, "state") == "stopped" && worker_status(&mut client, "detail").contains(command)
        });
        // The launcher has looked as well, and does not try in vain.
        wait_until("the slot is free", PATIENCE, || cluster.find_dispatcher("barred").is_none());
        run(&mut admin, command);
        let begun = Instant::now();
        wait_for_state(&mut client, "running");
        bench.receiver.wait_for(PATH, (round + 1) * 2, PATIENCE);
        assert!(begun.elapsed() < seconds(20), "{command}: {:?}", begun.elapsed());
    }
    assert_eq!(settle(&bench), 0);
    assert!(!cluster.log().contains("FATAL"), "no connection is tried that cannot succeed");
}

#[test]
fn the_adoption_of_a_copy_lets_the_worker_connect() {
    let cluster = Cluster::start(&[]);
    let Bench { mut client, receiver, .. } = tickets(&cluster, "closed", &[]);
    run(&mut client, "SELECT hydra.webhook_park()");
    drop(client);
    let mut admin = cluster.connect("postgres");
    run(&mut admin, "CREATE DATABASE branch TEMPLATE closed");
    run(&mut admin, "REVOKE CONNECT ON DATABASE branch FROM PUBLIC");
    let mut branch = cluster.connect("branch");
    assert_eq!(worker_status(&mut branch, "state"), "parked");
    assert!(!ask::<bool>(&mut branch, "SELECT has_database_privilege('hydra_worker', 'branch', 'CONNECT')"));
    run(&mut branch, "SELECT hydra.webhook_adopt()");
    wait_for_state(&mut branch, "running");
    run(&mut branch, &insert(1, 1));
    receiver.wait_for(PATH, 1, PATIENCE);
}
