//! Reads what the launcher needs from the shared catalogs: the databases, and the role that dispatchers connect as.

use std::collections::HashSet;
use std::ffi::CStr;

use pgrx::prelude::*;

use crate::dispatcher::Start;
use crate::settings;

/// The role that dispatchers connect as. It does not exist until the extension is first created in this cluster.
const WORKER_ROLE: &CStr = c"hydra_worker";

/// The value of `datconnlimit` of a database that was being dropped when the server crashed.
const DROPPED: i32 = -2;

pub struct Catalog {
    /// Databases in which a dispatcher can run: its role may log in and connect, it is not a template, and
    /// `hydra_webhooks.databases` includes it.
    pub databases: Vec<Start>,
    /// Databases that `hydra_webhooks.databases` leaves out.
    pub left_out: HashSet<pg_sys::Oid>,
    /// All databases.
    pub existing: Vec<pg_sys::Oid>,
}

/// Reads the catalogs; returns `None` if the role of the dispatchers does not exist. To be called in a transaction.
pub fn read_catalog() -> Option<Catalog> {
    let served = settings::databases();
    let (mut databases, mut left_out, mut existing) = (Vec::new(), HashSet::new(), Vec::new());
    // SAFETY: a sequential scan of a shared catalog, in a transaction, which ends before the transaction does. SPI
    // cannot be used, because the launcher is not connected to a database.
    unsafe {
        let role = pg_sys::get_role_oid(WORKER_ROLE.as_ptr(), true);
        if role == pg_sys::InvalidOid {
            return None;
        }
        let may_log_in = may_log_in(role);
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let (index, snapshot, keys) = (pg_sys::InvalidOid, std::ptr::null_mut(), std::ptr::null_mut());
        let scan = pg_sys::systable_beginscan(relation, index, false, snapshot, 0, keys);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            // A database that was being dropped when the server crashed can be seen, but not used.
            if row.datconnlimit == DROPPED {
                continue;
            }
            existing.push(row.oid);
            let name = CStr::from_ptr(row.datname.data.as_ptr()).to_string_lossy().into_owned();
            let is_open = row.datallowconn && !row.datistemplate && row.datconnlimit != 0;
            if !served.include(&name) {
                left_out.insert(row.oid);
            } else if is_open && may_log_in && may_connect(row.oid, role) {
                databases.push(Start { database: row.oid, tablespace: row.dattablespace, role, name });
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        Some(Catalog { databases, left_out, existing })
    }
}

/// Returns whether the role has the attribute LOGIN.
fn may_log_in(role: pg_sys::Oid) -> bool {
    // SAFETY: looks a row up in a catalog, in a transaction, and releases it.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::AUTHOID as i32, role.into());
        if tuple.is_null() {
            return false;
        }
        let may_log_in = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_authid>()).rolcanlogin;
        pg_sys::ReleaseSysCache(tuple);
        may_log_in
    }
}

/// Returns whether the role may connect to the database. CREATE EXTENSION grants this right, so a database without it
/// does not have the extension.
fn may_connect(database: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    #[allow(clippy::useless_conversion)] // wider from PostgreSQL 16 on
    let connect = pg_sys::ACL_CONNECT.into();
    // SAFETY: looks a right up in a catalog, in a transaction.
    let result = unsafe {
        #[cfg(feature = "pg15")]
        {
            pg_sys::pg_database_aclcheck(database, role, connect)
        }
        #[cfg(not(feature = "pg15"))]
        {
            pg_sys::object_aclcheck(pg_sys::DatabaseRelationId, database, role, connect)
        }
    };
    result == pg_sys::AclResult::ACLCHECK_OK
}
