//! Finds out whether a statement needs a database to which no session is connected.
//!
//! DROP DATABASE, ALTER DATABASE … RENAME TO or SET TABLESPACE, and CREATE DATABASE … TEMPLATE lock the database, and
//! then wait up to five seconds until no session is connected to it. No signal tells the sessions that somebody waits.
//! But each session takes a weaker lock on its database when it connects, and these statements conflict with that lock.
//! So if that lock cannot be had at once, such a statement waits or runs.

use pgrx::prelude::*;

/// The lock that a session takes on its database when it connects.
const MODE: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;

/// The lock of a session on a database. It needs no transaction, and is released when this value is dropped.
pub struct DatabaseLock(pg_sys::LOCKTAG);

impl DatabaseLock {
    /// Takes the lock. Returns `None` if it cannot be had at once.
    pub fn try_take(database: pg_sys::Oid) -> Option<Self> {
        // That of a shared object: of no database.
        let tag = pg_sys::LOCKTAG {
            locktag_field1: pg_sys::InvalidOid.to_u32(),
            locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
            locktag_field3: database.to_u32(),
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        };
        // SAFETY: a lock of the session, which the process may take from its start on.
        let result = unsafe { pg_sys::LockAcquire(&raw const tag, MODE, true, true) };
        (result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL).then(|| Self(tag))
    }
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        // SAFETY: the lock that was taken.
        unsafe { pg_sys::LockRelease(&raw const self.0, MODE, true) };
    }
}

/// Returns whether no statement needs the database without sessions.
pub fn is_free(database: pg_sys::Oid) -> bool {
    DatabaseLock::try_take(database).is_some()
}
