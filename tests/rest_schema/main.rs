//! The REST API as it describes itself: whether its answers fit the description, our own resources, and the page for people.

use std::sync::{Mutex, OnceLock, PoisonError};

use postgres::Client;
use postgres::types::Type;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::{Bench, Cluster, run};

mod own;
mod page;
mod programs;
mod types;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[]);
        run(
            &mut cluster.connect("postgres"),
            "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE flow_owner",
        );
        cluster
    })
}

/// Runs an example. One at a time: it makes roles, which all databases of the cluster share.
#[track_caller]
fn install(bench: &mut Bench<'_>, example: &str) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = format!("{}/examples/{example}.sql", env!("CARGO_MANIFEST_DIR"));
    bench.run(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")));
}

/// Creates an API key with these scopes and returns it. `tenant` is an SQL expression.
#[track_caller]
fn key(client: &mut Client, scopes: &str, tenant: &str) -> String {
    testkit::ask(
        client,
        &format!(
            "SELECT key FROM hydra.api_key_create('test', '{{{scopes}}}', tenant_id => {tenant}, requests_per_minute => 1000000)"
        ),
    )
}

#[derive(Debug)]
struct Answer {
    status: i32,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Makes a request as a gateway does.
#[track_caller]
fn request(client: &mut Client, key: &str, method: &str, path: &str) -> Answer {
    request_with(client, key, method, path, "[]")
}

/// The same with headers: JSON, as the gateway passes them.
#[track_caller]
fn request_with(client: &mut Client, key: &str, method: &str, path: &str, headers: &str) -> Answer {
    made(client, key, method, path, headers, None)
}

#[track_caller]
fn made(client: &mut Client, key: &str, method: &str, path: &str, headers: &str, body: Option<&[u8]>) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let credential = Sha256::digest(key).to_vec();
    let sql =
        "SELECT status, headers::text, body FROM hydra.serve(1, 'rest', $1, $2, $3, $4, $5::jsonb, $6, '127.0.0.1')";
    run(client, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
    // Without a name: the call drops prepared statements.
    let rows = client.query_typed(
        sql,
        &[
            (&credential, Type::BYTEA),
            (&method, Type::TEXT),
            (&path, Type::TEXT),
            (&query, Type::TEXT),
            (&headers, Type::TEXT),
            (&body, Type::BYTEA),
        ],
    );
    let row = rows.unwrap_or_else(|error| panic!("{method} {path}: {error:?}")).remove(0);
    run(client, "COMMIT");
    let headers: String = row.get(1);
    let body: Vec<u8> = row.get(2);
    Answer {
        status: row.get(0),
        headers: serde_json::from_str(&headers).expect("pairs of names and values"),
        body: String::from_utf8(body).expect("text"),
    }
}

/// The same with a body of JSON.
#[track_caller]
fn request_with_body(client: &mut Client, key: &str, method: &str, path: &str, body: &str) -> Answer {
    made(client, key, method, path, r#"[["Content-Type", "application/json"]]"#, Some(body.as_bytes()))
}

/// Gets what must be there.
#[track_caller]
fn get(client: &mut Client, key: &str, path: &str) -> Value {
    let answer = request(client, key, "GET", path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Makes a request that must fail with this status, and returns the problem.
#[track_caller]
fn refused(client: &mut Client, key: &str, method: &str, path: &str, status: i32) -> Value {
    let answer = request(client, key, method, path);
    assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    answer.json()
}
