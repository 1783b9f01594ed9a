//! Refuses references to rows that the key does not see.
//!
//! Postgres checks foreign keys without row security, so a row could refer to one of another tenant, and whether that works would
//! tell which ids other tenants have. The referenced row has to be visible and, where its table has a column with the tenant,
//! belong to the tenant of the key. If it is not, the answer is the same as for a row that does not exist. This is decided before
//! anything is written, so that no trigger of the application answers differently.
//!
//! Behind a view, the foreign keys of its tables count. Such a table is read as the owner of the view, and the row has to be
//! visible to that role. Values are converted before that, as the role of the key: code of the caller's types never runs as another
//! role.

use std::ffi::CStr;
use std::rc::Rc;

use pgrx::prelude::*;
use pgrx::{JsonB, datum::DatumWithOid};
use serde::Deserialize;

use super::fields::Values;
use super::origins::{self, Origins};
use super::refusal::unknown_reference;
use crate::backend::catalog_changes::Kept;
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
    tenant: Option<Tenant>,
    reader: pg_sys::Oid,
    is_readable: bool,
}

#[derive(Deserialize)]
struct Pair {
    /// The column of the resource, if it has this one.
    local: Option<String>,
    local_quoted: Option<String>,
    foreign: String,
    r#type: pg_sys::Oid,
    operator: String,
}

/// The column with the tenant of the referenced row.
#[derive(Deserialize)]
struct Tenant {
    quoted: String,
    r#type: pg_sys::Oid,
    operators: String,
}

/// Checks what is to be written. `id` is that of the row, if there is one already.
pub fn check(call: &Call<'_>, resource: &Resource, values: &Values<'_>, id: Option<&str>) -> Result<(), Problem> {
    if values.columns.is_empty() {
        return Ok(());
    }
    let role = tables::current_role();
    for reference in find(resource, values, role).iter() {
        let is_restricted = call.key.tenant.is_some() || has_row_security(reference.relation, reference.reader);
        if !is_restricted {
            continue;
        }
        let fields =
            || reference.columns.iter().filter_map(|pair| pair.local.as_deref()).filter(|local| values.has(local));
        if !reference.is_readable {
            let fields = fields().collect::<Vec<_>>().join(", ");
            return Err(Problem::forbidden()
                .with_detail(format!("The role of the key may not read the rows that this refers to: {fields}.")));
        }
        let referring = Referring::of(call, resource, values, reference, id.is_some());
        let arguments = [values.json.as_str().into(), call.key.tenant.as_deref().into(), id.into()];
        let is_there = match reference.reader == role {
            true => sql::one::<bool>(&referring.statement(reference, call.key.tenant.is_some()), &arguments),
            false => referring.is_seen_by_reader(reference, call.key.tenant.as_deref(), &arguments),
        };
        if is_there == Some(false) {
            return Err(unknown_reference(fields()));
        }
    }
    Ok(())
}

/// Returns the foreign keys that have one of the columns that are written. They are kept: to look them up takes longer than to
/// write most rows.
fn find(resource: &Resource, values: &Values<'_>, role: pg_sys::Oid) -> Rc<[Reference]> {
    type Key = (pg_sys::Oid, Vec<String>, Option<String>, pg_sys::Oid);
    thread_local! {
        static KNOWN: Kept<Key, Rc<[Reference]>> = const { Kept::new() };
    }
    let mut names: Vec<String> = values.columns.iter().map(|column| column.name.clone()).collect();
    names.sort_unstable();
    let tenant = resource.tenant_column.as_ref().map(|column| column.name.clone());
    let key = (resource.relation, names.clone(), tenant.clone(), role);
    KNOWN.with(|known| known.get(key, || read(names, tenant, origins::of(resource.relation, role))))
}

fn read(names: Vec<String>, tenant: Option<String>, origins: Origins) -> Rc<[Reference]> {
    thread_local! {
        static FIND: Statement = const { Statement::new(include_str!("../../../../sql/queries/find_references.sql")) };
    }
    let Origins { names: columns, tables, numbers, readers } = origins;
    let arguments = [columns.into(), tables.into(), numbers.into(), readers.into(), names.into(), tenant.into()];
    tables::as_owner(|| {
        Spi::connect(|client| {
            FIND.with(|find| {
                let found = find.read(client, &arguments).filter_map(|row| row.first::<JsonB>());
                found.map(|JsonB(found)| serde_json::from_value(found).expect("a reference")).collect()
            })
        })
    })
}

/// Whether policies decide which rows of a table a role sees.
pub fn has_row_security(relation: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: looks up the table; no error if policies apply.
    unsafe { pg_sys::check_enable_rls(relation, role, true) == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32 }
}

