//! Settings of databases, roles and the server that would make a worker fail.

use postgres::Client;
use testkit::receiver::Answer;
use testkit::{Cluster, Need, PATIENCE, ask, lacks, run, wait_for_empty_queue, wait_until, worker_status};

use crate::{PATH, insert, launcher, settle, terminate, tickets};

/// Parameters that would fill the log or the disk, and do nothing else.
const LOUD: &str = "^(debug_|log_|trace_|backtrace_|client_min_messages)";

#[test]
fn no_setting_that_a_database_or_role_can_have_reaches_the_dispatcher() {
    // Its worker has another role, which CREATE EXTENSION in another database would not accept.
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "every_setting", &["retry_schedule => '{1 s,1 s}'"]);
    let mut client = bench.session();
    run(&mut client, "CREATE ROLE another; GRANT another TO hydra_worker");
    let mut last = 0;
    for odd in ["min_val", "max_val", "greatest(min_val::float8, 1)::text"] {
        let set = set_all(&mut client, odd);
        assert!(set > 150, "only {set} parameters were set");
        // They apply to the next dispatcher.
        let pid = cluster.dispatcher_pid(&bench.database);
        terminate(&mut client, pid);
        cluster.new_dispatcher_pid(&bench.database, Some(pid));
        bench.receiver.answer_first(PATH, 3, Answer::status(500));
        run(&mut client, &insert(last + 1, last + 200));
        last += 200;
        wait_for_empty_queue(&mut client);
        assert_eq!(settle(&bench), 3 * last / 200);
        assert_eq!(worker_status(&mut client, "state"), "running");
    }
    run(&mut client, "ALTER ROLE hydra_worker IN DATABASE every_setting RESET ALL");
}

/// Sets each parameter that can be set, for the worker in this database. Numbers get the value of this expression, others
/// a value that they do not have. Returns how many were set.
fn set_all(client: &mut Client, number: &str) -> usize {
    let parameters = format!(
        "SELECT name, CASE vartype
             WHEN 'bool' THEN CASE setting WHEN 'on' THEN 'off' ELSE 'on' END
             WHEN 'enum' THEN (SELECT CASE '{number}' WHEN 'min_val' THEN min(value) ELSE max(value) END
                               FROM unnest(enumvals) AS value WHERE value <> setting)
             WHEN 'string' THEN 'nowhere'
             ELSE {number} END
         FROM pg_settings WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend') AND name !~ '{LOUD}'
         UNION ALL VALUES ('role', 'another'), ('search_path', 'nowhere'), ('TimeZone', 'Asia/Kathmandu'),
                          ('DateStyle', 'SQL, DMY'), ('client_encoding', 'LATIN1')"
    );
    let parameters = client.query(&parameters, &[]).expect("the parameters can be read");
    let values = parameters.iter().filter_map(|row| Some((row.get::<_, String>(0), row.get::<_, Option<String>>(1)?)));
    // Some values are refused, such as a text for a list of names. An empty text may be accepted then.
    let accepted = |(name, value): &(String, String)| {
        ["", value].iter().rev().any(|value| {
            let set = format!("ALTER ROLE hydra_worker IN DATABASE every_setting SET \"{name}\" = '{value}'");
            client.batch_execute(&set).is_ok()
        })
    };
    values.filter(accepted).count()
}

#[test]
fn a_transaction_timeout_of_the_server_does_not_end_launcher_and_dispatcher() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "timed", &[]);
    let mut client = bench.session();
    if lacks(&mut client, Need::Version(17)) {
        return;
    }
    // Except for the sessions of this test.
    run(&mut client, "ALTER ROLE postgres SET transaction_timeout = 0");
    let mut client = bench.session();
    cluster.set(&[("transaction_timeout", "5ms")]);
    let workers = [launcher(&mut client).expect("there is a launcher"), cluster.dispatcher_pid("timed")];
    for pid in workers {
        terminate(&mut client, pid);
    }
    wait_until("there is another launcher", PATIENCE, || launcher(&mut client).is_some_and(|pid| pid != workers[0]));
    let dispatcher = cluster.new_dispatcher_pid("timed", Some(workers[1]));

    // Longer than the timeout: the dispatcher waits for a lock.
    let mut other = bench.session();
    run(&mut other, "BEGIN; LOCK TABLE hydra.event IN ACCESS EXCLUSIVE MODE");
    let waits = format!("SELECT count(*) > 0 FROM pg_locks WHERE pid = {dispatcher} AND NOT granted");
    wait_until("it waits for the lock", PATIENCE, || ask(&mut client, &waits));
    wait_until("it has given up", PATIENCE, || cluster.log().contains("lock timeout"));
    run(&mut other, "COMMIT");
    run(&mut client, &insert(1, 500));
    settle(&bench);
    assert_eq!(cluster.find_dispatcher("timed"), Some(dispatcher));
    let log = cluster.log();
    let ended = log.lines().find(|line| line.contains("hydra_webhooks") && line.contains("transaction timeout"));
    assert_eq!(ended, None);
}
