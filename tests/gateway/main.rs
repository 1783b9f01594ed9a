//! The gateway as its users meet it: a process that answers HTTP on a TCP port, with a database behind it.

use std::sync::OnceLock;

use testkit::{Cluster, run};

mod abuse;
mod balanced;
mod keys;
mod life;
mod limits;
mod pages;
mod supervised;
mod tls;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[("max_connections", "200")]);
        run(&mut cluster.connect("postgres"), "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE app");
        cluster
    })
}

/// Creates an API key and returns it.
#[track_caller]
fn create_key(client: &mut postgres::Client, arguments: &str) -> String {
    testkit::ask(client, &format!("SELECT key FROM hydra.api_key_create('test', '{{tickets:read}}', {arguments})"))
}
