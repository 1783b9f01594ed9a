//! Hydra Webhooks: signed, retried webhooks from inside the application's own Postgres database.
//!
//! A trigger calls `hydra.webhook_emit` in the application's transaction, which writes one row per event. A commit
//! wakes the *dispatcher* of that database, a background worker. It reads new events, hands each delivery to a thread
//! that signs and POSTs it, and removes finished events in batches. A delivery that fails or has to wait becomes a
//! row of the retry queue. A row that exists is unfinished, so a crash loses nothing.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | event type | a dotted name such as `ticket.created` |
//! | event | one occurrence of an event type: an entity, a tenant, a time |
//! | subscription | an endpoint, the event types it wants, its signing secret and its policy |
//! | delivery | one event on its way to one subscription |
//! | attempt | one HTTP request made for a delivery |
//! | preset | the wire contract that a subscription speaks |
//!
//! # Layout
//!
//! This crate is the extension: everything that touches Postgres. From the outside in:
//!
//! | module | what it is about |
//! |---|---|
//! | [`settings`] | the parameters `hydra_webhooks.*` |
//! | [`emit`] | `webhook_emit`, the trigger functions, watches |
//! | [`api`] | the other SQL functions that are written in Rust |
//! | [`launcher`] | keeps a dispatcher running in each database that has the extension |
//! | [`dispatcher`] | the loop that delivers |
//! | [`store`] | rows to plain structs and back |
//! | [`tables`], [`changes`], [`keys`] | our tables in the catalog; noticing changes of subscriptions; the keys that seal secrets |
//! | [`slots`] | shared memory, and waking the dispatcher at commit |
//! | [`backend`] | running inside a process of the server: signals, transactions, errors |
//!
//! The other crates know nothing of Postgres and are tested without it:
//!
//! | crate | what it is about |
//! |---|---|
//! | `crates/wire` | what both ends of a webhook agree on: bodies, headers, signatures, secrets |
//! | `crates/delivery` | what to send next, and what to record about what was sent |
//! | `crates/sender` | making requests: where they may go, HTTP, TLS, threads |
//! | `crates/fault` | where a test build fails on request |
//! | `crates/testkit`, `crates/bench` | clusters and receivers for tests; measurements |
//!
//! SQL is in `sql/`: `schema/` and `functions/` make up the extension, `queries/` is what runs inside it.

use pgrx::prelude::*;

mod api;
mod backend;
mod changes;
mod dispatcher;
mod emit;
mod keys;
mod launcher;
mod settings;
mod slots;
mod store;
mod tables;

pg_module_magic!(name, version);

// In this order: functions in Rust come before the tables whose triggers call them, grants come last.
extension_sql_file!("../sql/schema/00_roles.sql", name = "roles", bootstrap);
extension_sql_file!("../sql/schema/10_event_type.sql", name = "event_type", requires = ["roles"]);
extension_sql_file!(
    "../sql/schema/20_subscription.sql",
    name = "subscription",
    requires = ["event_type", changes::_subscriptions_changed]
);
extension_sql_file!("../sql/schema/30_queue.sql", name = "queue", requires = ["subscription"]);
extension_sql_file!("../sql/schema/40_identity.sql", name = "identity", requires = ["queue"]);
extension_sql_file!("../sql/functions/trigger.sql", name = "trigger_functions", requires = ["identity"]);
extension_sql_file!(
    "../sql/schema/50_views.sql",
    name = "views",
    requires = [
        "trigger_functions",
        api::checks::_delivery_id,
        api::checks::_names_event_type,
        api::status::_worker_status,
        emit::trigger::row::webhook_emit_row,
        emit::trigger::statement::webhook_emit_statement,
        emit::watch::functions::_trigger_arguments,
        emit::watch::functions::_watch_details
    ]
);
extension_sql_file!("../sql/functions/event_type.sql", name = "event_type_functions", requires = ["views"]);
extension_sql_file!(
    "../sql/functions/subscription.sql",
    name = "subscription_functions",
    requires = ["views", emit::filter::_filter_passes]
);
extension_sql_file!("../sql/functions/delivery.sql", name = "delivery_functions", requires = ["views"]);
extension_sql_file!("../sql/functions/watch.sql", name = "watch_functions", requires = ["views"]);
extension_sql_file!("../sql/schema/90_grants.sql", name = "grants", finalize);

/// Never fails: if the extension is not preloaded, emitting still writes its row.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::init();
    // SAFETY: reads flags that Postgres sets before it loads a library.
    let (preloading, upgrading) =
        unsafe { (pg_sys::process_shared_preload_libraries_in_progress, pg_sys::IsBinaryUpgrade) };
    if preloading && !upgrading {
        slots::init();
        launcher::register();
    }
}
