//! Flows: functions of the application that run when an inbound event arrives, and the runner, which does what requests
//! leave.

use std::fmt::Display;
use std::sync::OnceLock;

use postgres::types::Type;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::{Bench, Cluster, PATIENCE, run, wait_until};

mod attacks;
mod copies;
mod failures;
mod owners;
mod rehearsals;
mod runner;
mod states;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[]);
        create_roles(&cluster);
        cluster
    })
}

fn create_roles(cluster: &Cluster) {
    run(
        &mut cluster.connect("postgres"),
        "CREATE ROLE app; CREATE ROLE other; CREATE ROLE admin LOGIN IN ROLE hydra_admin; CREATE ROLE member LOGIN IN ROLE hydra_member",
    );
}

/// A database with tickets that belong to the role `app`, and an inbound adapter that maps everything to ticket.created.
struct Site<'a> {
    bench: Bench<'a>,
    adapter: i64,
    secret: String,
}

/// What a request was answered.
struct Answer {
    status: i32,
    body: Value,
}

impl Answer {
    /// The number of its one event, and its state.
    fn event(&self) -> (i64, &str) {
        let event = &self.body["events"][0];
        (event["id"].as_i64().expect("a number"), event["state"].as_str().expect("a state"))
    }
}

impl<'a> Site<'a> {
    fn new(cluster: &'a Cluster, database: &str) -> Self {
        let mut bench = Bench::new(cluster, database);
        bench.run(
            "CREATE TABLE public.ticket (id int PRIMARY KEY, title text, who text DEFAULT current_user);
             ALTER TABLE public.ticket OWNER TO app;
             GRANT USAGE ON SCHEMA hydra TO app, other;
             GRANT CREATE ON SCHEMA public TO app, other;
             GRANT EXECUTE ON FUNCTION hydra.current_tenant(), hydra.webhook_emit(text, jsonb, text) TO app, other",
        );
        let mut site = Site { bench, adapter: 0, secret: String::new() };
        (site.adapter, site.secret) = site.create_adapter("issues", "'\"ticket.created\"', tenant_id => 'acme'");
        site
    }

    /// Creates an adapter; returns its id and the secret part of its URL.
    fn create_adapter(&mut self, name: &str, arguments: &str) -> (i64, String) {
        let sql = format!("SELECT id, url FROM hydra.inbound_create('{name}', {arguments})");
        let row = self.bench.client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let url: String = row.get(1);
        (row.get(0), url.rsplit('/').next().expect("a URL has slashes").to_owned())
    }

    /// Creates a function with this body in PL/pgSQL, and a flow in testing that calls it. Returns the number of the flow.
    fn create_flow(&mut self, name: &str, body: &str, arguments: &str) -> i64 {
        self.create_function(name, body);
        self.bench.ask(&format!("SELECT hydra.flow_create('{name}', 'ticket.created', 'public.{name}'{arguments})"))
    }

    /// As [`Site::create_flow`], and deploys the flow.
    fn deploy(&mut self, name: &str, body: &str, arguments: &str) -> i64 {
        let flow = self.create_flow(name, body, arguments);
        self.bench.run(&format!("SELECT hydra.flow_deploy({flow})"));
        flow
    }

    fn create_function(&mut self, name: &str, body: &str) {
        self.bench.run(&format!(
            "CREATE OR REPLACE FUNCTION public.{name}(event jsonb) RETURNS jsonb LANGUAGE plpgsql AS $flow$ BEGIN {body} END $flow$;
             ALTER FUNCTION public.{name}(jsonb) OWNER TO app"
        ));
    }

    /// Makes a request to the adapter, as a gateway does.
    fn post(&mut self, entity: impl Display) -> Answer {
        let secret = self.secret.clone();
        self.post_to(&secret, entity, "[]")
    }

    fn post_to(&mut self, secret: &str, entity: impl Display, headers: &str) -> Answer {
        let credential = Sha256::digest(secret).to_vec();
        let body = entity.to_string().into_bytes();
        run(&mut self.bench.client, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        let row = self
            .bench
            .client
            .query_typed(
                "SELECT status, body
                 FROM hydra.serve(1, 'inbound', $1, 'POST', '/in', '', $2::jsonb, $3, '127.0.0.1')",
                &[(&credential, Type::BYTEA), (&headers, Type::TEXT), (&body, Type::BYTEA)],
            )
            .unwrap_or_else(|error| panic!("{entity}: {error:?}"))
            .remove(0);
        run(&mut self.bench.client, "COMMIT");
        let body: Vec<u8> = row.get(1);
        let text = String::from_utf8(body).expect("text");
        Answer { status: row.get(0), body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    /// Returns a column of an inbound event as text; null is the empty text.
    fn event(&mut self, event: i64, column: &str) -> String {
        self.bench.ask(&format!("SELECT coalesce(({column})::text, '') FROM hydra.inbound_events WHERE id = {event}"))
    }

    fn wait_for_event(&mut self, event: i64, column: &str, value: &str) {
        wait_until(format!("{column} of inbound event {event} is {value}"), PATIENCE, || {
            self.event(event, column) == value
        });
    }

    /// Makes an event due that is to be tried again later.
    fn hurry(&mut self, event: i64) {
        self.bench.run(&format!(
            "UPDATE hydra.inbound_event SET due_at = now() WHERE id = {event} AND due_at IS NOT NULL;
             SELECT hydra._note_for_runner(now())"
        ));
    }

    /// Returns the runs of all flows: flow, mode and state.
    fn runs(&mut self) -> Vec<String> {
        let sql = "SELECT flow || ': ' || mode || ' ' || state FROM hydra.flow_runs ORDER BY id";
        self.bench.client.query(sql, &[]).expect("runs can be read").iter().map(|row| row.get(0)).collect()
    }

    fn wait_for_runs(&mut self, runs: usize) -> Vec<String> {
        self.bench.wait_for_count("flow_runs", runs as i64);
        self.runs()
    }

    /// Returns a column of the latest run, as JSON.
    fn latest_run(&mut self, column: &str) -> Value {
        let text: String = self.bench.ask(&format!(
            "SELECT coalesce(to_jsonb({column}), 'null')::text FROM hydra.flow_runs ORDER BY id DESC LIMIT 1"
        ));
        serde_json::from_str(&text).expect("JSON")
    }

    fn tickets(&mut self) -> i64 {
        self.bench.ask("SELECT count(*) FROM public.ticket")
    }

    fn runner(&mut self, column: &str) -> String {
        self.bench.ask(&format!("SELECT coalesce({column}::text, '') FROM hydra.runner_status"))
    }
}

/// A function body that makes a ticket of the event.
const TICKET: &str =
    "INSERT INTO public.ticket (id, title) VALUES ((event #>> '{entity,id}')::int, event #>> '{entity,title}');
                      RETURN event -> 'entity' -> 'id';";

fn issue(id: i64) -> String {
    format!(r#"{{"id": {id}, "title": "It is broken", "priority": "high"}}"#)
}
