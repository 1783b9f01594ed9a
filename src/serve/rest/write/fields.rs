//! Decides which fields of a body may be written, and whether each value has a JSON type that fits its column.

use serde_json::Value;

use super::body::{Body, Field};
use crate::serve::problem::{FieldError, Problem};
use crate::serve::rest::kind::Kind;
use crate::serve::rest::resource::{Column, Resource};

/// The columns that a request writes.
#[derive(Debug)]
pub struct Values<'a> {
    pub columns: Vec<&'a Column>,
    fields: &'a [Field<'a>],
    /// A JSON object with a value for each column.
    pub json: &'a str,
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
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(format!("{{{}: {}}}", Value::from(name), field.value.get()))
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
            _ if repeated => errors.push(error(field, "repeated", "It is given twice.")),
            Ok(column) => {
                columns.push(column);
                errors.extend(mistyped(column, field));
            }
            Err((code, detail)) => errors.push(error(field, code, detail)),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::invalid().with_errors(errors));
    }
    Ok(Values { columns, fields: &body.fields, json: body.text })
}

/// Returns the column of a field. That of a column which the key may not read is as unknown as one that does not exist.
fn writable<'a>(
    resource: &'a Resource,
    permitted: &[String],
    has_tenant: bool,
    name: &str,
) -> Result<&'a Column, (&'static str, &'static str)> {
    let is_tenant = resource.tenant_column.as_ref().is_some_and(|tenant| tenant.name == name);
    let column = permitted.iter().any(|permitted| permitted == name).then(|| resource.column(name)).flatten();
    match column {
        Some(column) if !(column.is_generated || is_tenant && has_tenant) => Ok(column),
        None if !resource.readable.iter().any(|readable| readable.name == name) => {
            Err(("unknown", "There is no such field."))
        }
        _ => Err(("read_only", "It cannot be written in this request.")),
    }
}

fn error(field: &Field<'_>, code: &str, detail: &str) -> FieldError {
    (field.name.clone(), code.into(), detail.into())
}

/// Returns the error of a value whose JSON type does not fit the column.
fn mistyped(column: &Column, field: &Field<'_>) -> Option<FieldError> {
    let kind = Kind::of(column.type_oid);
    (!kind.takes(field.value)).then(|| error(field, "type", &format!("It must be {}.", kind.described())))
}
