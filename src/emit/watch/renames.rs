//! Makes watches follow when a column is renamed.
//!
//! A watch is stored as text, so that no migration fails because of it. The WHEN clause of a trigger follows a rename,
//! because Postgres stores numbers of columns in it, and so do these texts: after `ALTER TABLE … RENAME COLUMN`, the name
//! is replaced in the arguments of the triggers of the table, of its partitions and of its children: in the lists of
//! columns, and in the expressions where it follows `old.` or `new.`. An expression that is still valid is left as it
//! is. If the column `tenant_id` of a row that is sent is renamed, it stays the tenant. Nothing else is followed, such as
//! the columns of another table that a subquery reads.
//!
//! This is done by a hook (see `utility`), not by an event trigger, which would run for all DDL and which DROP EXTENSION, dumps and
//! privileges would have to take into account. The catalog is changed directly, because the owner of the table may lack
//! the privilege on our trigger function that CREATE TRIGGER needs.

use std::ffi::{CStr, c_char};

use pgrx::IntoDatum;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::prelude::*;

use super::definition::{Definition, Expressions};
use super::expression;
use super::problem::{self, Judgement};
use super::queries::Queries;
use super::table::Table;
use crate::emit::trigger::arguments_of;

// A function of Postgres that pgrx does not declare.
unsafe extern "C-unwind" {
    fn find_all_inheritors(
        parent: pg_sys::Oid,
        lock: pg_sys::LOCKMODE,
        parents: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::List;
}

/// A rename of a column.
struct Rename {
    old: String,
    new: String,
}

impl Rename {
    fn quoted_new(&self) -> String {
        pgrx::spi::quote_identifier(&self.new)
    }
}

/// A trigger that emits.
struct Watch {
    trigger: pg_sys::Oid,
    table: Table,
    owner: pg_sys::Oid,
    /// The name of the row that is sent; `None` if it depends on the operation.
    sent_row: Option<&'static str>,
    arguments: Vec<String>,
}

/// Makes the watches of a table follow.
///
/// # Safety
/// The statement was executed in this transaction, and renames a column.
pub unsafe fn follow(statement: &pg_sys::RenameStmt) {
    // SAFETY: the statement was executed, so the table exists and is locked.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"hydra".as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return;
        }
        // Makes the new name visible.
        pg_sys::CommandCounterIncrement();
        let (none, missing_ok) = (pg_sys::NoLock as i32, pg_sys::RVROption::RVR_MISSING_OK);
        let null = std::ptr::null_mut();
        let table = pg_sys::RangeVarGetRelidExtended(statement.relation, none, missing_ok, None, null);
        if table == pg_sys::InvalidOid {
            return;
        }
        let text = |name: *mut c_char| CStr::from_ptr(name).to_string_lossy().into_owned();
        let rename = Rename { old: text(statement.subname), new: text(statement.newname) };
        let tables = pg_guard_ffi_boundary(|| find_all_inheritors(table, none, std::ptr::null_mut()));
        for table in std::slice::from_raw_parts((*tables).elements, (*tables).length as usize) {
            for watch in watches_of(table.oid_value, schema) {
                if let Some(arguments) = watch.renamed(&rename) {
                    watch.store(&arguments);
                }
            }
        }
    }
}

/// Returns the triggers of a table that emit. `schema` is that of the extension.
unsafe fn watches_of(table: pg_sys::Oid, schema: pg_sys::Oid) -> Vec<Watch> {
    // SAFETY: a locked table, which is open while its triggers are read.
    unsafe {
        let relation = pg_sys::relation_open(table, pg_sys::NoLock as i32);
        let triggers = (*relation).trigdesc.as_ref();
        let triggers = triggers.map(|known| std::slice::from_raw_parts(known.triggers, known.numtriggers as usize));
        let emit = |trigger: &&pg_sys::Trigger| pg_sys::get_func_namespace(trigger.tgfoid) == schema;
        let watch = |trigger: &pg_sys::Trigger| Watch {
            trigger: trigger.tgoid,
            table: problem::table_of(relation, trigger),
            owner: (*(*relation).rd_rel).relowner,
            sent_row: sent_row(trigger.tgtype as u32),
            arguments: arguments_of(trigger).map(str::to_owned).collect(),
        };
        let watches = triggers.unwrap_or_default().iter().filter(emit).map(watch).collect();
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        watches
    }
}

