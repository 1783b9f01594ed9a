//! Changes a row. A field that is not given stays as it is, and null is a value.

use super::fields::Values;
use super::{Written, check_deferred, not_kept, references, target};
use crate::serve::problem::Problem;
use crate::serve::rest::representation::{self, ROW, own_rows};
use crate::serve::rest::resource::Resource;
use crate::serve::rest::{Call, value};
use crate::serve::sql;

pub fn change(call: &Call<'_>, resource: &Resource, id: &str, values: &Values<'_>) -> Result<Written, Problem> {
    target::find(call.request, resource, id)?;
    if values.columns.is_empty() {
        return Ok(Written::Changed(representation::fetch(resource, id, false)?.ok_or_else(Problem::not_found)?));
    }
    references::check(call, resource, values, Some(id))?;
    let changed = sql::rows(
        &statement(resource, values)?,
        &[values.json.as_str().into(), call.key.tenant.as_deref().into(), id.into()],
        |row| row.first::<String>(),
    );
    let new_id = match changed.into_iter().next() {
        Some(new_id) => new_id,
        None => {
            target::untouched(resource, id, "update")?;
            None
        }
    };
    check_deferred();
    let row = representation::fetch(resource, new_id.as_deref().unwrap_or(id), false)?.ok_or_else(not_kept)?;
    Ok(Written::Changed(row))
}

/// Parameters: the object, the tenant, the id.
fn statement(resource: &Resource, values: &Values<'_>) -> Result<String, Problem> {
    let column = &resource.id_column;
    let set: Vec<String> = values.columns.iter().map(|column| format!("{0} = given.{0}", column.quoted)).collect();
    let own = own_rows(resource, 2)?.map(|(condition, _)| format!(" AND {condition}")).unwrap_or_default();
    Ok(format!(
        "UPDATE {} AS {ROW} SET {} FROM {} WHERE {ROW}.{} OPERATOR({}.=) {}{own} RETURNING {ROW}.{}::pg_catalog.text",
        resource.table,
        set.join(", "),
        values.given(1),
        column.quoted,
        column.operators,
        value::cast(3, column),
        column.quoted,
    ))
}
