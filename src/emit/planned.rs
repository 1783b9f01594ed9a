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
use std::ffi::{CStr, CString};
use std::rc::Rc;

use pgrx::FromDatum;
use pgrx::pg_sys::SPIPlanPtr;
use pgrx::prelude::*;

use super::definition::Definition;
use super::entity::{MAX_ID_BYTES, RawJsonb, Rendered, Unsendable};
use super::expression;
use super::row::{Change, Row};
use super::search_path::with_search_path;
use super::subtransaction::{Failure, in_subtransaction, must_end, report};
use crate::refuse::refuse;

/// More than one session has a use for; when there are more, it begins anew.
const KEPT: usize = 256;

/// What became of a row: the event that it has, if it has one.
pub type Outcome = Result<Rendered, Unsendable>;

pub struct Planned {
    definition: Definition,
    table: Table,
    /// Changes whenever the table's columns do.
    version: u64,
    /// Tenant and entity of one row, the tenant alone, the condition alone.
    values: OnceCell<Plan>,
    tenant: OnceCell<Plan>,
    condition: OnceCell<Plan>,
    /// Tenants and entities of those of many rows that meet the condition.
    many: OnceCell<Plan>,
}

/// A table as an operation shows it to expressions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table {
    pub oid: pg_sys::Oid,
    pub has_old: bool,
    pub has_new: bool,
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

/// A plan that lives until it is dropped.
struct Plan(SPIPlanPtr);

/// A row of an answer, inside SPI.
struct Answer {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

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
                let plan = plan.get_or_init(|| self.keep(&sql(), self.table.row_type()));
                let row = |row: &Option<Row>| row.as_ref().map(Row::datum);
                plan.run([row(&change.new), row(&change.old)]).first().map(read)
            })
        })
    }

    fn run_many(&self, changes: &[Change], wish: Wish<'_>) -> Vec<Option<Values>> {
        with_search_path(self.definition.search_path.as_deref(), || {
            inside_spi(|| {
                let plan = self.many.get_or_init(|| self.keep(&self.for_many(), self.table.array_type()));
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

    #[allow(unsafe_code)]
    fn keep(&self, sql: &str, argument: pg_sys::Oid) -> Plan {
        let plan = Plan::prepare(sql, argument);
        // SAFETY: a plan that was just prepared; keeping it cannot fail.
        unsafe { pg_sys::SPI_keepplan(plan.0) };
        plan
    }
}

/// After an error SPI is left to the end of the (sub)transaction, which knows what the statement still held.
#[allow(unsafe_code)]
fn inside_spi<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: connected and disconnected in the same (sub)transaction; nothing of SPI's memory leaves `body`.
    unsafe {
        pg_sys::SPI_connect();
        let result = body();
        pg_sys::SPI_finish();
        result
    }
}

#[allow(unsafe_code)]
impl Plan {
    /// Inside SPI. Both arguments are of the same type.
    fn prepare(sql: &str, argument: pg_sys::Oid) -> Self {
        let sql = CString::new(sql).expect("an argument of a trigger has no NUL");
        // SAFETY: a C string, and as many types as arguments.
        let plan = unsafe { pg_sys::SPI_prepare(sql.as_ptr(), 2, [argument; 2].as_mut_ptr()) };
        assert!(!plan.is_null(), "SPI prepares one SELECT");
        Self(plan)
    }

    /// Inside SPI. Not as reading only: like a trigger function, it sees what its statement did.
    fn run(&self, arguments: [Option<pg_sys::Datum>; 2]) -> Vec<Answer> {
        let mut values = arguments.map(|value| value.unwrap_or(pg_sys::Datum::null()));
        let nulls = arguments.map(|value| if value.is_none() { b'n' } else { b' ' });
        // SAFETY: values and nulls for both arguments; SPI keeps its answer until it is disconnected.
        unsafe {
            let status = pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls.as_ptr().cast(), false, 0);
            assert_eq!(status, pg_sys::SPI_OK_SELECT as i32, "SPI reads");
            let table = &*pg_sys::SPI_tuptable;
            let answer = |place| Answer { tuple: *table.vals.add(place), descriptor: table.tupdesc };
            (0..pg_sys::SPI_processed as usize).map(answer).collect()
        }
    }
}

impl Drop for Plan {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: nobody else has it; one that is still running is freed when it ends.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}

impl Answer {
    #[allow(unsafe_code)]
    fn get<T: FromDatum>(&self, column: i32) -> Option<T> {
        let mut is_null = false;
        // SAFETY: a column of this row, of the type that the statement gives it.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null);
            T::from_datum(datum, is_null)
        }
    }
}

#[allow(unsafe_code)]
impl Table {
    fn row_type(self) -> pg_sys::Oid {
        // SAFETY: looks it up in the catalog.
        unsafe { pg_sys::get_rel_type_id(self.oid) }
    }

    fn array_type(self) -> pg_sys::Oid {
        // SAFETY: looks it up in the catalog.
        unsafe { pg_sys::get_array_type(self.row_type()) }
    }

    fn version(self) -> u64 {
        // SAFETY: the row type of a table.
        unsafe { pg_sys::assign_record_type_identifier(self.row_type(), -1) }
    }

    fn array_of(self, mut rows: Vec<pg_sys::Datum>) -> pg_sys::Datum {
        const DOUBLE: std::ffi::c_char = b'd' as std::ffi::c_char;
        // SAFETY: values of the table's row type, which is of variable length and aligned like all row types.
        unsafe {
            pg_sys::construct_array(rows.as_mut_ptr(), rows.len() as i32, self.row_type(), -1, false, DOUBLE).into()
        }
    }

    /// As SQL writes it.
    pub fn name(self) -> String {
        // SAFETY: looks them up in the catalog; null where the table is gone meanwhile.
        unsafe {
            let part = |name: *mut std::ffi::c_char| match name.is_null() {
                true => String::new(),
                false => CStr::from_ptr(name).to_string_lossy().into_owned(),
            };
            let schema = part(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(self.oid)));
            pgrx::spi::quote_qualified_identifier(schema, part(pg_sys::get_rel_name(self.oid)))
        }
    }
}
