//! The expressions of a watch, planned for one table.
//!
//! They run as the user whose transaction it is, like the body of a trigger function: nothing here changes who that is.
//! Names mean what they meant to the author, by the path that the trigger carries.
//!
//! An expression that does not fit its table any more is an error, and names its watch: a definition is no payload, and
//! without it nobody knows what to send to whom. One that fits and fails for a row is what a payload can do to itself:
//! that event goes out thin, to its tenant still, if only the entity failed.
//!
//! Each expression is one value per row. Postgres sees to that: it allows neither aggregates nor window functions in
//! VALUES, and no set in COALESCE.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::prelude::*;

use super::super::entity::{Change, MAX_ID_BYTES, RawJsonb, Rendered, Row, Unsendable};
use super::definition::Definition;
use super::expression;
use super::query::{Answer, Plan, inside_spi};
use super::table::Table;
use crate::backend::refuse::refuse;
use crate::backend::search_path::with_search_path;
use crate::backend::subtransaction::{Failure, in_subtransaction, must_end, report};

/// More than one session has a use for; when there are more, it begins anew.
const KEPT: usize = 256;

/// What became of a row: the event that it has, if it has one.
pub type Outcome = Result<Rendered, Unsendable>;

pub struct Planned {
    definition: Definition,
    table: Table,
    /// Of the table.
    version: u64,
    /// Tenant and entity of one row, the tenant alone, the condition alone.
    values: OnceCell<Plan>,
    tenant: OnceCell<Plan>,
    condition: OnceCell<Plan>,
    /// Tenants and entities of those of many rows that meet the condition.
    many: OnceCell<Plan>,
}

/// How a caller wants an entity.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub id_key: &'a str,
    pub limit: usize,
}

thread_local! {
    static PLANNED: RefCell<HashMap<(pg_sys::Oid, Table), Rc<Planned>>> = RefCell::new(HashMap::new());
}

impl Planned {
    /// From the memory of this backend, if trigger and table are still what they were.
    pub fn of(trigger: pg_sys::Oid, definition: &Definition, table: Table) -> Rc<Self> {
        let version = table.version();
        let known = PLANNED.with_borrow(|planned| planned.get(&(trigger, table)).cloned());
        if let Some(known) = known.filter(|known| known.version == version && known.definition == *definition) {
            return known;
        }
        let fresh = Rc::new(Self::new(definition.clone(), table));
        fresh.check();
        let former = PLANNED.with_borrow_mut(|planned| {
            let full = if planned.len() >= KEPT { std::mem::take(planned) } else { HashMap::new() };
            (full, planned.insert((trigger, table), fresh.clone()))
        });
        drop(former);
        fresh
    }

    pub fn new(definition: Definition, table: Table) -> Self {
        Self {
            definition,
            table,
            version: table.version(),
            values: OnceCell::new(),
            tenant: OnceCell::new(),
            condition: OnceCell::new(),
            many: OnceCell::new(),
        }
    }

    /// Refuses expressions that do not fit the table.
    pub fn check(&self) {
        for (part, text) in self.definition.expressions.each() {
            if let Some(detail) = expression::problem(text) {
                self.refuse(PgSqlErrorCode::ERRCODE_SYNTAX_ERROR, part, text, detail.trim_end_matches('.'));
            }
            let sql = match part {
                "condition" => self.for_one(Some(text), None, None),
                "tenant" => self.for_one(None, Some(text), None),
                _ => self.for_one(None, None, Some(text)),
            };
            if let Err((code, problem)) = self.try_to_prepare(&sql) {
                self.refuse(code, part, text, &problem);
            }
        }
    }

    /// The caller must end the statement if it fails.
    fn try_to_prepare(&self, sql: &str) -> Result<(), (PgSqlErrorCode, String)> {
        let prepare = std::panic::AssertUnwindSafe(|| {
            self.prepare(sql, self.table.row_type());
            Ok(())
        });
        PgTryBuilder::new(prepare)
            .catch_others(|error| {
                if must_end(&error) {
                    error.rethrow();
                }
                Err((report(&error).sql_error_code(), report(&error).message().to_owned()))
            })
            .execute()
    }

