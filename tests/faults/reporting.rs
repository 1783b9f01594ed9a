//! What the workers report: log lines at each change of state, errors with their step, `pg_stat_activity`.

use std::time::{Duration, Instant};

use postgres::Client;
use testkit::receiver::{Answer, Receiver};
use testkit::{Cluster, PATIENCE, ask, run, subscribe, wait_for_empty_queue, wait_until, worker_status};

/// Log lines have their SQLSTATE in front.
const PREFIX: (&str, &str) = ("log_line_prefix", "%b [%e] ");

fn wait_for_line(cluster: &Cluster, line: &str) {
    wait_until(format!("the log has: {line}"), PATIENCE, || cluster.log().lines().any(|logged| logged == line));
}

fn count_lines(cluster: &Cluster, part: &str) -> usize {
    cluster.log().lines().filter(|line| line.contains(part)).count()
}

#[test]
fn each_change_of_state_is_one_line_in_the_log() {
    let cluster = Cluster::start(&[PREFIX]);
    let mut client = cluster.create_database("helpdesk");
    wait_for_line(&cluster, "hydra_webhooks launcher [00000] LOG:  hydra_webhooks launcher started");
    let dispatcher = "hydra_webhooks dispatcher [00000] LOG:  hydra_webhooks dispatcher";
    let started = format!("{dispatcher} started in database \"helpdesk\", version {}", env!("CARGO_PKG_VERSION"));
    wait_for_line(&cluster, &started);
    wait_for_line(&cluster, &format!("{dispatcher}: events of database \"helpdesk\" are sent"));

    cluster.set(&[("hydra_webhooks.retention", "7d"), ("hydra_webhooks.enabled", "off")]);
    wait_for_line(
        &cluster,
        &format!(
            "{dispatcher}: configuration of database \"helpdesk\" changed: hydra_webhooks.enabled, hydra_webhooks.retention"
        ),
    );
    wait_for_line(
        &cluster,
        &format!("{dispatcher}: hydra_webhooks.enabled is off; nothing is sent from database \"helpdesk\""),
    );
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    wait_until("it sends again", PATIENCE, || count_lines(&cluster, "events of database \"helpdesk\" are sent") == 2);

    run(&mut client, "SELECT hydra.webhook_park()");
    wait_for_line(&cluster, &format!("{dispatcher} stops in database \"helpdesk\": parked by hydra.webhook_park()"));
    run(&mut client, "SELECT hydra.webhook_unpark()");
    wait_until("it is started again", PATIENCE, || count_lines(&cluster, &started) == 2);
    run(&mut client, "DROP EXTENSION hydra_webhooks");
    wait_for_line(&cluster, &format!("{dispatcher} stops in database \"helpdesk\": the extension was dropped"));
}

#[test]
fn a_copy_warns_that_it_does_not_send_and_logs_its_adoption() {
    let cluster = Cluster::start(&[PREFIX]);
    let mut original = cluster.create_database("original");
    cluster.dispatcher_pid("original");
    run(&mut original, "SELECT hydra.webhook_park()");
    drop(original);
    run(&mut cluster.connect("postgres"), "CREATE DATABASE copy TEMPLATE original");
    let mut copy = cluster.connect("copy");
    // Otherwise the launcher looks for new databases once a minute.
    run(&mut copy, "SELECT hydra.webhook_register_event_type('lamp.lit', 'A lamp was lit')");
    wait_for_line(
        &cluster,
        "hydra_webhooks dispatcher [55000] WARNING:  hydra_webhooks dispatcher: nothing is sent from database \"copy\": this \
         database is a copy of database \"original\"",
    );
    wait_until("the hint follows", PATIENCE, || {
        cluster.log().contains("HINT:  SELECT hydra.webhook_adopt() makes it send.")
    });
    run(&mut copy, "SELECT hydra.webhook_adopt()");
    wait_for_line(
        &cluster,
        "hydra_webhooks dispatcher [00000] LOG:  hydra_webhooks dispatcher: database \"copy\" was adopted; its events are sent",
    );
}

/// A receiver that fails, and a subscription of it.
fn failing(client: &mut Client) -> Receiver {
    let receiver = Receiver::start();
    receiver.answer("/tickets", Answer::status(500));
    subscribe(client, &receiver.url("/tickets"), "ticket.created", &[]);
    receiver
}

#[test]
fn an_error_of_a_worker_names_its_step_its_sqlstate_and_its_detail() {
    let cluster = Cluster::start(&[PREFIX]);
    let mut client = cluster.create_database("helpdesk");
    let _receiver = failing(&mut client);
    // The history cannot be written any more.
    run(
        &mut client,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN RAISE 'no moon' USING ERRCODE = '22023', DETAIL = 'It is full.'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON hydra.attempt FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1}')");
    wait_for_line(
        &cluster,
        "hydra_webhooks dispatcher [22023] WARNING:  hydra_webhooks dispatcher: could not write the history: no moon",
    );
    wait_until("the detail follows", PATIENCE, || cluster.log().contains("DETAIL:  It is full."));
    run(&mut client, "DROP TRIGGER refuse ON hydra.attempt");
    wait_until("the outcome is written", PATIENCE, || ask(&mut client, "SELECT EXISTS (SELECT FROM hydra.attempt)"));
}

