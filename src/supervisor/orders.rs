//! The settings that the gateway is told: the parameters `hydra_webhooks.*`, and how it logs in.

use std::ffi::CStr;
use std::path::PathBuf;

use pgrx::prelude::*;
use wire::supervised::Settings;

use crate::settings::gateway as settings;

/// Returns the line for a gateway of this database. It contains the connection strings.
pub fn line(database: &str, dsns: &[String]) -> String {
    Settings {
        listen: &settings::listen().unwrap_or_default(),
        lmtp_listen: &settings::lmtp_listen(),
        dsns,
        database,
        public_url: &settings::public_url().unwrap_or_default(),
        trusted_proxies: &settings::trusted_proxies(),
        tls_certificate: &in_data_directory(settings::tls_certificate()),
        tls_key: &in_data_directory(settings::tls_key()),
        connections: settings::connections(),
        max_request: settings::max_request(),
        max_mail: settings::max_mail() as u64,
        request_timeout: settings::request_timeout(),
        max_clients: settings::max_clients(),
    }
    .to_line()
}

/// Returns a path that does not depend on the working directory. That of the server is the data directory, that of the
/// gateway is not.
fn in_data_directory(path: Option<String>) -> PathBuf {
    // SAFETY: a C string that is set before any process of the server starts.
    let directory = unsafe { CStr::from_ptr(pg_sys::DataDir) };
    path.map(|path| PathBuf::from(&*directory.to_string_lossy()).join(path)).unwrap_or_default()
}
