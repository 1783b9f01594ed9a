//! Clocks that were set, and times in which nothing could be sent. Neither ends a delivery before its last attempt, and
//! none waits longer than its schedule says.

use std::time::Duration;

use testkit::receiver::Answer;
use testkit::{Bench, Cluster, PATIENCE, StopMode, ask, let_pass, run, wait_for_state, wait_until};

use crate::{PATH, cluster, insert, seconds, tickets};

/// Twice its duration is ten seconds. The receiver answers within the time limit also on a busy machine.
const SHORT: [&str; 2] = ["retry_schedule => '{1 s,1 s}'", "timeout => '1 s'"];
const LONGER_THAN_SHORT: Duration = Duration::from_secs(11);

/// A delivery whose first attempt has failed, and whose other attempts will fail.
fn failing<'a>(cluster: &'a Cluster, database: &str) -> Bench<'a> {
    let mut bench = tickets(cluster, database, &SHORT);
    bench.receiver.answer(PATH, Answer::status(500));
    bench.run(&insert(1, 1));
    bench.wait_for_failed_attempt(1);
    bench
}

/// All three attempts are made before the delivery is given up.
#[track_caller]
fn assert_all_attempts(mut bench: Bench, what: &str) {
    bench.wait_for_count("webhook_failed", 1);
    let attempts = bench.history();
    let classes: Vec<_> = attempts.iter().map(|attempt| attempt.class.as_deref()).collect();
    assert_eq!(classes, [Some("status"); 3], "{what}: {attempts:#?}");
    assert_eq!(bench.receiver.received(PATH), 3, "{what}");
}

#[test]
fn the_time_for_which_the_dispatcher_was_stopped_does_not_count() {
    // A cluster of its own: DROP DATABASE of other tests would wait for the stopped process.
    let cluster = Cluster::start(&[]);
    let bench = failing(&cluster, "stopped");
    let pid = cluster.dispatcher_pid("stopped");
    cluster.signal("STOP", pid);
    let_pass(LONGER_THAN_SHORT);
    cluster.signal("CONT", pid);
    assert_all_attempts(bench, "a stopped process");
}

#[test]
fn the_time_for_which_the_tables_were_locked_does_not_count() {
    let bench = failing(cluster(), "locked_clock");
    let mut other = bench.session();
    run(&mut other, "BEGIN; LOCK TABLE hydra.delivery IN ACCESS EXCLUSIVE MODE");
    let_pass(LONGER_THAN_SHORT);
    run(&mut other, "COMMIT");
    assert_all_attempts(bench, "a lock");
}

#[test]
fn the_time_for_which_nothing_could_be_written_does_not_count() {
    let mut bench = failing(cluster(), "unwritable");
    bench.run("REVOKE UPDATE ON hydra.delivery FROM hydra_worker");
    let_pass(LONGER_THAN_SHORT);
    bench.run("GRANT UPDATE ON hydra.delivery TO hydra_worker");
    assert_all_attempts(bench, "a missing right");
}

#[test]
fn the_time_for_which_the_server_was_down_or_sending_was_off_does_not_count() {
    let cluster = Cluster::start(&[]);
    let mut bench = failing(&cluster, "down");
    cluster.stop(StopMode::Fast);
    let_pass(LONGER_THAN_SHORT);
    cluster.start_again();
    bench.client = bench.session();
    assert_all_attempts(bench, "a stop of the server");

    let mut bench = failing(&cluster, "off");
    cluster.set(&[("hydra_webhooks.enabled", "off")]);
    wait_for_state(&mut bench.client, "off");
    let_pass(LONGER_THAN_SHORT);
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    assert_all_attempts(bench, "hydra_webhooks.enabled");
}

#[test]
fn a_delivery_that_waits_gets_its_attempt_although_its_schedule_was_made_much_shorter() {
    let mut bench = tickets(cluster(), "shortened", &["retry_schedule => '{30 s,1 h}'"]);
    bench.receiver.answer_first(PATH, 1, Answer::status(500));
    bench.run(&insert(1, 1));
    bench.wait_for_failed_attempt(1);
    // Longer than twice the duration of the new schedule.
    let_pass(seconds(5));
    bench.run("SELECT hydra.webhook_update(id, retry_schedule => '{0.1 s}', timeout => '1 s') FROM hydra.subscription");
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received(PATH), bench.count("webhook_failed")), (2, 0));
}

#[test]
fn a_retry_that_is_due_in_a_year_is_made_when_the_clock_is_right() {
    let mut bench = tickets(cluster(), "a_year", &["retry_schedule => '{5 s,3 s}'"]);
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    bench.run(&insert(1, 3));
    bench.wait_for_count("webhook_history", 3);
    wait_until("the retries wait", PATIENCE, || {
        bench.ask("SELECT count(*) = 3 FROM hydra.delivery WHERE claimed_by IS NULL")
    });
    // As if the clock had been a year ahead when they failed.
    bench.run("UPDATE hydra.delivery SET due_at = due_at + interval '1 year', scheduled_at = scheduled_at + interval '1 year'");
    bench.run("SELECT pg_reload_conf()");
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received(PATH), bench.count("webhook_failed")), (6, 0));
}

#[test]
fn a_retry_whose_first_attempt_seems_to_be_a_year_ago_is_made() {
    let mut bench = tickets(cluster(), "a_year_ago", &["retry_schedule => '{5 s,3 s}'"]);
    bench.receiver.answer_first(PATH, 1, Answer::status(500));
    bench.run(&insert(1, 1));
    bench.wait_for_failed_attempt(1);
    bench.run("UPDATE hydra.delivery SET due_at = due_at - interval '1 year', scheduled_at = scheduled_at - interval '1 year'");
    bench.run("SELECT pg_reload_conf()");
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received(PATH), bench.count("webhook_failed")), (2, 0));
}

#[test]
fn the_time_for_which_the_server_was_down_does_not_make_an_endpoint_stale() {
    let cluster = Cluster::start(&[]);
    let mut bench = tickets(&cluster, "not_stale", &["preset => 'standard'", "retry_schedule => '{}'"]);
    bench.receiver.answer(PATH, Answer::status(500));
    bench.run(&insert(1, 1));
    bench.wait_for_count("webhook_failed", 1);
    let health = "SELECT max(consecutive_failures) FROM hydra.webhook_subscriptions";
    wait_until("the failure is written", PATIENCE, || bench.ask::<Option<i32>>(health) == Some(1));
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    let mut client = bench.session();
    // As if the server had been down for six days. The change of the status makes the dispatcher read this.
    run(
        &mut client,
        "UPDATE hydra.subscription_health SET failing_since = failing_since - interval '6 days';
         UPDATE hydra.subscription SET status_since = status_since - interval '7 days'",
    );
    run(&mut client, &insert(2, 2));
    wait_until("the second failure is written", PATIENCE, || ask::<Option<i32>>(&mut client, health) == Some(2));
    assert_eq!(ask::<String>(&mut client, "SELECT status FROM hydra.webhook_subscriptions"), "active");

    // While the server runs, the time counts.
    run(&mut client, "UPDATE hydra.preset SET stale_after = '1 s' WHERE name = 'standard'");
    let_pass(seconds(2));
    run(&mut client, &insert(3, 3));
    wait_until("it is stale", PATIENCE, || {
        ask::<Option<String>>(&mut client, "SELECT disabled_reason FROM hydra.webhook_subscriptions").as_deref()
            == Some("stale")
    });
}
