//! Hydra Webhooks: signed, retried webhooks from inside the application's own Postgres database.
//!
//! The application, or a trigger on one of its tables, emits an event: this writes one row, in the application's
//! transaction. The commit wakes the *dispatcher* of that database, a background worker. The dispatcher reads new
//! events, hands each delivery to the sender, which signs and POSTs it, and deletes finished events in batches. A delivery
//! that fails or has to wait becomes a row of the retry queue. Rows are deleted only when their work is finished, so a
//! crash loses nothing.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | event type | a dotted name such as `ticket.created` |
//! | event | one occurrence of an event type: an entity, a tenant, a time |
//! | installation | a database that emits events; a copy of it is another installation |
//! | entity | the JSON value that an event is about, such as a row of a table |
//! | watch | a trigger that emits an event for each change of a table |
//! | subscription | an endpoint, the event types it wants, its signing secret and its policy |
//! | delivery | the task of sending one event to one subscription |
//! | attempt | one HTTP request made for a delivery |
//! | outcome | the result of a request: a response, or the reason why there is none |
//! | in flight | (of a request) handed to the sender, and without an outcome so far |
//! | preset | the format of the requests of a subscription: body, headers, default signature and retry schedule |
//! | gateway | a program that passes each HTTP request on to `hydra.serve` |
//! | supervisor | the background worker that runs a gateway on this server |
//! | channel | an address that mail comes to, and the function of the application that gets each message |
//! | thread | what the messages about one entity have in common; a tag, a reply address or a Message-ID leads to it |
//! | message | a mail that came |
//! | surface | a group of paths of the gateway: the settings pages (console), the REST API |
//! | adapter | a URL to which another system sends its events, how its requests are verified, and what they are mapped to |
//! | inbound event | an event of another system that came to an adapter |
//! | mapping | which type of event of the other system becomes which of our event types |
//! | hops | how many events of ours led to an event |
//! | API key | a token with scopes, a role and a tenant, with which a program makes requests |
//! | credential | the SHA-256 of a token, as a gateway passes it |
//! | resource | a table or view of the application that the REST API shows |
//! | representation | the JSON object of one row of a resource |
//! | flow | a function of the application that runs when a mapped inbound event arrives |
//! | runner | the background worker that does what requests have left |
//! | rehearsal | running something, collecting its effects, and undoing them |
//! | tool | what a client of MCP can call: made of a resource, of our own, or a function of the application |
//! | toolset | a group of tools; a client can ask for some groups only |
//! | preview | the effects of a tool that writes, before it has written |
//! | approval | a call of a tool that writes, which is previewed and waits for a yes |
//! | scheme | how the requests of another system are verified, and where their ids and types are |
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
//! | [`serve`] | answers the HTTP requests that gateways pass on |
//! | [`inbound`] | receives the requests of other systems, and makes adapters |
//! | [`flow`] | runs flows, and rehearses those in testing |
//! | [`api`] | has the other SQL functions that are written in Rust |
//! | [`launcher`] | keeps a dispatcher running in each database that has the extension, and the supervisor in one |
//! | [`mail`] | takes messages of mail, and has the functions of their channels called |
//! | [`dispatcher`] | delivers the events of one database |
//! | [`runner`] | runs flows later, in a background worker of its own |
//! | [`supervisor`] | runs the gateway of this server as a child process |
//! | [`store`] | runs the dispatcher's statements, and converts rows to plain structs and back |
//! | [`tables`] | finds the extension's tables in the catalog, and runs code as their owner |
//! | [`identity`] | finds out which installation this database is, and whether it is a copy |
//! | [`adoption`] | says what is to be done before a copy sends |
//! | [`changes`] | announces and notices which subscriptions, secrets or event types have changed |
//! | [`replication`] | finds out whether a process applies the changes of another cluster |
//! | [`keys`] | reads the keys that seal signing secrets and values of headers |
//! | [`slots`] | keeps the shared memory, and wakes the dispatcher at commit |
//! | [`utility`] | sees COMMIT PREPARED and renames of columns |
//! | [`errors`] | says in errors which role is missing, and leaves out internal frames |
//! | [`backend`] | handles signals, transactions and errors inside a process of the server |
//!
//! The other crates do not use Postgres, and are tested without it:
//!
//! | crate | what it does |
//! |---|---|
//! | `crates/wire` | defines what sender and receiver agree on: bodies, headers, signatures, secrets |
//! | `crates/delivery` | decides what to send next, and what to record about what was sent |
//! | `crates/mcp` | reads messages of the Model Context Protocol, and writes answers |
//! | `crates/mail` | reads messages of mail: sender, thread, text, what is new in a reply |
//! | `crates/inbound` | verifies requests of other systems |
//! | `crates/openapi` | describes the REST API |
//! | `crates/sender` | makes requests: where they may go, HTTP, TLS, event loops |
//! | `crates/gateway` | takes requests by HTTP and mail by LMTP, and passes them on to the database |
//! | `crates/pages` | makes the HTML of the settings pages |
//! | `crates/files` | reads the files that settings name |
//! | `crates/fault` | makes a test build fail at chosen points |
//! | `crates/testkit` | starts clusters and receivers for tests |
//! | `crates/bench` | measures performance |
//!
//! SQL is in `sql/`: `schema/` and `functions/` define the extension, `queries/` has the statements that the Rust code
//! runs.

