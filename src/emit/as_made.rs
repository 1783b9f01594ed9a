//! Finds out whether `hydra.event` is as the extension made it.
//!
//! Usually it is, and then events are inserted without an INSERT statement (see `insert`), which heeds neither triggers,
//! rules nor constraints, and knows no other columns and no other storage than those of the extension. But a DBA may
//! add any of them, and tools do: an audit trigger, a trigger of pg_repack, an index over an expression. Then events are
//! inserted by INSERT.

use std::ffi::{CStr, c_char};
use std::slice;

use pgrx::IntoDatum;
use pgrx::prelude::*;

use crate::backend::attributes::attributes;
use crate::backend::search_path::with_search_path;

/// The columns, in their order, with their types and whether they have a NOT NULL constraint. Further columns must have
/// been dropped.
pub const COLUMNS: [(&CStr, pg_sys::Oid, bool); 15] = [
    (c"xid", pg_sys::XID8OID, true),
    (c"id", pg_sys::INT8OID, true),
    (c"random", pg_sys::INT8OID, true),
    (c"emitted_at", pg_sys::TIMESTAMPTZOID, true),
    (c"installation", pg_sys::UUIDOID, true),
    (c"hops", pg_sys::INT2OID, true),
    (c"operation", pg_sys::TEXTOID, false),
    (c"event_type", pg_sys::TEXTOID, true),
    (c"entity_type", pg_sys::TEXTOID, true),
    (c"entity_id", pg_sys::TEXTOID, false),
    (c"tenant_id", pg_sys::TEXTOID, false),
    (c"entity", pg_sys::TEXTOID, false),
    (c"entity_error", pg_sys::TEXTOID, false),
    (c"previous", pg_sys::TEXTOID, false),
    (c"targets", pg_sys::INT8ARRAYOID, true),
];

/// The CHECK constraints, which every event of an emit meets.
const CHECKS: [(&CStr, &str); 4] = [
    (c"entity_or_why_not", "((entity IS NULL) = (entity_error IS NOT NULL))"),
    (c"hops_count", "(hops >= 0)"),
    (c"operation_is_known", "(operation = ANY (ARRAY['insert'::text, 'update'::text, 'delete'::text]))"),
    (c"somebody_wants_it", "(cardinality(targets) > 0)"),
];

/// Returns whether an insert into the table may do without the executor. Indexes are not looked at, see
/// [`are_plain`]. To be called again after each invalidation of the relation, which must be locked.
pub fn is_as_made(event: pg_sys::Oid) -> bool {
    // SAFETY: the cache entry of an existing table. After an error Postgres closes it.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(event);
        if relation.is_null() {
            return false;
        }
        let table = &*relation;
        let is_as_made = has_its_storage(&*table.rd_rel)
            && has_its_columns(table.rd_att)
            && has_its_triggers(table)
            && table.rd_rules.is_null()
            && has_its_checks(event, table.rd_att);
        pg_sys::RelationClose(relation);
        is_as_made
    }
}

/// Returns whether the row can be inserted into these indexes as into the indexes of a catalog.
///
/// # Safety
/// The indexes must be open.
pub unsafe fn are_plain(indexes: pg_sys::CatalogIndexState) -> bool {
    // SAFETY: as many indexes as stated, each with its description.
    unsafe {
        (0..(*indexes).ri_NumIndices as usize).all(|number| {
            let info = &**(*indexes).ri_IndexRelationInfo.add(number);
            let index = *(*indexes).ri_IndexRelationDescs.add(number);
            info.ii_Expressions.is_null()
                && info.ii_Predicate.is_null()
                && info.ii_ExclusionOps.is_null()
                && (*(*index).rd_index).indimmediate
        })
    }
}

fn has_its_storage(class: &pg_sys::FormData_pg_class) -> bool {
    class.relam == pg_sys::HEAP_TABLE_AM_OID
        && class.relkind == pg_sys::RELKIND_RELATION as c_char
        && !class.relispartition
}

