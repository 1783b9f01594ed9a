//! Finds out why a watch does not fit, for the view `hydra.webhook_watches`.
//!
//! Expressions are analysed as they are when the watch fires, but as the owner of the table and with the locks and the
//! rights that this needs given back at once. Who reads the view may have more privileges than the author of a watch,
//! and so may the owner of the table. So no code of the author runs: expressions are neither planned nor executed. The
//! analysis itself calls functions only to check the value of a domain in a literal; these calls are refused, and such
//! an expression is not judged.

use std::cell::Cell;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::check::analyse;
use super::definition::Definition;
use super::queries::Queries;
use super::table::Table;
use crate::backend::setting;
use crate::backend::subtransaction::{in_subtransaction, in_undone_subtransaction};
use crate::emit::trigger::arguments_of;

/// How long the view waits for a table that a migration has locked. A watch of that table is not judged.
const PATIENCE: &std::ffi::CStr = c"100ms";

thread_local! {
    /// Whether a call was refused.
    static REFUSED: Cell<bool> = const { Cell::new(false) };
    static FORMER_HOOK: Cell<pg_sys::object_access_hook_type> = const { Cell::new(None) };
}

/// Returns why the watch that is this trigger of this table does not fit; null if no problem is known.
#[pg_extern(strict)]
fn _watch_problem(source: pg_sys::Oid, trigger: pg_sys::Oid) -> Option<String> {
    in_undone_subtransaction(|| {
        setting::save(c"lock_timeout", PATIENCE);
        // SAFETY: the relation stays open and locked until the subtransaction ends.
        unsafe {
            let relation = pg_sys::try_relation_open(source, pg_sys::AccessShareLock as i32);
            (!relation.is_null()).then(|| problem_of(relation, trigger)).flatten()
        }
    })
    .ok()
    .flatten()
}

unsafe fn problem_of(relation: pg_sys::Relation, trigger: pg_sys::Oid) -> Option<String> {
    // SAFETY: an open relation, and its triggers.
    unsafe {
        let triggers = (*relation).trigdesc.as_ref()?;
        let triggers = std::slice::from_raw_parts(triggers.triggers, triggers.numtriggers as usize);
        let trigger = triggers.iter().find(|known| known.tgoid == trigger)?;
        let definition = Definition::parse(arguments_of(trigger))?;
        let owner = (*(*relation).rd_rel).relowner;
        let is_missing = |column: &&str| !has_column(relation, column);
        if !definition.columns.is_empty() && definition.columns.iter().all(is_missing) {
            let columns = definition.columns.join("\", \"");
            return Some(format!("it is for updates of columns that do not exist, so no update emits: \"{columns}\""));
        }
        let missing = definition.named_columns().find(|(_, column)| is_missing(column));
        let missing = missing.map(|(argument, column)| {
            let verb = match argument {
                "only" => "sends",
                "except" => "leaves out",
                _ => "watches",
            };
            format!("it {verb} column \"{column}\", which does not exist")
        });
        missing.or_else(|| {
            let queries = Queries::new(&definition, table_of(relation, trigger));
            definition.expressions.each().find_map(|(name, text)| match judge(&queries, name, text, owner) {
                Judgement::Misfit(why) => Some(format!("its {name} expression {why}")),
                Judgement::Fits | Judgement::Unknown => None,
            })
        })
    }
}

/// Whether an expression fits.
#[derive(PartialEq, Eq)]
pub enum Judgement {
    Fits,
    /// Why it does not, to be said after "its … expression".
    Misfit(String),
    /// Finding it out would run code of the author, or something is locked.
    Unknown,
}

/// Judges the expression called `name`, as the owner of the table.
pub fn judge(queries: &Queries, name: &str, text: &str, owner: pg_sys::Oid) -> Judgement {
    REFUSED.set(false);
    let analyse = || without_calls(|| unreadable(analyse(queries, name, text), owner));
    match in_subtransaction(|| restricted_to(owner, analyse)) {
        Ok(None) => Judgement::Fits,
        Ok(Some(table)) => Judgement::Misfit(format!("reads {table}, which the owner of its table may not read")),
        Err(_) if REFUSED.get() => Judgement::Unknown,
        Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE => Judgement::Unknown,
        Err(failure) => Judgement::Misfit(format!("is not valid: {}", failure.message.trim_end_matches('.'))),
    }
}

