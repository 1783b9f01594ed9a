//! Runs a scenario of `browser/` in Chromium.

use std::env;
use std::process::Command;

use serde_json::{Map, Value};

pub struct Visit {
    scenario: &'static str,
    about: Map<String, Value>,
}

impl Visit {
    pub fn new(scenario: &'static str, url: &str) -> Self {
        Self { scenario, about: Map::new() }.with("url", url)
    }

    /// Tells the scenario something.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.about.insert(name.into(), value.into());
        self
    }

    /// Panics if the scenario finds a fault. What it found is then on standard error.
    #[track_caller]
    pub fn run(self) {
        let modules = env::var_os("HYDRA_NODE_MODULES").expect("HYDRA_NODE_MODULES is set: run `make test`");
        let status = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pages/browser/run.js"))
            .arg(self.scenario)
            .arg(Value::Object(self.about).to_string())
            .env("NODE_PATH", modules)
            .status()
            .unwrap_or_else(|error| panic!("cannot run node: {error}; run `make prepare`"));
        assert!(status.success(), "the scenario {:?} ended with {status}", self.scenario);
    }
}
