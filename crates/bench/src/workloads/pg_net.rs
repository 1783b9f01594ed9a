//! pg_net, another extension that sends requests from inside Postgres, if it is installed on this machine.
//!
//! It gets the same events, one in each transaction, and sends them to the same receiver. It does not keep requests
//! after a failure: a request that has left its queue and does not arrive is lost.

use crate::bed::Bed;

pub const SETTINGS: &[(&str, &str)] =
    &[("shared_preload_libraries", "hydra_webhooks,pg_net"), ("pg_net.database_name", "bench")];

/// The default number of requests that pg_net sends at a time.
pub const DEFAULT_BATCH: u32 = 200;

pub fn is_installed() -> bool {
    Bed::start(&[]).ask("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_net')")
}

/// Installs pg_net on a bed that was started with [`SETTINGS`]. Returns its version.
pub fn install(bed: &mut Bed) -> String {
    bed.run("CREATE EXTENSION pg_net");
    bed.run("SELECT net.wait_until_running()");
    bed.ask("SELECT extversion FROM pg_extension WHERE extname = 'pg_net'")
}

pub fn set_batch(bed: &mut Bed, size: u32) {
    bed.run(&format!("ALTER SYSTEM SET pg_net.batch_size = {size}"));
    bed.run("SELECT pg_reload_conf()");
}

/// Deletes the requests that pg_net has not sent, after its current batch. Returns their number.
pub fn clear(bed: &mut Bed) -> i64 {
    let mut transaction = bed.sql.transaction().expect("a transaction");
    transaction.batch_execute("LOCK TABLE net.http_request_queue").expect("a lock");
    let unsent = transaction.query_one("SELECT count(*) FROM net.http_request_queue", &[]).expect("a count").get(0);
    transaction.batch_execute("TRUNCATE net.http_request_queue, net._http_response").expect("a truncated table");
    transaction.commit().expect("a commit");
    unsent
}
