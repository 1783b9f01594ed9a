//! Attacks on the REST API: a client with a valid key tries to get or to change what belongs to another tenant, or what is not
//! shown to it, in every way that a request has.
//!
//! Each attack is made twice, in transactions that are committed: for something that another tenant has, and for something that
//! nobody has. It gets through if the two answers differ in more than the value that the attacker has sent, if an answer has the
//! mark that all values of others have, or if a row of others changes. Where it can be, it is shown that there was something to
//! get: whoever owns it is answered.

use std::sync::OnceLock;

use testkit::{Cluster, run};

mod attack;
mod credentials;
mod gateway;
mod managing;
mod own;
mod reading;
mod references;
mod values;
mod world;
mod writing;

use attack::attack;
use world::World;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[]);
        run(
            &mut cluster.connect("postgres"),
            "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE shop NOLOGIN; CREATE ROLE flow_owner NOLOGIN",
        );
        cluster
    })
}
