//! What other systems send, as they see it: real requests to real gateways, whatever is killed and however they misbehave.

use std::sync::OnceLock;

use testkit::{Bench, Cluster, ask, run};

mod abuse;
mod examples;
mod http;
mod kills;
mod loops;
mod outside;
mod requests;

/// A cluster whose gateways log in as `far_gateway`.
fn start(settings: &[(&str, &str)]) -> Cluster {
    let url = ("hydra_webhooks.public_url", "https://desk.example");
    let cluster = Cluster::start_shared(&[&[url, ("max_connections", "200")], settings].concat());
    run(
        &mut cluster.connect("postgres"),
        // helpdesk.sql creates its role if there is none, which two tests cannot do at the same time.
        "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE flow_owner;
         CREATE ROLE helpdesk_app IN ROLE hydra_emitter",
    );
    cluster
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start(&[]))
}

/// Creates an adapter. Returns its id and the path of its URL.
#[track_caller]
fn create_adapter(bench: &mut Bench<'_>, arguments: &str) -> (i64, String) {
    let sql = format!("SELECT id, url FROM hydra.inbound_create({arguments})");
    let row = bench.client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let url: String = row.get(1);
    (row.get(0), url.strip_prefix("https://desk.example").expect("a URL of the public address").to_owned())
}

/// Creates a function of `flow_owner` with this body in PL/pgSQL, and a deployed flow that calls it. Returns the flow.
#[track_caller]
fn deploy(bench: &mut Bench<'_>, name: &str, event: &str, body: &str) -> i64 {
    bench.run(&format!(
        "CREATE FUNCTION public.{name}(event jsonb) RETURNS void LANGUAGE plpgsql AS $flow$ BEGIN {body} END $flow$;
         ALTER FUNCTION public.{name}(jsonb) OWNER TO flow_owner"
    ));
    let flow = ask(&mut bench.client, &format!("SELECT hydra.flow_create('{name}', '{event}', 'public.{name}')"));
    bench.run(&format!("SELECT hydra.flow_deploy({flow})"));
    flow
}
