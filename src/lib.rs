//! Hydra Webhooks: signed, retried webhooks from inside the application's own Postgres database.
//!
//! The application, or a trigger on one of its tables, emits an event: this writes one row, in the application's
//! transaction. The commit wakes the *dispatcher* of that database, a background worker. The dispatcher reads new
//! events, hands each delivery to a thread that signs and POSTs it, and deletes finished events in batches. A delivery
//! that fails or has to wait becomes a row of the retry queue. Rows are deleted only when their work is finished, so a
//! crash loses nothing.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | event type | a dotted name such as `ticket.created` |
//! | event | one occurrence of an event type: an entity, a tenant, a time |
//! | entity | the JSON value that an event is about, such as a row of a table |
//! | watch | a trigger that emits an event for each change of a table |
//! | subscription | an endpoint, the event types it wants, its signing secret and its policy |
//! | delivery | the task of sending one event to one subscription |
//! | attempt | one HTTP request made for a delivery |
//! | outcome | the result of a request: a response, or the reason why there is none |
//! | in flight | (of a request) handed to the sender, and without an outcome so far |
//! | preset | the format of the requests of a subscription: body, headers, default signature and retry schedule |
//! | seal, open | encrypt, and decrypt, a secret or the value of a header with a key of `hydra_webhooks.key_file` |
//!
//! These words are used inside the dispatcher. The module that is named explains the idea:
//!
//! | word | meaning |
//! |---|---|
//! | slot | the entry of one database in the extension's shared memory, see [`slots`] |
//! | stretch | the new events between two snapshots; it is read in pages, see `delivery::reading` |
//! | flood | the events of a transaction that emitted very many; they make a stretch long |
//! | set aside | (of a stretch) taking too long; from then on, its pages and those of newer events alternate |
//! | held | (of an event) skipped while stretches are set aside, and read after them |
//! | lane | the queue in memory, and the limits, of one subscription, see `delivery::lanes` |
//! | open | (of an event) its unfinished deliveries are stored only as the row of the event, see `delivery::dispatch` |
//! | move | to replace the row of an event by a row of the retry queue for each of its unfinished deliveries |
//! | gate | a flag that the requests of a subscription share: after the dispatcher has closed it, none of them starts |
//! | straggler | an event that is open for too long, so that it moves |
//! | retry queue | the table `hydra.delivery`, with deliveries that have failed or have to wait |
//! | claim, release | to mark a row of the retry queue as taken by this dispatcher, and to undo that |
//!
//! # Layout
//!
//! This crate is the extension: all code that touches Postgres. From the outside in:
//!
//! | module | what it does |
//! |---|---|
//! | [`settings`] | defines the parameters `hydra_webhooks.*` |
//! | [`emit`] | emits events: `webhook_emit`, the trigger functions, watches |
//! | [`api`] | has the other SQL functions that are written in Rust |
//! | [`launcher`] | keeps a dispatcher running in each database that has the extension |
//! | [`dispatcher`] | delivers the events of one database |
//! | [`store`] | runs the dispatcher's statements, and converts rows to plain structs and back |
//! | [`tables`] | finds the extension's tables in the catalog, and runs code as their owner |
//! | [`changes`] | notices that subscriptions, secrets or event types have changed |
//! | [`keys`] | reads the keys that seal signing secrets and values of headers |
//! | [`slots`] | keeps the shared memory, and wakes the dispatcher at commit |
//! | [`backend`] | handles signals, transactions and errors inside a process of the server |
//!
//! The other crates do not use Postgres, and are tested without it:
//!
//! | crate | what it does |
//! |---|---|
//! | `crates/wire` | defines what sender and receiver agree on: bodies, headers, signatures, secrets |
//! | `crates/delivery` | decides what to send next, and what to record about what was sent |
//! | `crates/sender` | makes requests: where they may go, HTTP, TLS, threads |
//! | `crates/fault` | makes a test build fail at chosen points |
//! | `crates/testkit` | starts clusters and receivers for tests |
//! | `crates/bench` | measures performance |
//!
//! SQL is in `sql/`: `schema/` and `functions/` define the extension, `queries/` has the statements that the Rust code
//! runs.

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

// The order matters: functions in Rust come before the tables whose triggers call them, grants come last.
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
        api::checks::_shown_url,
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
    requires = ["views", emit::filter::_filter_passes, emit::filter::_own_event_passes]
);
extension_sql_file!("../sql/functions/delivery.sql", name = "delivery_functions", requires = ["views"]);
extension_sql_file!("../sql/functions/watch.sql", name = "watch_functions", requires = ["views"]);
extension_sql_file!("../sql/schema/90_grants.sql", name = "grants", finalize);

/// Defines the parameters. If the library is preloaded, also requests shared memory and registers the launcher. It does
/// not fail without preloading: then emitting still writes its row, and nothing is sent.
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
