//! Removes a row.

use super::{Written, check_deferred, target};
use crate::serve::problem::Problem;
use crate::serve::rest::representation::{ROW, own_rows};
use crate::serve::rest::resource::Resource;
use crate::serve::rest::{Call, value};
use crate::serve::sql;

pub fn remove(call: &Call<'_>, resource: &Resource, id: &str) -> Result<Written, Problem> {
    target::find(call.request, resource, id)?;
    let arguments = [id.into(), call.key.tenant.as_deref().into()];
    if sql::one::<bool>(&statement(resource)?, &arguments).is_none() {
        target::untouched(resource, id, "delete")?;
    }
    check_deferred();
    Ok(Written::Removed)
}

/// Parameters: the id, the tenant.
fn statement(resource: &Resource) -> Result<String, Problem> {
    let column = &resource.id_column;
    let own = own_rows(resource, 2)?.map(|(condition, _)| format!(" AND {condition}")).unwrap_or_default();
    Ok(format!(
        "DELETE FROM {} AS {ROW} WHERE {ROW}.{} OPERATOR({}.=) {}{own} RETURNING true",
        resource.table,
        column.quoted,
        column.operators,
        value::cast(1, column),
    ))
}
