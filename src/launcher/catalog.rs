//! Reads what the launcher needs from the shared catalogs: the databases, and the role that dispatchers connect as.

use pgrx::prelude::*;

/// The role that dispatchers connect as. It does not exist until the extension is first created in this cluster.
const WORKER_ROLE: &std::ffi::CStr = c"hydra_worker";

/// The value of `datconnlimit` of a database that was being dropped when the server crashed.
const DROPPED: i32 = -2;

pub struct Catalog {
    pub worker_role: pg_sys::Oid,
    /// Databases in which a dispatcher can run: connections are allowed, and it is not a template.
    pub databases: Vec<pg_sys::Oid>,
    /// All databases.
    pub existing: Vec<pg_sys::Oid>,
}

/// Reads the catalogs; returns `None` if the role of the dispatchers does not exist. To be called in a transaction.
pub fn read_catalog() -> Option<Catalog> {
    let (mut databases, mut existing) = (Vec::new(), Vec::new());
    // SAFETY: a sequential scan of a shared catalog, in a transaction, which ends before the transaction does. SPI
    // cannot be used, because the launcher is not connected to a database.
    unsafe {
        let worker_role = pg_sys::get_role_oid(WORKER_ROLE.as_ptr(), true);
        if worker_role == pg_sys::InvalidOid {
            return None;
        }
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
            if row.datallowconn && !row.datistemplate && may_connect(row.oid, worker_role) {
                databases.push(row.oid);
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        Some(Catalog { worker_role, databases, existing })
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
