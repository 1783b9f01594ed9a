//! Programs that read the description: schemathesis makes requests of it and compares the answers, Redocly lints it.
//!
//! `HYDRA_SECONDS` is how long schemathesis goes on with each example. Then it makes other requests each time, and otherwise
//! always the same ones. `HYDRA_SEED` repeats them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use testkit::{Bench, Gateway, lacks_node, number};

use crate::{cluster, install, key};

struct Example {
    name: &'static str,
    /// Rows that are there before, so that ids lead somewhere.
    rows: &'static str,
    tenant: &'static str,
    resources: &'static [&'static str],
}

const HELPDESK: Example = Example {
    name: "helpdesk",
    rows: "INSERT INTO helpdesk.tenants (tenant_id, name) VALUES ('lumen', 'Lumen Bikes');
           INSERT INTO helpdesk.agents (tenant_id, name, email) VALUES ('lumen', 'Priya', 'priya@lumen.example');
           INSERT INTO helpdesk.accounts (tenant_id, name) VALUES ('lumen', 'Birch');
           INSERT INTO helpdesk.customers (tenant_id, account_id, name, email, source)
           SELECT 'lumen', 1, 'Mara ' || n, 'mara' || n || '@birch.example', 'api' FROM generate_series(1, 20) AS n;
           INSERT INTO helpdesk.conversations (tenant_id, customer_id, channel) SELECT 'lumen', id, 'api' FROM helpdesk.customers;
           INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject) SELECT 'lumen', id, 'It burns' FROM helpdesk.customers;
           INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body) SELECT 'lumen', id, 'agent', 'No' FROM helpdesk.tickets",
    tenant: "'lumen'",
    resources: &["agents", "accounts", "customers", "conversations", "tickets", "replies"],
};

const FIELD_SERVICE: Example = Example {
    name: "field_service",
    rows: "INSERT INTO field_service.companies (name) VALUES ('Alder Heating');
           INSERT INTO field_service.members (company_id, name, email) VALUES (1, 'Tomas', 'tomas@alder.example');
           INSERT INTO field_service.service_jobs (company_id, job_number, customer)
           SELECT 1, 'JOB-2026-' || to_char(n, 'FM0000'), 'Mara' FROM generate_series(1, 20) AS n;
           INSERT INTO field_service.bookings (company_id, service_job_id, starts_at, ends_at)
           SELECT 1, id, now(), now() + interval '1 h' FROM field_service.service_jobs;
           INSERT INTO field_service.parts (company_id, sku, name, unit_price, stock_quantity)
           SELECT 1, 'P' || n, 'Valve', 9.50, 100 FROM generate_series(1, 20) AS n;
           INSERT INTO field_service.parts_used (company_id, service_job_id, part_id, quantity)
           SELECT 1, n, n, 1 FROM generate_series(1, 5) AS n",
    tenant: "'1'",
    resources: &["members", "service_jobs", "bookings", "parts", "parts_used"],
};

/// A gateway with an example, a key with all scopes, and a directory for what the programs write.
struct Stage {
    _bench: Bench<'static>,
    gateway: Gateway,
    key: String,
    directory: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Stage {
    fn new(database: &str, of: &Example) -> Self {
        let mut bench = Bench::new(cluster(), database);
        install(&mut bench, of.name);
        bench.run(of.rows);
        bench.subscribe("/hooks", "*", &[&format!("tenant_id => {}", of.tenant)]);
        // Whatever URL a request gives, what is sent goes to the receiver.
        bench.run(&format!(
            "CREATE FUNCTION public.stay_here() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN NEW.url := '{}'; RETURN NEW; END $$;
             CREATE TRIGGER stay_here BEFORE INSERT OR UPDATE OF url ON hydra.subscription
                 FOR EACH ROW EXECUTE FUNCTION public.stay_here()",
            bench.receiver.url("/others")
        ));
        let scopes = of.resources.iter().map(|name| format!("{name}:read,{name}:write,")).collect::<String>();
        let scopes = format!("{scopes}webhooks:read,webhooks:manage,inbound:read,flows:read");
        let key = key(&mut bench.client, &scopes, of.tenant);
        let gateway = Gateway::start(&bench);
        let directory = env::temp_dir().join(format!("hydra-{database}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        Self { _bench: bench, gateway, key, directory }
    }

    fn api(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.gateway.url())
    }
}

fn tool(variable: &str, below: &str) -> PathBuf {
    let place = env::var_os(variable).unwrap_or_else(|| panic!("{variable} is set: run `make test`"));
    Path::new(&place).join(below)
}

#[track_caller]
fn expect(output: &Output, what: &str) {
    let text = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&text));
}

fn try_schemathesis(database: &str, of: &Example) {
    let stage = Stage::new(database, of);
    let program = tool("HYDRA_PYTHON", "").parent().expect("a directory of programs").join("schemathesis");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rest_schema/schemathesis.toml");
    let seconds = number("HYDRA_SECONDS");
    let seed = number("HYDRA_SEED").unwrap_or_else(|| seconds.map_or(1, |_| rand::random::<u32>().into()));
    println!("HYDRA_SEED={seed}");
    let output = Command::new(&program)
        .args(["--config-file", config, "run", &stage.api("/openapi.json"), "--url", &stage.api("")])
        .args(["--header", &format!("Authorization: Bearer {}", stage.key)])
        .args(["--max-time", &seconds.unwrap_or(30).to_string(), "--seed", &seed.to_string()])
        .current_dir(&stage.directory)
        .output();
    expect(&output.unwrap_or_else(|error| panic!("{}: {error}", program.display())), "schemathesis");
}

fn lint(database: &str, of: &Example) {
    let stage = Stage::new(database, of);
    let file = stage.directory.join("openapi.json");
    let fetched = Command::new("curl")
        .args(["--silent", "--fail", "--header", &format!("Authorization: Bearer {}", stage.key), "--output"])
        .arg(&file)
        .arg(stage.api("/openapi.json"))
        .output();
    expect(&fetched.expect("there is curl"), "curl");
    let output = Command::new("node")
        .arg(tool("HYDRA_NODE_MODULES", "@redocly/cli/bin/cli.js"))
        .args(["lint", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rest_schema/redocly.yaml")])
        .args(["--format", "stylish", "--max-problems", "20"])
        .arg(&file)
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .current_dir(&stage.directory)
        .output();
    let output = output.expect("there is node");
    expect(&output, "redocly");
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    // It counts warnings in a sentence of its own.
    assert!(said.contains("Your API description is valid") && !said.contains("You have"), "{said}");
}

#[test]
fn answers_of_the_helpdesk_are_as_described_and_none_is_a_fault() {
    try_schemathesis("schema_helpdesk", &HELPDESK);
}

#[test]
fn answers_of_the_field_service_are_as_described_and_none_is_a_fault() {
    try_schemathesis("schema_field_service", &FIELD_SERVICE);
}

#[test]
fn the_descriptions_of_both_examples_have_nothing_that_a_linter_finds() {
    if lacks_node(20) {
        return;
    }
    lint("lint_helpdesk", &HELPDESK);
    lint("lint_field_service", &FIELD_SERVICE);
}
