//! Sees the utility statements of every session, by a hook of Postgres, and acts on two of them.
//!
//! COMMIT PREPARED wakes the dispatcher. The session that runs it need not be the one that prepared the transaction, and
//! knows nothing of its events. So every COMMIT PREPARED wakes the dispatcher of its database: at worst it reads the
//! queue once in vain.
//!
//! After ALTER TABLE … RENAME COLUMN, the watches of the table follow, see `emit::watch::renames`.
//!
//! The hook calls Postgres without the guard of pgrx: it has no Rust value that would have to be dropped if an error
//! jumps over it. What it does itself is guarded.

use std::ffi::c_char;

use pgrx::prelude::*;

use crate::emit;
use crate::slots::wake;

type Hook = unsafe extern "C-unwind" fn(
    *mut pg_sys::PlannedStmt,
    *const c_char,
    bool,
    pg_sys::ProcessUtilityContext::Type,
    pg_sys::ParamListInfo,
    *mut pg_sys::QueryEnvironment,
    *mut pg_sys::DestReceiver,
    *mut pg_sys::QueryCompletion,
);

unsafe extern "C-unwind" {
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        text: *const c_char,
        is_read_only: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        parameters: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        destination: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}

/// What ran utility statements before: the hook of another extension, or Postgres itself.
static mut FORMER: Hook = standard_ProcessUtility;

/// Installs the hook. To be called once, when the library is loaded.
pub fn init() {
    // SAFETY: this process has one thread, and runs no statement of the hook yet.
    unsafe {
        if let Some(former) = pg_sys::ProcessUtility_hook {
            FORMER = former;
        }
        pg_sys::ProcessUtility_hook = Some(process_utility);
    }
}

#[allow(clippy::too_many_arguments)] // as Postgres calls it
unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    is_read_only: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are passed on as they came, and the statement outlives its execution. `FORMER` does not change
    // any more.
    unsafe {
        let node = (*statement).utilityStmt;
        if is_commit_prepared(node) {
            wake_at_commit();
        }
        FORMER(statement, text, is_read_only, context, parameters, environment, destination, completion);
        if is_rename_of_column(node) {
            follow(node.cast());
        }
    }
}

/// # Safety
/// `node` is null or a node of Postgres.
unsafe fn is_commit_prepared(node: *mut pg_sys::Node) -> bool {
    // SAFETY: promised by the caller; the tag says which type the node has.
    unsafe {
        !node.is_null()
            && (*node).type_ == pg_sys::NodeTag::T_TransactionStmt
            && (*node.cast::<pg_sys::TransactionStmt>()).kind == pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED
    }
}

/// # Safety
/// As for [`is_commit_prepared`].
unsafe fn is_rename_of_column(node: *mut pg_sys::Node) -> bool {
    // SAFETY: promised by the caller; the tag says which type the node has.
    unsafe {
        !node.is_null()
            && (*node).type_ == pg_sys::NodeTag::T_RenameStmt
            && (*node.cast::<pg_sys::RenameStmt>()).renameType == pg_sys::ObjectType::OBJECT_COLUMN
    }
}

/// COMMIT PREPARED runs in a transaction of its own, which commits after it. If it fails, that transaction aborts.
#[pg_guard]
extern "C-unwind" fn wake_at_commit() {
    wake::at_commit();
}

#[pg_guard]
unsafe extern "C-unwind" fn follow(rename: *const pg_sys::RenameStmt) {
    // SAFETY: a statement that was executed.
    unsafe { emit::follow_rename(&*rename) };
}
