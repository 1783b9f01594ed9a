//! Evaluates the expressions of a watch.
//!
//! Expressions run as the user whose transaction it is, like the body of a trigger function: nothing here changes the
//! user. Names in expressions mean what they meant to the author, because they are resolved with the `search_path` that
//! is in the trigger's arguments. Entity and tenant do not depend on the settings of the session either, see
//! `fixed_settings`; a condition does, as the WHEN clause of a trigger.
//!
//! If an expression is no longer valid for its table, the statement fails, and the error names the watch: without a
//! valid definition it is not known what to send to which tenant. If a valid expression for the entity or the tenant
//! fails, the data of the row is the cause. Then the event is sent without its entity, and it has a tenant if the
//! tenant expression did not fail. If a condition fails, the statement fails.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::prelude::*;

use super::definition::{Definition, Expressions};
use super::expression;
use super::query::{Answer, Plan, inside_spi};
use super::sql;
use super::table::Table;
use crate::backend::fixed_settings::{with_fixed_settings, with_fixed_syntax};
use crate::backend::refuse::refuse;
use crate::backend::search_path::with_search_path;
use crate::backend::subtransaction::{Failure, in_subtransaction, must_end, report};
use crate::emit::entity::{Change, MAX_ID_BYTES, RawJsonb, RenderOptions, RenderResult, Rendered, Row, Unsendable};

/// The maximum number of evaluators that a session keeps. When it is reached, all are dropped.
const MAX_KEPT: usize = 256;

/// Evaluates the expressions of one trigger for one table.
pub struct Evaluator {
    definition: Definition<String>,
    table: Table,
    /// The version of the table when the plans were made.
    version: u64,
    /// For one row: its tenant and entity.
    one: OnceCell<Plan>,
    /// For one row: only its tenant.
    tenant: OnceCell<Plan>,
    /// For one row: only whether it meets the condition.
    condition: OnceCell<Plan>,
    /// For many rows at once: tenant and entity of each.
    many: OnceCell<Plan>,
    /// For many rows at once: only which of them meet the condition.
    conditions: OnceCell<Plan>,
}

/// The results of the expressions for one row.
struct Values {
    tenant: Option<String>,
    entity: Option<RenderResult>,
}

/// Why an expression cannot be planned.
struct Invalid {
    code: PgSqlErrorCode,
    message: String,
}

thread_local! {
    static KEPT: RefCell<HashMap<(pg_sys::Oid, Table), Rc<Evaluator>>> = RefCell::new(HashMap::new());
}

impl Evaluator {
    /// Returns the evaluator that this session keeps for the trigger, or a new one if the trigger or the table has
    /// changed.
    pub fn of_trigger(trigger: pg_sys::Oid, definition: &Definition<&str>, table: Table) -> Rc<Self> {
        let kept = KEPT.with_borrow(|kept| kept.get(&(trigger, table)).cloned());
        let is_current =
            |kept: &Rc<Self>| kept.version == table.version() && kept.definition.map(String::as_str) == *definition;
        if let Some(kept) = kept.filter(is_current) {
            return kept;
        }
        let new = Rc::new(Self::new(definition, table));
        new.check();
        // Removed evaluators are dropped after the borrow has ended, because freeing a plan calls Postgres.
        let removed = KEPT.with_borrow_mut(|kept| {
            let all = if kept.len() >= MAX_KEPT { std::mem::take(kept) } else { HashMap::new() };
            (all, kept.insert((trigger, table), Rc::clone(&new)))
        });
        drop(removed);
        new
    }

    pub fn new(definition: &Definition<&str>, table: Table) -> Self {
        Self {
            definition: definition.map(|text| (*text).to_owned()),
            table,
            version: table.version(),
            one: OnceCell::new(),
            tenant: OnceCell::new(),
            condition: OnceCell::new(),
            many: OnceCell::new(),
            conditions: OnceCell::new(),
        }
    }

