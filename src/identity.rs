//! Finds out which installation this database is, and whether it is a copy.
//!
//! Each row of `hydra.identity` names a cluster and a database. The row of an installation names the database in which
//! it is. In a copy of that database it names another place, and nothing may be sent until the copy is adopted. Events
//! that a copy emits before that already belong to an installation of their own, which nothing has to write down: it is
//! derived from the original and from the place of the copy. Its adoption then takes this one. So one can always tell
//! what a copy has emitted itself from what was copied.

use pgrx::Uuid;
use pgrx::prelude::*;
use wire::ids::Installation;

use crate::store::{Row, Rows, columns, read_once};

pub const LOAD: &str = include_str!("../sql/queries/load_identity.sql");

/// The rows of `hydra.identity`, the latest first.
pub struct Identity {
    rows: Vec<Named>,
}

/// A row of `hydra.identity`.
struct Named {
    installation: Installation,
    system_identifier: i64,
    database: pg_sys::Oid,
    server_version: i32,
}

/// Where a database comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is the database that `hydra.identity` names.
    Here,
    /// The extension was created here, and then a dump of another database was restored.
    Dump,
    /// It is a copy of this database of the same cluster.
    Database(pg_sys::Oid),
    /// The cluster was upgraded from this major version of the server.
    Upgrade(i32),
    /// It has the OID of its original in a cluster of the same version with another system identifier.
    Cluster,
    /// It is a copy that was copied once more, or `hydra.identity` is empty.
    Unknown,
}

columns!(Columns { namespace, system_identifier, database_oid, server_version });

impl Identity {
    /// Returns the identity from the rows of [`LOAD`].
    pub fn of(rows: Rows<'_>) -> Self {
        let columns = Columns::of(&rows);
        Self { rows: rows.map(|row| Named::of(&row, &columns)).collect() }
    }

    /// Reads the identity.
    pub fn read() -> Self {
        read_once(LOAD, &[], Self::of)
    }

    /// Whether this is the database that all rows name.
    pub fn is_here(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Named::is_here)
    }

    /// The installation that this database is.
    pub fn installation(&self) -> Installation {
        let here = self.rows.iter().find(|row| row.is_here());
        here.map_or_else(|| self.installation_of_copy(), |row| row.installation)
    }

    /// The installation that this database is; `None` if it is a copy that was not adopted.
    pub fn adopted(&self) -> Option<Installation> {
        self.is_here().then(|| self.installation())
    }

    fn installation_of_copy(&self) -> Installation {
        let original = self.rows.first().map(|row| row.installation).unwrap_or_default();
        Installation::of_copy(original, here().0 as u64, here().1.to_u32())
    }

    pub fn origin(&self) -> Origin {
        let (system_identifier, database) = here();
        match self.rows.first() {
            _ if self.is_here() => Origin::Here,
            _ if self.rows.iter().any(Named::is_here) => Origin::Dump,
            Some(row) if row.system_identifier == system_identifier => Origin::Database(row.database),
            // pg_upgrade keeps the OIDs of databases.
            Some(row) if row.database != database => Origin::Unknown,
            Some(row) if row.server_version != server_version() => Origin::Upgrade(row.server_version),
            Some(_) => Origin::Cluster,
            None => Origin::Unknown,
        }
    }
}

impl Named {
    fn of(row: &Row<'_>, columns: &Columns) -> Self {
        Self {
            installation: Installation(*row.value::<Uuid>(columns.namespace).as_bytes()),
            system_identifier: row.value(columns.system_identifier),
            database: row.value(columns.database_oid),
            server_version: row.value(columns.server_version),
        }
    }

    fn is_here(&self) -> bool {
        (self.system_identifier, self.database) == here()
    }
}

/// Returns the system identifier of this cluster, and the OID of this database.
fn here() -> (i64, pg_sys::Oid) {
    // SAFETY: both were set before this process could run any code of ours, and never change.
    unsafe { (pg_sys::GetSystemIdentifier() as i64, pg_sys::MyDatabaseId) }
}

/// Returns the major version of this server.
pub fn server_version() -> i32 {
    pg_sys::PG_VERSION_NUM as i32 / 10_000
}

/// Returns the installation that this database is.
#[pg_extern(stable)]
fn _installation() -> Uuid {
    Uuid::from_bytes(Identity::read().installation().0)
}

/// Returns whether this database is the one that `hydra.identity` names, and not a copy of it.
#[pg_extern(stable)]
fn _at_home() -> bool {
    Identity::read().is_here()
}
