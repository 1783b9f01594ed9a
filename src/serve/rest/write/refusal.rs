//! Makes a problem of an error of a statement that writes.
//!
//! Values of rows are never shown, nor names of constraints, nor that a row exists which the key may not read. What is
//! shown is about what the caller has sent: which field, and for a value that has no place in its column, the message of
//! Postgres, which quotes this value alone.

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::fields::{self, Values};
use crate::backend::diagnostics::{self, Diagnostics};
use crate::backend::subtransaction::{attempt, must_end, report};
use crate::backend::{deadline, sqlstate};
use crate::serve::context;
use crate::serve::problem::{FieldError, Problem, Texts};
use crate::serve::rest::resource::{Column, Resource};
use crate::serve::sql;
use crate::store::{Statement, columns};
use crate::tables;

columns!(ConstraintColumns { fields, comment });

/// A message that quotes a value is cut after so many characters.
const MAX_DETAIL: usize = 300;

pub fn problem(resource: &Resource, values: Option<&Values<'_>>, error: &CaughtError) -> Problem {
    let code = sqlstate(report(error).sql_error_code());
    let problem = Problem::of(error, Texts::Foreign);
    // What a value is too large for, such as an index, is a limit of the caller.
    let problem = match code.starts_with("54") {
        true => Problem::invalid().with_code(&code),
        false => problem,
    };
    let Some(values) = values else { return problem };
    // Read before other errors are made.
    let about = diagnostics::latest(&code);
    if problem.status != 503 && !matches!(code.as_str(), "23503" | "23505" | "23P01") {
        // Of any class: the input function of regclass says that a table does not exist, and a domain calls functions.
        let errors = misfits(values);
        if !errors.is_empty() {
            // What the application says is meant to be read.
            let problem = if problem.message.is_some() { problem } else { Problem::invalid().with_code(&code) };
            return problem.with_errors(errors);
        }
    }
    if matches!(code.as_str(), "428C9" | "0A000")
        && let Some(problem) = always_computed(resource, values)
    {
        return problem.with_code(&code);
    }
    match about {
        Some(about) => problem.with_errors(violated(resource, values, &about)),
        None => problem,
    }
}

/// Returns the problem of columns that cannot be given any more: since the resource was exposed, they have become generated, or a
/// view computes them.
fn always_computed(resource: &Resource, values: &Values<'_>) -> Option<Problem> {
    const REFUSED: &str = "SELECT DISTINCT c FROM pg_catalog.unnest('{INSERT,UPDATE}'::text[]) AS command,
                                  hydra._refused_columns($1, command, $2) AS c";
    let tenant = resource.tenant_column.iter().filter(|_| context::current_tenant().is_some());
    let names: Vec<String> = values.columns.iter().copied().chain(tenant).map(|column| column.name.clone()).collect();
    let refused: Vec<String> =
        tables::as_owner(|| sql::rows(REFUSED, &[resource.relation.into(), names.into()], |row| row.first()))
            .into_iter()
            .flatten()
            .collect();
    let errors: Vec<FieldError> =
        refused.iter().filter(|name| values.has(name)).map(|name| fields::error(name, fields::READ_ONLY)).collect();
    match (refused.is_empty(), errors.is_empty()) {
        (true, _) => None,
        (false, false) => Some(Problem::invalid().with_errors(errors)),
        (false, true) => Some(
            Problem::invalid()
                .with_detail("The tenant of a row is computed here, so a key with a tenant cannot create one.")
                .with_hint("The column problem of hydra.api_resources says what has changed."),
        ),
    }
}

/// The problem of a reference to a row that does not exist, or that the key may not read.
pub fn unknown_reference<'a>(fields: impl Iterator<Item = &'a str>) -> Problem {
    Problem::conflict().with_code("23503").with_errors(fields.map(no_such_row).collect())
}

fn no_such_row(field: &str) -> FieldError {
    (field.into(), "reference".into(), "There is no such row.".into())
}

/// Returns the errors of the values that do not fit their columns.
fn misfits(values: &Values<'_>) -> Vec<FieldError> {
    values.columns.iter().filter_map(|column| misfit(column, values)).collect()
}

