//! Removes a row.

use super::{Written, check_deferred, target};
use crate::serve::problem::Problem;
use crate::serve::rest::representation::{self, ROW, Representation, own_rows};
use crate::serve::rest::resource::Resource;
use crate::serve::rest::{Call, value};
use crate::serve::sql;

pub fn remove(call: &Call<'_>, resource: &Resource, id: &str) -> Result<Written, Problem> {
    target::find(call.request, resource, id)?;
    let arguments = [id.into(), call.key.tenant.as_deref().into()];
    let columns = representation::columns(resource);
    let removed = sql::all(&statement(resource)?, &arguments, |mut rows| {
        let row = rows.column(ROW);
        rows.next().map(|removed| match target::is_conditional(call.request) {
            true => representation::render(&removed, row, &columns).map(Representation::of),
            false => None,
        })
    });
    match removed {
        // It may have changed since it was found, if it could not be locked.
        Some(Some(removed)) => target::check(call.request, &removed)?,
        Some(None) => {}
        None => target::untouched(resource, id, "delete")?,
    }
    check_deferred();
    Ok(Written::Removed)
}

/// Parameters: the id, the tenant.
fn statement(resource: &Resource) -> Result<String, Problem> {
    let column = &resource.id_column;
    let own = own_rows(resource, 2)?.map(|(condition, _)| format!(" AND {condition}")).unwrap_or_default();
    Ok(format!(
        "DELETE FROM {} AS {ROW} WHERE {ROW}.{} OPERATOR({}.=) {}{own} RETURNING {ROW}",
        resource.table,
        column.quoted,
        column.operators,
        value::cast(1, column),
    ))
}
