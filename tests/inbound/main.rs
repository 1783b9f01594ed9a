//! Inbound adapters as other systems meet them: over HTTP, through a gateway.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::gateway::{Answer, Gateway};
use testkit::{Bench, Cluster, PATIENCE, run, wait_until};

mod duplicates;
mod failures;
mod loops;
mod managing;
mod quotas;
mod receiving;
mod rights;
mod secrets;
mod verifying;

/// What the URLs of adapters begin with.
const PUBLIC_URL: &str = "https://hooks.example.com";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[("max_connections", "200"), ("hydra_webhooks.public_url", PUBLIC_URL)]);
        run(
            &mut cluster.connect("postgres"),
            "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE app;
             CREATE ROLE member LOGIN IN ROLE hydra_member; CREATE ROLE analyst LOGIN IN ROLE hydra_analyst;
             CREATE ROLE admin LOGIN IN ROLE hydra_admin; CREATE ROLE api LOGIN IN ROLE hydra_api",
        );
        let keys = cluster.directory().join("keys");
        write_keys(&cluster, &["1"]);
        cluster.set(&[("hydra_webhooks.key_file", keys.to_str().expect("a path in UTF-8"))]);
        let mut client = cluster.connect("postgres");
        wait_until("the setting is applied", PATIENCE, || {
            testkit::ask::<String>(&mut client, "SHOW hydra_webhooks.key_file") == keys.to_string_lossy()
        });
        cluster
    })
}

/// Writes the keys that seal secrets. Each is one digit, repeated.
fn write_keys(cluster: &Cluster, digits: &[&str]) {
    let file = cluster.directory().join("keys");
    let lines: Vec<String> = digits.iter().map(|digit| digit.repeat(64)).collect();
    // Other tests use the keys meanwhile, so the new file takes the place of the old one when it is whole.
    let draft = file.with_extension("new");
    fs::write(&draft, lines.join("\n")).expect("a file can be written into the directory of the cluster");
    fs::set_permissions(&draft, Permissions::from_mode(0o600)).expect("its mode can be changed");
    let server = fs::metadata(cluster.data()).expect("the cluster is there");
    chown(&draft, Some(server.uid()), Some(server.gid())).expect("it can be given to the server");
    fs::rename(&draft, &file).expect("it can be renamed");
}

/// What the application has: flows write into `effect`.
const APPLICATION: &str = "
    SELECT hydra.webhook_register_event_type('ticket.updated');
    SELECT hydra.webhook_register_event_type('article.published');
    CREATE TABLE public.effect (what text, entity jsonb, argument jsonb, made_by text, tenant text);
    GRANT INSERT, SELECT ON public.effect TO app;
    CREATE FUNCTION public.take(argument jsonb) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.effect VALUES (argument ->> 'event', argument -> 'entity', argument, current_user, hydra.current_tenant());
        PERFORM pg_sleep(coalesce((argument -> 'entity' ->> 'sleep')::float8, 0));
        IF argument -> 'entity' ? 'fail' THEN
            RAISE EXCEPTION 'no place for this';
        END IF;
        RETURN 'taken';
    END $$;
    ALTER FUNCTION public.take(jsonb) OWNER TO app;
    GRANT USAGE ON SCHEMA hydra TO app;
    GRANT EXECUTE ON FUNCTION hydra.current_tenant() TO app;";

/// A database with an application, and a gateway.
struct Door {
    bench: Bench<'static>,
    gateway: Gateway,
}

/// An adapter: its number, and the path of its URL.
#[derive(Debug, Clone)]
struct Adapter {
    id: i64,
    path: String,
}

impl Door {
    fn open(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.run(APPLICATION);
        let gateway = Gateway::start(&bench);
        Self { bench, gateway }
    }

    /// The same with a deployed flow for all types of tickets.
    fn with_flow(database: &str) -> Self {
        let mut door = Self::open(database);
        door.flow("take", "ticket.*");
        door
    }

