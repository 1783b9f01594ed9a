//! A gateway that takes mail.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use testkit::{Cluster, PATIENCE, wait_for_ready, wait_until};

/// The program. Cargo puts it beside the directory of the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a test is a file");
    let program = tests.ancestors().nth(2).expect("a directory of built files").join("hydra-gateway");
    assert!(program.exists(), "there is no {}: run scripts/build", program.display());
    program
}

pub struct Gateway {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    listening: Value,
}

impl Gateway {
    /// Starts a gateway for a database, and returns when it answers.
    pub fn start(cluster: &Cluster, database: &str, arguments: &[&str]) -> Self {
        let dsn = cluster.conninfo(database).replace("user=postgres", "user=far_gateway");
        let mut command = Command::new(program());
        command.env("HYDRA_DSN", dsn).args(["--listen", "127.0.0.1:0", "--lmtp-listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the gateway starts");
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (pipe, lines) = (child.stderr.take().expect("a pipe"), log.clone());
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut gateway = Self { child, log, listening: Value::Null };
        wait_until("the gateway listens", PATIENCE, || {
            gateway.listening = gateway.event("listening").unwrap_or_default();
            gateway.listening.is_object()
        });
        wait_for_ready(gateway.listening["address"].as_str().expect("an address"));
        gateway
    }

    pub fn mail_address(&self) -> &str {
        self.listening["mail_address"].as_str().expect("it takes mail")
    }

    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn event(&self, name: &str) -> Option<Value> {
        let lines = self.lines();
        let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.rfind(|line| line["event"] == name)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- log of the gateway: {:#?}", self.lines());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
