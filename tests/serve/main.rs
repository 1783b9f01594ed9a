//! Requests that a gateway passes on, API keys, and attempts of SQL in a request to get more than the request has.
//!
//! Planted code writes into the table `loot` which role ran it.

use std::sync::OnceLock;

use postgres::Client;
use postgres::types::Type;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::{Bench, Cluster, run};

mod adapters;
mod approvals;
mod attacks;
mod console;
mod extension;
mod flows;
mod gateways;
mod keys;
mod pages;
mod plans;
mod problems;
mod rehearsals;
mod sessions;
mod visitor;

const LOOT: &str = "
    CREATE TABLE public.loot (what text, who text);
    GRANT INSERT ON public.loot TO PUBLIC;
    CREATE FUNCTION public.loot(what text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.loot VALUES (what, current_user);
        RETURN true;
    END $$";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[]);
        run(
            &mut cluster.connect("postgres"),
            "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE admin LOGIN IN ROLE hydra_admin;
             CREATE ROLE app; CREATE ROLE stranger LOGIN",
        );
        cluster
    })
}

/// What `hydra.serve` returned.
#[derive(Debug)]
struct Answer {
    status: i32,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A request, as a gateway makes it of what it received.
struct Request<'a> {
    surface: &'a str,
    token: Option<&'a str>,
    method: &'a str,
    path: &'a str,
    body: &'a [u8],
    headers: &'a str,
}

impl<'a> Request<'a> {
    fn new(surface: &'a str, token: Option<&'a str>, method: &'a str, path: &'a str) -> Self {
        Self { surface, token, method, path, body: b"", headers: "[]" }
    }

    /// A call of `hydra.serve`, without a transaction around it.
    fn call(&self, client: &mut Client) -> Result<Answer, postgres::Error> {
        let credential: Option<Vec<u8>> = self.token.map(|token| Sha256::digest(token).to_vec());
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let row = client
            .query_typed(
                "SELECT status, headers::text, body
                 FROM hydra.serve(1, $1, $2, $3, $4, $5, $6::jsonb, $7, '127.0.0.1')",
                &[
                    (&self.surface, Type::TEXT),
                    (&credential, Type::BYTEA),
                    (&self.method, Type::TEXT),
                    (&path, Type::TEXT),
                    (&query, Type::TEXT),
                    (&self.headers, Type::TEXT),
                    (&self.body, Type::BYTEA),
                ],
            )?
            .remove(0);
        let headers: String = row.get(1);
        Ok(Answer {
            status: row.get(0),
            headers: serde_json::from_str(&headers).expect("pairs of names and values"),
            body: String::from_utf8(row.get(2)).expect("text"),
        })
    }

    /// The request as a gateway makes it: one transaction.
    #[track_caller]
    fn make(&self, client: &mut Client) -> Answer {
        run(client, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        let answer = self.call(client).unwrap_or_else(|error| panic!("{} {}: {error:?}", self.method, self.path));
        run(client, "COMMIT");
        answer
    }
}

/// A database with the extension, an API key for the role `app`, and a session of a superuser, who can run statements as
/// requests do.
struct Seam {
    bench: Bench<'static>,
    key: String,
}

impl Seam {
    fn new(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.run(LOOT);
        bench.run("GRANT USAGE ON SCHEMA hydra TO app; GRANT CREATE ON SCHEMA public TO app");
        bench.run(
            "GRANT EXECUTE ON FUNCTION hydra.current_tenant(), hydra.current_key(), hydra.current_scopes() TO app",
        );
        let key = create_key(&mut bench.client, "role => 'app', tenant_id => 'acme'");
        Self { bench, key }
    }

    /// Runs a statement as a request with the key, in the session of the superuser.
    #[track_caller]
    fn direct(&mut self, method: &str, statement: &str) -> Answer {
        let request = Request::new("direct", Some(&self.key), method, "/");
        Request { body: statement.as_bytes(), ..request }.make(&mut self.bench.client)
    }

    /// Runs a query in this way and returns its rows.
    #[track_caller]
    fn rows(&mut self, query: &str) -> Value {
        let answer = self.direct("GET", query);
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.json()
    }

    /// Runs a statement that must work.
    #[track_caller]
    fn deed(&mut self, statement: &str) {
        let answer = self.direct("POST", statement);
        assert_eq!(answer.status, 200, "{statement}: {answer:?}");
    }

    /// Runs a statement that must fail, and returns status and SQLSTATE.
    #[track_caller]
    fn refused(&mut self, method: &str, statement: &str) -> (i32, String) {
        let answer = self.direct(method, statement);
        assert!(answer.status >= 400, "{statement}: {answer:?}");
        (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Which roles ran planted code.
    fn loot(&mut self) -> Vec<String> {
        let rows = self.bench.client.query("SELECT DISTINCT what || ' as ' || who FROM public.loot ORDER BY 1", &[]);
        rows.expect("loot can be read").iter().map(|row| row.get(0)).collect()
    }
}

/// Creates an API key and returns it.
#[track_caller]
fn create_key(client: &mut Client, arguments: &str) -> String {
    let sql = format!("SELECT key FROM hydra.api_key_create('test', '{{tickets:read}}', {arguments})");
    testkit::ask(client, &sql)
}
