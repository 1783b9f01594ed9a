//! A gateway that a test has started.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use crate::{Bench, Cluster, PATIENCE, wait_until};

mod client;

pub use client::{Answer, Connection};

/// Returns the connection string of a gateway for a database. It logs in as `far_gateway`, a role that the test has made.
pub fn login(cluster: &Cluster, database: &str) -> String {
    cluster.conninfo(database).replace("user=postgres", "user=far_gateway")
}

/// The program. Cargo puts it beside the directory of the tests.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a test is a file");
    let program = tests.ancestors().nth(2).expect("a directory of built files").join("hydra-gateway");
    assert!(program.exists(), "there is no {}: run scripts/build", program.display());
    program
}

pub struct Gateway {
    child: Child,
    /// Lines of standard error, and of standard output.
    log: Arc<Mutex<Vec<String>>>,
    out: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    pub stdin: Option<ChildStdin>,
    pub address: String,
}

impl Gateway {
    /// Starts a gateway for the database, and returns when it can answer.
    #[track_caller]
    pub fn start(bench: &Bench<'_>) -> Self {
        Self::start_with(bench, &[])
    }

    #[track_caller]
    pub fn start_with(bench: &Bench<'_>, arguments: &[&str]) -> Self {
        Self::start_for(&login(bench.cluster, &bench.database), arguments).when_ready()
    }

    /// Waits until it has a connection to its database. It listens before, and a request waits for a connection for a second only,
    /// which is not long enough on a busy machine.
    #[track_caller]
    pub fn when_ready(self) -> Self {
        wait_until("the gateway is ready", PATIENCE, || self.get("/readyz", &[]).status == 200);
        self
    }

    /// Starts a gateway, and returns when it listens.
    #[track_caller]
    pub fn start_for(dsn: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.env("HYDRA_DSN", dsn).args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut gateway = Self::spawn(command);
        gateway.wait_for("it listens", |gateway| gateway.event("listening").is_some());
        gateway.address = gateway.event("listening").unwrap()["address"].as_str().unwrap().to_owned();
        gateway
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address at which it takes mail.
    pub fn mail_address(&self) -> String {
        self.event("listening").unwrap()["mail_address"].as_str().expect("it takes mail").to_owned()
    }

    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the gateway starts");
        let (log, out) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stderr.take().expect("a pipe"), &log),
            collect(child.stdout.take().expect("a pipe"), &out),
        ];
        let stdin = child.stdin.take();
        Self { child, log, out, readers, stdin, address: String::new() }
    }

    #[track_caller]
    pub fn wait_for(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        wait_until(what, PATIENCE, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the gateway has ended with {status} before {what}: {:?}", self.lines());
            }
            condition(self)
        });
    }

    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Lines of standard output, as JSON.
    pub fn states(&self) -> Vec<Value> {
        self.out.lock().unwrap().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The lines of the log about requests, or other events.
    pub fn events(&self, name: &str) -> Vec<Value> {
        let lines = self.lines();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == name).collect()
    }

    pub fn event(&self, name: &str) -> Option<Value> {
        self.events(name).into_iter().next_back()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("/bin/sh").args(["-c", &format!("kill -s {name} {}", self.pid())]).status();
        assert!(status.expect("a shell").success());
    }

    /// Waits for the end of the process.
    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the gateway ends", PATIENCE, || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("lines are text");
        }
        status.expect("it has ended")
    }

    pub fn connect(&self) -> Connection {
        Connection::open(&self.address)
    }

    /// Makes a request on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.connect().request("GET", path, headers, b"")
    }

    #[track_caller]
    pub fn me(&self, key: &str) -> Answer {
        self.get("/api/v1/me", &[("authorization", &format!("Bearer {key}"))])
    }

    /// Resident memory in kB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
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

fn collect(pipe: impl std::io::Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = lines.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}
