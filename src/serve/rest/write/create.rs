//! Creates a row.

use super::fields::Values;
use super::{Written, check_deferred, not_kept, references};
use crate::serve::problem::Problem;
use crate::serve::rest::representation::{self, ROW};
use crate::serve::rest::resource::{Column, Resource};
use crate::serve::rest::{Call, value};
use crate::serve::sql;

pub fn create(call: &Call<'_>, resource: &Resource, values: &Values<'_>) -> Result<Written, Problem> {
    references::check(call, resource, values, None)?;
    let tenant = call.key.tenant.as_deref();
    let statement = statement(resource, values, resource.tenant_column.as_ref().filter(|_| tenant.is_some()));
    let id: Option<String> = sql::one(&statement, &[values.json.as_str().into(), tenant.into()]);
    let id = id.ok_or_else(not_kept)?;
    check_deferred();
    let row = representation::fetch(resource, &id, false)?.ok_or_else(not_kept)?;
    Ok(Written::Created(id, row))
}

/// Parameters: the object, the tenant.
fn statement(resource: &Resource, values: &Values<'_>, tenant: Option<&Column>) -> String {
    let mut columns: Vec<&str> = values.columns.iter().map(|column| column.quoted.as_str()).collect();
    let mut given: Vec<String> = columns.iter().map(|column| format!("given.{column}")).collect();
    if let Some(tenant) = tenant {
        columns.push(&tenant.quoted);
        given.push(value::cast(2, tenant));
    }
    let from = match values.columns.is_empty() {
        true => String::new(),
        false => format!(" FROM {}", values.given(1)),
    };
    let source = match columns.is_empty() {
        true => "DEFAULT VALUES".to_owned(),
        false => format!("({}) SELECT {}{from}", columns.join(", "), given.join(", ")),
    };
    let id = &resource.id_column.quoted;
    format!("INSERT INTO {} AS {ROW} {source} RETURNING {ROW}.{id}::pg_catalog.text", resource.table)
}