/// The values that refer, as expressions, each with the column that it is compared with.
struct Referring<'a> {
    values: Vec<(String, &'a Pair)>,
    /// Where the expressions find their columns.
    from: String,
}

impl<'a> Referring<'a> {
    /// `exists`: whether there is a row already. Parameters of the expressions: the object, the tenant, the id.
    fn of(call: &Call<'_>, resource: &Resource, values: &Values<'_>, reference: &'a Reference, exists: bool) -> Self {
        let own_tenant = resource.tenant_column.as_ref().filter(|_| call.key.tenant.is_some());
        let expression = |pair: &Pair| {
            let (local, quoted) = (pair.local.as_ref()?, pair.local_quoted.as_ref()?);
            match own_tenant.filter(|tenant| tenant.name == *local) {
                _ if values.has(local) => Some(format!("given.{quoted}")),
                Some(tenant) => Some(value::cast(2, tenant)),
                None if exists => Some(format!("{ROW}.{quoted}")),
                // What the default will be is not known.
                None => None,
            }
        };
        let pairs = reference.columns.iter().filter_map(|pair| Some((expression(pair)?, pair))).collect();
        let mut from = values.given(1);
        if exists {
            let id = &resource.id_column;
            from += &format!(
                ", {} AS {ROW} WHERE {ROW}.{} OPERATOR({}.=) {}",
                resource.table,
                id.quoted,
                id.operators,
                value::cast(3, id)
            );
        }
        Self { values: pairs, from }
    }

    /// Returns a statement that says whether the row is there that is referred to. A reference with a null refers to nothing.
    fn statement(&self, reference: &Reference, has_tenant: bool) -> String {
        let values = self.values.iter().map(|(value, pair)| (value.as_str(), *pair));
        format!("SELECT {} FROM {}", is_there(reference, values, has_tenant.then_some(2)), self.from)
    }

    /// The same, as the role that reads the table behind a view.
    fn is_seen_by_reader(
        &self,
        reference: &Reference,
        tenant: Option<&str>,
        arguments: &[DatumWithOid<'_>],
    ) -> Option<bool> {
        let texts: Vec<String> = self.values.iter().map(|(value, _)| format!("({value})::pg_catalog.text")).collect();
        let statement = format!("SELECT ARRAY[{}] FROM {}", texts.join(", "), self.from);
        let texts = sql::one::<Vec<Option<String>>>(&statement, arguments)?;
        let casts: Vec<String> =
            (2..).zip(&self.values).map(|(number, (_, pair))| cast_to_base(number, pair.r#type)).collect();
        let values = casts.iter().map(String::as_str).zip(self.values.iter().map(|(_, pair)| *pair));
        let statement = format!("SELECT {}", is_there(reference, values, tenant.map(|_| 1)));
        let arguments: Vec<DatumWithOid<'_>> =
            [tenant.map(str::to_owned)].into_iter().chain(texts).map(Into::into).collect();
        tables::as_role(reference.reader, || sql::one::<bool>(&statement, &arguments))
    }
}

/// Returns an expression that says whether there is a row with these values, or one of them is null; `tenant` is the number of the
/// parameter with the tenant that it has to belong to.
fn is_there<'a>(
    reference: &Reference,
    values: impl Iterator<Item = (&'a str, &'a Pair)>,
    tenant: Option<usize>,
) -> String {
    let (mut nulls, mut conditions) = (Vec::new(), Vec::new());
    for (value, pair) in values {
        nulls.push(value::is_null(value));
        conditions.push(format!("referred.{} {} {value}", pair.foreign, pair.operator));
    }
    if let (Some(number), Some(Tenant { quoted, r#type, operators })) = (tenant, &reference.tenant) {
        conditions.push(format!("referred.{quoted} OPERATOR({operators}.=) {}", cast_to_base(number, *r#type)));
    }
    format!(
        "{} OR EXISTS (SELECT FROM {} AS referred WHERE {})",
        nulls.join(" OR "),
        reference.table,
        conditions.join(" AND ")
    )
}

/// Returns the expression that converts a parameter, a text, to the type that a type is made of. A domain would call functions.
fn cast_to_base(number: usize, of: pg_sys::Oid) -> String {
    // Otherwise it would be that of `character` with a length of one.
    const WITHOUT_LENGTH: u32 = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_FORCE_QUALIFY;
    // SAFETY: looks the type up in the catalog; its name is a C string.
    let name = unsafe {
        let name = pg_sys::format_type_extended(pg_sys::getBaseType(of), -1, WITHOUT_LENGTH as u16);
        CStr::from_ptr(name).to_string_lossy().into_owned()
    };
    format!("${number}::pg_catalog.text::{name}")
}