/// Returns a table that the query reads and the role may not read.
fn unreadable(query: *mut pg_sys::Query, role: pg_sys::Oid) -> Option<String> {
    let (mut relations, mut others, mut has_row_security) = (std::ptr::null_mut(), std::ptr::null_mut(), false);
    // SAFETY: an analysed query, and places for the results; the first is a list of oids, or null if it is empty.
    unsafe {
        let query = query.cast();
        pg_sys::extract_query_dependencies(query, &raw mut relations, &raw mut others, &raw mut has_row_security);
        let relations = relations.as_ref()?;
        let relations = std::slice::from_raw_parts(relations.elements, relations.length as usize);
        let may_not_read = |relation: &pg_sys::Oid| {
            let select = pg_sys::ACL_SELECT as pg_sys::AclMode;
            let any = pg_sys::AclMaskHow::ACLMASK_ANY;
            pg_sys::pg_class_aclcheck(*relation, role, select) != pg_sys::AclResult::ACLCHECK_OK
                && pg_sys::pg_attribute_aclcheck_all(*relation, role, select, any) != pg_sys::AclResult::ACLCHECK_OK
        };
        let mut relations = relations.iter().map(|cell| cell.oid_value);
        relations.find(may_not_read).map(|oid| Table { oid, has_old: false, has_new: false }.name())
    }
}

/// Returns the table, and which rows its expressions can see: those that all operations of the trigger have.
pub unsafe fn table_of(relation: pg_sys::Relation, trigger: &pg_sys::Trigger) -> Table {
    let has = |bit: u32| trigger.tgtype as u32 & bit != 0;
    let (has_old, has_new) = match has(pg_sys::TRIGGER_TYPE_ROW) {
        true => (!has(pg_sys::TRIGGER_TYPE_INSERT), !has(pg_sys::TRIGGER_TYPE_DELETE)),
        false => (!trigger.tgoldtable.is_null(), !trigger.tgnewtable.is_null()),
    };
    // SAFETY: an open relation.
    Table { oid: unsafe { (*relation).rd_id }, has_old, has_new }
}

unsafe fn has_column(relation: pg_sys::Relation, column: &str) -> bool {
    let name = std::ffi::CString::new(column).expect("an argument of a trigger has no NUL");
    // SAFETY: the descriptor of an open relation, and a C string.
    unsafe { pg_sys::SPI_fnumber((*relation).rd_att, name.as_ptr()) > 0 }
}

/// Runs `body` as `role`, which can neither change the session nor become another role. After an error, aborting the
/// subtransaction restores the identity.
fn restricted_to<R>(role: pg_sys::Oid, body: impl FnOnce() -> R) -> R {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    let restricted = (pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION) as i32;
    // SAFETY: the identity of this backend, restored at the end.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(role, context | restricted);
        let result = body();
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}

/// Runs `body`; each function that it would call by an expression is refused.
fn without_calls<R>(body: impl FnOnce() -> R) -> R {
    struct Restored;
    impl Drop for Restored {
        fn drop(&mut self) {
            // SAFETY: a variable of this process.
            unsafe { pg_sys::object_access_hook = FORMER_HOOK.get() };
        }
    }
    // SAFETY: a variable of this process; the former value is put back also after an error.
    unsafe {
        FORMER_HOOK.set(pg_sys::object_access_hook);
        pg_sys::object_access_hook = Some(refuse_call);
    }
    let _restored = Restored;
    body()
}

#[pg_guard]
unsafe extern "C-unwind" fn refuse_call(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub_id: std::ffi::c_int,
    arg: *mut std::ffi::c_void,
) {
    if access == pg_sys::ObjectAccessType::OAT_FUNCTION_EXECUTE {
        REFUSED.set(true);
        let message = "a function is not called to find a problem";
        ErrorReport::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message, "hydra_webhooks")
            .report(PgLogLevel::ERROR);
    }
    if let Some(former) = FORMER_HOOK.get() {
        // SAFETY: called as Postgres calls it.
        unsafe { pg_guard_ffi_boundary(|| former(access, class, object, sub_id, arg)) };
    }
}
