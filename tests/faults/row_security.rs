//! Row level security, missing privileges and missing rows. The dispatcher never takes what it does not see for
//! something that is not there: it waits, and the status says why.

use testkit::receiver::Answer;
use testkit::{PATIENCE, run, wait_until, worker_status};

use crate::{PATH, cluster, insert, settle, terminate, tickets};

const SCHEDULE: &str = "retry_schedule => array_fill(interval '1 s', ARRAY[40])";

/// Retries wait, then the table is changed, then there are more events, then the change is taken back. A dispatcher
/// that cannot go on says `detail`.
#[track_caller]
fn change_and_take_back(database: &str, change: &str, take_back: &str, restart: bool, detail: Option<&str>) {
    let mut bench = tickets(cluster(), database, &[SCHEDULE]);
    bench.receiver.answer(PATH, Answer::status(500));
    bench.run(&insert(1, 3));
    wait_until("retries wait", PATIENCE, || bench.ask("SELECT count(DISTINCT event_id) = 3 FROM hydra.attempt"));
    bench.run(change);
    let dispatcher = cluster().dispatcher_pid(database);
    match restart {
        true => terminate(&mut bench.client, dispatcher),
        false => bench.run("SELECT pg_reload_conf()"),
    }
    bench.run(&insert(4, 6));
    if let Some(detail) = detail {
        wait_until(format!("the status says {detail}"), PATIENCE, || {
            worker_status(&mut bench.client, "detail").contains(detail)
        });
    }
    bench.receiver.answer(PATH, Answer::ok());
    run(&mut bench.session(), take_back);
    settle(&bench);
    // Errors of the last seconds may still be mentioned.
    wait_until("all is well", PATIENCE, || worker_status(&mut bench.client, "detail").starts_with("events are sent"));
    assert_eq!(bench.count("webhook_failed"), 0);
}

#[test]
fn row_level_security_on_any_table_loses_nothing_and_the_status_says_which() {
    // The others are read through a view, as their owner, or not at all.
    let blocking = ["event", "delivery", "signing_secret", "identity"];
    for table in ["subscription", "preset", "event_type", "subscription_health", "attempt"].iter().chain(&blocking) {
        for restart in [false, true] {
            let row_security = |word: &str| format!("ALTER TABLE hydra.{table} {word} ROW LEVEL SECURITY");
            change_and_take_back(
                &format!("rls_{table}_{restart}"),
                &row_security("ENABLE"),
                &row_security("DISABLE"),
                restart,
                blocking
                    .contains(table)
                    .then(|| format!("row level security must be disabled on hydra.{table}"))
                    .as_deref(),
            );
        }
    }
}

#[test]
fn row_level_security_on_all_tables_at_once_loses_nothing() {
    let all = |word: &str| {
        format!(
            "DO $$ DECLARE name regclass; BEGIN
                 FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind = 'r' LOOP
                     EXECUTE format('ALTER TABLE %s {word} ROW LEVEL SECURITY', name);
                 END LOOP;
             END $$"
        )
    };
    for restart in [false, true] {
        let detail = Some("hydra.subscription");
        change_and_take_back(&format!("rls_all_{restart}"), &all("ENABLE"), &all("DISABLE"), restart, detail);
    }
}

#[test]
fn a_missing_privilege_loses_nothing_and_the_status_says_so() {
    for (name, privilege) in [
        ("a", "SELECT ON hydra.effective_subscription"),
        ("b", "SELECT ON hydra.event"),
        ("c", "UPDATE ON hydra.delivery"),
        ("d", "SELECT ON hydra.signing_secret"),
        ("e", "SELECT ON hydra.identity"),
    ] {
        for restart in [false, true] {
            change_and_take_back(
                &format!("privilege_{name}_{restart}"),
                &format!("REVOKE {privilege} FROM hydra_worker"),
                &format!("GRANT {privilege} TO hydra_worker"),
                restart,
                Some("hydra_worker lacks a privilege"),
            );
        }
    }
}

#[test]
fn a_subscription_whose_secret_is_missing_is_not_taken_for_a_deleted_one() {
    for restart in [false, true] {
        change_and_take_back(
            &format!("no_secret_{restart}"),
            "CREATE TABLE kept AS SELECT subscription_id, secret, prefix FROM hydra.signing_secret; DELETE FROM hydra.signing_secret",
            "INSERT INTO hydra.signing_secret (subscription_id, secret, prefix) SELECT * FROM kept",
            restart,
            Some("secrets cannot be read"),
        );
    }
}
