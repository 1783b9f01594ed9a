//! Names of subscriptions are unique, so that a script can be run again.

use std::thread;

use postgres::Client;
use testkit::{ask, refused, run};

use crate::{bench, cluster};

const URL: &str = "http://127.0.0.1:9/";

fn create(more: &str) -> String {
    format!("SELECT id FROM hydra.webhook_create('{URL}', '{{ticket.created}}', name => 'crm'{more})")
}

/// Runs a statement with psql, and returns its notices.
fn said(database: &str, statement: &str) -> String {
    let psql = cluster().program("psql").args(["-X", "-d", database, "-c", statement]).output().expect("psql starts");
    let said = String::from_utf8_lossy(&psql.stderr).into_owned();
    assert!(psql.status.success(), "{said}");
    said
}

#[test]
fn a_script_that_creates_subscriptions_if_they_do_not_exist_can_be_run_again() {
    let mut bench = bench("names_again");
    let again = create(", if_not_exists => true");
    let id: i64 = bench.ask(&again);
    assert_eq!(bench.ask::<i64>(&again), id);
    let (is_same, secret): (bool, Option<String>) = {
        let sql = format!(
            "SELECT made.id = {id}, made.secret FROM hydra.webhook_create('{URL}', '{{ticket.created}}', 'crm', if_not_exists => true) AS made"
        );
        let row = bench.client.query_one(&sql, &[]).expect("it exists");
        (row.get(0), row.get(1))
    };
    assert_eq!((is_same, secret), (true, None), "a secret is returned only once");
    assert_eq!(bench.count("subscription"), 1);

    let same = said("names_again", &again);
    assert!(same.contains("NOTICE:  subscription \"crm\" exists, skipping") && !same.contains("DETAIL"), "{same}");
    let other = create(", if_not_exists => true, timeout => '7 s', headers => '{\"X-A\": \"b\"}', preset => 'hydra'");
    let other = said("names_again", &other);
    assert!(other.contains("other values for these settings: headers, timeout."), "{other}");
    assert!(other.contains(&format!("hydra.webhook_update({id}")), "{other}");

    // Another tenant may have the same name.
    let of_tenant: i64 = bench.ask(&create(", if_not_exists => true, tenant_id => 'acme'"));
    assert_ne!(of_tenant, id);
    bench.refused(
        &format!("SELECT hydra.webhook_create('{URL}', '{{ticket.created}}', if_not_exists => true)"),
        "22023",
    );
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let mut bench = bench("names_taken");
    let id: i64 = bench.ask(&create(""));
    let refused = bench.refused(&create(""), "42710");
    assert!(refused.message.contains("\"crm\" is taken") && refused.detail.contains(&id.to_string()), "{refused:?}");
    let other: i64 = bench.ask(&create(", tenant_id => 'acme'"));
    bench.run(&format!("SELECT hydra.webhook_update({id}, name => 'crm', timeout => '5 s')"));
    let third: i64 =
        bench.ask(&format!("SELECT id FROM hydra.webhook_create('{URL}', '{{ticket.created}}', name => 'other')"));
    bench.refused(&format!("SELECT hydra.webhook_update({third}, name => 'crm')"), "42710");
    bench.refused(&format!("SELECT hydra.webhook_update({id}, tenant_id => 'acme')"), "42710");
    bench.run(&format!("SELECT hydra.webhook_delete({other}); SELECT hydra.webhook_update({id}, tenant_id => 'acme')"));
    // Subscriptions without a name are as many as there are.
    for _ in 0..2 {
        bench.run(&format!("SELECT hydra.webhook_create('{URL}', '{{ticket.created}}')"));
    }
}

#[test]
fn two_sessions_that_create_the_same_subscription_at_the_same_time_create_one() {
    let bench = bench("names_race");
    let mut first = bench.session();
    run(&mut first, "BEGIN");
    let id: i64 = ask(&mut first, &create(", if_not_exists => true"));
    let mut second = bench.session();
    let pid: i32 = ask(&mut second, "SELECT pg_backend_pid()");
    let created = thread::spawn(move || ask::<i64>(&mut second, &create(", if_not_exists => true")));
    let mut watcher: Client = bench.session();
    testkit::wait_until("the second waits for the first", testkit::PATIENCE, || {
        ask(&mut watcher, &format!("SELECT cardinality(pg_blocking_pids({pid})) > 0"))
    });
    run(&mut first, "COMMIT");
    assert_eq!(created.join().expect("it is not refused"), id);

    let mut repeatable = bench.session();
    run(&mut repeatable, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    let mut third = bench.session();
    run(&mut third, &create(", if_not_exists => true").replace("crm", "shop"));
    refused(&mut repeatable, &create(", if_not_exists => true").replace("crm", "shop"), "42710");
}
