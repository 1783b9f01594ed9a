//! Compiles a condition that only compares columns by built-in functions, and evaluates it without a query.
//!
//! This is how Postgres evaluates the WHEN clause of a trigger, only that the condition is compiled once for each
//! session instead of once for each statement. It depends on the columns of the table alone, so it is valid for as long
//! as these do not change. A condition that depends on anything else is not compiled: a subquery, a function or a
//! domain that is not built-in, a whole row (whose comparison depends on the types of all columns), a volatile
//! function.

use std::cell::Cell;
use std::ffi::CString;

use pgrx::prelude::*;

use super::expression;
use super::queries::Queries;
use super::table::Table;
use crate::backend::subtransaction::Failure;
use crate::emit::entity::{Change, VirtualColumns};

pub struct Compiled {
    /// Everything below is in this memory context.
    memory: pg_sys::MemoryContext,
    state: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
    /// Slots for the old and the new row.
    slots: [*mut pg_sys::TupleTableSlot; 2],
    /// Whether the result can depend on the `search_path`.
    needs_path: bool,
    /// False while it is being evaluated, and after it has failed: then its state may be inconsistent.
    is_intact: Cell<bool>,
}

impl Compiled {
    /// Compiles the condition. Returns `None` if it has to be evaluated by a query; fails if it is not valid for the
    /// table.
    pub fn new(text: &str, table: Table) -> Option<Self> {
        if expression::problem(text).is_some() || expression::has_whole_row(text) {
            return None;
        }
        // SAFETY: the table is locked while its trigger runs. Nodes and slots are made as Postgres makes those of a
        // WHEN clause, and all that is kept is in `memory`, which is freed with the other memory of the caller if
        // there is an error.
        unsafe {
            let relation = pg_sys::relation_open(table.oid, pg_sys::NoLock as i32);
            // Postgres refuses to read a virtual column of a row, also if the row has its value.
            let analysed = if VirtualColumns::are_in(relation) { None } else { analyse(text, relation, table) };
            let compiled = analysed.map(|(expression, needs_path)| {
                let memory = pg_sys::AllocSetContextCreateInternal(
                    pg_sys::CurrentMemoryContext,
                    c"hydra_webhooks condition".as_ptr(),
                    0,
                    1024,
                    8192,
                );
                let former = pg_sys::MemoryContextSwitchTo(memory);
                let expression = pg_sys::copyObjectImpl(expression.cast()).cast();
                let slot = || {
                    let descriptor = pg_sys::CreateTupleDescCopyConstr((*relation).rd_att);
                    pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsHeapTuple)
                };
                let compiled = Self {
                    memory,
                    state: pg_sys::ExecInitExpr(expression, std::ptr::null_mut()),
                    context: pg_sys::CreateStandaloneExprContext(),
                    slots: [slot(), slot()],
                    needs_path,
                    is_intact: Cell::new(true),
                };
                pg_sys::MemoryContextSwitchTo(former);
                pg_sys::MemoryContextSetParent(memory, pg_sys::CacheMemoryContext);
                compiled
            });
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            compiled
        }
    }

    pub fn is_intact(&self) -> bool {
        self.is_intact.get()
    }

    /// Returns for each change whether it meets the condition.
    pub fn verdicts(&self, queries: &Queries, changes: &[Change]) -> Vec<Result<bool, Failure>> {
        let each = || {
            self.is_intact.set(false);
            let verdicts = changes.iter().map(|change| Ok(self.is_met(change))).collect();
            self.is_intact.set(true);
            verdicts
        };
        if self.needs_path { queries.with_path(each) } else { each() }
    }

    fn is_met(&self, change: &Change) -> bool {
        let [old, new] = self.slots;
        // SAFETY: the slots are for rows of this table. They keep their rows after the end of these, but are filled again
        // before they are used.
        unsafe {
            (*self.context).ecxt_innertuple = old;
            (*self.context).ecxt_outertuple = new;
            for (slot, row) in [(old, &change.old), (new, &change.new)] {
                if let Some(row) = row {
                    row.store_in(slot);
                }
            }
            pg_sys::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
            pg_sys::ExecCheck(self.state, self.context)
        }
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        // While an error is handled, this may be the current memory context. Then it is kept.
        if !std::thread::panicking() {
            // SAFETY: nobody else uses it.
            unsafe { pg_sys::MemoryContextDelete(self.memory) };
        }
    }
}

