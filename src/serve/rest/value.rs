//! Converts what a request gives to the type of a column.
//!
//! Postgres converts it, in the statement that uses it. If that statement fails, the values are tried one by one, so that the
//! answer names the wrong one. The message of such a conversion quotes the value that the caller gave, and no row.

use crate::backend::subtransaction::{attempt, must_end, report};
use crate::backend::{deadline, sqlstate};
use crate::serve::problem::FieldError;
use crate::serve::sql;

use super::resource::Column;

/// Returns the expression that converts parameter `number` of a statement, a text, to the type of a column.
pub fn cast(number: usize, column: &Column) -> String {
    format!("${number}::pg_catalog.text::{}", column.type_name)
}

/// Returns the condition that an expression has no value. `IS NULL` would look at the fields of a composite value: one whose
/// fields are all null would have no value either. For other types, Postgres makes the same of both, so an index is used.
pub fn is_null(expression: &str) -> String {
    format!("{expression} IS NOT DISTINCT FROM NULL")
}

/// Returns the condition that an expression has a value, whatever its fields are.
pub fn is_not_null(expression: &str) -> String {
    format!("{expression} IS DISTINCT FROM NULL")
}

/// Returns why a text cannot be a value of a column; `field` is what the caller calls it.
pub fn refusal(field: &str, column: &Column, value: &str) -> Option<FieldError> {
    let error = attempt(|| sql::run(&format!("SELECT {}", cast(1, column)), &[value.into()])).err()?;
    if must_end(&error) || deadline::is_over() {
        error.rethrow();
    }
    let report = report(&error);
    let code = sqlstate(report.sql_error_code());
    // Other errors are those of functions that a domain calls: they can be about anything.
    let is_about_value = code.starts_with("22") || code == "23514" || code == "P0001";
    let detail = match is_about_value {
        true => report.message().to_owned(),
        false => format!("It is not a value of type {}.", column.declared),
    };
    Some((field.to_owned(), code, detail))
}