fn sent_row(trigger_type: u32) -> Option<&'static str> {
    let others = pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_UPDATE;
    match (trigger_type & pg_sys::TRIGGER_TYPE_DELETE != 0, trigger_type & others != 0) {
        (false, _) => Some("new"),
        (true, false) => Some("old"),
        (true, true) => None,
    }
}

impl Watch {
    /// Returns the arguments with the new name of the column; `None` if they stay as they are.
    fn renamed(&self, rename: &Rename) -> Option<Vec<String>> {
        let definition = Definition::parse(self.arguments.iter().map(String::as_str))?;
        let queries = Queries::new(&definition, self.table);
        let mut arguments = self.arguments.clone();
        let Expressions { entity, tenant, .. } = &definition.expressions;
        if let Some(row) = self.sent_row
            && rename.old == "tenant_id"
            && entity.is_none()
            && tenant.is_none()
        {
            arguments.extend(["tenant".to_owned(), format!("{row}.{}", rename.quoted_new())]);
        }
        // The first argument is the event type.
        for pair in arguments[1..].chunks_exact_mut(2) {
            let [name, value] = pair else { continue };
            match name.as_str() {
                "column" | "only" | "except" if *value == rename.old => value.clone_from(&rename.new),
                "condition" | "entity" | "tenant" => {
                    let renamed = expression::renamed(value, &rename.old, &rename.quoted_new());
                    if let Some(renamed) = renamed
                        && problem::judge(&queries, name, value, self.owner) != Judgement::Fits
                    {
                        *value = renamed;
                    }
                }
                _ => {}
            }
        }
        (arguments != self.arguments).then_some(arguments)
    }

    /// Changes the arguments of the trigger in the catalog.
    fn store(&self, arguments: &[String]) {
        const COLUMNS: usize = pg_sys::Natts_pg_trigger as usize;
        const COUNT: usize = pg_sys::Anum_pg_trigger_tgnargs as usize - 1;
        const ARGUMENTS: usize = pg_sys::Anum_pg_trigger_tgargs as usize - 1;
        let bytes: Vec<u8> = arguments.iter().flat_map(|argument| [argument.as_bytes(), b"\0"].concat()).collect();
        let (mut values, mut replaced) = ([pg_sys::Datum::null(); COLUMNS], [false; COLUMNS]);
        values[ARGUMENTS] = bytes.into_datum().expect("bytes are not null");
        values[COUNT] = (arguments.len() as i16).into();
        (replaced[COUNT], replaced[ARGUMENTS]) = (true, true);
        // SAFETY: the row of the trigger is found by its oid, and its table is locked.
        unsafe {
            let catalog = pg_sys::table_open(pg_sys::TriggerRelationId, pg_sys::RowExclusiveLock as i32);
            let mut key = pg_sys::ScanKeyData::default();
            let (column, equal) = (pg_sys::Anum_pg_trigger_oid as i16, pg_sys::BTEqualStrategyNumber as u16);
            pg_sys::ScanKeyInit(&raw mut key, column, equal, pg_sys::F_OIDEQ.into(), self.trigger.into());
            let scan = pg_sys::systable_beginscan(
                catalog,
                pg_sys::TriggerOidIndexId.into(),
                true,
                std::ptr::null_mut(),
                1,
                &raw mut key,
            );
            let row = pg_sys::systable_getnext(scan);
            if !row.is_null() {
                let mut nulls = [false; COLUMNS];
                let changed = pg_sys::heap_modify_tuple(
                    row,
                    (*catalog).rd_att,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                    replaced.as_mut_ptr(),
                );
                pg_sys::CatalogTupleUpdate(catalog, &raw mut (*changed).t_self, changed);
            }
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(catalog, pg_sys::RowExclusiveLock as i32);
            pg_sys::CacheInvalidateRelcacheByRelid(self.table.oid);
        }
    }
}
