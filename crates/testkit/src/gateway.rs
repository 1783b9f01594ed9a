//! A gateway that a test has started.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{Bench, PATIENCE, wait_until};

/// It logs in as `far_gateway`, a role that the test has made.
pub struct Gateway {
    child: Child,
    pub url: String,
}

impl Gateway {
    /// Starts a gateway for the database, and returns when it answers.
    pub fn start(bench: &Bench<'_>) -> Self {
        // Cargo puts it beside the directory of the tests.
        let tests = std::env::current_exe().expect("a test is a file");
        let program = tests.ancestors().nth(2).expect("a directory of built files").join("hydra-gateway");
        let dsn = bench.cluster.conninfo(&bench.database).replace("user=postgres", "user=far_gateway");
        let mut child = Command::new(&program)
            .args(["--listen", "127.0.0.1:0"])
            .env("HYDRA_DSN", dsn)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run scripts/build", program.display()));
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = log.find_map(|line| {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            (event["event"] == "listening").then(|| event["address"].as_str().expect("an address").to_owned())
        });
        let address = address.expect("the gateway listens");
        let gateway = Self { child, url: format!("http://{address}") };
        // So that it is not stopped by a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        wait_for_ready(&address);
        gateway
    }
}

/// Waits until the gateway at this address has a connection to the database. It listens before, and a request waits for
/// a connection for a second only, which is not long enough on a busy machine.
#[track_caller]
pub fn wait_for_ready(address: &str) {
    wait_until(format!("the gateway at {address} is ready"), PATIENCE, || is_ready(address).unwrap_or(false));
}

fn is_ready(address: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait().map(drop));
    }
}
