//! Runs a receiver of the page as a process, and makes requests to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, thread};

use testkit::{Bench, PATIENCE, free_port, wait_until};

use crate::forgeries::Case;

#[derive(Clone, Copy, Debug)]
pub enum Language {
    Node,
    Python,
    Php,
    Ruby,
}

impl Language {
    /// Its name in the page.
    pub fn name(self) -> &'static str {
        match self {
            Language::Node => "js",
            Language::Python => "python",
            Language::Php => "php",
            Language::Ruby => "ruby",
        }
    }

    /// The program that runs the file at this port, and its arguments.
    fn command(self, file: &Path, port: u16) -> Vec<String> {
        let file = file.display().to_string();
        let command: &[&str] = match self {
            Language::Node => &["node", &file],
            Language::Python => &[&prepared("HYDRA_PYTHON"), &file],
            // As on a machine for development, where PHP shows errors in its answers.
            Language::Php => &["php", "-d", "display_errors=1", "-S", &format!("127.0.0.1:{port}"), &file],
            Language::Ruby => &[
                "rackup",
                "--env=production",
                "--server=webrick",
                "--host=127.0.0.1",
                &format!("--port={port}"),
                &file,
            ],
        };
        command.iter().map(|word| (*word).to_owned()).collect()
    }
}

fn prepared(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`"))
}

/// A receiver that runs until it is dropped, or until the test process ends.
pub struct Program {
    shell: Child,
    log: PathBuf,
    address: String,
}

impl Program {
    #[track_caller]
    pub fn start(language: Language, code: &str, bench: &Bench<'_>, secret: &str) -> Program {
        Program::try_start(language, code, bench, secret)
            .unwrap_or_else(|log| panic!("the receiver for {language:?} does not start; run `make prepare`\n{log}"))
    }

    /// Starts a receiver for the database of the bench. If it ends instead of listening, returns what it has written.
    pub fn try_start(language: Language, code: &str, bench: &Bench<'_>, secret: &str) -> Result<Program, String> {
        // The program is killed when our end of the standard input is closed.
        const SCRIPT: &str = r#"
            exec 3<&0
            (cat <&3; kill -KILL 0) &
            "$@" </dev/null 3<&-
        "#;
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        // Not in a directory of its own, which the user of the server could not remove. Rack needs the suffix.
        let file = format!("receiver.{}.ru", COUNTER.fetch_add(1, Ordering::Relaxed));
        let file = bench.cluster.directory().join(file);
        let log = file.with_extension("log");
        fs::write(&file, code).expect("a file");
        let output = fs::File::create(&log).expect("a file");
        let port = free_port();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "receiver"]).args(language.command(&file, port));
        command.stdin(Stdio::piped()).stdout(output.try_clone().expect("a file")).stderr(output).process_group(0);
        bench.cluster.connect_with(&mut command);
        command.env("PGDATABASE", &bench.database).env("PORT", port.to_string()).env("WEBHOOK_SECRET", secret);
        command.env("NODE_PATH", prepared("HYDRA_NODE_MODULES"));
        let shell = command.spawn().expect("/bin/sh starts");
        let mut program = Program { shell, log, address: format!("127.0.0.1:{port}") };
        let mut ended = false;
        wait_until(format!("{language:?} listens"), PATIENCE, || {
            ended = program.shell.try_wait().expect("it can be waited for").is_some();
            ended || TcpStream::connect(&program.address).is_ok()
        });
        if ended { Err(program.log()) } else { Ok(program) }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    fn log(&self) -> String {
        fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Makes this request, and returns the status of the answer.
    pub fn post(&self, case: &Case) -> u16 {
        let mut head = format!("POST /hooks HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        head += &format!("Content-Length: {}\r\n", case.body.len());
        for (name, value) in &case.headers {
            if !["host", "connection", "content-length"].contains(&&**name) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(format!("{head}\r\n{}", case.body).as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{error} after {answer:?}"));
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status: {answer}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        if thread::panicking() {
            eprintln!("--- output of the receiver\n{}", self.log());
        }
    }
}
