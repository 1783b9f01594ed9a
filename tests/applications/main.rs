//! What developers do to databases all day: test runners and tasks of frameworks create, copy and drop a database that
//! has the extension. They know nothing of it.

use std::process::{Command, Output};
use std::sync::OnceLock;

use testkit::Cluster;

mod django;
mod rails;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[]))
}

/// Runs a program to its end. The test fails if the program does.
#[track_caller]
fn must(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    output
}

/// Administrators are alarmed by each FATAL line. The prefix of each line has the type of the process.
#[track_caller]
fn assert_nothing_fatal() {
    let log = cluster().log();
    let ours = log.lines().filter(|line| line.contains("hydra_webhooks"));
    let fatal: Vec<&str> = ours.filter(|line| line.contains("FATAL")).collect();
    assert!(fatal.is_empty(), "{fatal:#?}");
}
