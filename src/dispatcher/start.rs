//! What the launcher tells a dispatcher or a supervisor when it starts it.

use std::ffi::CStr;
use std::path::Path;

use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;

use crate::backend::settings_of_role::without_settings_of_role;
use crate::backend::{activity, setting};

/// The longest name of a database, in bytes.
const MAX_NAME_BYTES: usize = 63;

/// Where a worker is to run.
#[derive(Clone)]
pub struct Start {
    pub database: pg_sys::Oid,
    pub tablespace: pg_sys::Oid,
    /// The role that it connects as.
    pub role: pg_sys::Oid,
    /// The name of the database, for messages.
    pub name: String,
}

impl Start {
    /// Returns this as the argument of a background worker.
    pub fn to_extra(&self) -> String {
        let [database, tablespace, role] = [self.database, self.tablespace, self.role].map(pg_sys::Oid::to_u32);
        // An argument has at most 127 bytes.
        let name = &self.name[..self.name.floor_char_boundary(MAX_NAME_BYTES)];
        format!("{database} {tablespace} {role} {name}")
    }

    /// Returns the argument of this background worker.
    pub fn of_this_worker() -> Self {
        let mut words = BackgroundWorker::get_extra().splitn(4, ' ');
        let mut oid = || pg_sys::Oid::from(words.next().and_then(|word| word.parse().ok()).unwrap_or(0));
        let [database, tablespace, role] = [oid(), oid(), oid()];
        Self { database, tablespace, role, name: words.next().unwrap_or_default().to_owned() }
    }

    /// Connects this worker to the database, and sets the parameters that every worker with a database depends on.
    pub fn connect(&self, name: &str) {
        without_settings_of_role(|| {
            BackgroundWorker::connect_worker_to_spi_by_oid(Some(self.database), Some(self.role));
        });
        activity::introduce(name);
        setting::pin(c"default_transaction_isolation", c"read committed");
        setting::pin(c"default_transaction_read_only", c"off");
        setting::pin(c"search_path", c"pg_catalog, pg_temp");
        setting::pin(c"session_replication_role", c"origin");
    }

    /// Returns whether the database exists. To be called with a lock on the database. It can be called before the
    /// process has connected, when catalogs cannot be read.
    pub fn exists(&self) -> bool {
        // SAFETY: returns a C string, which lives as long as its memory context: for the life of the process.
        let directory = unsafe { CStr::from_ptr(pg_sys::GetDatabasePath(self.database, self.tablespace)) };
        Path::new(&*directory.to_string_lossy()).is_dir()
    }
}
