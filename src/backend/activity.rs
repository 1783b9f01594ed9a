//! Sets what `pg_stat_activity` and `ps` show of a worker: its name, its state, and what it is doing.

use std::cell::Cell;
use std::ffi::{CStr, CString};

use pgrx::prelude::*;

use super::setting;

/// The names of the workers, in `pg_stat_activity` and in the server log.
pub const LAUNCHER: &str = "hydra_webhooks launcher";
pub const DISPATCHER: &str = "hydra_webhooks dispatcher";
pub const RUNNER: &str = "hydra_webhooks runner";
pub const SUPERVISOR: &str = "hydra_webhooks supervisor";

thread_local! {
    static IS_IDLE: Cell<bool> = const { Cell::new(false) };
}

/// Sets the name of the worker. To be called once, after the worker has connected.
pub fn introduce(name: &str) {
    let name = CString::new(name).expect("a name without NUL");
    setting::pin(c"application_name", &name);
    idle();
}

/// Reports what the worker is doing. `step` is a verb phrase such as `read new events`: error messages put "could not"
/// before it.
pub fn running(step: &'static CStr) {
    IS_IDLE.set(false);
    report(pg_sys::BackendState::STATE_RUNNING, Some(step));
}

/// Reports that the worker is waiting.
pub fn idle() {
    // Each report reads the clock, so this is reported only once.
    if !IS_IDLE.replace(true) {
        report(pg_sys::BackendState::STATE_IDLE, None);
    }
}

fn report(state: pg_sys::BackendState::Type, step: Option<&CStr>) {
    let title = step.unwrap_or(c"idle");
    let step = step.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: C strings, which Postgres copies, or null.
    unsafe {
        pg_sys::pgstat_report_activity(state, step);
        #[cfg(feature = "pg15")]
        pg_sys::set_ps_display(title.as_ptr());
        #[cfg(not(feature = "pg15"))]
        pg_sys::set_ps_display_with_len(title.as_ptr(), title.to_bytes().len());
    }
}

/// What `ps` calls a worker of a database. Postgres puts its own name before it, and what the worker does after it.
pub fn title(name: &str, database: &str) -> String {
    format!("{name} {database}")
}
