//! Puts a session back into the state of a new one, so that nothing of a request reaches the next.
//!
//! This is DISCARD ALL without its plans, which cannot run in a transaction. Not even pgbouncer in transaction mode does
//! it. It is done before a request, because of what others have done in the session, and after it, because of what
//! has an effect outside of `hydra.serve`: the next BEGIN uses `default_transaction_read_only`, and a session lock
//! hinders other sessions while this one is idle.

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::prelude::*;
use pgrx::{IntoDatum, direct_function_call_as_datum};

use crate::backend::refuse::refuse;
use crate::backend::setting;

unsafe extern "C-unwind" {
    fn Async_UnlistenAll();
    fn ResetSequenceCaches();
}

/// For our own statements. What runs as the role of a request has another one.
const SEARCH_PATH: &std::ffi::CStr = c"pg_catalog, pg_temp";
/// A request does not wait for a lock for long: others wait for its connection.
const LOCK_TIMEOUT: &std::ffi::CStr = c"2s";

/// Locks of users are in this table, see `USER_LOCKMETHOD` of Postgres.
const USER_LOCKMETHOD: pg_sys::LOCKMETHODID = 2;

/// Runs `body`, and undoes its changes of settings: what runs after it must not look up names where `body` has said. After an
/// error no cleanup is needed: aborting the subtransaction undoes them.
pub fn with_settings_restored<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: a nest level of settings, which ends as at the end of a subtransaction that is rolled back.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        let result = body();
        pg_sys::AtEOXact_GUC(false, level);
        result
    }
}

/// Closes all cursors but that of the running statement. To be called as the role of the request too: at the end of the
/// transaction, the query of a cursor WITH HOLD would be executed as the role that logged in.
pub fn close_cursors() {
    // SAFETY: skips portals that are being executed.
    unsafe { pg_sys::PortalHashTableDeleteAll() };
}

/// Discards settings, cursors, prepared statements, locks, temporary objects, subscriptions of LISTEN, and the state of
/// sequences and random numbers.
pub fn put_back() {
    close_cursors();
    // SAFETY: what DISCARD ALL does, in the same order. None of these needs a privilege or calls code of a user.
    unsafe { pg_sys::ResetAllOptions() };
    discard_all_but_settings();
}

/// As [`put_back`], without settings and cursors.
pub fn discard_all_but_settings() {
    // SAFETY: as above.
    unsafe {
        pg_sys::DropAllPreparedStatements();
        pg_guard_ffi_boundary(|| Async_UnlistenAll());
        pg_sys::LockReleaseSession(USER_LOCKMETHOD);
        pg_sys::ResetTempTableNamespace();
        pg_guard_ffi_boundary(|| ResetSequenceCaches());
    }
    forget_seed();
}

/// Otherwise a request could choose the random numbers of the next one.
fn forget_seed() {
    let seed: f64 = rand::random_range(-1.0..=1.0);
    // SAFETY: a function of Postgres with its argument.
    unsafe { direct_function_call_as_datum(pg_sys::setseed, &[seed.into_datum()]) };
}

/// Whether a request can be answered in this transaction. One that a statement has begun by itself is as the defaults of the role and
/// the database say, and that can no longer be changed. Whoever has begun it with BEGIN has chosen what it is.
pub fn is_transaction_fit() -> bool {
    // SAFETY: reads variables of this process.
    unsafe {
        let is_read_committed = pg_sys::XactIsoLevel == pg_sys::XACT_READ_COMMITTED as i32;
        pg_sys::IsTransactionBlock() || is_read_committed && !pg_sys::XactReadOnly
    }
}

/// Sets what holds during a request.
pub fn prepare() {
    setting::set_local(c"search_path", SEARCH_PATH);
    setting::set_local(c"lock_timeout", LOCK_TIMEOUT);
}

/// Makes sure that a commit is answered only when it is durable, whatever the request has set.
pub fn make_commit_durable() {
    // SAFETY: reads a variable of this process.
    if unsafe { pg_sys::synchronous_commit } < pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_LOCAL_FLUSH as i32 {
        setting::set_local(c"synchronous_commit", c"on");
    }
}

/// Makes the rest of the transaction read-only; in a subtransaction, the rest of that. This cannot be undone, because the
/// transaction has a snapshot.
pub fn read_only() {
    setting::set_local(c"transaction_read_only", c"on");
}

/// Returns the id of the transaction, which is needed to write.
pub fn transaction_id() -> pg_sys::TransactionId {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetTopTransactionIdIfAny() }
}

/// Fails if the transaction has got an id since it had this one. Before Postgres 16, large objects can be written in a read-only
/// transaction, and RESET makes the transaction read-write again.
pub fn refuse_writes(former: pg_sys::TransactionId) {
    if transaction_id() != former {
        refuse(
            PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
            "a request that reads has written",
            "Requests that read, such as those with the method GET, are executed in a read-only transaction.",
            "Use a method that writes.",
        );
    }
}