    /// Returns the changes that meet the condition. To be called with the settings of the session, in which a condition
    /// means the same as in the WHEN clause of a trigger.
    pub fn meeting_condition<'a>(&self, changes: &'a [Change]) -> Vec<&'a Change> {
        if self.definition.expressions.condition.is_none() {
            return changes.iter().collect();
        }
        match in_subtransaction(|| self.meets_condition_each(changes)) {
            Ok(meets) => changes.iter().zip(meets).filter_map(|(change, meets)| meets.then_some(change)).collect(),
            // It failed for one of the rows. The statement fails with the error of that row.
            Err(failure) => {
                self.check_if_doubtful(&failure);
                changes.iter().filter(|change| self.meets_condition(change)).collect()
            }
        }
    }

    /// Returns the entities of changes that meet the condition. To be called with fixed settings.
    pub fn entities(&self, changes: &[&Change], options: RenderOptions<'_>) -> Vec<RenderResult> {
        let Expressions { entity, tenant, .. } = &self.definition.expressions;
        match changes {
            _ if entity.is_none() && tenant.is_none() => {
                changes.iter().map(|change| change.sent().render(options)).collect()
            }
            [] => Vec::new(),
            [change] => vec![self.entity_of(change, options)],
            _ => match in_subtransaction(|| self.values_of_all(changes, options)) {
                Ok(values) => {
                    let changes = changes.iter().zip(values);
                    changes.map(|(change, values)| self.complete(change, values, options)).collect()
                }
                // An expression failed for one of the rows. Now each row is evaluated alone, so that the others are not
                // affected.
                Err(failure) => {
                    self.check_if_doubtful(&failure);
                    changes.iter().map(|change| self.entity_of(change, options)).collect()
                }
            },
        }
    }

    /// Returns the entity of a row that meets the condition.
    fn entity_of(&self, change: &Change, options: RenderOptions<'_>) -> RenderResult {
        let values = in_subtransaction(|| {
            self.evaluate(&self.one, || self.values(), change, |answer| Values::read(answer, options))
        });
        match values {
            Ok(values) => self.complete(change, values.expect("an answer without a condition"), options),
            Err(failure) => Err(self.without_entity(change, failure, options)),
        }
    }

    /// Returns whether the row meets the condition. If the condition fails, so does the statement, as with the WHEN
    /// clause of a trigger.
    fn meets_condition(&self, change: &Change) -> bool {
        with_fixed_syntax(|| self.evaluate(&self.condition, || self.condition(), change, |_| ())).is_some()
    }

    /// Evaluates the condition for many rows with one query.
    fn meets_condition_each(&self, changes: &[Change]) -> Vec<bool> {
        let changes: Vec<&Change> = changes.iter().collect();
        let answers = with_fixed_syntax(|| self.evaluate_many(&self.conditions, || self.condition(), &changes, |_| ()));
        answers.iter().map(Option::is_some).collect()
    }

    /// Returns only the condition.
    fn condition(&self) -> Expressions<&str> {
        Expressions { condition: self.definition.expressions.condition.as_deref(), ..Expressions::default() }
    }

    /// Returns the expressions without the condition.
    fn values(&self) -> Expressions<&str> {
        Expressions { condition: None, ..self.definition.expressions.map(String::as_str) }
    }

    /// Completes the results with values of the row: the entity if it has no expression, and the id and the tenant if
    /// the entity has none. If there is a tenant expression, its result is used even if it is null.
    fn complete(&self, change: &Change, values: Values, options: RenderOptions<'_>) -> RenderResult {
        let row = change.sent();
        let expressions = &self.definition.expressions;
        let mut entity = match values.entity {
            Some(entity) => entity,
            None if expressions.entity.is_some() => Ok(Rendered { text: "null".into(), ..row.without_text(options) }),
            None => row.render(options),
        };
        let rendered = match &mut entity {
            Ok(rendered) => rendered,
            Err(unsendable) => &mut unsendable.rest,
        };
        if expressions.entity.is_some() {
            let ids = row.without_text(options);
            rendered.entity_id = rendered.entity_id.take().or(ids.entity_id);
            rendered.tenant_id = rendered.tenant_id.take().or(ids.tenant_id);
        }
        if expressions.tenant.is_some() {
            rendered.tenant_id = values.tenant;
        }
        entity
    }

    /// Returns what is sent of an event whose expressions failed: its id and tenant.
    fn without_entity(&self, change: &Change, failure: Failure, options: RenderOptions<'_>) -> Unsendable {
        self.check_if_doubtful(&failure);
        let mut rest = change.sent().without_text(options);
        if let Some(tenant) = &self.definition.expressions.tenant {
            let expressions = || Expressions::only("tenant", tenant);
            let evaluate =
                || self.evaluate(&self.tenant, expressions, change, |answer| Values::read(answer, options).tenant);
            rest.tenant_id = in_subtransaction(evaluate).ok().flatten().flatten();
        }
        Unsendable::not_rendered(failure, rest)
    }
}