/// Analyses the condition, in which the row before is the inner tuple and the row after the outer one. Returns it with
/// whether its result can depend on the `search_path`; `None` if it has to be evaluated by a query.
unsafe fn analyse(text: &str, relation: pg_sys::Relation, table: Table) -> Option<(*mut pg_sys::Expr, bool)> {
    // `IS TRUE` makes the result boolean and not null, and a line break ends a comment.
    let sql = CString::new(format!("SELECT (({text}\n) IS TRUE)")).expect("an argument of a trigger has no NUL");
    // SAFETY: the statement is a SELECT with one target, because the text is one expression.
    unsafe {
        let statements = pg_sys::raw_parser(sql.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let select: *mut pg_sys::SelectStmt = (*first::<pg_sys::RawStmt>(statements)).stmt.cast();
        let target = first::<pg_sys::ResTarget>((*select).targetList);
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        (*state).p_sourcetext = sql.as_ptr();
        let rows = [(table.has_old, c"old", pg_sys::INNER_VAR), (table.has_new, c"new", pg_sys::OUTER_VAR)];
        let rows = rows.into_iter().filter(|(has_row, ..)| *has_row);
        for (_, name, _) in rows.clone() {
            let alias = pg_sys::makeAlias(name.as_ptr(), std::ptr::null_mut());
            let lock = pg_sys::AccessShareLock as i32;
            let item = pg_sys::addRangeTableEntryForRelation(state, relation, lock, alias, false, false);
            pg_sys::addNSItemToQuery(state, item, false, true, true);
        }
        let expression = pg_sys::transformExpr(state, (*target).val, pg_sys::ParseExprKind::EXPR_KIND_WHERE);
        pg_sys::assign_expr_collations(state, expression);
        let has_subquery = (*state).p_hasSubLinks;
        pg_sys::free_parsestate(state);
        if has_subquery || depends_on_objects(expression) || pg_sys::contain_volatile_functions(expression) {
            return None;
        }
        let planned: *mut pg_sys::Node = pg_sys::expression_planner(expression.cast()).cast();
        for (number, (_, _, place)) in (1..).zip(rows) {
            if uses_more_than_columns(planned, number) {
                return None;
            }
            pg_sys::ChangeVarNodes(planned, number, place, 0);
        }
        Some((planned.cast(), pg_sys::contain_mutable_functions(planned)))
    }
}

/// Returns whether the expression uses functions, domains or tables that are not built-in.
unsafe fn depends_on_objects(expression: *mut pg_sys::Node) -> bool {
    let (mut relations, mut others, mut has_row_security) = (std::ptr::null_mut(), std::ptr::null_mut(), false);
    // SAFETY: an expression, and places for the results.
    unsafe {
        pg_sys::extract_query_dependencies(expression, &raw mut relations, &raw mut others, &raw mut has_row_security);
    }
    !relations.is_null() || !others.is_null()
}

/// Returns whether the expression uses the whole row or a system column of a table.
unsafe fn uses_more_than_columns(expression: *mut pg_sys::Node, table: i32) -> bool {
    let mut columns = std::ptr::null_mut();
    // SAFETY: an expression, and the place for a set. The members of the set are the numbers of columns, minus an
    // offset that makes all of them positive.
    unsafe {
        pg_sys::pull_varattnos(expression, table as pg_sys::Index, &raw mut columns);
        let columns_begin = 1 - pg_sys::FirstLowInvalidHeapAttributeNumber;
        (0..columns_begin).any(|member| pg_sys::bms_is_member(member, columns))
    }
}

/// Returns the first element of a list that has one.
unsafe fn first<T>(list: *mut pg_sys::List) -> *mut T {
    // SAFETY: as the caller says.
    unsafe { (*(*list).elements).ptr_value.cast() }
}
