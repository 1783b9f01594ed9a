//! The test runner of Django, on an application that creates the extension and a watch in a migration.

use std::env;
use std::process::Command;

use testkit::receiver::{Receiver, entity_ids};

use crate::{assert_nothing_fatal, cluster, must};

const PATH: &str = "/tickets";

/// Runs `manage.py` of the application, which sends its events to the receiver.
fn manage(receiver: &Receiver, arguments: &[&str]) {
    let python = env::var_os("HYDRA_PYTHON").expect("HYDRA_PYTHON is set: run `make test`");
    let mut command = Command::new(python);
    // In the directory of the application, where its tests are looked for.
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/applications/django"));
    command.arg("manage.py").args(arguments);
    command.env("HYDRA_ENDPOINT", receiver.url(PATH)).env("PYTHONDONTWRITEBYTECODE", "1");
    cluster().connect_with(&mut command);
    must(&mut command);
}

/// In the end Django drops the databases: it fails if a session is connected to one.
#[test]
fn the_test_runner_of_django_runs_again_and_again_also_in_parallel_and_with_a_kept_database() {
    let receiver = Receiver::start();
    let runs: [&[&str]; 4] = [&[], &["--parallel=2"], &["--keepdb"], &["--noinput"]];
    for (run, arguments) in runs.iter().enumerate() {
        manage(&receiver, &[&["test"], *arguments].concat());
        // What the tests committed was sent. What they rolled back was not.
        let mut received = entity_ids(&receiver.wait_for(PATH, 2 * (run + 1), testkit::PATIENCE));
        received.sort();
        let expected = [vec!["first"; run + 1], vec!["second"; run + 1]].concat();
        assert_eq!(received, expected, "{arguments:?}");
    }
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\_%'";
    assert_eq!(testkit::ask::<i64>(&mut cluster().connect("postgres"), left), 0);
    assert_nothing_fatal();
}