// ---- checking

impl Evaluator {
    /// Fails if an expression is not valid for the table.
    pub fn check(&self) {
        for (name, text) in self.definition.expressions.each() {
            if let Some(problem) = expression::problem(text) {
                let message = problem.trim_end_matches('.').to_owned();
                self.refuse(name, text, Invalid { code: PgSqlErrorCode::ERRCODE_SYNTAX_ERROR, message });
            }
            let sql = sql::for_one_row(self.table, &Expressions::only(name, text));
            let planned = match name {
                "condition" => with_fixed_syntax(|| self.try_to_plan(&sql)),
                _ => with_fixed_settings(|| self.try_to_plan(&sql)),
            };
            if let Err(invalid) = planned {
                self.refuse(name, text, invalid);
            }
        }
    }

    /// Checks the expressions again if the error is of a class that invalid expressions have. A function or table that
    /// an expression uses may have been dropped since it was planned; then the statement fails.
    fn check_if_doubtful(&self, failure: &Failure) {
        if failure.is_of_syntax_or_access() {
            self.check();
        }
    }

    /// Plans a query to find out whether it is valid. If it is not, the caller must end the statement.
    fn try_to_plan(&self, sql: &str) -> Result<(), Invalid> {
        let plan = std::panic::AssertUnwindSafe(|| {
            self.under_search_path(|| drop(Plan::prepare(sql, self.table.row_type())));
            Ok(())
        });
        PgTryBuilder::new(plan)
            .catch_others(|error| {
                if must_end(&error) {
                    error.rethrow();
                }
                let report = report(&error);
                Err(Invalid { code: report.sql_error_code(), message: report.message().to_owned() })
            })
            .execute()
    }

    fn refuse(&self, name: &str, text: &str, invalid: Invalid) -> ! {
        let (event, table) = (&self.definition.event, self.table.name());
        refuse(
            invalid.code,
            format!("the {name} expression of the watch of {event} on {table} is not valid: {}", invalid.message),
            &format!("The expression: {text}"),
            "Correct it and call hydra.webhook_watch again, or end the watch with hydra.webhook_unwatch.",
        )
    }
}

// ---- running queries

impl Evaluator {
    /// Runs a query for one row, which is planned at its first use, and reads its result. Returns `None` if the row
    /// does not meet the condition.
    fn evaluate<'a, T>(
        &self,
        plan: &OnceCell<Plan>,
        expressions: impl FnOnce() -> Expressions<&'a str>,
        change: &Change,
        read: impl Fn(&Answer) -> T,
    ) -> Option<T> {
        self.under_search_path(|| {
            let sql = || sql::for_one_row(self.table, &expressions());
            let plan = plan.get_or_init(|| Plan::kept(&sql(), self.table.row_type()));
            let row = |row: &Option<Row>| row.as_ref().map(Row::datum);
            plan.run([row(&change.new), row(&change.old)]).first().map(read)
        })
    }

    /// Runs a query for many rows, as [`Self::evaluate`] does for one. The result of a row that does not meet the
    /// condition is `None`.
    fn evaluate_many<'a, T>(
        &self,
        plan: &OnceCell<Plan>,
        expressions: impl FnOnce() -> Expressions<&'a str>,
        changes: &[&Change],
        read: impl Fn(&Answer) -> T,
    ) -> Vec<Option<T>> {
        self.under_search_path(|| {
            let sql = || sql::for_many_rows(self.table, &expressions());
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

    fn values_of_all(&self, changes: &[&Change], options: RenderOptions<'_>) -> Vec<Values> {
        let read = |answer: &Answer| Values::read(answer, options);
        let values = self.evaluate_many(&self.many, || self.values(), changes, read);
        values.into_iter().map(|values| values.expect("an answer without a condition")).collect()
    }

    /// Runs `body` inside SPI, with the `search_path` of the author of the expressions.
    fn under_search_path<T>(&self, body: impl FnOnce() -> T) -> T {
        with_search_path(self.definition.search_path.as_deref(), || inside_spi(body))
    }
}

impl Values {
    fn read(answer: &Answer, options: RenderOptions<'_>) -> Self {
        let tenant = answer.get::<String>(sql::TENANT).filter(|tenant| tenant.len() <= MAX_ID_BYTES);
        let entity = answer.get::<RawJsonb>(sql::ENTITY).map(|entity| entity.render(options));
        Self { tenant, entity }
    }
}
