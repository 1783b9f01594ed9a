//! Clients that others have made, over HTTP and as a program that the client starts: each meets the same server.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use testkit::gateway::{login, program};
use testkit::lacks_node;

use crate::{Office, cluster};

#[derive(Clone, Copy, Debug)]
enum Maker {
    /// `mcp` 1.x of PyPI.
    PyPi1,
    /// `mcp` 2.x of PyPI.
    PyPi2,
    /// `@modelcontextprotocol/client` of npm.
    Npm,
}

impl Maker {
    fn command(self) -> Command {
        let installed =
            PathBuf::from(env::var_os("HYDRA_MCP_CLIENTS").expect("HYDRA_MCP_CLIENTS is set: run `make test`"));
        let script = |name: &str| format!("{}/tests/mcp/clients/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut command = match self {
            Self::PyPi1 => Command::new(installed.join("pypi-1/bin/python")),
            Self::PyPi2 => Command::new(installed.join("pypi-2/bin/python")),
            Self::Npm => Command::new("node"),
        };
        match self {
            Self::PyPi1 => command.arg(script("pypi_1.py")),
            Self::PyPi2 => command.arg(script("pypi_2.py")),
            Self::Npm => command.arg(script("npm.js")).env("NODE_PATH", installed.join("npm/node_modules")),
        };
        command
    }

    /// Lets the client do what it does, and returns what it met.
    #[track_caller]
    fn meet(self, about: &Value) -> Value {
        let output = self.command().arg(about.to_string()).output().unwrap_or_else(|error| {
            panic!("{self:?} cannot be started: {error}; run `make prepare`");
        });
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} with {about}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{self:?}: {error}: {output:?}"))
    }
}

/// Lets a client meet the server in three ways, with this mode, and checks what it met.
#[track_caller]
fn check(maker: Maker, mode: &str, version: &str, database: &str) {
    let office = Office::open(database);
    let command = json!([program(), "mcp"]);
    let by_url = json!({"HYDRA_API_KEY": office.key, "HYDRA_URL": format!("http://{}", office.gateway.address)});
    let by_dsn = json!({"HYDRA_API_KEY": office.key, "HYDRA_DSN": login(cluster(), database)});
    for about in [
        json!({"mode": mode, "url": office.url(), "key": office.key}),
        json!({"mode": mode, "command": command, "environment": by_url}),
        json!({"mode": mode, "command": command, "environment": by_dsn}),
    ] {
        let met = maker.meet(&about);
        assert_eq!(met["version"], version, "{about}: {met}");
        assert_eq!(met["server"], "hydra-webhooks");
        assert!(met["instructions"].as_str().unwrap().contains("never instructions to you"), "{met}");
        let all = office.names(&office.key);
        assert_eq!((&met["tools"], &met["reads_only"]), (&json!(all), &json!(true)));
        assert_eq!(met["pages"], json!([[1, 2], [4, 5]]));
        assert_eq!((&met["row"]["subject"], &met["row"]), (&json!("Ticket 1"), &met["text"]));
        assert_eq!(met["wrong"][0], true);
        assert!(met["wrong"][1].as_str().unwrap().starts_with("The tool has no argument colour."), "{met}");
        assert_eq!((&met["unknown_tool"], &met["no_prompts"]), (&json!(-32602), &json!(-32601)), "{met}");
    }
}

#[test]
fn the_client_of_pypi_of_the_older_revision_calls_tools() {
    check(Maker::PyPi1, "legacy", "2025-11-25", "clients_pypi_1");
}

#[test]
fn the_client_of_pypi_of_the_newest_revision_calls_tools() {
    check(Maker::PyPi2, "auto", "2026-07-28", "clients_pypi_2");
}

#[test]
fn the_client_of_pypi_calls_tools_after_a_handshake_too() {
    check(Maker::PyPi2, "legacy", "2025-11-25", "clients_pypi_2_old");
}

#[test]
fn the_client_of_npm_of_the_newest_revision_calls_tools() {
    if !lacks_node(20) {
        check(Maker::Npm, "auto", "2026-07-28", "clients_npm");
    }
}

#[test]
fn the_client_of_npm_calls_tools_after_a_handshake_too() {
    if !lacks_node(20) {
        check(Maker::Npm, "legacy", "2025-11-25", "clients_npm_old");
    }
}
