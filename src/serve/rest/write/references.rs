//! Refuses references to rows that the key does not see.
//!
//! Postgres checks foreign keys without row security, so a row could refer to one of another tenant, and whether that works would
//! tell which ids other tenants have. The referenced row has to be visible to the role and, where its table has a column with the
//! tenant, belong to the tenant of the key. If it is not, the answer is the same as for a row that does not exist. This is
//! decided before anything is written, so that no trigger of the application answers differently.

use pgrx::JsonB;
use pgrx::prelude::*;
use serde::Deserialize;

use super::fields::Values;
use super::refusal::unknown_reference;
use crate::serve::problem::Problem;
use crate::serve::rest::representation::ROW;
use crate::serve::rest::resource::Resource;
use crate::serve::rest::{Call, value};
use crate::serve::sql;
use crate::store::Statement;
use crate::tables;

/// A foreign key of the resource.
#[derive(Deserialize)]
struct Reference {
    table: String,
    relation: pg_sys::Oid,
    columns: Vec<Pair>,
    /// The column with the tenant of the referenced row.
    tenant: Option<String>,
    tenant_type: Option<String>,
    is_readable: bool,
}

#[derive(Deserialize)]
struct Pair {
    local: String,
    local_quoted: String,
    foreign: String,
    operator: String,
}

/// Checks what is to be written. `id` is that of the row, if there is one already.
pub fn check(call: &Call<'_>, resource: &Resource, values: &Values<'_>, id: Option<&str>) -> Result<(), Problem> {
    for reference in find(call, resource, values) {
        let is_restricted = call.key.tenant.is_some() || has_row_security(reference.relation);
        if !is_restricted {
            continue;
        }
        let fields = || reference.columns.iter().map(|pair| pair.local.as_str()).filter(|local| values.has(local));
        if !reference.is_readable {
            let fields = fields().collect::<Vec<_>>().join(", ");
            return Err(Problem::forbidden()
                .with_detail(format!("The role of the key may not read the rows that this refers to: {fields}.")));
        }
        let statement = statement(call, resource, values, &reference, id.is_some());
        let arguments = [values.json.into(), call.key.tenant.as_deref().into(), id.into()];
        if sql::one::<bool>(&statement, &arguments) == Some(false) {
            return Err(unknown_reference(fields()));
        }
    }
    Ok(())
}

fn find(call: &Call<'_>, resource: &Resource, values: &Values<'_>) -> Vec<Reference> {
    thread_local! {
        static FIND: Statement = const { Statement::new(include_str!("../../../../sql/queries/find_references.sql")) };
    }
    let names: Vec<&str> = values.columns.iter().map(|column| column.name.as_str()).collect();
    let tenant = resource.tenant_column.as_ref().map(|column| column.name.as_str());
    let arguments = [resource.relation.into(), names.into(), tenant.into(), call.key.role_name.as_str().into()];
    tables::as_owner(|| {
        Spi::connect(|client| {
            FIND.with(|find| {
                let found = find.read(client, &arguments).filter_map(|row| row.first::<JsonB>());
                found.map(|JsonB(found)| serde_json::from_value(found).expect("a reference")).collect()
            })
        })
    })
}

/// Whether policies decide which rows of a table the role of the request sees.
pub fn has_row_security(relation: pg_sys::Oid) -> bool {
    // SAFETY: looks up the table; no error if policies apply.
    unsafe {
        pg_sys::check_enable_rls(relation, pg_sys::InvalidOid, true) == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    }
}

/// Returns a statement that says whether the row is there that is referred to. A reference with a null refers to nothing.
/// Parameters: the object, the tenant, the id.
fn statement(call: &Call<'_>, resource: &Resource, values: &Values<'_>, reference: &Reference, exists: bool) -> String {
    let own_tenant = resource.tenant_column.as_ref().filter(|_| call.key.tenant.is_some());
    let mut nulls = Vec::new();
    let mut conditions = Vec::new();
    for pair in &reference.columns {
        let referring = match own_tenant.filter(|tenant| tenant.name == pair.local) {
            _ if values.has(&pair.local) => format!("given.{}", pair.local_quoted),
            Some(tenant) => value::cast(2, tenant),
            None if exists => format!("{ROW}.{}", pair.local_quoted),
            // What the default will be is not known.
            None => continue,
        };
        nulls.push(format!("{referring} IS NULL"));
        conditions.push(format!("referred.{} {} {referring}", pair.foreign, pair.operator));
    }
    if let (Some(_), Some(column), Some(type_name)) = (&call.key.tenant, &reference.tenant, &reference.tenant_type) {
        // As texts, because the operators of the type need not be in the search path.
        let tenant = format!("$2::pg_catalog.text::{type_name}::pg_catalog.text");
        conditions.push(format!("referred.{column}::pg_catalog.text OPERATOR(pg_catalog.=) {tenant}"));
    }
    let mut statement = format!(
        "SELECT {} OR EXISTS (SELECT FROM {} AS referred WHERE {}) FROM {}",
        nulls.join(" OR "),
        reference.table,
        conditions.join(" AND "),
        values.given(1),
    );
    if exists {
        let id = &resource.id_column;
        statement += &format!(
            ", {} AS {ROW} WHERE {ROW}.{} OPERATOR({}.=) {}",
            resource.table,
            id.quoted,
            id.operators,
            value::cast(3, id)
        );
    }
    statement
}
