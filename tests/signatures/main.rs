//! Signatures, as they are verified by others and by `webhook_verify`, and the receivers that the documentation prints.

use std::sync::{Arc, OnceLock};

use testkit::receiver::Request;
use testkit::{Bench, Cluster};

mod forgeries;
mod given;
mod libraries;
mod receiving;
mod rotation;
mod verifiers;
mod verify;

const PATH: &str = "/in";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_shared(&[]))
}

fn bench(database: &str) -> Bench<'static> {
    Bench::new(cluster(), database)
}

/// A bench with one subscription.
struct Signed {
    bench: Bench<'static>,
    subscription: i64,
    secret: String,
}

impl Signed {
    fn new(database: &str, more: &[&str]) -> Signed {
        let mut bench = bench(database);
        let (subscription, secret) = bench.subscribe(PATH, "ticket.created", more);
        Signed { bench, subscription, secret }
    }

    /// The request for one more event.
    fn request(&mut self) -> Arc<Request> {
        let count = self.bench.receiver.received(PATH) + 1;
        self.bench.emit("ticket.created", r#"{"id": 7, "subject": "Größe: 5 €"}"#);
        self.bench.wait_for(PATH, count).last().expect("it was waited for").clone()
    }

    fn rotate(&mut self, overlap: &str) -> String {
        let subscription = self.subscription;
        self.bench.ask(&format!("SELECT hydra.webhook_rotate_secret({subscription}, '{overlap}')"))
    }
}
