//! Packages of providers, which run in a process of their own.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::{env, thread};

use serde_json::{Value, json};
use testkit::signer::Draft;

#[derive(Clone, Copy, Debug)]
pub enum Registry {
    Npm,
    PyPi,
}

pub const NPM: Registry = Registry::Npm;
pub const PYPI: Registry = Registry::PyPi;

#[derive(Debug)]
pub struct Package {
    registry: Registry,
    name: &'static str,
    /// The name of our scheme.
    pub provider: &'static str,
}

impl Registry {
    pub fn of(self, name: &'static str, provider: &'static str) -> Package {
        Package { registry: self, name, provider }
    }
}

impl Package {
    /// Returns each request as the provider sends it, and the secret of its customer.
    pub fn sign(&self, drafts: &[Draft], secret: &str, at: i64) -> Vec<(Draft, String)> {
        let questions: Vec<Value> = drafts
            .iter()
            .map(|draft| {
                let body = str::from_utf8(&draft.body).expect("text");
                json!({"secret": secret, "body": body, "url": draft.url, "id": "msg_1", "at": at, "headers": null})
            })
            .collect();
        let signed = |(draft, answer): (&Draft, Value)| {
            let headers: BTreeMap<String, String> = serde_json::from_value(answer["headers"].clone()).expect("headers");
            let draft = headers.iter().fold(draft.clone(), |draft, (name, value)| draft.with(name, value));
            (draft, answer["secret"].as_str().expect("a secret").to_owned())
        };
        drafts.iter().zip(self.ask(&questions)).map(signed).collect()
    }

    /// Says which of them the package accepts.
    pub fn verify(&self, cases: &[(Draft, String, bool)]) -> Vec<bool> {
        let questions: Vec<Value> = cases
            .iter()
            .map(|(draft, secret, _)| {
                let names = draft.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
                let (headers, body): (BTreeMap<_, _>, _) =
                    (names.collect(), str::from_utf8(&draft.body).expect("text"));
                json!({"secret": secret, "body": body, "url": draft.url, "headers": headers})
            })
            .collect();
        self.ask(&questions).into_iter().map(|answer| answer.as_bool().expect("true or false")).collect()
    }

    fn command(&self) -> Command {
        let prepared = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run `make test`"));
        let (program, script) = match self.registry {
            Registry::Npm => ("node".into(), "inbound.js"),
            Registry::PyPi => (prepared("HYDRA_PYTHON"), "inbound.py"),
        };
        let mut command = Command::new(program);
        command.arg(format!("{}/tests/verifiers/{script}", env!("CARGO_MANIFEST_DIR"))).arg(self.name);
        if matches!(self.registry, Registry::Npm) {
            command.env("NODE_PATH", prepared("HYDRA_NODE_MODULES"));
        }
        command
    }

    fn ask(&self, questions: &[Value]) -> Vec<Value> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{self:?} cannot be started: {error}; run `make prepare`"));
        let mut input = child.stdin.take().expect("it is piped");
        let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
        let writer = thread::spawn(move || input.write_all(lines.as_bytes()));
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("no panic").expect("it reads all");
        assert!(output.status.success(), "{self:?} ended with {}", output.status);
        let answers = String::from_utf8(output.stdout).expect("JSON");
        let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), questions.len(), "{self:?} answers each question");
        answers
    }
}