/// # Safety
/// The descriptor must be that of an open table.
unsafe fn has_its_columns(descriptor: pg_sys::TupleDesc) -> bool {
    // SAFETY: a descriptor has as many attributes as it says, and a name is a C string.
    unsafe {
        let attributes = attributes(descriptor);
        let Some((ours, others)) = attributes.split_at_checked(COLUMNS.len()) else { return false };
        let is_ours = |attribute: &pg_sys::FormData_pg_attribute, (name, of, not_null): (&CStr, pg_sys::Oid, bool)| {
            !attribute.attisdropped
                && CStr::from_ptr(attribute.attname.data.as_ptr()) == name
                && attribute.atttypid == of
                && attribute.atttypmod == -1
                && attribute.attnotnull == not_null
                && attribute.attgenerated == 0
        };
        ours.iter().zip(COLUMNS).all(|(attribute, column)| is_ours(attribute, column))
            && others.iter().all(|attribute| attribute.attisdropped)
    }
}

/// Returns whether inserts fire no trigger except `keep_to_its_cluster`, which fires only where no event is emitted.
///
/// # Safety
/// The table must be open.
unsafe fn has_its_triggers(table: &pg_sys::RelationData) -> bool {
    const ON_INSERT: u32 = pg_sys::TRIGGER_TYPE_INSERT;
    const BEFORE_EACH: u32 = pg_sys::TRIGGER_TYPE_BEFORE | pg_sys::TRIGGER_TYPE_ROW | ON_INSERT;
    if table.trigdesc.is_null() {
        return false;
    }
    // SAFETY: as many triggers as stated; looks a function up in the catalog.
    unsafe {
        let triggers = slice::from_raw_parts((*table.trigdesc).triggers, (*table.trigdesc).numtriggers as usize);
        let mut on_insert = triggers.iter().filter(|trigger| trigger.tgtype as u32 & ON_INSERT != 0);
        let is_ours = |trigger: &pg_sys::Trigger| {
            let function = pg_sys::get_func_name(trigger.tgfoid);
            trigger.tgtype as u32 == BEFORE_EACH
                && trigger.tgenabled == pg_sys::TRIGGER_FIRES_ON_REPLICA as c_char
                && !function.is_null()
                && CStr::from_ptr(function) == c"_keep_to_its_cluster"
                && pg_sys::get_func_namespace(trigger.tgfoid) == (*table.rd_rel).relnamespace
        };
        on_insert.next().is_some_and(is_ours) && on_insert.next().is_none()
    }
}

/// # Safety
/// The descriptor must be that of an open table.
unsafe fn has_its_checks(event: pg_sys::Oid, descriptor: pg_sys::TupleDesc) -> bool {
    // SAFETY: as many constraints as stated, sorted by name; name and expression are C strings.
    unsafe {
        let constraints = (*descriptor).constr;
        if constraints.is_null() || (*constraints).num_check as usize != CHECKS.len() {
            return false;
        }
        let checks = slice::from_raw_parts((*constraints).check, CHECKS.len());
        checks.iter().zip(CHECKS).all(|(check, (name, expression))| {
            CStr::from_ptr(check.ccname) == name && printed(CStr::from_ptr(check.ccbin), event) == expression
        })
    }
}

/// Returns an expression over the columns of the table as Postgres prints it.
fn printed(expression: &CStr, event: pg_sys::Oid) -> String {
    let arguments = [expression.to_str().unwrap_or_default().into_datum(), event.into_datum()];
    // Names are printed without their schema if the search path finds them.
    with_search_path(Some("pg_catalog, pg_temp"), || {
        // SAFETY: the function takes the stored form of an expression, and a table.
        unsafe { pgrx::direct_function_call(pg_sys::pg_get_expr, &arguments) }.unwrap_or_default()
    })
}
