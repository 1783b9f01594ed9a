//! Decides which fields of a body may be written, and whether each value has a JSON type that fits its column.

use std::iter;

use super::body::{Body, Field};
use crate::serve::problem::{FieldError, Problem};
use crate::serve::rest::kind;
use crate::serve::rest::misfit::{self, Misfit};
use crate::serve::rest::resource::{Column, Resource};

/// Why a field is refused: a word for programs, and a sentence for people.
pub type Why = (&'static str, &'static str);

pub const UNKNOWN: Why = ("unknown", "There is no such field.");
pub const READ_ONLY: Why = ("read_only", "It cannot be written in this request.");
pub const REPEATED: Why = ("repeated", "It is given twice.");
pub const NULL: Why = ("required", "It cannot be null.");
pub const MISSING: Why = ("required", "It is required.");

/// The columns that a request writes.
#[derive(Debug)]
pub struct Values<'a> {
    pub columns: Vec<&'a Column>,
    fields: &'a [Field<'a>],
    /// A JSON object with a value for each column.
    pub json: String,
}

impl Values<'_> {
    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    pub fn is_null(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name && field.is_null())
    }

    /// Returns an object with this field alone.
    pub fn object_of(&self, name: &str) -> Option<String> {
        let column = self.columns.iter().find(|column| column.name == name)?;
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(kind::object(iter::once((name, column.type_oid, field.value))))
    }

    /// Returns an entry of a FROM clause, named `given`, with the values in columns of their types; `number` is that of the
    /// parameter with the object. Postgres reads each value as text of its type, as an INSERT of a quoted value would.
    pub fn given(&self, number: usize) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("{} {}", column.quoted, column.type_name)).collect();
        let json = format!("${number}::pg_catalog.text::pg_catalog.json");
        format!("pg_catalog.json_to_record({json}) AS given ({})", columns.join(", "))
    }
}

/// Returns what to write. `permitted` are the columns that this kind of request may write. A key with a tenant does not
/// choose the tenant of a row.
pub fn values<'a>(
    resource: &'a Resource,
    permitted: &[String],
    has_tenant: bool,
    body: &'a Body<'a>,
) -> Result<Values<'a>, Problem> {
    let mut errors = Vec::new();
    let mut columns: Vec<&Column> = Vec::new();
    for field in &body.fields {
        let repeated = columns.iter().any(|column| column.name == field.name);
        match writable(resource, permitted, has_tenant, &field.name) {
            _ if repeated => errors.push(error(&field.name, REPEATED)),
            Ok(column) => {
                columns.push(column);
                errors.extend(mistyped(column, field));
            }
            Err(why) => errors.push(error(&field.name, why)),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::invalid().with_errors(errors));
    }
    let members = columns.iter().zip(&body.fields);
    let json = kind::object(members.map(|(column, field)| (field.name.as_str(), column.type_oid, field.value)));
    Ok(Values { columns, fields: &body.fields, json })
}

/// Returns the column of a field. That of a column which the key may not read is as unknown as one that does not exist.
fn writable<'a>(resource: &'a Resource, permitted: &[String], has_tenant: bool, name: &str) -> Result<&'a Column, Why> {
    let is_tenant = resource.tenant_column.as_ref().is_some_and(|tenant| tenant.name == name);
    let column = permitted.iter().any(|permitted| permitted == name).then(|| resource.column(name)).flatten();
    match column {
        Some(column) if !(column.is_generated || is_tenant && has_tenant) => Ok(column),
        None if !resource.readable.iter().any(|readable| readable.name == name) => Err(UNKNOWN),
        _ => Err(READ_ONLY),
    }
}

pub fn error(field: &str, (code, detail): Why) -> FieldError {
    (field.into(), code.into(), detail.into())
}

/// Returns the error of a value that does not fit the column.
fn mistyped(column: &Column, field: &Field<'_>) -> Option<FieldError> {
    let Misfit { path, why } = misfit::find(column.type_oid, field.value)?;
    let name = format!("{}{path}", field.name);
    Some(match why {
        misfit::Why::Unknown => error(&name, UNKNOWN),
        misfit::Why::Repeated => error(&name, REPEATED),
        misfit::Why::OfAnother(kind) => of_another_kind(&name, "type", &kind.described()),
    })
}

/// Returns the error of a value that is not what it must be.
pub fn of_another_kind(field: &str, code: &str, must_be: &str) -> FieldError {
    (field.into(), code.into(), format!("It must be {must_be}."))
}