use pgrx::prelude::*;

mod adoption;
mod api;
mod backend;
mod changes;
mod dispatcher;
mod emit;
mod errors;
mod flow;
mod identity;
mod inbound;
mod keys;
mod launcher;
mod mail;
mod replication;
mod runner;
mod serve;
mod settings;
mod slots;
mod store;
mod supervisor;
mod tables;
mod utility;

// Not `pg_module_magic!(name, version)`, which in pgrx 0.18.1 gives the version as the name.
pg_module_magic!(name = c"hydra_webhooks", version = VERSION);

// The order matters: functions in Rust come before the tables whose triggers call them, grants come last.
extension_sql_file!("../sql/schema/00_roles.sql", name = "roles", bootstrap);
extension_sql_file!("../sql/schema/10_event_type.sql", name = "event_type", requires = ["roles"]);
extension_sql_file!(
    "../sql/schema/20_subscription.sql",
    name = "subscription",
    requires = ["event_type", changes::_subscriptions_changed]
);
extension_sql_file!("../sql/schema/25_identity.sql", name = "identity", requires = ["subscription"]);
extension_sql_file!(
    "../sql/schema/30_queue.sql",
    name = "queue",
    requires = ["identity", identity::_installation, api::checks::_random, api::checks::_event_uuid]
);
extension_sql_file!("../sql/schema/32_delivered.sql", name = "delivered", requires = ["queue"]);
extension_sql_file!("../sql/schema/35_kept.sql", name = "kept", requires = ["delivered"]);
extension_sql_file!(
    "../sql/schema/40_former_subscription.sql",
    name = "former_subscription",
    requires = ["subscription", api::checks::_shown_url]
);
extension_sql_file!("../sql/schema/45_attempt_count.sql", name = "attempt_count", requires = ["queue"]);
extension_sql_file!("../sql/functions/trigger.sql", name = "trigger_functions", requires = ["kept"]);
extension_sql_file!("../sql/functions/watch_notes.sql", name = "watch_notes", requires = ["trigger_functions"]);
extension_sql_file!(
    "../sql/schema/50_views.sql",
    name = "views",
    requires = [
        "former_subscription",
        "trigger_functions",
        "watch_notes",
        api::checks::_delivery_id,
        api::checks::_names_event_type,
        api::checks::_shown_error,
        api::checks::_shown_url,
        api::statistics::webhook_percentile,
        api::status::_worker_status,
        api::status::_database_status,
        emit::trigger::row::webhook_emit_row,
        emit::trigger::statement::webhook_emit_statement,
        emit::watch::functions::_trigger_arguments,
        emit::watch::functions::_watch_details,
        emit::errors::_watch_errors,
        emit::watch::problem::_watch_problem
    ]
);
extension_sql_file!(
    "../sql/schema/52_analysis.sql",
    name = "analysis",
    requires = ["views", "attempt_count", api::statistics::_merge_step, api::statistics::_merge_end]
);
extension_sql_file!("../sql/functions/analysis.sql", name = "analysis_functions", requires = ["analysis"]);
extension_sql_file!("../sql/functions/event_type.sql", name = "event_type_functions", requires = ["views"]);
extension_sql_file!(
    "../sql/functions/subscription.sql",
    name = "subscription_functions",
    requires = ["views", emit::filter::_own_event_passes]
);
extension_sql_file!(
    "../sql/functions/matching.sql",
    name = "matching_functions",
    requires = ["subscription_functions", emit::filter::_filter_passes]
);
extension_sql_file!("../sql/functions/pausing.sql", name = "pausing_functions", requires = ["subscription_functions"]);
extension_sql_file!("../sql/functions/delivery.sql", name = "delivery_functions", requires = ["views"]);
extension_sql_file!(
    "../sql/functions/identity.sql",
    name = "identity_functions",
    requires = ["views", identity::_at_home, changes::_announce_changes]
);
extension_sql_file!(
    "../sql/functions/kept.sql",
    name = "kept_functions",
    requires = ["views", emit::filter::_filter_passes_text]
);
extension_sql_file!("../sql/functions/watch.sql", name = "watch_functions", requires = ["views"]);
extension_sql_file!(
    "../sql/schema/60_gateway.sql",
    name = "gateway",
    requires = ["views", api::gateway_status::_gateway_status]
);
extension_sql_file!("../sql/schema/70_inbound.sql", name = "inbound", requires = ["gateway"]);
extension_sql_file!("../sql/schema/72_flow.sql", name = "flow", requires = ["inbound", runner::status::_runner_status]);
extension_sql_file!("../sql/schema/74_mail.sql", name = "mail", requires = ["flow"]);
extension_sql_file!(
    "../sql/schema/76_api.sql",
    name = "api",
    requires = ["mail", serve::rest::known::_resources_changed, serve::rest::write::origins::_column_origins]
);
extension_sql_file!("../sql/schema/77_owned.sql", name = "owned", requires = ["mail"]);
extension_sql_file!("../sql/schema/78_tool.sql", name = "tool", requires = ["api"]);
extension_sql_file!("../sql/schema/79_approval.sql", name = "approval", requires = ["api"]);
// After all tables: it protects each.
extension_sql_file!(
    "../sql/schema/80_replication.sql",
    name = "replication",
    requires =
        ["attempt_count", "gateway", "flow", "mail", "api", "owned", "tool", "approval", replication::_is_replicating]
);
extension_sql_file!("../sql/functions/gateway.sql", name = "gateway_functions", requires = ["gateway"]);
extension_sql_file!(
    "../sql/functions/inbound.sql",
    name = "inbound_functions",
    requires = ["gateway_functions", "inbound", "subscription_functions", inbound::manage::_check_inbound]
);
extension_sql_file!(
    "../sql/functions/flow.sql",
    name = "flow_functions",
    requires = ["flow", "gateway_functions", flow::functions::_flow_filter_passes]
);
extension_sql_file!(
    "../sql/functions/mail.sql",
    name = "mail_functions",
    requires = ["mail", "flow_functions", mail::secret::_new_mail_secret, mail::secret::_reseal_mail_secret]
);
extension_sql_file!("../sql/functions/api.sql", name = "api_functions", requires = ["api", "watch_functions"]);
extension_sql_file!("../sql/functions/doctor.sql", name = "doctor", requires = ["views", "gateway"]);
extension_sql_file!("../sql/functions/tool.sql", name = "tool_functions", requires = ["tool", "api_functions"]);
extension_sql_file!("../sql/schema/90_grants.sql", name = "grants", finalize);

const VERSION: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version has no NUL"),
    };

/// Defines the parameters. If the library is preloaded, also requests shared memory and registers the launcher. It does
/// not fail without preloading: then emitting still writes its row, and nothing is sent.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    keep_backtraces_out_of_errors();
    settings::init();
    utility::init();
    errors::init();
    // SAFETY: reads flags that Postgres sets before it loads a library.
    let (preloading, upgrading) =
        unsafe { (pg_sys::process_shared_preload_libraries_in_progress, pg_sys::IsBinaryUpgrade) };
    if preloading && !upgrading {
        slots::init();
        launcher::register();
    }
}

/// Otherwise, with RUST_BACKTRACE in the environment of the server, clients get a backtrace in the detail of each error.
/// Panics are not affected.
fn keep_backtraces_out_of_errors() {
    const OF_ERRORS: &str = "RUST_LIB_BACKTRACE";
    if std::env::var_os(OF_ERRORS).is_none() {
        // SAFETY: a process of Postgres has a single thread when it loads a library.
        unsafe { std::env::set_var(OF_ERRORS, "0") };
    }
}
