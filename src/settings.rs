//! Defines the parameters `hydra_webhooks.*`, and reads their values.
//!
//! Most parameters are read from the configuration file, which only an administrator of the server can change, and take
//! effect on reload. Threads never read a parameter: the dispatcher passes them plain values.

mod databases;
pub mod gateway;

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys::AsPgCStr;
use pgrx::prelude::*;
use sender::DestinationPolicy;
use sender::destination::AllowedNetwork;

pub use databases::Databases;

static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALLOW_HTTP: GucSetting<bool> = GucSetting::<bool>::new(false);
static ALLOW_NETWORKS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static CA_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static MAX_REQUESTS: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static MAX_IN_FLIGHT: GucSetting<i32> = GucSetting::<i32>::new(64);
static RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 24 * 60);
static INBOUND_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 24 * 60);
static MAX_PENDING: GucSetting<i32> = GucSetting::<i32>::new(0);
static ON_FULL: GucSetting<OnFull> = GucSetting::<OnFull>::new(OnFull::Drop);
static EMIT: GucSetting<bool> = GucSetting::<bool>::new(true);
static REPLICATED: GucSetting<Replicated> = GucSetting::<Replicated>::new(Replicated::Ignore);
static MAX_ENTITY_SIZE: GucSetting<i32> = GucSetting::<i32>::new(256);
static ON_ENTITY_ERROR: GucSetting<OnEntityError> = GucSetting::<OnEntityError>::new(OnEntityError::Thin);

/// What emitting does with an entity that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum OnEntityError {
    /// Sends the event without the entity, and with the reason why the entity is missing.
    #[name = c"thin"]
    Thin,
    /// Fails the statement.
    #[name = c"error"]
    Error,
}

/// What happens to replicated changes of subscriptions, signing secrets and event types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum Replicated {
    #[name = c"ignore"]
    Ignore,
    #[name = c"apply"]
    Apply,
}

/// What emitting does while `max_pending` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum OnFull {
    /// Drops the event, with a warning.
    #[name = c"drop"]
    Drop,
    /// Fails the statement.
    #[name = c"error"]
    Error,
}

pub fn init() {
    define_what_is_served();
    define_destinations();
    define_limits_of_requests();
    define_retention();
    define_emitting();
    gateway::init();
    // SAFETY: called once, from _PG_init, after all parameters were defined.
    unsafe {
        pg_sys::MarkGUCPrefixReserved(c"hydra_webhooks".as_ptr());
    }
}

fn define_what_is_served() {
    GucRegistry::define_bool_guc(
        c"hydra_webhooks.enabled",
        c"Sends webhooks.",
        c"When off, no request is made in any database; events are still written and wait.",
        &ENABLED,
        GucContext::Sighup,
        GucFlags::default(),
    );
    // SAFETY: the hook is guarded.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"hydra_webhooks.databases",
            c"Databases from which webhooks are sent, by patterns of their names.",
            c"A comma-separated list, such as app_*, !*_test: * stands for any text, ? for any character, and ! excludes. If empty, all.",
            &DATABASES,
            GucContext::Sighup,
            GucFlags::default(),
            Some(check_databases),
            None,
            None,
        );
    }
    // Read by hydra._is_ignored.
    GucRegistry::define_enum_guc(
        c"hydra_webhooks.replicated",
        c"What happens to changes of subscriptions, signing secrets and event types that arrive by logical replication.",
        c"ignore: nothing. apply: they are applied. Changes of other tables of the extension are always ignored.",
        &REPLICATED,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

fn define_destinations() {
    GucRegistry::define_bool_guc(
        c"hydra_webhooks.allow_http",
        c"Allows URLs without TLS.",
        c"When off, only https URLs are accepted, and requests go to no others.",
        &ALLOW_HTTP,
        GucContext::Sighup,
        GucFlags::default(),
    );
    // SAFETY: the hook is guarded.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"hydra_webhooks.allow_networks",
            c"Networks that requests may go to, in addition to public addresses.",
            c"A comma-separated list of CIDR blocks, each with an optional :port, such as 10.0.0.0/8, [fd00::1]/128:8443.",
            &ALLOW_NETWORKS,
            GucContext::Sighup,
            GucFlags::default(),
            Some(check_allow_networks),
            None,
            None,
        );
    }
    GucRegistry::define_string_guc(
        c"hydra_webhooks.ca_file",
        c"File of certificates, in PEM format, that are trusted in addition to those of the system.",
        c"For endpoints with certificates of a private authority. If empty, only those of the system are trusted.",
        &CA_FILE,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"hydra_webhooks.key_file",
        c"File of keys that seal (encrypt) stored signing secrets and values of headers.",
        c"One key per line, 64 hexadecimal digits. The first key seals, any key opens. If empty, they are stored in plain text.",
        &KEY_FILE,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
}

