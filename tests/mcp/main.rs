//! The tools of MCP as models meet them: through a gateway, with clients that others have made, and as bare messages.

use std::sync::OnceLock;

use serde_json::{Value, json};
use testkit::gateway::{Answer, Gateway};
use testkit::{Bench, Cluster, run};

mod clients;
mod confirming;
mod conformance;
mod desk;
mod helpdesk;
mod injected;
mod limits;
mod messages;
mod own;
mod registered;
mod stdio;
mod tokens;
mod tools;
mod writing;

/// The newest revision of the protocol.
const REVISION: &str = "2026-07-28";
const ALL: &str = "mcp,tickets:read,webhooks:read,inbound:read,flows:read";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[("max_connections", "200")]);
        run(&mut cluster.connect("postgres"), "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE app");
        cluster
    })
}

/// What the application has: tickets of two tenants.
const APPLICATION: &str = "
    CREATE SCHEMA app;
    CREATE TABLE app.tickets (
        id bigint PRIMARY KEY, tenant_id text NOT NULL, subject text NOT NULL, price numeric, priority integer,
        status text NOT NULL CHECK (status IN ('open', 'closed')), created_at timestamptz NOT NULL, secret text);
    COMMENT ON TABLE app.tickets IS 'Questions of customers.';
    COMMENT ON COLUMN app.tickets.priority IS '1 is the most urgent';
    CREATE INDEX ON app.tickets (tenant_id, status);
    CREATE INDEX ON app.tickets (tenant_id, priority);
    CREATE INDEX ON app.tickets (tenant_id, created_at);
    INSERT INTO app.tickets
    SELECT n, CASE WHEN n % 10 = 9 THEN 'other' ELSE 'acme' END, 'Ticket ' || n, 1.10 + n, nullif(n % 4, 0),
           CASE WHEN n % 3 = 0 THEN 'closed' ELSE 'open' END, '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 h', 'hidden'
    FROM generate_series(1, 120) AS n;
    GRANT USAGE ON SCHEMA app TO app;
    GRANT SELECT, INSERT ON app.tickets TO app;
    SELECT hydra.api_expose('app.tickets', readable => '{id,tenant_id,subject,price,priority,status,created_at}',
                            filterable => '{status,priority,created_at}', sortable => '{created_at}')";

/// A database with an application, and a gateway.
struct Office {
    bench: Bench<'static>,
    gateway: Gateway,
    key: String,
}

impl Office {
    fn open(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.run(APPLICATION);
        let gateway = Gateway::start(&bench);
        let key = create_key(&mut bench, ALL, "tenant_id => 'acme'");
        Self { bench, gateway, key }
    }

    fn key(&mut self, scopes: &str, arguments: &str) -> String {
        create_key(&mut self.bench, scopes, arguments)
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.gateway.address)
    }

    /// Sends a message as it is.
    #[track_caller]
    fn post(&self, key: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.post_to("/mcp", key, headers, body)
    }

    #[track_caller]
    fn post_to(&self, path: &str, key: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        self.gateway.connect().request("POST", path, &all, body.as_bytes())
    }

    /// Makes a request of the newest revision, and returns the whole answer.
    #[track_caller]
    fn request(&self, key: &str, method: &str, params: Value) -> Answer {
        self.request_of(key, method, params, json!({}))
    }

    /// The same of a client with these capabilities.
    #[track_caller]
    fn request_of(&self, key: &str, method: &str, params: Value, capabilities: Value) -> Answer {
        self.send("/mcp", key, method, params, capabilities)
    }

    /// The same at another path.
    #[track_caller]
    fn request_at(&self, key: &str, path: &str, method: &str, params: Value) -> Answer {
        self.send(path, key, method, params, json!({}))
    }

    #[track_caller]
    fn send(&self, path: &str, key: &str, method: &str, params: Value, capabilities: Value) -> Answer {
        let mut params = params;
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": REVISION,
                                 "io.modelcontextprotocol/clientCapabilities": capabilities});
        let name = params["name"].as_str().map(str::to_owned);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut headers = vec![("mcp-protocol-version", REVISION), ("mcp-method", method)];
        headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        self.post_to(path, key, &headers, &body)
    }

    /// The names of the tools that a key sees.
    #[track_caller]
    fn names(&self, key: &str) -> Vec<String> {
        self.names_at(key, "/mcp")
    }

    /// The same at another path. All pages of the list.
    #[track_caller]
    fn names_at(&self, key: &str, path: &str) -> Vec<String> {
        let (mut names, mut cursor) = (Vec::new(), json!(null));
        loop {
            let answer = self.request_at(key, path, "tools/list", json!({"cursor": cursor}));
            let result = answer.json()["result"].take();
            let tools = result["tools"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
            names.extend(tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()));
            cursor = result["nextCursor"].clone();
            if cursor.is_null() {
                return names;
            }
        }
    }

    /// Calls a tool, and returns its result.
    #[track_caller]
    fn call(&self, key: &str, name: &str, arguments: Value) -> Value {
        let answer = self.request(key, "tools/call", json!({"name": name, "arguments": arguments}));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].take()
    }

    /// Calls a tool that can do it, and returns what it returned for programs.
    #[track_caller]
    fn data(&self, key: &str, name: &str, arguments: Value) -> Value {
        let mut result = self.call(key, name, arguments);
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].take()
    }

    /// Calls a tool that cannot do it, and returns what the model is told.
    #[track_caller]
    fn explanation(&self, key: &str, name: &str, arguments: Value) -> String {
        let result = self.call(key, name, arguments);
        assert_eq!(result["isError"], true, "{result}");
        assert!(result.get("structuredContent").is_none(), "{result}");
        result["content"][0]["text"].as_str().expect("a text").to_owned()
    }
}

#[track_caller]
fn create_key(bench: &mut Bench<'_>, scopes: &str, arguments: &str) -> String {
    bench.ask(&format!("SELECT key FROM hydra.api_key_create('test', '{{{scopes}}}', role => 'app', {arguments})"))
}

/// The ids of the rows of a page.
#[track_caller]
fn ids(page: &Value) -> Vec<i64> {
    let rows = page["data"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}
