//! Evaluates expressions as queries, for one row or for many at once.

use std::cell::OnceCell;
use std::ffi::CString;

use pgrx::prelude::*;

use super::definition::{Definition, Expressions};
use super::query::{Answer, Plan, inside_spi};
use super::sql;
use super::table::Table;
use crate::backend::search_path::with_search_path;
use crate::emit::entity::{Change, Row};

/// What the queries of a watch have in common.
pub struct Queries {
    pub table: Table,
    search_path: Option<String>,
}

impl Queries {
    pub fn new(definition: &Definition<&str>, table: Table) -> Self {
        Self { table, search_path: definition.search_path.map(str::to_owned) }
    }

    /// Analyses the query for one row; fails if the expressions are not valid for the table. Nothing is planned or run.
    pub fn analyse(&self, expressions: &Expressions<&str>) -> *mut pg_sys::Query {
        let sql = CString::new(sql::for_one_row(self.table, expressions)).expect("an argument of a trigger has no NUL");
        let types = [self.table.row_type(); 2];
        // SAFETY: the text is one SELECT, because the expressions are expressions.
        self.with_path(|| unsafe {
            let statements = pg_sys::raw_parser(sql.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
            let select = (*(*statements).elements).ptr_value.cast();
            pg_sys::parse_analyze_fixedparams(select, sql.as_ptr(), types.as_ptr(), 2, std::ptr::null_mut())
        })
    }

    /// Runs a query for one row, which is planned at its first use, and reads its result. Returns `None` if the row
    /// does not meet the condition.
    pub fn one<T>(
        &self,
        plan: &OnceCell<Plan>,
        expressions: &Expressions<&str>,
        change: &Change,
        read: impl Fn(&Answer) -> T,
    ) -> Option<T> {
        self.inside_spi(|| {
            let sql = || sql::for_one_row(self.table, expressions);
            let plan = plan.get_or_init(|| Plan::kept(&sql(), self.table.row_type()));
            let row = |row: &Option<Row>| row.as_ref().map(Row::datum);
            plan.run([row(&change.new), row(&change.old)]).first().map(read)
        })
    }

    /// Runs a query for many rows, as [`Self::one`] does for one. The result of a row that does not meet the condition
    /// is `None`.
    pub fn many<T>(
        &self,
        plan: &OnceCell<Plan>,
        expressions: &Expressions<&str>,
        changes: &[&Change],
        read: impl Fn(&Answer) -> T,
    ) -> Vec<Option<T>> {
        self.inside_spi(|| {
            let sql = || sql::for_many_rows(self.table, expressions);
            let plan = plan.get_or_init(|| Plan::kept(&sql(), self.table.array_type()));
            let array = |row: fn(&Change) -> &Option<Row>| {
                let rows: Option<Vec<pg_sys::Datum>> =
                    changes.iter().map(|change| row(change).as_ref().map(Row::datum)).collect();
                rows.map(|rows| self.table.array_of(rows))
            };
            let answers = plan.run([array(|change| &change.new), array(|change| &change.old)]);
            let mut results: Vec<Option<T>> = changes.iter().map(|_| None).collect();
            for answer in answers {
                let number = answer.get::<i32>(sql::NUMBER).expect("a number is not null");
                results[number as usize - 1] = Some(read(&answer));
            }
            results
        })
    }

    /// Runs `body` with the `search_path` of the author of the expressions.
    pub fn with_path<T>(&self, body: impl FnOnce() -> T) -> T {
        with_search_path(self.search_path.as_deref(), body)
    }

    fn inside_spi<T>(&self, body: impl FnOnce() -> T) -> T {
        self.with_path(|| inside_spi(body))
    }
}
