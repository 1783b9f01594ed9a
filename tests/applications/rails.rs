//! What `rails db:schema:load`, `rails db:reset` and `rails test` do to databases.

use std::path::Path;

use testkit::receiver::Receiver;
use testkit::{PATIENCE, run, subscribe, wait_for_state};

use crate::{assert_nothing_fatal, cluster, must};

/// `db/structure.sql` of a development database: the extension, a table and a watch.
fn dump_structure(file: &Path) {
    let mut development = cluster().create_database("rails_development");
    run(&mut development, "CREATE TABLE tickets (id bigint PRIMARY KEY)");
    run(&mut development, "SELECT hydra.webhook_watch('tickets', 'ticket.created', 'insert')");
    wait_for_state(&mut development, "running");
    must(
        cluster()
            .program("pg_dump")
            .args(["--schema-only", "--no-privileges", "--no-owner", "--file"])
            .arg(file)
            .arg("rails_development"),
    );
}

fn load_structure(file: &Path, database: &str) {
    must(
        cluster()
            .program("psql")
            .args(["--set=ON_ERROR_STOP=1", "--quiet", "--no-psqlrc", "--file"])
            .arg(file)
            .args(["--output=/dev/null", database]),
    );
}

/// As ActiveRecord drops and creates a database.
fn reset(database: &str) {
    let mut admin = cluster().connect("postgres");
    run(&mut admin, &format!("DROP DATABASE IF EXISTS {database}"));
    run(&mut admin, &format!("CREATE DATABASE {database} ENCODING = 'unicode'"));
}

#[test]
fn a_database_is_reset_again_and_again_and_each_run_of_the_tests_sends_its_events() {
    let file = cluster().directory().join("structure.sql");
    dump_structure(&file);
    let receiver = Receiver::start();
    for round in 1..=3 {
        // A database for each process of parallel tests.
        for database in ["rails_test", "rails_test_0", "rails_test_1"] {
            reset(database);
            load_structure(&file, database);
            let mut tests = cluster().connect(database);
            let path = format!("/{database}");
            subscribe(&mut tests, &receiver.url(&path), "ticket.created", &[]);
            run(&mut tests, "INSERT INTO tickets VALUES (1), (2)");
            receiver.wait_for(&path, 2 * round, PATIENCE);
        }
    }
    let mut admin = cluster().connect("postgres");
    for database in ["rails_test", "rails_test_0", "rails_test_1", "rails_development"] {
        run(&mut admin, &format!("DROP DATABASE {database}"));
    }
    assert_nothing_fatal();
}
