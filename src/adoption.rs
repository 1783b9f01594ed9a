//! Says why a copy sends nothing, what waits in it, and which call of `hydra.webhook_adopt` makes it send.
//!
//! The advice must never lose an event: it says to delete what was copied only if the original exists and sends it.

use std::ffi::CStr;

use pgrx::Uuid;
use pgrx::prelude::*;

use crate::identity::{Identity, Origin, server_version};
use crate::store::{columns, read_once};

/// What a database administrator needs to know about a copy.
pub struct Adoption {
    /// Where the database comes from.
    pub origin: String,
    /// How many events and deliveries wait.
    pub waiting: String,
    /// The call to make.
    pub advice: String,
}

columns!(Columns { own, copied, is_copied });

const WAITING: &str = "SELECT w.own, w.copied, w.is_copied FROM hydra._waiting($1) AS w";

const ADOPT: &str = "SELECT hydra.webhook_adopt()";
const KEEP: &str = "SELECT hydra.webhook_adopt(keep_queue => true)";
const DELETE: &str = "SELECT hydra.webhook_adopt(keep_queue => false)";

impl Adoption {
    /// Returns what is to be known; `None` if the database is not a copy. Reads the tables as the current user.
    pub fn find() -> Option<Self> {
        let identity = Identity::read();
        let origin = identity.origin();
        if origin == Origin::Here {
            return None;
        }
        let installation = Uuid::from_bytes(identity.installation().0);
        read_once(WAITING, &[installation.into()], |mut rows| {
            let columns = Columns::of(&rows);
            let row = rows.next()?;
            let (copied, own) = (row.text(columns.copied), row.text(columns.own));
            Some(Self {
                origin: describe(origin),
                waiting: format!("copied: {copied}; emitted here: {own}"),
                advice: advise(origin, row.value(columns.is_copied)),
            })
        })
    }
}

fn describe(origin: Origin) -> String {
    match origin {
        Origin::Here => "this database is not a copy".into(),
        Origin::Dump => "this database was restored from a dump".into(),
        Origin::Database(original) => match database_name(original) {
            Some(name) => format!("this database is a copy of database \"{name}\""),
            None => "this database is a copy of a database that no longer exists".into(),
        },
        Origin::Upgrade(from) => format!("this cluster was upgraded from PostgreSQL {from} to {}", server_version()),
        Origin::Cluster => {
            "this cluster has the files of a cluster with another system identifier, as after pg_upgrade, \
                            pg_createsubscriber or pg_resetwal"
                .into()
        }
        Origin::Unknown => "this database is a copy".into(),
    }
}

fn advise(origin: Origin, is_copied: bool) -> String {
    match origin {
        _ if !is_copied => format!("{ADOPT} makes it send"),
        Origin::Database(original) if database_name(original).is_some() => format!(
            "{DELETE} makes it send its own events and leaves the copied ones to the original; with true it sends these too"
        ),
        Origin::Database(_) => format!("{KEEP} makes it send all of them"),
        Origin::Upgrade(_) => {
            format!(
                "{KEEP} makes it send all of them; do not start the former cluster again, which would send them too"
            )
        }
        Origin::Here | Origin::Dump | Origin::Cluster | Origin::Unknown => {
            format!(
                "{KEEP} makes it send all of them; if the original still exists and sends the copied ones, {DELETE}"
            )
        }
    }
}

/// Returns the name of a database of this cluster; `None` if it does not exist.
fn database_name(database: pg_sys::Oid) -> Option<String> {
    // SAFETY: looks up a name in a catalog, in a transaction; the result is a C string or null.
    unsafe {
        let name = pg_sys::get_database_name(database);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}