    fn flow(&mut self, name: &str, event: &str) -> i64 {
        let id = self.bench.ask(&format!("SELECT hydra.flow_create('{name}', '{event}', 'public.take(jsonb)')"));
        self.bench.run(&format!("SELECT hydra.flow_deploy({id})"));
        id
    }

    /// Creates an adapter. `arguments` follow the name.
    #[track_caller]
    fn adapter(&mut self, arguments: &str) -> Adapter {
        let sql = format!("SELECT id, url FROM hydra.inbound_create('test', {arguments})");
        let row = self.bench.client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        Adapter { id: row.get(0), path: path(&row.get::<_, String>(1)) }
    }

    #[track_caller]
    fn post(&self, adapter: &Adapter, headers: &[(&str, &str)], body: &str) -> Answer {
        post(&self.gateway, adapter, headers, body)
    }

    /// Posts JSON, which is received with this status, and returns the states of its events.
    #[track_caller]
    fn send(&self, adapter: &Adapter, status: u16, body: &Value) -> Vec<String> {
        let answer = self.post(adapter, &[("content-type", "application/json")], &body.to_string());
        assert_eq!(answer.status, status, "{answer:?}");
        states(&answer)
    }

    /// The entities that flows have taken, in their order.
    fn effects(&mut self) -> Vec<Value> {
        let rows = self.bench.client.query("SELECT entity::text FROM public.effect ORDER BY ctid", &[]).expect("rows");
        rows.iter().map(|row| serde_json::from_str(row.get(0)).expect("JSON")).collect()
    }

    /// A column of an adapter in the view.
    #[track_caller]
    fn column(&mut self, adapter: &Adapter, column: &str) -> String {
        self.bench.ask(&format!(
            "SELECT coalesce(({column})::text, '-') FROM hydra.inbound_adapters WHERE id = {}",
            adapter.id
        ))
    }

    /// A column of the events of an adapter, in their order.
    fn events(&mut self, adapter: &Adapter, column: &str) -> String {
        self.bench.ask(&format!(
            "SELECT coalesce(string_agg(coalesce(({column})::text, '-'), ',' ORDER BY id), '')
             FROM hydra.inbound_events WHERE adapter_id = {}",
            adapter.id
        ))
    }

    #[track_caller]
    fn wait_for_events(&mut self, adapter: &Adapter, column: &str, expected: &str) {
        let mut last = String::new();
        wait_until(format!("{column} of the events is {expected}"), PATIENCE, || {
            last = self.events(adapter, column);
            last == expected
        });
    }
}

/// Posts again while the answer is 503: a request that waits for others of its event for two seconds is to come again.
#[track_caller]
fn post_until_answered(gateway: &Gateway, adapter: &Adapter, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut answer = post(gateway, adapter, headers, body);
    wait_until("the request is answered", PATIENCE, || {
        if answer.status == 503 {
            answer = post(gateway, adapter, headers, body);
        }
        answer.status != 503
    });
    answer
}

#[track_caller]
fn post(gateway: &Gateway, adapter: &Adapter, headers: &[(&str, &str)], body: &str) -> Answer {
    gateway.connect().request("POST", &adapter.path, headers, body.as_bytes())
}

fn path(url: &str) -> String {
    url.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{url}")).to_owned()
}

#[track_caller]
fn states(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let events = answer["events"].as_array().unwrap_or_else(|| panic!("{answer}"));
    events.iter().map(|event| event["state"].as_str().expect("a state").to_owned()).collect()
}

/// Headers as GitHub sends them.
fn github(secret: &str, delivery: &str, body: &str) -> [(String, String); 4] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    [
        ("X-GitHub-Event".into(), "issues".into()),
        ("X-GitHub-Delivery".into(), delivery.into()),
        ("X-Hub-Signature-256".into(), format!("sha256={}", hex::encode(mac.finalize().into_bytes()))),
        ("Content-Type".into(), "application/json".into()),
    ]
}

fn pairs(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A body as GitHub sends it.
fn issue(number: i32) -> Value {
    json!({"action": "opened", "issue": {"id": number, "title": format!("Issue {number}")}})
}
