//! Checks whether the expressions of a watch are valid for its table.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::definition::{Definition, Expressions};
use super::expression;
use super::queries::Queries;
use super::table::Table;
use crate::backend::fixed_settings::{with_fixed_settings, with_fixed_syntax};
use crate::backend::refuse::refuse;
use crate::backend::subtransaction::{Failure, in_subtransaction};

/// Fails if an expression is not valid for the table.
pub fn check(definition: &Definition<&str>, table: Table) {
    let queries = Queries::new(definition, table);
    for (name, text) in definition.expressions.each() {
        if let Err(failure) = fits(&queries, name, text) {
            let message = failure.message.trim_end_matches('.');
            refuse(
                failure.code,
                format!(
                    "the {name} expression of the watch of {} on {} is not valid: {message}",
                    definition.event,
                    table.name()
                ),
                &format!("The expression: {text}"),
                "Correct it and call hydra.webhook_watch again.",
            );
        }
    }
}

/// Finds out whether the expression called `name` is valid for the table.
pub fn fits(queries: &Queries, name: &str, text: &str) -> Result<(), Failure> {
    in_subtransaction(|| {
        analyse(queries, name, text);
    })
}

/// Analyses the expression called `name`; fails if it is not valid for the table.
pub fn analyse(queries: &Queries, name: &str, text: &str) -> *mut pg_sys::Query {
    if let Some(problem) = expression::problem(text) {
        ErrorReport::new(PgSqlErrorCode::ERRCODE_SYNTAX_ERROR, problem, "hydra_webhooks").report(PgLogLevel::ERROR);
    }
    let analyse = || queries.analyse(&Expressions::only(name, text));
    match name {
        "condition" => with_fixed_syntax(analyse),
        _ => with_fixed_settings(analyse),
    }
}