#[test]
fn an_error_of_a_worker_about_a_constraint_does_not_show_the_row() {
    let cluster = Cluster::start(&[PREFIX]);
    let mut client = cluster.create_database("helpdesk");
    let _receiver = failing(&mut client);
    run(&mut client, "ALTER TABLE hydra.attempt ADD CONSTRAINT full_moon CHECK (false) NOT VALID");
    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1}')");
    wait_for_line(
        &cluster,
        "hydra_webhooks dispatcher [23514] WARNING:  hydra_webhooks dispatcher: could not write the history: new row for \
         relation \"attempt\" violates check constraint \"full_moon\"",
    );
    run(&mut client, "ALTER TABLE hydra.attempt DROP CONSTRAINT full_moon");
    wait_until("the outcome is written", PATIENCE, || ask(&mut client, "SELECT EXISTS (SELECT FROM hydra.attempt)"));
    assert!(!cluster.log().contains("Failing row contains"));
}

#[test]
fn pg_stat_activity_says_what_each_worker_does() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.create_database("helpdesk");
    let receiver = Receiver::start();
    subscribe(&mut client, &receiver.url("/tickets"), "ticket.created", &[]);
    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1}')");
    receiver.wait_for("/tickets", 1, PATIENCE);
    wait_for_empty_queue(&mut client);
    let workers = "SELECT count(*) FROM pg_stat_activity
                   WHERE application_name = backend_type AND state = 'idle'
                     AND (backend_type, datname) IN (('hydra_webhooks dispatcher', 'helpdesk'))";
    wait_until("the dispatcher is idle", PATIENCE, || ask::<i64>(&mut client, workers) == 1);
    let launcher = "SELECT count(*) FROM pg_stat_activity
                    WHERE backend_type = 'hydra_webhooks launcher' AND application_name = backend_type AND state = 'idle'";
    wait_until("the launcher is idle", PATIENCE, || ask::<i64>(&mut client, launcher) == 1);

    // While a client holds a lock, the dispatcher shows what it waits with.
    let mut blocker = cluster.connect("helpdesk");
    run(&mut blocker, "BEGIN; LOCK TABLE hydra.event IN ACCESS EXCLUSIVE MODE");
    let step = "SELECT count(*) FROM pg_stat_activity
                WHERE backend_type = 'hydra_webhooks dispatcher' AND state = 'active' AND query = 'read new events'
                  AND wait_event_type = 'Lock'";
    wait_until("the dispatcher reads new events", PATIENCE, || ask::<i64>(&mut client, step) == 1);
    run(&mut blocker, "ROLLBACK");
}

#[test]
fn an_error_that_lasts_is_logged_ever_more_rarely_and_shown_in_the_status() {
    let cluster = Cluster::start(&[PREFIX]);
    let mut client = cluster.create_database("helpdesk");
    let receiver = Receiver::start();
    subscribe(&mut client, &receiver.url("/tickets"), "ticket.created", &[]);
    cluster.dispatcher_pid("helpdesk");
    let complaint = "could not read new events: permission denied for table event";
    let start = Instant::now();
    run(&mut client, "REVOKE SELECT ON hydra.event FROM hydra_worker");
    wait_until("it is logged", PATIENCE, || count_lines(&cluster, complaint) >= 1);
    wait_until("the status shows it", PATIENCE, || worker_status(&mut client, "detail").contains("SQLSTATE 42501"));
    // Each time about a second later it occurs again. It is logged after 0, 2 and 6 seconds.
    wait_until("it is logged twice more", PATIENCE, || count_lines(&cluster, complaint) >= 3);
    assert!(start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
    wait_until("the repetitions are counted", PATIENCE, || {
        count_lines(&cluster, "times since it was last logged.") >= 2
    });

    run(&mut client, "GRANT SELECT ON hydra.event TO hydra_worker");
    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    receiver.wait_for("/tickets", 1, PATIENCE);
    wait_until("all is well", PATIENCE, || worker_status(&mut client, "detail") == "events are sent");
}

#[test]
fn an_error_of_the_launcher_that_lasts_is_logged_ever_more_rarely() {
    let cluster = Cluster::start(&[PREFIX, ("lock_timeout", "100ms")]);
    let mut client = cluster.create_database("helpdesk");
    cluster.dispatcher_pid("helpdesk");
    run(&mut client, "BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE");
    // After a reload the launcher looks at all databases.
    cluster.set(&[]);
    wait_until("the repetitions are counted", PATIENCE, || {
        count_lines(&cluster, "hydra_webhooks launcher [55P03] DETAIL:  The same error has occurred") >= 2
    });
    let complaint =
        "hydra_webhooks launcher: could not read the list of databases: canceling statement due to lock timeout";
    // It occurs each second, and was logged after 0, 2 and 6 seconds.
    assert_eq!(count_lines(&cluster, complaint), 3);
    run(&mut client, "ROLLBACK");
}
