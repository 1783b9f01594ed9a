//! Renders rows, as the entity of a webhook with the same columns is rendered.
//!
//! The ETag is a hash of the representation: it changes if and only if what the caller sees changes. The number of the
//! transaction that wrote the row would not do: a restored table has other ones.

use sha2::{Digest, Sha256};

use super::resource::Resource;
use super::value;
use crate::backend::subtransaction::{attempt, must_end};
use crate::emit::{self, Columns, MAX_REPRESENTATION};
use crate::serve::context;
use crate::serve::problem::{Problem, Texts};
use crate::serve::sql;
use crate::store::{Column, Row};

/// The name of a row in our statements. No column of an application is named so; a column would be taken for the row.
pub const ROW: &str = "hydra_row";

pub struct Representation {
    pub text: String,
    pub etag: String,
}

impl Representation {
    pub fn of(text: String) -> Self {
        let etag = etag(&text);
        Self { text, etag }
    }
}

/// Returns the strong ETag of a text.
pub fn etag(text: &str) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(text)[..16]))
}

/// Returns the columns that the representation of a resource has, for [`render`].
pub fn columns(resource: &Resource) -> Columns {
    let names: Vec<String> = resource.readable.iter().map(|column| column.name.clone()).collect();
    Columns::new(&names)
}

/// Renders the row in a column of a result; `None` if it is too large.
///
/// The column must be [`ROW`], a row of the relation.
pub fn render(row: &Row<'_>, column: Column, columns: &Columns) -> Option<String> {
    let datum = row.datum(column).expect("a row is not null");
    // SAFETY: a value of the row type of the relation.
    unsafe { emit::representation(datum, columns) }
}

/// The problem of a row that is too large. It is that of the resource and not of the caller, who can only leave it out.
pub fn too_large(resource: &Resource, id: &str) -> Problem {
    let detail = format!("The row with the id {id} has more than {} MB of JSON.", MAX_REPRESENTATION >> 20);
    Problem::invalid()
        .with_code("54000")
        .with_error(&resource.id_column.name, "too_large", &detail)
        .with_detail(detail)
        .with_hint("Show fewer of its columns: hydra.api_expose(…, readable => …).")
}

/// Returns the condition that keeps rows of other tenants out of a statement, and the tenant of the request, which is its
/// parameter `number`; `None` if the request has no tenant. To be used in every statement that reads or changes rows.
pub fn own_rows(resource: &Resource, number: usize) -> Result<Option<(String, String)>, Problem> {
    let Some(tenant) = context::current_tenant() else { return Ok(None) };
    let column = resource.tenant_column.as_ref().ok_or_else(Problem::not_found)?;
    let cast = value::cast(number, column);
    Ok(Some((format!("{ROW}.{} OPERATOR({}.=) {cast}", column.quoted, column.operators), tenant)))
}

/// Returns the row with this id that the request may see; `lock` keeps others from changing it until the end of the
/// transaction.
pub fn fetch(resource: &Resource, id: &str, lock: bool) -> Result<Option<Representation>, Problem> {
    match find(resource, id, lock)? {
        Some(text) => Ok(Some(Representation::of(text.ok_or_else(|| too_large(resource, id))?))),
        None => Ok(None),
    }
}

/// Whether there is a row with this id that the request may see.
pub fn exists(resource: &Resource, id: &str) -> Result<bool, Problem> {
    Ok(find(resource, id, false)?.is_some())
}

/// Returns the text of a row, which is `None` if it is too large.
fn find(resource: &Resource, id: &str, lock: bool) -> Result<Option<Option<String>>, Problem> {
    let column = &resource.id_column;
    let own = own_rows(resource, 2)?;
    let statement = format!(
        "SELECT {ROW} FROM {} AS {ROW} WHERE {ROW}.{} OPERATOR({}.=) {}{}{}",
        resource.table,
        column.quoted,
        column.operators,
        value::cast(1, column),
        own.as_ref().map(|(condition, _)| format!(" AND {condition}")).unwrap_or_default(),
        if lock { format!(" FOR UPDATE OF {ROW}") } else { String::new() },
    );
    let mut arguments = vec![id.into()];
    arguments.extend(own.as_ref().map(|(_, tenant)| tenant.as_str().into()));
    let columns = columns(resource);
    let found = attempt(|| {
        sql::all(&statement, &arguments, |mut rows| {
            let row = rows.column(ROW);
            rows.next().map(|found| render(&found, row, &columns))
        })
    });
    match found {
        Ok(found) => Ok(found),
        Err(error) if must_end(&error) => error.rethrow(),
        // No row has an id, or a tenant, that is none.
        Err(error) => match is_no_value(resource, id, own.map(|(_, tenant)| tenant)) {
            true => Ok(None),
            false => Err(Problem::of(&error, Texts::Foreign)),
        },
    }
}

fn is_no_value(resource: &Resource, id: &str, tenant: Option<String>) -> bool {
    value::refusal("", &resource.id_column, id).is_some()
        || tenant.is_some_and(|tenant| is_no_tenant(resource, &tenant))
}

/// Whether the column of the tenant cannot have this value.
pub fn is_no_tenant(resource: &Resource, tenant: &str) -> bool {
    resource.tenant_column.as_ref().is_some_and(|column| value::refusal("", column, tenant).is_some())
}