    fn refuse(&self, code: PgSqlErrorCode, part: &str, text: &str, problem: &str) -> ! {
        let event = &self.definition.event;
        refuse(
            code,
            format!("the {part} expression of the watch of {event} on {} does not fit: {problem}", self.table.name()),
            &format!("The expression: {text}"),
            "Correct it and call hydra.webhook_watch again, or end the watch with hydra.webhook_unwatch.",
        )
    }

    /// The event of a row that meets the condition.
    pub fn outcome(&self, change: &Change, wish: Wish<'_>) -> Outcome {
        let values = in_subtransaction(|| {
            let expressions = &self.definition.expressions;
            let sql = || self.for_one(None, expressions.tenant.as_deref(), expressions.entity.as_deref());
            self.run_one(&self.values, sql, change, |row| Values::read(row, wish))
        });
        match values {
            Ok(values) => self.settle(change, values.expect("a row without a condition"), wish),
            Err(failure) => Err(self.thin(change, &failure, wish)),
        }
    }

    /// Whether the row has an event. Fails as the WHEN clause of a trigger does.
    pub fn meets_condition(&self, change: &Change) -> bool {
        let Some(condition) = &self.definition.expressions.condition else { return true };
        let sql = || self.for_one(Some(condition), None, None);
        self.run_one(&self.condition, sql, change, |_| ()).is_some()
    }

    /// The outcomes of many rows at a time; none for those that do not meet the condition.
    pub fn outcomes(&self, changes: &[Change], wish: Wish<'_>) -> Vec<Option<Outcome>> {
        match in_subtransaction(|| self.run_many(changes, wish)) {
            Ok(mut values) => {
                let settle = |(change, values)| Some(self.settle(change, Option::take(values)?, wish));
                changes.iter().zip(&mut values).map(settle).collect()
            }
            // One of them did it. Each on its own, so that the others are as they should be.
            Err(failure) => {
                self.check_if_doubtful(&failure);
                let outcome = |change| self.meets_condition(change).then(|| self.outcome(change, wish));
                changes.iter().map(outcome).collect()
            }
        }
    }

    /// What the expressions do not say is taken from the row; save for the tenant, which an expression decides alone.
    fn settle(&self, change: &Change, values: Values, wish: Wish<'_>) -> Outcome {
        let row = change.sent();
        let mut outcome = match values.entity {
            Some(entity) => entity,
            None if self.definition.expressions.entity.is_some() => {
                Ok(Rendered { text: "null".into(), ..row_ids(row, wish) })
            }
            None => row.render(wish.id_key, wish.limit),
        };
        let rendered = match &mut outcome {
            Ok(rendered) => rendered,
            Err(unsendable) => &mut unsendable.rest,
        };
        if self.definition.expressions.entity.is_some() {
            let ids = row_ids(row, wish);
            rendered.entity_id = rendered.entity_id.take().or(ids.entity_id);
            rendered.tenant_id = rendered.tenant_id.take().or(ids.tenant_id);
        }
        if self.definition.expressions.tenant.is_some() {
            rendered.tenant_id = values.tenant;
        }
        outcome
    }

    /// What is left of an event whose expressions failed.
    fn thin(&self, change: &Change, failure: &Failure, wish: Wish<'_>) -> Unsendable {
        self.check_if_doubtful(failure);
        let mut rest = row_ids(change.sent(), wish);
        if let Some(tenant) = &self.definition.expressions.tenant {
            let sql = || self.for_one(None, Some(tenant), None);
            let tell = || self.run_one(&self.tenant, sql, change, |row| Values::read(row, wish).tenant);
            rest.tenant_id = in_subtransaction(tell).ok().flatten().flatten();
        }
        Unsendable { problem: failure.problem(), rest }
    }

    /// Something that an expression names may be gone since it was planned.
    fn check_if_doubtful(&self, failure: &Failure) {
        if failure.is_of_syntax_or_access() {
            self.check();
        }
    }
}

fn row_ids(row: &Row, wish: Wish<'_>) -> Rendered {
    row.without_text(wish.id_key)
}

/// What the expressions say of one row.
struct Values {
    tenant: Option<String>,
    entity: Option<Outcome>,
}

impl Values {
    fn read(row: &Answer, wish: Wish<'_>) -> Self {
        let tenant = row.get::<String>(TENANT).filter(|tenant| tenant.len() <= MAX_ID_BYTES);
        let entity = row.get::<RawJsonb>(ENTITY).map(|entity| entity.render(wish.id_key, wish.limit));
        Self { tenant, entity }
    }
}