fn misfit(column: &Column, values: &Values<'_>) -> Option<FieldError> {
    let object = values.object_of(&column.name)?;
    let statement = format!(
        "SELECT given.{0} FROM pg_catalog.json_to_record($1::pg_catalog.text::pg_catalog.json) AS given ({0} {1})",
        column.quoted, column.declared
    );
    let error = attempt(|| sql::run(&statement, &[object.into()])).err()?;
    if must_end(&error) || deadline::is_over() {
        error.rethrow();
    }
    let report = report(&error);
    let code = sqlstate(report.sql_error_code());
    // Other errors are those of functions that a domain calls: they can be about anything.
    let detail = match code.starts_with("22") {
        true => report.message().chars().take(MAX_DETAIL).collect(),
        false => format!("It is not a value of type {}.", column.declared),
    };
    Some((column.name.clone(), code, detail))
}

/// Returns the errors of the fields that violate a constraint; none if it is not about fields of the request alone.
fn violated(resource: &Resource, values: &Values<'_>, about: &Diagnostics) -> Vec<FieldError> {
    if about.code == "23502" {
        return missing(resource, values, &about.column).into_iter().collect();
    }
    let Some((fields, comment)) = constraint(resource, about) else { return Vec::new() };
    let tenant = resource.tenant_column.as_ref().map(|column| column.name.as_str());
    let is_tenant = |field: &str| tenant == Some(field);
    if !fields.iter().all(|field| values.has(field) || is_tenant(field)) {
        return match about.code.as_str() {
            // A rule about several columns, some of which stay as they are.
            "23514" => given(values, &fields, &refused_by_check(resource, comment.as_deref())),
            _ => Vec::new(),
        };
    }
    match about.code.as_str() {
        "23503" => given(values, &fields, &no_such_row),
        "23505" | "23P01" => {
            // Otherwise it would name the value of a row that the key may not read.
            let is_own = match context::current_tenant() {
                Some(_) => fields.iter().any(|field| is_tenant(field)),
                None => !super::references::has_row_security(resource.relation, pg_sys::InvalidOid),
            };
            let taken =
                |field: &str| -> FieldError { (field.into(), "taken".into(), "Another row has this value.".into()) };
            if is_own { given(values, &fields, &taken) } else { Vec::new() }
        }
        "23514" => given(values, &fields, &refused_by_check(resource, comment.as_deref())),
        _ => Vec::new(),
    }
}

/// Returns the error of those of the fields that were given.
fn given(values: &Values<'_>, fields: &[String], error: &dyn Fn(&str) -> FieldError) -> Vec<FieldError> {
    fields.iter().filter(|field| values.has(field)).map(|field| error(field)).collect()
}

fn refused_by_check(resource: &Resource, comment: Option<&str>) -> impl Fn(&str) -> FieldError {
    move |field| {
        let choices = resource.column(field).and_then(|column| column.choices.as_ref());
        let detail = match (choices, comment) {
            (Some(choices), _) => format!("It must be one of: {}.", choices.join(", ")),
            (None, Some(comment)) => comment.to_owned(),
            (None, None) => "The value is not accepted.".to_owned(),
        };
        (field.into(), "check".into(), detail)
    }
}

/// Returns the error of a field without a value.
fn missing(resource: &Resource, values: &Values<'_>, column: &str) -> Option<FieldError> {
    let is_tenant = resource.tenant_column.as_ref().is_some_and(|tenant| tenant.name == column);
    let why = match values.is_null(column) {
        true => fields::NULL,
        false if resource.creatable.iter().any(|name| name == column) => fields::MISSING,
        false if is_tenant => ("required", "The key belongs to no tenant, and the request cannot choose one."),
        false => return None,
    };
    Some(fields::error(column, why))
}

/// Returns the columns of a constraint of the resource, and its comment.
fn constraint(resource: &Resource, about: &Diagnostics) -> Option<(Vec<String>, Option<String>)> {
    thread_local! {
        static FIND: Statement =
            const { Statement::new(include_str!("../../../../sql/queries/find_violated_constraint.sql")) };
    }
    let arguments = [
        about.schema.as_str().into(),
        about.table.as_str().into(),
        about.constraint.as_str().into(),
        resource.relation.into(),
    ];
    tables::as_owner(|| {
        Spi::connect(|client| {
            FIND.with(|find| {
                let mut rows = find.read(client, &arguments);
                let columns = ConstraintColumns::of(&rows);
                rows.next().map(|row| (row.value(columns.fields), row.maybe(columns.comment)))
            })
        })
    })
}
