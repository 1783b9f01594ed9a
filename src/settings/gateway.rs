//! The parameters of the gateway that the server runs.
//!
//! The supervisor reads them and passes them to the gateway, so all of them take effect on reload.

use std::ffi::{CString, c_char, c_void};
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::prelude::*;
use wire::supervised;

use super::{check_text, text};

type Text = GucSetting<Option<CString>>;

static LISTEN: Text = Text::new(Some(c""));
static DATABASE: Text = Text::new(Some(c""));
static CONNINFO: Text = Text::new(Some(c""));
static PUBLIC_URL: Text = Text::new(Some(c""));
static TRUSTED_PROXIES: Text = Text::new(Some(c""));
static TLS_CERTIFICATE: Text = Text::new(Some(c""));
static TLS_KEY: Text = Text::new(Some(c""));
static CONNECTIONS: GucSetting<i32> = GucSetting::<i32>::new(8);
static LMTP_LISTEN: Text = Text::new(Some(c""));
static MAX_MAIL: GucSetting<i32> = GucSetting::<i32>::new(25);
static MAX_REQUEST: GucSetting<i32> = GucSetting::<i32>::new(1024);
static REQUEST_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static INBOUND_QUOTA: GucSetting<i32> = GucSetting::<i32>::new(50);
static MAX_CLIENTS: GucSetting<i32> = GucSetting::<i32>::new(10_000);

pub fn init() {
    define_addresses();
    define_files_and_login();
    define_limits();
}

fn define_addresses() {
    // SAFETY: the hooks are guarded.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"hydra_webhooks.listen",
            c"Address and port on which the server answers HTTP requests, such as 127.0.0.1:8480.",
            c"If empty, nothing listens. With port 0 the system chooses one, which hydra.gateway_status shows.",
            &LISTEN,
            GucContext::Sighup,
            GucFlags::default(),
            Some(check_listen),
            None,
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            c"hydra_webhooks.lmtp_listen",
            c"Address and port on which the gateway of this server takes mail by LMTP, such as 127.0.0.1:8424.",
            c"If empty, it takes none. Whoever can connect is believed to be a mail server: use a loopback address or a private network.",
            &LMTP_LISTEN,
            GucContext::Sighup,
            GucFlags::default(),
            Some(check_listen),
            None,
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            c"hydra_webhooks.public_url",
            c"What URLs that are shown to people begin with, such as https://hooks.example.com.",
            c"If empty, the address of hydra_webhooks.listen is used where it is one of this machine.",
            &PUBLIC_URL,
            GucContext::Sighup,
            GucFlags::default(),
            Some(check_public_url),
            None,
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            c"hydra_webhooks.trusted_proxies",
            c"Networks of proxies whose statements about the client are believed.",
            c"A comma-separated list of addresses and CIDR blocks, such as 10.0.0.0/8, ::1.",
            &TRUSTED_PROXIES,
            GucContext::Sighup,
            GucFlags::default(),
            Some(check_trusted_proxies),
            None,
            None,
        );
    }
}

fn define_files_and_login() {
    GucRegistry::define_string_guc(
        c"hydra_webhooks.gateway_database",
        c"Database that the gateway of this server serves.",
        c"Not needed if exactly one database has the extension.",
        &DATABASE,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"hydra_webhooks.gateway_conninfo",
        c"Connection string with which the gateway of this server logs in.",
        c"If empty, it logs in as hydra_gateway_embedded, with a password that is replaced at each start.",
        &CONNINFO,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_string_guc(
        c"hydra_webhooks.tls_certificate",
        c"File of the certificate chain, in PEM format, with which the gateway accepts https.",
        c"If empty, it accepts http. A relative path begins in the data directory.",
        &TLS_CERTIFICATE,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"hydra_webhooks.tls_key",
        c"File of the private key of hydra_webhooks.tls_certificate, in PEM format.",
        c"A relative path begins in the data directory.",
        &TLS_KEY,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

fn define_limits() {
    GucRegistry::define_int_guc(
        c"hydra_webhooks.gateway_connections",
        c"Maximum number of connections to the database that the gateway of this server opens.",
        c"They count towards max_connections. Each request takes one while it is answered.",
        &CONNECTIONS,
        1,
        1000,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.max_request",
        c"Maximum size of the body of a request.",
        c"A larger one is refused with status 413.",
        &MAX_REQUEST,
        1,
        64 * 1024,
        GucContext::Sighup,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.max_mail",
        c"Maximum size of a message of mail.",
        c"A larger one is refused for good, and the mail server returns it to its sender.",
        &MAX_MAIL,
        1,
        64,
        GucContext::Sighup,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.request_timeout",
        c"Maximum time that a client may take to send a request.",
        c"A slower one is refused, and its connection is closed.",
        &REQUEST_TIMEOUT,
        100,
        10 * 60 * 1000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.inbound_quota",
        c"How many requests a second an inbound adapter gets that has no limit of its own.",
        c"The gateways of the database share it. What is more is answered with status 429.",
        &INBOUND_QUOTA,
        1,
        10_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"hydra_webhooks.max_clients",
        c"Maximum number of connections from clients that the gateway of this server keeps open.",
        c"Most of them rest; far fewer requests are answered at a time.",
        &MAX_CLIENTS,
        1,
        100_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

#[pg_guard]
unsafe extern "C-unwind" fn check_listen(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the argument of a check hook.
    unsafe { check_text(value, supervised::check_listen) }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_public_url(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: as above.
    unsafe { check_text(value, supervised::check_public_url) }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_trusted_proxies(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: as above.
    unsafe { check_text(value, supervised::check_networks) }
}

/// Returns the address to listen on; `None`: nothing listens.
pub fn listen() -> Option<String> {
    not_empty(&LISTEN)
}

/// Returns the name of the database that was chosen.
pub fn database() -> Option<String> {
    not_empty(&DATABASE)
}

pub fn conninfo() -> Option<String> {
    not_empty(&CONNINFO)
}

/// Returns the requests a second of an inbound adapter that has no limit of its own.
pub fn inbound_quota() -> i32 {
    INBOUND_QUOTA.get()
}

/// Returns the URL without a slash at its end.
pub fn public_url() -> Option<String> {
    not_empty(&PUBLIC_URL).map(|url| url.trim_end_matches('/').to_owned())
}

pub fn trusted_proxies() -> String {
    text(&TRUSTED_PROXIES)
}

pub fn tls_certificate() -> Option<String> {
    not_empty(&TLS_CERTIFICATE)
}

pub fn tls_key() -> Option<String> {
    not_empty(&TLS_KEY)
}

pub fn connections() -> u32 {
    CONNECTIONS.get().unsigned_abs()
}

/// Returns the maximum in bytes.
pub fn max_request() -> u64 {
    u64::from(MAX_REQUEST.get().unsigned_abs()) * 1024
}

/// Returns the address on which mail is taken; empty: none is.
pub fn lmtp_listen() -> String {
    not_empty(&LMTP_LISTEN).unwrap_or_default()
}

/// Returns the maximum in bytes.
pub fn max_mail() -> usize {
    MAX_MAIL.get().unsigned_abs() as usize * (1 << 20)
}

pub fn request_timeout() -> Duration {
    Duration::from_millis(u64::from(REQUEST_TIMEOUT.get().unsigned_abs()))
}

pub fn max_clients() -> u32 {
    MAX_CLIENTS.get().unsigned_abs()
}

fn not_empty(setting: &Text) -> Option<String> {
    Some(text(setting).trim().to_owned()).filter(|value| !value.is_empty())
}