fn define_limits_of_requests() {
    GucRegistry::define_int_guc(
        c"hydra_webhooks.max_requests",
        c"Maximum number of requests that one database makes at the same time.",
        c"A few threads make all of them. Fewer are made if there are too few file descriptors.",
        &MAX_REQUESTS,
        1,
        100_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.max_in_flight",
        c"Maximum number of requests that are made for one subscription at the same time.",
        c"A subscription can have its own maximum. After five failures in a row a subscription gets one request at a time.",
        &MAX_IN_FLIGHT,
        1,
        10_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

fn define_retention() {
    GucRegistry::define_int_guc(
        c"hydra_webhooks.retention",
        c"How long history, failed deliveries and counts of deliveries are kept.",
        c"Older rows are removed by the dispatcher, in batches.",
        &RETENTION,
        1,
        10 * 365 * 24 * 60,
        GucContext::Sighup,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.inbound_retention",
        c"How long inbound events, runs of flows, and mail are kept.",
        c"Older rows are removed by the runner, in batches. An event that is tried again stays until it was tried for the last time.",
        &INBOUND_RETENTION,
        1,
        10 * 365 * 24 * 60,
        GucContext::Sighup,
        GucFlags::UNIT_MIN,
    );
}

fn define_emitting() {
    GucRegistry::define_int_guc(
        c"hydra_webhooks.max_pending",
        c"Maximum number of events and deliveries that wait in one database. 0 means no maximum.",
        c"They are counted about once per second. hydra_webhooks.on_full decides what happens when the maximum is reached.",
        &MAX_PENDING,
        0,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"hydra_webhooks.on_full",
        c"What emitting does while hydra_webhooks.max_pending is reached.",
        c"drop: the event is dropped, with a warning. error: the statement fails.",
        &ON_FULL,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"hydra_webhooks.emit",
        c"Emits events.",
        c"When off, neither triggers nor webhook_emit() write events; for a session that changes many rows without telling anybody.",
        &EMIT,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.max_entity_size",
        c"Maximum size of an entity, as JSON text.",
        c"hydra_webhooks.on_entity_error decides what happens to a larger entity.",
        &MAX_ENTITY_SIZE,
        1,
        16 * 1024,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_enum_guc(
        c"hydra_webhooks.on_entity_error",
        c"What emitting does with an entity that cannot be rendered or is too large.",
        c"thin: the event is sent with a null entity and an entity_error. error: the statement fails.",
        &ON_ENTITY_ERROR,
        GucContext::Suset,
        GucFlags::default(),
    );
}

#[pg_guard]
unsafe extern "C-unwind" fn check_allow_networks(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    let check = |text: &str| match AllowedNetwork::parse_list(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.detail.unwrap_or_default()),
    };
    // SAFETY: Postgres passes a pointer to the proposed value.
    unsafe { check_text(value, check) }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_databases(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: Postgres passes a pointer to the proposed value.
    unsafe { check_text(value, |text| Databases::parse(text).map(drop)) }
}

/// Checks the proposed value of a parameter. If it is refused, the error has this detail.
///
/// # Safety
/// `value` is the first argument of a check hook.
unsafe fn check_text(value: *mut *mut c_char, check: impl FnOnce(&str) -> Result<(), String>) -> bool {
    // SAFETY: a pointer to the proposed value, which is null or a C string.
    let value = unsafe { value.as_ref().filter(|text| !text.is_null()).map(|text| CStr::from_ptr(*text)) };
    let Err(detail) = check(&value.map(CStr::to_string_lossy).unwrap_or_default()) else { return true };
    // SAFETY: Postgres frees what GUC_check_errdetail_string points to with its memory context.
    unsafe {
        pg_sys::GUC_check_errdetail_string = detail.as_pg_cstr();
    }
    false
}

/// The settings that the dispatcher uses, without the prefix `hydra_webhooks.`.
const OF_DISPATCHER: [&CStr; 9] = [
    c"enabled",
    c"allow_http",
    c"allow_networks",
    c"ca_file",
    c"key_file",
    c"max_requests",
    c"max_in_flight",
    c"retention",
    c"max_pending",
];

/// The values of [`OF_DISPATCHER`] at one moment.
pub struct Values([String; OF_DISPATCHER.len()]);

/// Returns the present values.
pub fn values() -> Values {
    Values(OF_DISPATCHER.map(|name| {
        let name = [c"hydra_webhooks.".to_bytes(), name.to_bytes_with_nul()].concat();
        // SAFETY: both names are C strings; the result is a C string or null, and copied at once.
        unsafe {
            let value = pg_sys::GetConfigOption(name.as_ptr().cast(), true, false);
            if value.is_null() { String::new() } else { CStr::from_ptr(value).to_string_lossy().into_owned() }
        }
    }))
}

impl Values {
    /// Returns the names of the settings whose values differ.
    pub fn changed(&self, new: &Self) -> Vec<String> {
        let values = OF_DISPATCHER.iter().zip(&self.0).zip(&new.0);
        let changed = values.filter(|((_, old), new)| old != new);
        changed.map(|((name, _), _)| format!("hydra_webhooks.{}", name.to_string_lossy())).collect()
    }
}

pub fn enabled() -> bool {
    ENABLED.get()
}

/// Returns the databases that are served.
pub fn databases() -> Databases {
    Databases::parse(&text(&DATABASES)).expect("the check hook accepted it")
}

/// Returns whether `hydra_webhooks.databases` leaves out the database of this session. To be called in a transaction.
pub fn is_left_out() -> bool {
    // SAFETY: looks up a name in a catalog, in a transaction; the result is a C string or null.
    let name = unsafe {
        let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    };
    !databases().include(&name)
}

pub fn destination_policy() -> DestinationPolicy {
    let networks = text(&ALLOW_NETWORKS);
    DestinationPolicy {
        allow_networks: AllowedNetwork::parse_list(&networks).expect("the check hook accepted it"),
        allow_http: ALLOW_HTTP.get(),
    }
}

pub fn ca_file() -> Option<PathBuf> {
    Some(text(&CA_FILE)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

pub fn key_file() -> Option<PathBuf> {
    Some(text(&KEY_FILE)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

pub fn max_requests() -> usize {
    MAX_REQUESTS.get() as usize
}

pub fn max_in_flight() -> usize {
    MAX_IN_FLIGHT.get() as usize
}

pub fn retention() -> Duration {
    Duration::from_secs(60 * RETENTION.get() as u64)
}

pub fn inbound_retention() -> Duration {
    Duration::from_secs(60 * INBOUND_RETENTION.get() as u64)
}

/// Returns the maximum; `None` if there is none.
pub fn max_pending() -> Option<i64> {
    Some(MAX_PENDING.get().into()).filter(|limit| *limit > 0)
}

pub fn on_full() -> OnFull {
    ON_FULL.get()
}

/// Whether events are emitted in this session.
pub fn emit() -> bool {
    EMIT.get()
}

/// Returns the maximum in bytes.
pub fn max_entity_size() -> usize {
    MAX_ENTITY_SIZE.get() as usize * 1024
}

pub fn on_entity_error() -> OnEntityError {
    ON_ENTITY_ERROR.get()
}

fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting.get().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}