// ---- statements

/// Columns of each answer.
const PLACE: i32 = 1;
const TENANT: i32 = 2;
const ENTITY: i32 = 3;

impl Planned {
    /// `$1` and `$2`: the new row and the old one.
    fn for_one(&self, condition: Option<&str>, tenant: Option<&str>, entity: Option<&str>) -> String {
        let new = self.table.has_new.then_some("(SELECT ($1).*) AS new");
        let old = self.table.has_old.then_some("(SELECT ($2).*) AS old");
        statement("1", &[new, old], condition, tenant, entity)
    }

    /// `$1` and `$2`: arrays of them, of the same length. Sets in a select list advance side by side.
    fn for_many(&self) -> String {
        let rows = format!(
            "(SELECT pg_catalog.unnest($1) AS hydra_new, pg_catalog.unnest($2) AS hydra_old, \
             pg_catalog.generate_series(1, pg_catalog.cardinality({})) AS hydra_place) AS hydra_rows",
            if self.table.has_new { "$1" } else { "$2" }
        );
        let new = self.table.has_new.then_some("LATERAL (SELECT (hydra_rows.hydra_new).*) AS new");
        let old = self.table.has_old.then_some("LATERAL (SELECT (hydra_rows.hydra_old).*) AS old");
        let expressions = &self.definition.expressions;
        let [condition, tenant, entity] =
            [&expressions.condition, &expressions.tenant, &expressions.entity].map(Option::as_deref);
        statement("hydra_rows.hydra_place", &[Some(&rows), new, old], condition, tenant, entity)
    }
}

/// Texts end with a line, since they may end with a comment.
fn statement(
    place: &str,
    sources: &[Option<&str>],
    condition: Option<&str>,
    tenant: Option<&str>,
    entity: Option<&str>,
) -> String {
    let sources: String = sources.iter().flatten().map(|source| format!("{source}, ")).collect();
    let tenant = tenant.unwrap_or("NULL");
    let entity = entity.unwrap_or("NULL");
    let condition = condition.map(|condition| format!(" WHERE ({condition}\n)")).unwrap_or_default();
    format!(
        "SELECT {place}, hydra_values.hydra_tenant, hydra_values.hydra_entity FROM {sources}LATERAL (VALUES (\
         COALESCE(({tenant}\n)::pg_catalog.text), COALESCE(({entity}\n)::pg_catalog.jsonb)\
         )) AS hydra_values (hydra_tenant, hydra_entity){condition}"
    )
}

// ---- running them

impl Planned {
    fn run_one<T>(
        &self,
        plan: &OnceCell<Plan>,
        sql: impl FnOnce() -> String,
        change: &Change,
        read: impl Fn(&Answer) -> T,
    ) -> Option<T> {
        with_search_path(self.definition.search_path.as_deref(), || {
            inside_spi(|| {
                let plan = plan.get_or_init(|| Plan::kept(&sql(), self.table.row_type()));
                let row = |row: &Option<Row>| row.as_ref().map(Row::datum);
                plan.run([row(&change.new), row(&change.old)]).first().map(read)
            })
        })
    }

    fn run_many(&self, changes: &[Change], wish: Wish<'_>) -> Vec<Option<Values>> {
        with_search_path(self.definition.search_path.as_deref(), || {
            inside_spi(|| {
                let plan = self.many.get_or_init(|| Plan::kept(&self.for_many(), self.table.array_type()));
                let array = |row: fn(&Change) -> &Option<Row>| {
                    let rows: Option<Vec<pg_sys::Datum>> =
                        changes.iter().map(|change| row(change).as_ref().map(Row::datum)).collect();
                    rows.map(|rows| self.table.array_of(rows))
                };
                let answers = plan.run([array(|change| &change.new), array(|change| &change.old)]);
                let mut values: Vec<Option<Values>> = changes.iter().map(|_| None).collect();
                for answer in answers {
                    let place = answer.get::<i32>(PLACE).expect("a place is not null");
                    values[place as usize - 1] = Some(Values::read(&answer, wish));
                }
                values
            })
        })
    }

    /// Names are looked up as when it will run.
    fn prepare(&self, sql: &str, argument: pg_sys::Oid) {
        with_search_path(self.definition.search_path.as_deref(), || inside_spi(|| drop(Plan::prepare(sql, argument))));
    }
}
